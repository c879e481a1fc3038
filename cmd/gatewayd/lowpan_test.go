package main

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
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

const testPSK = "000102030405060708090a0b0c0d0e0f"

// plainConfig writes the configuration of a plain network and returns the flags
// that use it.
func (d *daemon) plainConfig(more string) []string {
	d.t.Helper()
	file := filepath.Join(d.dir, "gatewayd.toml")
	text := "mode = \"lowpan\"\n[lowpan]\nname = \"plant\"\nchannel = 20\nprefix = \"fd00:7::/64\"\n" + more
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return []string{"--config", file}
}

// device is `gatewayd pac` on the air of the simulation.
func (d *daemon) device(node string, args ...string) (out *lockedBuffer, stop func() int) {
	d.t.Helper()
	key := filepath.Join(d.dir, "psk")
	if err := os.WriteFile(key, []byte(testPSK+"\n"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	out = &lockedBuffer{}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	args = append([]string{"pac", "--radio", "sim:" + node, "--channel", "20", "--psk-file", key, "--data-dir", filepath.Join(d.dir, "device"+node)}, args...)
	go func() { code <- execute(ctx, args, streams{strings.NewReader(""), out, out}) }()
	ended := -1
	stop = func() int {
		cancel()
		if ended < 0 {
			ended = <-code
		}
		return ended
	}
	d.t.Cleanup(func() { stop() })
	return out, stop
}

func (d *daemon) says(b *lockedBuffer, what string) string {
	d.t.Helper()
	pattern := regexp.MustCompile(what)
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if m := pattern.FindStringSubmatch(b.String()); m != nil {
			return m[len(m)-1]
		}
	}
	d.t.Fatalf("nobody says %q:\n%s\n%s", what, b.String(), d.log.String())
	return ""
}

// fails runs a command that must not work, and returns what it complains about.
func (d *daemon) fails(code int, args ...string) string {
	d.t.Helper()
	r := runCmd(d.t, "", append([]string{"--socket", d.socket}, args...)...)
	if r.code != code || r.err == "" && r.out == "" {
		d.t.Errorf("%v: %+v, want exit code %d", args, r, code)
	}
	return r.err + r.out
}

// A device is let in, shown, pinged, given another key, thrown out; and the
// gateway knows it all after a restart.
func TestLowpan(t *testing.T) {
	d := newDaemon(t)
	flags := d.plainConfig("dhcp = true\n")
	d.start(flags...)
	if s := d.wait("the network", func(s *api.Status) bool { return s.Role == "coordinator" }); s.Network.Name != "plant" || s.Lowpan == nil || !s.Lowpan.Secured {
		t.Errorf("%+v", s)
	}
	if out := d.ask("status"); !strings.Contains(out, "plant") {
		t.Errorf("status:\n%s", out)
	}

	// Credentials.
	if out := d.ask("credential", "list"); out != "nobody may join\n" {
		t.Errorf("%q", out)
	}
	r := runCmd(t, testPSK+"\n", "--socket", d.socket, "credential", "add", "pump-7")
	if r.code != exitOK || r.out != "pump-7 may join by psk\n" || r.err != "" {
		t.Errorf("%+v", r)
	}
	r = runCmd(t, testPSK+"\n", "--socket", d.socket, "credential", "add", "pump-7")
	if r.code != exitFailed || !strings.Contains(r.err, "--replace") {
		t.Errorf("%+v", r)
	}
	for in, code := range map[string]int{"": exitFailed, "12345\n": exitUsage, strings.Repeat("0", 32) + "\n": exitUsage} {
		r := runCmd(t, in, "--socket", d.socket, "credential", "add", "x")
		if r.code == exitOK || r.code > exitUsage || strings.Contains(r.err, "12345") {
			t.Errorf("%q: %+v, want %d", in, r, code)
		}
	}
	d.fails(exitUsage, "credential", "add", "x", "--tls", "--psk-file", "y")
	d.fails(exitUsage, "credential", "add", "")
	d.fails(exitFailed, "credential", "remove", "nobody")
	for _, out := range []string{d.ask("credential", "list"), d.ask("credential", "list", "--json")} {
		if !strings.Contains(out, "pump-7") || strings.Contains(out, testPSK) {
			t.Errorf("%s", out)
		}
	}
	files, err := filepath.Glob(filepath.Join(d.dir, "data", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v, %v", f, st.Mode(), err)
		}
	}

	// A device.
	said, stop := d.device("5", "--identity", "pump-7")
	addr := d.says(said, `in the network as \[fe80::\S+ (fd00:7:\S+)\]`)
	if out := d.ask("ping", addr, "-c", "2", "-i", "10ms"); !strings.Contains(out, "2 sent, 2 received") {
		t.Errorf("%s", out)
	}
	if out := d.ask("pana", "sessions"); !strings.Contains(out, "pump-7") {
		t.Errorf("%s", out)
	}
	if out := d.ask("nd", "table"); !strings.Contains(out, addr) {
		t.Errorf("%s", out)
	}
	if out := d.ask("credential", "list"); !strings.Contains(out, ": ok") {
		t.Errorf("%s", out)
	}
	d.ask("nd", "routes")
	if out := d.ask("leases"); !strings.Contains(out, "ADDRESS") {
		t.Errorf("%s", out)
	}
	var sessions []api.Session
	if err := json.Unmarshal([]byte(d.ask("pana", "sessions", "--json")), &sessions); err != nil || len(sessions) != 1 {
		t.Fatalf("%v %v", sessions, err)
	}
	d.ask("pana", "reauth", sessions[0].ID)
	if out := d.ask("pana", "rotate-key"); !strings.Contains(out, "key 2 is on its way") {
		t.Errorf("%s", out)
	}
	d.says(said, "a network key was learnt index=2")
	if out := d.fails(exitFailed, "pana", "rotate-key"); !strings.Contains(out, "already") {
		t.Errorf("%s", out)
	}
	d.fails(exitFailed, "pana", "disconnect", "nobody")
	d.fails(exitUsage, "pana", "permit", "maybe")
	d.ask("pana", "permit", "off")
	if s := d.status(); s.Lowpan.Permit {
		t.Error("joining is permitted still")
	}
	if out := d.fails(exitFailed, "radius", "test", "pump-7"); !strings.Contains(out, "lowpan.radius.servers") {
		t.Errorf("%s", out)
	}
	for _, args := range [][]string{{"dataset", "show"}, {"joiner", "list"}, {"topology"}, {"ctl", "state"}} {
		if out := d.fails(exitFailed, args...); !strings.Contains(out, "mode") {
			t.Errorf("%v: %s", args, out)
		}
	}

	// A restart of the gateway, in the middle of the key's change.
	if code := d.stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	d.says(said, "the session is over")
	if err := os.Remove(filepath.Join(d.dir, "notify")); err != nil {
		t.Fatal(err)
	}
	d.start(flags...)
	if out := d.ask("credential", "list"); !strings.Contains(out, "pump-7") {
		t.Errorf("%s", out)
	}
	if s := d.status(); s.Lowpan.Permit {
		t.Error("joining is permitted after a restart")
	}
	d.ask("pana", "permit", "on")
	before := strings.Count(said.String(), "addresses registered")
	for end := time.Now().Add(60 * time.Second); strings.Count(said.String(), "addresses registered") == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the device does not come back:\n%s", said.String())
		}
	}
	if out := d.ask("ping", addr, "-c", "2", "-i", "10ms"); !strings.Contains(out, "2 sent, 2 received") {
		t.Errorf("%s", out)
	}
	d.ask("credential", "remove", "pump-7")
	if r := runCmd(t, "", "--socket", d.socket, "pana", "disconnect", "pump-7", "--rotate-key"); r.code == exitOK && !strings.Contains(r.out, "is on its way") ||
		r.code != exitOK && !strings.Contains(r.err, "already") {
		t.Errorf("%+v", r)
	}
	d.says(said, "not authenticated")
	if code := stop(); code != exitOK {
		t.Errorf("the device ends with %d:\n%s", code, said.String())
	}
	for name, text := range map[string]string{"the gateway's log": d.log.String(), "the device's output": said.String()} {
		if strings.Contains(text, testPSK) {
			t.Errorf("%s has the key", name)
		}
	}
}

// What is damaged, or wrong in the configuration, is named.
func TestLowpanRefuses(t *testing.T) {
	d := newDaemon(t)
	flags := d.plainConfig("")
	data := filepath.Join(d.dir, "data")
	run := func(flags ...string) ran {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out := &lockedBuffer{}
		code := execute(ctx, append([]string{"run", "--radio", "sim:1", "--tun", "", "--data-dir", data, "--socket", d.socket}, flags...), streams{nil, out, out})
		return ran{code, "", out.String()}
	}
	for more, want := range map[string]string{
		"channel2 = 1\n":                             "no such key",
		"key-rotation = \"x\"\n":                     "no duration",
		"[lowpan.eap]\ncertificate = \"/nowhere\"\n": "all of certificate, key and ca",
		"[lowpan.eap]\ncertificate = \"/nowhere\"\nkey = \"/nowhere\"\nca = \"/nowhere\"\n":                       "/nowhere",
		"[lowpan.radius]\nservers = [\"127.0.0.1:1812\"]\nsecret-file = \"/nowhere\"\n":                           "/nowhere",
		"[lowpan.radius-server]\nlisten = \"127.0.0.1:0\"\nsecret-file = \"/nowhere\"\nclients = [\"::1/128\"]\n": "/nowhere",
	} {
		if r := run(d.plainConfig(more)...); r.code == exitOK || !strings.Contains(r.err, want) {
			t.Errorf("%q: %+v, want %q", more, r, want)
		}
	}

	d.start(d.plainConfig("")...)
	if r := runCmd(t, testPSK, "--socket", d.socket, "credential", "add", "a"); r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if out := d.fails(exitFailed, "leases"); !strings.Contains(out, "lowpan.dhcp") {
		t.Errorf("%s", out)
	}
	d.stop()
	for _, pattern := range []string{"credentials.*"} {
		files, _ := filepath.Glob(filepath.Join(data, pattern))
		if len(files) == 0 {
			t.Fatalf("no %s", pattern)
		}
		for _, f := range files {
			if err := os.WriteFile(f, []byte("damaged"), fs.FileMode(0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r := run(flags...); r.code == exitOK || !strings.Contains(r.err, "credentials") || !strings.Contains(r.err, "damaged") {
		t.Errorf("%+v", r)
	}
}

// accounting is a RADIUS accounting server of a test: it answers every request
// and notes its kind.
type accounting struct {
	conn  net.PacketConn
	mu    sync.Mutex
	kinds map[byte]int // Acct-Status-Type: 1 start, 2 stop
}

func account(t *testing.T, secret string) *accounting {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &accounting{conn: c, kinds: map[byte]int{}}
	ended := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-ended })
	go func() {
		defer close(ended)
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 20 || b[0] != 4 {
				continue // not an Accounting-Request
			}
			for attrs := b[20:n]; len(attrs) >= 2 && int(attrs[1]) >= 2 && int(attrs[1]) <= len(attrs); attrs = attrs[attrs[1]:] {
				if attrs[0] == 40 && attrs[1] == 6 {
					a.mu.Lock()
					a.kinds[attrs[5]]++
					a.mu.Unlock()
				}
			}
			answer := append([]byte{5, b[1], 0, 20}, b[4:20]...) // RFC 2866 Section 3
			sum := md5.Sum(append(append([]byte(nil), answer...), secret...))
			copy(answer[4:], sum[:])
			_, _ = c.WriteTo(answer, from)
		}
	}()
	return a
}

func (a *accounting) seen(kind byte) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kinds[kind]
}

// One gateway asks another one's EAP server by RADIUS, and accounts elsewhere.
func TestLowpanRADIUS(t *testing.T) {
	free := func() string {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	alive := free()
	server, client := newDaemon(t), newDaemon(t)
	secret := filepath.Join(server.dir, "secret")
	if err := os.WriteFile(secret, []byte("testing123-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server.start(append(server.plainConfig(fmt.Sprintf("[lowpan.radius-server]\nlisten = %q\nclients = [\"127.0.0.0/8\"]\nsecret-file = %q\n", alive, secret)),
		"--radio", "sim:3")...)
	if r := runCmd(t, testPSK, "--socket", server.socket, "credential", "add", "pump-7"); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	books := account(t, "testing123-secret")
	text := fmt.Sprintf("[lowpan.radius]\nservers = [%q]\naccounting = [%q]\nsecret-file = %q\n", alive, books.conn.LocalAddr(), secret)
	flags := client.plainConfig(text)
	b, err := os.ReadFile(flags[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(flags[1], []byte(strings.NewReplacer("plant", "remote", "= 20", "= 21").Replace(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
	client.start(flags...)

	r := runCmd(t, "", "--socket", client.socket, "radius", "test", "pump-7")
	if r.code != exitOK || !strings.Contains(r.out, "pump-7 is asked for its credential") {
		t.Errorf("%+v", r)
	}
	said, stop := client.device("6", "--identity", "pump-7", "--channel", "21")
	client.says(said, `in the network as`)
	if out := client.ask("pana", "sessions"); !strings.Contains(out, "pump-7") {
		t.Errorf("%s", out)
	}
	if !strings.Contains(server.log.String(), "authenticated for another") {
		t.Errorf("%s", server.log.String())
	}
	for end := time.Now().Add(10 * time.Second); books.seen(1) == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	// The gateway that ends, ends the account of its device.
	client.stop()
	if books.seen(1) != 1 || books.seen(2) != 1 {
		t.Errorf("%d accounts began, %d ended", books.seen(1), books.seen(2))
	}
	stop()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(server.dir, "notify"))
	server.stop()
	for _, log := range []string{server.log.String(), client.log.String(), said.String()} {
		if strings.Contains(log, testPSK) || strings.Contains(log, "testing123") {
			t.Errorf("a secret is in %s", log)
		}
	}
}

func TestPacUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"either an address or --radio": {"pac"},
		"--identity is missing":        {"pac", "::1"},
		"what to authenticate by":      {"pac", "::1", "--identity", "x"},
		"all of --cert":                {"pac", "::1", "--identity", "x", "--cert", "y"},
		"no time to wait":              {"pac", "::1", "--identity", "x", "--timeout", "0s"},
		"is no address":                {"pac", "192.0.2.1:x", "--identity", "x", "--psk-file", "-"},
		"--channel":                    {"pac", "--radio", "sim:1", "--open", "--channel", "9"},
		"--pan-id":                     {"pac", "--radio", "sim:1", "--open", "--pan-id", "zz"},
		"16 bytes":                     {"pac", "--radio", "sim:1", "--open", "--network", "seventeen letters"},
	} {
		if r := runCmd(t, testPSK, args...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%v: %+v, want %q", args, r, want)
		}
	}
	// A port of this host where nobody listens.
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r := runCmd(t, testPSK, "pac", c.LocalAddr().String(), "--identity", "x", "--psk-file", "-", "--timeout", "300ms"); r.code != exitFailed || !strings.Contains(r.err, "no answer") || strings.Contains(r.err+r.out, testPSK) {
		t.Errorf("%+v", r)
	}
}
