// Package timerfd is a timer that fires as exactly as the kernel can.
package timerfd

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/internal/nonblock"
)

// Timer tells on C that its time has come. The runtime's own timers may be a
// millisecond late when nothing else goes on, and a radio's backoff is 0.3 ms.
type Timer struct {
	C <-chan struct{}

	f *nonblock.File // a timerfd
	c chan struct{}
}

// New returns a stopped timer. Run must follow, in a goroutine of its own.
func New() (*Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	// One expiry waiting is enough: it only makes the owner look at its clock.
	c := make(chan struct{}, 1)
	return &Timer{C: c, f: nonblock.NewFile(fd, "timerfd"), c: c}, nil
}

// Run passes expiries to C until the timer is closed.
func (t *Timer) Run() {
	var b [8]byte
	for {
		if _, err := t.f.Read(b[:]); err != nil {
			return
		}
		select {
		case t.c <- struct{}{}:
		default:
		}
	}
}

// Start makes it fire once in d; at once if that is not positive.
func (t *Timer) Start(d time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	raw, err := t.f.SyscallConn()
	if err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	var serr error
	if err := raw.Control(func(fd uintptr) { serr = unix.TimerfdSettime(int(fd), 0, &spec, nil) }); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	if serr != nil {
		return fmt.Errorf("timerfd: %w", serr)
	}
	return nil
}

// Close ends Run.
func (t *Timer) Close() error { return t.f.Close() }
