package transport

import (
	"bufio"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/radio"
)

func shell(script string, args ...string) radio.URL {
	return radio.URL{Bus: radio.BusPTY, Path: "/bin/sh", Args: append([]string{"-c", script, "sh"}, args...)}
}

func alive(pid int) bool { return unix.Kill(pid, 0) == nil }

// The program has a terminal of its own, in raw mode, and its arguments; it and
// its children are gone after Close.
func TestProgram(t *testing.T) {
	c := open(t, shell(`sleep 60 & echo "$1 $$ $!"; stty -a | grep -q -- "-icanon" && echo raw; cat`, "a b"))
	r := bufio.NewReader(c)
	line := func() (s string) {
		within(t, 5*time.Second, "a line", func() {
			var err error
			if s, err = r.ReadString('\n'); err != nil {
				t.Error(err)
			}
		})
		return strings.TrimSpace(s)
	}
	f := strings.Fields(line())
	if len(f) != 4 || f[0] != "a" || f[1] != "b" {
		t.Fatalf("the program said %q", f)
	}
	pid, _ := strconv.Atoi(f[2])
	child, _ := strconv.Atoi(f[3])
	if got := line(); got != "raw" {
		t.Errorf("its terminal is not raw: %q", got)
	}
	if _, err := c.Write([]byte("hello\n")); err != nil {
		t.Error(err)
	}
	if got := line(); got != "hello" {
		t.Errorf("echo %q", got)
	}
	within(t, 2*time.Second, "closing", func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if alive(pid) {
		t.Error("the program lives")
	}
	for range 100 { // its child is somebody else's to reap
		if !alive(child) {
			break
		}
		state, _ := os.ReadFile("/proc/" + f[3] + "/stat")
		if _, after, ok := strings.Cut(string(state), ") "); ok && after[0] == 'Z' {
			break
		}
		time.Sleep(10 * time.Millisecond)
		if !alive(child) {
			break
		}
	}
}

func TestProgramEnds(t *testing.T) {
	for script, want := range map[string]string{
		"exit 0": "hung up: ended",
		"echo out of luck >&2; echo really >&2; exit 3": "hung up: exit status 3: really",
		"kill -9 $$": "hung up: signal: killed",
	} {
		c := open(t, shell(script))
		within(t, 5*time.Second, "seeing the end", func() {
			_, err := c.Read(make([]byte, 100))
			if !errors.Is(err, ErrHungUp) || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s: %v, want %q", script, err, want)
			}
		})
		c.Close()
	}
}

func TestSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rcp.sock")
	for network, addr := range map[string]string{"tcp": "127.0.0.1:0", "unix": path} {
		ln, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		u := radio.URL{Bus: radio.BusTCP, Addr: ln.Addr().String()}
		if network == "unix" {
			u = radio.URL{Bus: radio.BusUnix, Path: path}
		}
		c := open(t, u)
		peer, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if network == "tcp" {
			raw, err := c.(*conn).Conn.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) {
				for opt, want := range map[int]int{unix.TCP_NODELAY: 1, unix.TCP_USER_TIMEOUT: 10000, unix.TCP_KEEPIDLE: 15} {
					if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, opt); err != nil || got != want {
						t.Errorf("option %d is %d, %v, want %d", opt, got, err, want)
					}
				}
			})
		}
		c.Write([]byte("ping"))
		b := make([]byte, 10)
		if n, err := peer.Read(b); err != nil || string(b[:n]) != "ping" {
			t.Errorf("%q, %v", b[:n], err)
		}
		peer.Close()
		within(t, time.Second, "seeing the end", func() {
			if _, err := c.Read(b); !errors.Is(err, ErrHungUp) {
				t.Errorf("%s: %v", network, err)
			}
		})
		ln.Close()
	}
}
