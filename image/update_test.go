//go:build image

package image

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/appliance"
	"gatewayd/internal/update"
)

// Limits of what an update takes, for busy machines.
const (
	writeLimit   = 3 * time.Minute
	restartLimit = 2 * time.Minute
)

// firmware starts a card after a restart or with the power: the other slot if
// that was asked for, once. QEMU's boards have none that knows of slots, so this
// plays its part; what it goes by is on the card.
func firmware(t *testing.T, card string) *box {
	t.Helper()
	tryboot := bytes.Contains(tool(t, "mdir", "-b", "-i", partition(card, 1), "::"), []byte("::/tryboot\n"))
	if tryboot {
		tool(t, "mdel", "-i", partition(card, 1), "::tryboot")
	}
	return start(t, card, tryboot, nil)
}

// restarts waits until the machine has reset itself.
func (b *box) restarts(limit time.Duration) {
	b.t.Helper()
	done := make(chan struct{})
	go func() {
		_ = b.cmd.Wait() // how it ends says nothing
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
		b.t.Fatalf("it has not restarted within %v", limit)
	}
}

// autoboot of a card that may be running.
func autoboot(t *testing.T, card string) appliance.Autoboot {
	t.Helper()
	a, err := appliance.ParseAutoboot(readFile(t, card, 1, "autoboot.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// kept waits until the card starts from a partition in any case.
func kept(t *testing.T, card string, n int) {
	t.Helper()
	for end := time.Now().Add(restartLimit); autoboot(t, card).Boot != n; time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("partition %d was not kept", n)
		}
	}
}

// A store serves updates to machines.
type store struct {
	t     *testing.T
	dir   string
	slot  string // file: what the image has in its slots
	board string // what the image is for
	url   string // as machines see it
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{t: t, dir: t.TempDir(), slot: filepath.Join(t.TempDir(), "slot")}
	image, err := os.Open(os.Getenv("GATEWAYD_IMAGE"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	f, err := os.Create(s.slot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, io.NewSectionReader(image, offsets[2], 127<<20)); err != nil {
		t.Fatal(err)
	}
	header := make([]byte, update.HeaderLen)
	if _, err := image.ReadAt(header, offsets[3]-update.HeaderLen); err != nil {
		t.Fatal(err)
	}
	if s.board = between(string(header), `"board":"`, `"`); s.board == "" {
		t.Fatalf("the image's slot does not end with what it is: %.300q", header)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(s.dir)))
	t.Cleanup(server.Close)
	// QEMU's network has this machine there.
	s.url = strings.Replace(server.URL, "127.0.0.1", "10.0.2.2", 1)
	return s
}

// gatewayd runs the host's.
func (s *store) gatewayd(args ...string) {
	s.t.Helper()
	tool(s.t, os.Getenv("GATEWAYD_HOST_PROGRAM"), append([]string{"update"}, args...)...)
}

// key that the image trusts.
func (s *store) key() string {
	if key := os.Getenv("IMAGE_KEY"); key != "" {
		return key
	}
	return filepath.Join(filepath.Dir(os.Getenv("GATEWAYD_IMAGE")), "development.key")
}

// bundle makes an update out of the image's own slot, of another version and
// with other files in its root, and returns its URL. It is on trial for a few
// seconds, and for no longer than the limit.
func (s *store) bundle(version, board string, limit time.Duration, files map[string]string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	slot := filepath.Join(dir, "slot")
	tool(s.t, "cp", "--sparse=always", s.slot, slot)
	root := filepath.Join(dir, "rootfs.cpio.zst")
	tool(s.t, "mcopy", "-n", "-i", slot, "::rootfs.cpio.zst", root)

	// A second archive behind the first: its files win.
	tree := filepath.Join(dir, "tree")
	all := map[string]string{"usr/share/gatewayd/image/version": version + "\n"}
	for name, text := range files {
		all[name] = text
	}
	var names strings.Builder
	for name, text := range all {
		file := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintln(&names, name)
	}
	tool(s.t, "sh", "-c", fmt.Sprintf("cd %s && printf '%%s' '%s' | cpio -o -H newc -R 0:0 --quiet >../more && cd .. && truncate -s %%4 rootfs.cpio.zst && cat more >>rootfs.cpio.zst", tree, names.String()))
	tool(s.t, "mcopy", "-n", "-o", "-i", slot, root, "::rootfs.cpio.zst")
	cmdline := filepath.Join(dir, "cmdline.txt")
	text := strings.TrimSpace(string(tool(s.t, "mtype", "-i", slot, "::cmdline.txt")))
	if err := os.WriteFile(cmdline, fmt.Appendf(nil, "%s gw.trial=4s,%.0fs\n", text, limit.Seconds()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	tool(s.t, "mcopy", "-n", "-o", "-i", slot, cmdline, "::cmdline.txt")
	name := fmt.Sprintf("%s-%s.update", board, version)
	s.gatewayd("bundle", "--key", s.key(), "--board", board, "--version", version, slot, filepath.Join(s.dir, name))
	return s.url + "/" + name
}

// change makes an update out of another one.
func (s *store) change(url, name string, how func([]byte) []byte) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, strings.TrimPrefix(url, s.url)))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, name), how(b), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s.url + "/" + name
}

// hash of a partition.
func hash(t *testing.T, card string, n int) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(card)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, offsets[n], offsets[n+1]-offsets[n])); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// wipeSlot leaves nothing in a slot that an update would find there already.
func wipeSlot(t *testing.T, card string, n int) {
	t.Helper()
	f, err := os.OpenFile(card, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, offsets[n+1]-offsets[n]), offsets[n]); err != nil {
		t.Fatal(err)
	}
}

// An update goes into the other slot and is kept; what is wrong with one is
// said, and nothing changes; the version before comes back when asked for; and
// one that does not become healthy is left for the one before, which says so.
func TestUpdate(t *testing.T) {
	c := card(t)
	s := newStore(t)
	good := s.bundle("8.1", s.board, 4*time.Minute, nil)
	broken := s.bundle("9.0", s.board, 30*time.Second, map[string]string{"usr/libexec/gatewayd/gateway": "#!/bin/sh\nexec sleep 1000\n"})
	wipeSlot(t, c, 3)

	b := start(t, c, false, nil)
	b.says(pageLimit, "is not on the air")
	b.console.activate(30 * time.Second)
	was := hash(t, c, 3)
	for _, tt := range []struct{ url, want string }{
		{s.change(good, "cut.update", func(b []byte) []byte { return b[:len(b)-1] }), "cut short"},
		{s.change(good, "unsigned.update", func(b []byte) []byte {
			clear(b[len("gatewayd update 1\n"):][:8+64])
			return b
		}), "it is not signed"},
		{s.change(good, "changed.update", func(b []byte) []byte { return bytes.Replace(b, []byte(`"8.1"`), []byte(`"8.2"`), 1) }), "changed by somebody"},
		{s.bundle("8.1", "toaster", time.Minute, nil), `for the board "toaster"`},
		{s.bundle("0", s.board, time.Minute, nil), "0 is older than"},
		{s.url + "/none.update", "404"},
	} {
		if out, code := b.console.run(60*time.Second, "gatewayd update apply "+tt.url); code != 1 || !strings.Contains(out, tt.want) {
			t.Errorf("%s: exit code %d, %q; want %q", tt.url, code, out, tt.want)
		}
	}
	if hash(t, c, 3) != was || autoboot(t, c).Boot != 2 {
		t.Error("an update that was refused has changed something")
	}
	// Damaged behind its header: noticed on the way, and the slot counts no more.
	damaged := s.change(good, "damaged.update", func(b []byte) []byte { b[update.HeaderLen+9*update.ChunkLen+5]++; return b })
	if out, code := b.console.run(writeLimit, "gatewayd update apply "+damaged); code != 1 || !strings.Contains(out, "is not what was signed") {
		t.Errorf("damaged: exit code %d, %q", code, out)
	}
	if out, code := b.console.run(60*time.Second, "gatewayd update rollback"); code != 1 || !strings.Contains(out, "holds nothing complete") {
		t.Errorf("rollback to what is not complete: exit code %d, %q", code, out)
	}

	began := time.Now()
	b.console.send("gatewayd update apply " + good + "\r")
	b.restarts(writeLimit)
	t.Logf("written and restarted in %v", time.Since(began).Round(100*time.Millisecond))
	b = firmware(t, c)
	b.says(pageLimit, "is not on the air")
	kept(t, c, 3)
	if !b.console.has("started from partition 3") {
		t.Error("the other slot was not started")
	}
	b.console.activate(30 * time.Second)
	status := b.console.until(30*time.Second, "gatewayd update status | grep -B9 'has followed'")
	if !strings.Contains(status, "8.1, from partition 3") || strings.Contains(status, "trial") {
		t.Errorf("the status is\n%s", status)
	}

	b.console.send("gatewayd update rollback\r")
	b.restarts(restartLimit)
	b = firmware(t, c)
	kept(t, c, 2)
	b.says(pageLimit, "is not on the air")

	b.console.activate(30 * time.Second)
	b.console.send("gatewayd update apply " + broken + "\r")
	b.restarts(writeLimit)
	b = firmware(t, c)
	b.restarts(restartLimit)
	if !b.console.has("started from partition 3") {
		t.Error("the broken slot was not started")
	}
	b = firmware(t, c)
	b.says(pageLimit, "is not on the air", "Version 9.0 did not become healthy: the gateway did not answer. The gateway is back on ")
	if a := autoboot(t, c); a.Boot != 2 || !b.console.has("started from partition 2") {
		t.Errorf("it is started from %+v", a)
	}

	// What a Raspberry Pi's firmware is told goes by the kernel's restart.
	b.console.activate(30 * time.Second)
	b.console.send("echo '0 tryboot' >/run/gatewayd/reboot-argument; reboot\r")
	b.restarts(restartLimit)
	if !b.console.has("Restarting system with command '0 tryboot'") {
		t.Error("the kernel was not told to try the other slot")
	}
}
