//go:build image

package image

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A serial is the serial console of a machine: a socket of QEMU's, which also
// writes everything that is said into a file.
type serial struct {
	t      *testing.T
	socket string
	log    string // file

	conn net.Conn
	mu   sync.Mutex
	said []byte // since the last command
	n    int    // commands
}

func newSerial(t *testing.T) *serial {
	return &serial{t: t, socket: filepath.Join(shortDir(t), "tty"), log: filepath.Join(t.TempDir(), "console")}
}

// shortDir is a folder whose files have paths that fit a socket's address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// args are QEMU's for the next serial port.
func (s *serial) args() []string {
	return []string{"-chardev", fmt.Sprintf("socket,id=tty,path=%s,server=on,wait=off,logfile=%s,logappend=on", s.socket, s.log), "-serial", "chardev:tty"}
}

// powerOn runs the machine at whose console this is, until the test ends.
func (s *serial) powerOn(name, program string, args ...string) {
	s.t.Helper()
	cmd := exec.Command(program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if s.t.Failed() {
			log, _ := os.ReadFile(s.log)
			s.t.Logf("%s: %s\nconsole:\n%s", name, &said, log)
		}
	})
	s.plug()
}

// has tells whether the console has shown what.
func (s *serial) has(what string) bool {
	log, err := os.ReadFile(s.log)
	return err == nil && bytes.Contains(log, []byte(what))
}

// plug puts the cable in and keeps what is said.
func (s *serial) plug() {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		conn, err := net.Dial("unix", s.socket)
		if err == nil {
			s.conn = conn
			break
		}
		if time.Now().After(end) {
			s.t.Fatal(err)
		}
	}
	s.t.Cleanup(func() { s.conn.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := s.conn.Read(b)
			s.mu.Lock()
			s.said = append(s.said, b[:n]...)
			s.mu.Unlock()
			if err != nil {
				return // the machine is off
			}
		}
	}()
}

// send types text and forgets what was said before.
func (s *serial) send(text string) {
	s.t.Helper()
	s.mu.Lock()
	s.said = nil
	s.mu.Unlock()
	if _, err := s.conn.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// hears waits for something after what was last sent, and returns what the
// pattern's groups have found.
func (s *serial) hears(limit time.Duration, pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		s.mu.Lock()
		m := re.FindSubmatch(s.said)
		said := string(s.said)
		s.mu.Unlock()
		if m != nil {
			var found []string
			for _, g := range m {
				found = append(found, string(g))
			}
			return found
		}
		if time.Now().After(end) {
			s.t.Fatalf("after %v the console does not say %q:\n%s", limit, pattern, said)
		}
	}
}

// activate presses Enter, as the console asks for.
func (s *serial) activate(limit time.Duration) {
	s.t.Helper()
	s.plug()
	for end := time.Now().Add(limit); !s.has("Please press Enter to activate this console"); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("the console does not ask for Enter")
		}
	}
	s.send("\r")
	s.hears(limit, `# `)
}

// run types a command and returns what it printed and its exit code.
func (s *serial) run(limit time.Duration, command string) (string, int) {
	s.t.Helper()
	s.n++
	// What is typed is echoed: it must not look like the end.
	s.send(fmt.Sprintf("echo be''gun-%d; %s; echo en''ded-%d-$?-\r", s.n, command, s.n))
	m := s.hears(limit, fmt.Sprintf(`(?s)\bbegun-%d\r?\n(.*)ended-%[1]d-(\d+)-`, s.n))
	code, _ := strconv.Atoi(m[2]) // digits
	return strings.ReplaceAll(m[1], "\r", ""), code
}

// must is run for a command that does not fail.
func (s *serial) must(limit time.Duration, command string) string {
	s.t.Helper()
	out, code := s.run(limit, command)
	if code != 0 {
		s.t.Fatalf("%s: exit code %d: %s", command, code, out)
	}
	return out
}

// until repeats a command until it does not fail.
func (s *serial) until(limit time.Duration, command string) string {
	s.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(500 * time.Millisecond) {
		out, code := s.run(limit, command)
		if code == 0 {
			return out
		}
		if time.Now().After(end) {
			s.t.Fatalf("after %v, %s: exit code %d: %s", limit, command, code, out)
		}
	}
}
