package rcpd

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timer fires as exactly as the kernel can. The runtime's own timers may be a
// millisecond late when nothing else goes on, and a backoff is 0.3 ms.
type timer struct {
	f *os.File // a timerfd
	c chan struct{}
}

func newTimer() (*timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("rcpd: timer: %w", err)
	}
	// One expiry waiting is enough: it only makes the owner look at its clock.
	return &timer{f: os.NewFile(uintptr(fd), "timerfd"), c: make(chan struct{}, 1)}, nil
}

// run passes expiries to c until the timer is closed.
func (t *timer) run() {
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

// start makes it fire once in d; at once if that is not positive.
func (t *timer) start(d time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	raw, err := t.f.SyscallConn()
	if err != nil {
		return fmt.Errorf("rcpd: timer: %w", err)
	}
	var serr error
	if err := raw.Control(func(fd uintptr) { serr = unix.TimerfdSettime(int(fd), 0, &spec, nil) }); err != nil {
		return fmt.Errorf("rcpd: timer: %w", err)
	}
	if serr != nil {
		return fmt.Errorf("rcpd: timer: %w", serr)
	}
	return nil
}

func (t *timer) close() { t.f.Close() }
