package transport

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"gatewayd/internal/nonblock"
	"gatewayd/radio"
)

// openSerial opens and sets up a serial device.
func openSerial(u radio.URL) (Conn, error) {
	fail := func(err error) (Conn, error) { return nil, fmt.Errorf("transport: %s: %w", u.Path, err) }

	// Without O_NONBLOCK open waits for a carrier, and os.NewFile would not
	// use the poller, so that Close could not end a Read.
	fd, err := unix.Open(u.Path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return fail(fmt.Errorf("%w: is the dongle plugged in?", err))
	case errors.Is(err, unix.EACCES):
		return fail(fmt.Errorf("%w: the user must be in the group that owns serial devices, usually dialout", err))
	case errors.Is(err, unix.EBUSY):
		return fail(inUse(u.Path))
	case err != nil:
		return fail(err)
	}
	if err := setUp(fd, u); err != nil {
		unix.Close(fd)
		return fail(err)
	}
	l, err := nonblock.NewLine(fd, u.Path)
	if err != nil {
		return fail(err)
	}
	return &serial{conn{Conn: l, name: u.Path}}, nil
}

// setUp makes the device ours and sets the line.
func setUp(fd int, u radio.URL) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return errors.New("not a device; to run a program use spinel+hdlc+forkpty://")
	}
	// TIOCEXCL does not stop root, and flock only those who ask for it: other
	// programs that have the device open are looked for as well.
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return inUse(u.Path)
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return fmt.Errorf("not a serial device: %w", err)
	}
	if who := holders(u.Path); who != "" {
		return errors.New("in use by " + who)
	}
	if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
		return fmt.Errorf("exclusive use: %w", err)
	}

	baud := u.Baud
	if baud == 0 {
		baud = radio.DefaultBaud
	}
	line(t, u, baud)
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, t); err != nil {
		return fmt.Errorf("serial parameters: %w", err)
	}
	// The driver may have had to choose another rate; 3 % is what a UART bears.
	got, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return err
	}
	if off := int64(got.Ospeed) - int64(baud); off*100 > int64(baud)*3 || -off*100 > int64(baud)*3 {
		return fmt.Errorf("the port cannot do %d baud, only %d", baud, got.Ospeed)
	}
	if u.InitDeassert && !u.FlowControl {
		// Not every device has these lines.
		_ = unix.IoctlSetPointerInt(fd, unix.TIOCMBIC, unix.TIOCM_DTR|unix.TIOCM_RTS)
	}
	return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH)
}

// line sets raw mode and the line's parameters. HUPCL is off: closing leaves
// DTR alone, which resets some dongles when it falls.
func line(t *unix.Termios, u radio.URL, baud uint32) {
	raw(t)
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.BOTHER
	t.Ispeed, t.Ospeed = baud, baud
	switch u.Parity {
	case radio.ParityEven:
		t.Cflag |= unix.PARENB
	case radio.ParityOdd:
		t.Cflag |= unix.PARENB | unix.PARODD
	}
	if u.StopBits == 2 {
		t.Cflag |= unix.CSTOPB
	}
	if u.FlowControl {
		t.Cflag |= unix.CRTSCTS
	}
}

// raw turns off all processing of input and output, like cfmakeraw.
func raw(t *unix.Termios) {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON | unix.IXOFF
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
}

// serial is an open serial device.
type serial struct{ conn }

// Close throws away what was not sent yet. Otherwise closing a line whose other
// end holds us off by flow control would wait for half a minute.
func (s *serial) Close() error {
	l := s.Conn.(*nonblock.Line)
	_ = l.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCIOFLUSH) })
	return l.Close()
}

// inUse is the error for a device that another program has.
func inUse(path string) error {
	who := holders(path)
	if who == "" {
		who = "another program"
	}
	return errors.New("in use by " + who)
}
