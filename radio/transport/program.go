package transport

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/internal/nonblock"
	"gatewayd/radio"
)

// Implementation constants.
const (
	keptStderr = 512                    // bytes of what a program complained last
	reapDelay  = 500 * time.Millisecond // for a program to be gone after its end was seen
)

// startProgram runs a program whose standard input and output are a pseudo
// terminal, and talks to that.
func startProgram(u radio.URL) (Conn, error) {
	fail := func(err error) (Conn, error) { return nil, fmt.Errorf("transport: %s: %w", u.Path, err) }
	master, slave, err := openPTY()
	if err != nil {
		return fail(err)
	}
	defer slave.Close()

	p := &program{exited: make(chan struct{})}
	cmd := exec.Command(u.Path, u.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, &p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	cmd.WaitDelay = reapDelay // for the end of stderr, should a grandchild have it
	if err := cmd.Start(); err != nil {
		master.Close()
		return fail(err)
	}
	p.conn = conn{Conn: master, name: u.Path, why: p.why}
	p.pid = cmd.Process.Pid
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// openPTY opens a new pseudo terminal in raw mode. The kernel makes the slave
// hang up when the master is closed, and the other way around.
func openPTY() (master *nonblock.Line, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("pseudo terminal: %w", err)
	}
	name := ""
	err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	if err == nil {
		var n uint32
		n, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN)
		name = fmt.Sprintf("/dev/pts/%d", n)
	}
	if err == nil {
		slave, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		var t *unix.Termios
		if t, err = unix.IoctlGetTermios(fd, unix.TCGETS2); err == nil {
			raw(t)
			err = unix.IoctlSetTermios(fd, unix.TCSETS2, t)
		}
	}
	if err != nil {
		unix.Close(fd)
	} else {
		master, err = nonblock.NewLine(fd, name)
	}
	if err != nil {
		if slave != nil {
			slave.Close()
		}
		return nil, nil, fmt.Errorf("pseudo terminal: %w", err)
	}
	return master, slave, nil
}

// program is a running program.
type program struct {
	conn
	pid    int
	stderr tail
	exited chan struct{} // closed when it was reaped
	err    error         // then: how it ended
	once   sync.Once
}

// Close kills the program with all it started, and waits until it is gone.
func (p *program) Close() error {
	err := error(os.ErrClosed)
	p.once.Do(func() {
		err = p.Conn.Close()
		select {
		case <-p.exited: // reaped: the number may be another's by now
		default:
			if e := unix.Kill(-p.pid, unix.SIGKILL); e != nil && !errors.Is(e, unix.ESRCH) {
				err = errors.Join(err, e)
			}
		}
		<-p.exited
	})
	return err
}

// why says how the program ended and what it complained about.
func (p *program) why() string {
	select {
	case <-p.exited:
	case <-time.After(reapDelay):
		return "" // it closed its terminal, but lives
	}
	s := ": ended"
	if p.err != nil {
		s = ": " + p.err.Error()
	}
	if last := p.stderr.lastLine(); last != "" {
		s += ": " + last
	}
	return s
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - keptStderr; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
