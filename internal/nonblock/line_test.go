package nonblock

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The runtime is not told of room to write unless somebody waits for it.
func TestLineEvents(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t, fds[0], "line").(*Line)
	defer l.Close()
	far := newFile(t, fds[1], "far")
	defer far.Close()
	expect := func(when string, in, out bool) {
		t.Helper()
		for _, g := range []struct {
			name string
			gate
			open bool
		}{{"in", l.in, in}, {"out", l.out, out}} {
			_ = g.raw.Control(func(epoll uintptr) {
				n, err := unix.Poll([]unix.PollFd{{Fd: int32(epoll), Events: unix.POLLIN}}, 0)
				if err != nil || (n == 1) != g.open {
					t.Errorf("%s: %s: open is %v, want %v, %v", when, g.name, n == 1, g.open, err)
				}
			})
		}
	}
	drain := func() {
		t.Helper()
		if _, err := far.Read(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	expect("at first", false, false)
	if n := l.WriteNow([]byte("some")); n != 4 {
		t.Errorf("%d bytes were written", n)
	}
	drain()
	expect("what was written was read", false, false)
	if _, err := far.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	expect("something to read", true, false)
	if _, err := l.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	expect("it was read", false, false)

	for l.WriteNow(make([]byte, 4096)) > 0 {
	}
	_ = l.out.raw.Control(func(epoll uintptr) { err = arm(epoll, fds[0]) })
	if err != nil {
		t.Fatal(err)
	}
	expect("no room", false, false)
	drain()
	expect("room, and waited for", false, true)
}
