//go:build image

package image

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A device is a node of the mesh on a dongle's air, with a command line.
type device struct {
	t     *testing.T
	in    io.Writer
	lines chan string
}

func newDevice(t *testing.T, d *dongle) *device {
	t.Helper()
	cmd := exec.Command(os.Getenv("GATEWAYD_HOST_PROGRAM"), "node", "2")
	cmd.Dir = t.TempDir() // it keeps its state in a folder below
	cmd.Env = append(os.Environ(), fmt.Sprint("PORT_OFFSET=", d.air))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &device{t: t, in: in, lines: make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(v.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			v.lines <- strings.TrimSpace(strings.TrimPrefix(s.Text(), "> "))
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		for range v.lines {
		}
		<-done
		_ = cmd.Wait() // killed
	})
	return v
}

// do gives a command and returns its lines; it must end in Done.
func (v *device) do(command string) []string {
	v.t.Helper()
	lines := v.wait(command, 10*time.Second, "Done", "Error")
	if last := lines[len(lines)-1]; last != "Done" {
		v.t.Fatalf("the device says to %q: %s", command, last)
	}
	return lines[:len(lines)-1]
}

// wait gives a command and returns the lines up to one that begins so.
func (v *device) wait(command string, limit time.Duration, ends ...string) []string {
	v.t.Helper()
	if _, err := io.WriteString(v.in, command+"\n"); err != nil {
		v.t.Fatal(err)
	}
	var lines []string
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case line, ok := <-v.lines:
			if !ok {
				v.t.Fatalf("the device ended after %q", command)
			}
			lines = append(lines, line)
			for _, end := range ends {
				if strings.HasPrefix(line, end) {
					return lines
				}
			}
		case <-timer.C:
			v.t.Fatalf("the device does not say %q to %q, but %q", ends, command, lines)
		}
	}
}

// join does what the device's maker has it do: it knows its PSKd, nothing else.
func (v *device) join(pskd string) {
	v.t.Helper()
	v.do("ifconfig up")
	for try := 1; ; try++ {
		lines := v.wait("joiner start "+pskd, 90*time.Second, "Join ")
		last := lines[len(lines)-1]
		if last == "Join success" {
			break
		}
		if try == 3 {
			v.t.Fatalf("three times the device could not join: %s", last)
		}
		v.t.Logf("the device tries again: %s", last)
	}
	v.do("thread start")
}

// address waits for one that others than the mesh's can reach.
func (v *device) address(limit time.Duration) netip.Addr {
	v.t.Helper()
	var all []string
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		own := map[string]bool{}
		for _, what := range []string{"rloc", "mleid", "linklocal"} {
			for _, line := range v.do("ipaddr " + what) {
				own[line] = true
			}
		}
		all = v.do("ipaddr")
		for _, line := range all {
			if a, err := netip.ParseAddr(line); err == nil && !own[line] && !strings.Contains(line, ":ff:fe00:") {
				return a
			}
		}
	}
	v.t.Fatalf("after %v the device has no address of a prefix of the LAN's: %q", limit, all)
	return netip.Addr{}
}
