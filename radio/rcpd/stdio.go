package rcpd

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Stdio is standard input and output as the byte stream to a host: this is how
// OpenThread's hosts run a simulated co-processor, on a pseudo-terminal. A
// terminal is made raw. Close puts back what was changed.
func Stdio() (io.ReadWriteCloser, error) {
	s := &stdio{}
	for fd := range 2 {
		undo, err := prepare(fd)
		s.undo = append(s.undo, undo...)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("rcpd: standard stream %d: %w", fd, err), s.restore())
		}
	}
	// Non-blocking, so that Close ends a Read that waits.
	s.in, s.out = os.NewFile(0, "stdin"), os.NewFile(1, "stdout")
	return s, nil
}

type stdio struct {
	in, out *os.File
	undo    []func() error
}

func (s *stdio) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *stdio) Write(b []byte) (int, error) { return s.out.Write(b) }

func (s *stdio) Close() error {
	return errors.Join(s.restore(), s.in.Close(), s.out.Close())
}

func (s *stdio) restore() error {
	var errs []error
	for _, f := range s.undo {
		errs = append(errs, f())
	}
	s.undo = nil
	return errors.Join(errs...)
}

// prepare makes a descriptor non-blocking and, if it is a terminal, raw.
func prepare(fd int) (undo []func() error, err error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, err
	}
	if flags&unix.O_NONBLOCK == 0 {
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, err
		}
		undo = append(undo, func() error { return unix.SetNonblock(fd, false) })
	}
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return undo, nil // no terminal
	}
	raw := *was
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return undo, err
	}
	return append(undo, func() error { return unix.IoctlSetTermios(fd, unix.TCSETS, was) }), nil
}
