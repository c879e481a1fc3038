package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gatewayd/api"
)

// daemon is `gatewayd run` on the UDP air of the simulation, as node 1.
type daemon struct {
	t      *testing.T
	dir    string
	socket string
	log    lockedBuffer
	stop   func() int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs it and waits until it says that it is ready.
func (d *daemon) start(extra ...string) {
	d.t.Helper()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(d.dir, "notify"), Net: "unixgram"})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Setenv("NOTIFY_SOCKET", filepath.Join(d.dir, "notify"))
	said := func() string {
		b := make([]byte, 64)
		notify.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := notify.Read(b)
		if err != nil {
			d.t.Errorf("nothing said to the service manager: %v\n%s", err, d.log.String())
		}
		return string(b[:n])
	}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	args := append([]string{"run", "--radio", "sim:1", "--tun", "", "--data-dir", filepath.Join(d.dir, "data"), "--socket", d.socket}, extra...)
	go func() { code <- execute(ctx, args, streams{nil, &d.log, &d.log}) }()
	d.stop = sync.OnceValue(func() int {
		cancel()
		c := <-code
		if got := said(); got != "STOPPING=1" {
			d.t.Errorf("said %q", got)
		}
		notify.Close()
		return c
	})
	d.t.Cleanup(func() { d.stop() })
	if got := said(); got != "READY=1" {
		d.t.Fatalf("said %q", got)
	}
}

func newDaemon(t *testing.T) *daemon {
	t.Setenv("PORT_OFFSET", "91")
	dir, err := os.MkdirTemp("", "gw") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &daemon{t: t, dir: dir, socket: filepath.Join(dir, "sock")}
}

// ask runs a command that must work.
func (d *daemon) ask(args ...string) string {
	d.t.Helper()
	r := runCmd(d.t, "", append([]string{"--socket", d.socket}, args...)...)
	if r.code != exitOK || r.err != "" {
		d.t.Fatalf("%v: %+v\n%s", args, r, d.log.String())
	}
	return r.out
}

func (d *daemon) status() (s api.Status) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.ask("status", "--json")), &s); err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *daemon) wait(what string, ok func(*api.Status) bool) api.Status {
	d.t.Helper()
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if s := d.status(); ok(&s) {
			return s
		}
	}
	d.t.Fatalf("waiting for %s: %s\n%s", what, d.ask("status"), d.log.String())
	return api.Status{}
}

// A network is made, shown, pinged in, joined by nobody, and there again after a
// restart.
func TestRun(t *testing.T) {
	d := newDaemon(t)
	d.start()
	d.wait("the radio", func(s *api.Status) bool { return s.Radio.State == "ready" })
	if s := d.ask("status"); !strings.Contains(s, "none: make one with") || !strings.Contains(s, "none on this host") {
		t.Errorf("status:\n%s", s)
	}
	if r := runCmd(t, "", "--socket", d.socket, "dataset", "show"); r.code != exitFailed || !strings.Contains(r.err, "gatewayd: there is no active dataset: make a network") {
		t.Errorf("%+v", r)
	}
	if s := d.ask("dataset", "new", "--channel", "15", "--name", "kitchen", "--panid", "0x1234"); !strings.Contains(s, "network key        redacted") {
		t.Errorf("dataset new:\n%s", s)
	}
	if r := runCmd(t, "", "--socket", d.socket, "dataset", "new"); r.code != exitFailed || !strings.Contains(r.err, "--force") {
		t.Errorf("%+v", r)
	}
	hex := d.ask("dataset", "export")
	if shown := d.ask("dataset", "show", "--reveal"); strings.Contains(shown, "redacted") || !strings.Contains(shown, "kitchen") {
		t.Errorf("dataset show --reveal:\n%s", shown)
	}
	if r := runCmd(t, hex, "--socket", d.socket, "dataset", "import", "-"); r.code != exitOK {
		t.Errorf("import of the same: %+v", r)
	}
	s := d.wait("a leader with its addresses", func(s *api.Status) bool {
		return s.Role == "leader" && len(s.OnMeshPrefixes) > 0 && len(s.Addresses) >= 4
	})
	if s.Network.Name != "kitchen" || s.Network.PANID != "0x1234" || s.Network.Channel != 15 || s.PartitionID == nil {
		t.Errorf("status %+v", s)
	}
	if out := d.ask("ping", s.Addresses[0], "-c", "2", "-i", "10ms"); !strings.Contains(out, "2 sent, 2 received; min/avg/max") {
		t.Errorf("ping:\n%s", out)
	}
	if r := runCmd(t, "", "--socket", d.socket, "ping", s.Addresses[0]+"%x"); r.code != exitFailed || !strings.Contains(r.err, "not an IPv6 address") {
		t.Errorf("%+v", r)
	}
	nobody := strings.TrimSuffix(s.Network.MeshLocalPrefix, "/64") + "dead"
	if r := runCmd(t, "", "--socket", d.socket, "ping", nobody, "-c", "1", "-W", "10ms"); r.code != exitFailed || r.err != "" || r.out != "1 sent, 0 received, 100 % lost\n" {
		t.Errorf("%+v", r)
	}
	if out := d.ask("ctl", "state"); out != "leader\nDone\n" {
		t.Errorf("ctl state: %q", out)
	}
	if r := runCmd(t, "", "--socket", d.socket, "ctl", "ping", "-I", nobody, nobody, "x"); r.code != exitFailed || r.err != "" || r.out != "Error 7: InvalidArgs\n" {
		t.Errorf("%+v", r)
	}
	r := runCmd(t, "\ndataset networkname a\\ b\ndataset networkname\nchannel x\nrloc16\nexit\nstate\n", "--socket", d.socket, "ctl")
	if r.code != exitOK || r.err != "" || !regexp.MustCompile("^Done\na b\nDone\nError 7: InvalidArgs\n[0-9a-f]{4}\nDone\nDone\n$").MatchString(r.out) {
		t.Errorf("ctl of lines: %+v", r)
	}
	if r := runCmd(t, "channel x", "--socket", d.socket, "ctl"); r.code != exitFailed || r.err != "" {
		t.Errorf("%+v", r)
	}
	if out := d.ask("joiner", "add", "*", "J01NME", "--timeout", "90s"); out != "any device may join for 1m30s\n" && out != "any device may join for 1m29s\n" {
		t.Errorf("joiner add: %s", out)
	}
	if out := d.ask("joiner", "list"); !strings.Contains(out, "commissioner: active") || !strings.Contains(out, "waiting") {
		t.Errorf("joiner list:\n%s", out)
	}
	d.ask("joiner", "remove", "*")

	// Another one does not get the socket; the file is the owner's alone.
	st, err := os.Lstat(d.socket)
	if err != nil || st.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("socket %v, %v", st.Mode(), err)
	}
	if r := runCmd(t, "", "run", "--radio", "sim:2", "--tun", "", "--data-dir", filepath.Join(d.dir, "2"), "--socket", d.socket); r.code != exitFailed || !strings.Contains(r.err, "another gateway is running") {
		t.Errorf("%+v", r)
	}
	if r := runCmd(t, "", "run", "--radio", "sim:2", "--tun", "", "--data-dir", filepath.Join(d.dir, "data"), "--socket", d.socket+"2"); r.code != exitFailed || !strings.Contains(r.err, "in use") {
		t.Errorf("%+v", r)
	}
	if code := d.stop(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, d.log.String())
	}
	if _, err := os.Lstat(d.socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("socket left behind: %v", err)
	}
	if log := d.log.String(); !strings.Contains(log, "id=GW-START") || !strings.Contains(log, "id=GW-STOP") || strings.Contains(log, "level=ERROR") {
		t.Errorf("log:\n%s", log)
	}

	again := &daemon{t: t, dir: t.TempDir(), socket: d.socket}
	again.start("--data-dir", filepath.Join(d.dir, "data"), "--log-level", "debug")
	if again.ask("dataset", "export") != hex {
		t.Error("another dataset after a restart")
	}
	again.wait("a leader again", func(s *api.Status) bool { return s.Role == "leader" && s.OnMeshPrefixes[0] != "" })
}
