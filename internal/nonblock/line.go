package nonblock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Line is a serial line or a pseudo terminal.
//
// The runtime waits for all that can happen to a file, and wakes up for each
// event: of a terminal also each time the other end has taken something, which
// follows every write, though nobody waits for room. So it is given an epoll
// instance to wait for in place of the terminal, which has only the events that
// matter.
type Line struct {
	fd   int
	name string
	in   gate // opens when there is something to read
	out  gate // opens when there is room to write again, once it was armed
}

// NewLine returns the Line of a descriptor that was opened with O_NONBLOCK. It
// owns the descriptor, also when it fails.
func NewLine(fd int, name string) (*Line, error) {
	l := &Line{fd: fd, name: name}
	err := l.in.open(fd, unix.EPOLLIN)
	if err == nil {
		err = l.out.open(fd, unix.EPOLLONESHOT)
	}
	if err != nil {
		l.in.close()
		unix.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return l, nil
}

// Read implements io.Reader.
func (l *Line) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	waited := l.in.raw.Read(func(uintptr) bool {
		n, err = Read(uintptr(l.fd), b)
		return err != syscall.EAGAIN
	})
	if err := explain("read", l.name, waited, err); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write implements io.Writer.
func (l *Line) Write(b []byte) (done int, err error) {
	waited := l.out.raw.Read(func(epoll uintptr) bool {
		for done < len(b) && err == nil {
			var n int
			n, err = Write(uintptr(l.fd), b[done:])
			done += n
		}
		if err == syscall.EAGAIN {
			err = arm(epoll, l.fd)
			return err != nil
		}
		return true
	})
	return done, explain("write", l.name, waited, err)
}

// WriteNow writes what there is room for, and tells how much that was. Errors
// are left for the next Write to meet.
func (l *Line) WriteNow(b []byte) (n int) {
	_ = l.out.raw.Control(func(uintptr) { n, _ = Write(uintptr(l.fd), b) })
	return n
}

// Control calls f with the descriptor, which stays open meanwhile.
func (l *Line) Control(f func(fd uintptr)) error {
	return l.in.raw.Control(func(uintptr) { f(uintptr(l.fd)) })
}

// SetReadDeadline is that of an os.File.
func (l *Line) SetReadDeadline(t time.Time) error { return l.in.file.SetReadDeadline(t) }

// SetWriteDeadline is that of an os.File.
func (l *Line) SetWriteDeadline(t time.Time) error { return l.out.file.SetReadDeadline(t) }

// Close ends reading and writing.
func (l *Line) Close() error {
	// The gates close when nobody is in them any more, and the first Close
	// alone succeeds.
	if err := l.in.close(); err != nil {
		return &os.PathError{Op: "close", Path: l.name, Err: os.ErrClosed}
	}
	return errors.Join(l.out.close(), unix.Close(l.fd))
}

// gate is an epoll instance with one descriptor. The instance itself can be
// read when the descriptor has one of the gate's events.
type gate struct {
	file *os.File
	raw  syscall.RawConn
}

func (g *gate) open(fd int, events uint32) error {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events})
	if err == nil {
		err = unix.SetNonblock(epoll, true) // makes the runtime's poller wait for it
	}
	if err != nil {
		unix.Close(epoll)
		return err
	}
	g.file = os.NewFile(uintptr(epoll), "epoll")
	g.raw, err = g.file.SyscallConn()
	return err
}

func (g *gate) close() error { return g.file.Close() }

// arm lets a gate open once when there is room to write.
func arm(epoll uintptr, fd int) error {
	return unix.EpollCtl(int(epoll), unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT})
}
