package simnode

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testOffset keeps the tests off the airs that people use.
const testOffset = 1200

// shell is a node that runs, and its command line.
type shell struct {
	t     *testing.T
	in    io.Writer
	lines chan string // what it shows, by lines
	ended chan error
}

func start(t *testing.T, id int, dir string) *shell {
	t.Helper()
	in, toNode := io.Pipe()
	fromNode, out := io.Pipe()
	s := &shell{t: t, in: toNode, lines: make(chan string, 1000), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		err := Run(ctx, Config{ID: id, TimeSpeed: 10, PortOffset: testOffset, In: in, Out: out, DataDir: dir,
			LogFile: filepath.Join(dir, fmt.Sprintf("%d.log", id))})
		out.Close()
		s.ended <- err
	}()
	go func() {
		defer close(s.lines)
		for r := bufio.NewScanner(fromNode); r.Scan(); {
			s.lines <- r.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		toNode.Close()
		for range s.lines {
		}
	})
	return s
}

// do types a command and returns its reply.
func (s *shell) do(command string) []string {
	s.t.Helper()
	if _, err := io.WriteString(s.in, command+"\n"); err != nil {
		s.t.Fatalf("%s: %v", command, err)
	}
	var out []string
	echoed := false
	for deadline := time.After(20 * time.Second); ; {
		select {
		case l, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("%s: the node ended after %q", command, out)
			}
			l = strings.TrimRight(l, "\r")
			switch {
			case !echoed:
				echoed = strings.HasSuffix(l, "> "+command)
			case l == "Done" || strings.HasPrefix(l, "Error "):
				return append(out, l)
			default:
				out = append(out, l)
			}
		case <-deadline:
			s.t.Fatalf("%s: no end after %q", command, out)
		}
	}
}

func (s *shell) ok(command string) string {
	s.t.Helper()
	out := s.do(command)
	if out[len(out)-1] != "Done" {
		s.t.Fatalf("%s: %q", command, out)
	}
	return out[0]
}

func (s *shell) await(want string) {
	s.t.Helper()
	for range 200 {
		if s.ok("state") == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("state is %s, not %s", s.ok("state"), want)
}

// Two processes' worth of nodes form a network, reach each other, and keep what
// they know over restarts.
func TestTwoNodes(t *testing.T) {
	dir := t.TempDir()
	a, b := start(t, 1, dir), start(t, 2, dir)
	if s := a.ok("eui64"); s != "18b4300000000001" {
		t.Errorf("EUI-64 %s", s)
	}
	for _, c := range []string{"dataset init new", "dataset networkname simnode", "dataset commit active", "ifconfig up", "thread start"} {
		a.ok(c)
	}
	a.await("leader")
	active := a.ok("dataset active -x")
	for _, c := range []string{"dataset set active " + active, "mode rn", "ifconfig up", "thread start"} {
		b.ok(c)
	}
	b.await("child")
	out := a.do("ping " + b.ok("ipaddr mleid") + " 64 3 0.2")
	if len(out) != 5 || !strings.HasPrefix(out[3], "3 packets transmitted, 3 packets received. Packet loss = 0.0%.") {
		t.Errorf("ping: %q", out)
	}

	// A reset keeps what is stored; the prompt tells that the node is back.
	if _, err := io.WriteString(b.in, "reset\n"); err != nil {
		t.Fatal(err)
	}
	if s := b.ok("state"); s != "disabled" {
		t.Errorf("state after reset: %s", s)
	}
	if s := b.ok("dataset active -x"); s != active {
		t.Errorf("dataset after reset: %s", s)
	}
	b.ok("ifconfig up")
	b.ok("thread start")
	b.await("child")
	if _, err := io.WriteString(b.in, "factoryreset\n"); err != nil {
		t.Fatal(err)
	}
	if out := b.do("dataset active"); out[0] != "Error 23: NotFound" {
		t.Errorf("dataset after a factory reset: %q", out)
	}

	// Another process finds it again; exit ends one.
	extaddr := a.ok("extaddr")
	if _, err := io.WriteString(a.in, "exit\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-a.ended; err != nil {
		t.Errorf("exit: %v", err)
	}
	a = start(t, 1, dir)
	if s := a.ok("extaddr"); s != extaddr {
		t.Errorf("extended address was %s, is %s", extaddr, s)
	}
	if s := a.ok("networkname"); s != "simnode" {
		t.Errorf("network name after a new start: %s", s)
	}
}

// A node that the medium does not deliver is as if it were not there.
func TestNodeFilter(t *testing.T) {
	dir := t.TempDir()
	a, b := start(t, 3, dir), start(t, 4, dir)
	for _, c := range []string{"nodeidfilter deny 4", "dataset init new", "dataset commit active", "ifconfig up", "thread start"} {
		a.ok(c)
	}
	if s := a.ok("nodeidfilter"); s != "deny-list 4" {
		t.Errorf("filter: %s", s)
	}
	a.await("leader")
	scan := func() int { return len(b.do("scan "+a.ok("channel"))) - 3 } // but for title, line and Done
	b.ok("ifconfig up")
	if n := scan(); n != 0 {
		t.Errorf("%d beacons from a node that must not hear", n)
	}
	a.ok("nodeidfilter clear")
	if n := scan(); n != 1 {
		t.Errorf("%d beacons from a node that hears again", n)
	}
	if out := a.do("nodeidfilter allow 34"); out[0] != "Error 7: InvalidArgs" {
		t.Errorf("allow 34: %q", out)
	}
}

func TestDamagedState(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fmt.Sprintf("gatewayd_%d_5.data", testOffset))
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), Config{ID: 5, PortOffset: testOffset, In: strings.NewReader(""), Out: io.Discard, DataDir: dir})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged state: %v", err)
	}
}

func TestEndOfInput(t *testing.T) {
	var out strings.Builder
	err := Run(t.Context(), Config{ID: 6, PortOffset: testOffset, In: strings.NewReader("st\x7ft\x7ftate\r\n"), Out: &out, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if want := "> st\b \bt\b \btate\r\n"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("shown %q, want it to begin with %q", out.String(), want)
	}
}
