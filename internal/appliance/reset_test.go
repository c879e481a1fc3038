package appliance

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A flash is a medium that may be able to erase, or only say so.
type flash struct {
	b               []byte
	secure, discard bool // what it can
	lies            bool
	erased          byte // what it reads as then
	syncs           int
	unsynced        []int64 // offsets
}

func newFlash(size int) *flash {
	f := &flash{b: make([]byte, size)}
	rand.NewChaCha8([32]byte{1}).Read(f.b)
	return f
}

func (f *flash) ReadAt(b []byte, off int64) (int, error) { return copy(b, f.b[off:]), nil }

func (f *flash) Discard(secure bool, size int64) error {
	if secure && !f.secure || !f.discard {
		return errors.New("cannot")
	}
	if !f.lies {
		copy(f.b[:size], bytes.Repeat([]byte{f.erased}, int(size)))
	}
	return nil
}

func (f *flash) Zero(off, n int64) error {
	clear(f.b[off : off+n])
	return nil
}

func (f *flash) WriteAt(b []byte, off int64) (int, error) {
	f.unsynced = append(f.unsynced, off)
	return copy(f.b[off:], b), nil
}

func (f *flash) Sync() error {
	f.syncs++
	f.unsynced = nil
	return nil
}

func TestWipe(t *testing.T) {
	const size = 70<<20 + page // more than what is looked at whole, not whole steps
	for _, tt := range []struct {
		name string
		m    flash
		said string
	}{
		{"for good", flash{secure: true, discard: true}, "erased its data for good"},
		{"erases", flash{discard: true}, "has erased its data"},
		{"erases to ones", flash{discard: true, erased: 0xff}, "has erased its data"},
		{"says it erases", flash{discard: true, lies: true}, "overwriting the data: 90 %"},
		{"cannot", flash{}, "overwriting the data: 0 %"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newFlash(size)
			m.secure, m.discard, m.lies, m.erased = tt.m.secure, tt.m.discard, tt.m.lies, tt.m.erased
			var said []string
			if err := wipe(m, size, make([]byte, wipeStep), func(s string) { said = append(said, s) }); err != nil {
				t.Fatal(err)
			}
			if bytes.Count(m.b, []byte{tt.m.erased}) != size {
				t.Error("something is left")
			}
			if !strings.Contains(strings.Join(said, "\n"), tt.said) {
				t.Errorf("said %q, want %q", said, tt.said)
			}
		})
	}
}

// One page somewhere tells that a medium has not erased everything.
func TestLooksErased(t *testing.T) {
	const size = 64 << 20
	m := &flash{b: make([]byte, size)}
	buf := make([]byte, wipeStep)
	for _, at := range []int{0, 1024, wipeHead - 1, wipeHead, size - sampleStep} {
		m.b[at] = 1
		if erased, err := looksErased(m, size, buf); erased || err != nil {
			t.Errorf("byte %d was not noticed: %v", at, err)
		}
		m.b[at] = 0
	}
	if erased, err := looksErased(m, size, buf); !erased || err != nil {
		t.Errorf("%v, %v", erased, err)
	}
}

// The begin of a file system comes last, when the rest is durable.
func TestWriteLastFirst(t *testing.T) {
	fs := make([]byte, 2*wipeStep+1000)
	rand.NewChaCha8([32]byte{2}).Read(fs)
	m := newFlash(4 * wipeStep)
	check := &checked{flash: m, begin: fs[:wipeStep]}
	if err := writeLastFirst(check, bytes.NewReader(fs), 4*wipeStep, make([]byte, wipeStep)); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(m.b, fs) || check.early || m.unsynced != nil || m.syncs < 2 {
		t.Errorf("early %v, unsynced %v, %d syncs", check.early, m.unsynced, m.syncs)
	}
	for name, r := range map[string]io.Reader{"too large": bytes.NewReader(make([]byte, 5*wipeStep)), "empty": bytes.NewReader(nil)} {
		if err := writeLastFirst(newFlash(4*wipeStep), r, 4*wipeStep, make([]byte, wipeStep)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// checked notices a begin that is written while something else is not durable.
type checked struct {
	*flash
	begin []byte
	early bool
}

func (c *checked) WriteAt(b []byte, off int64) (int, error) {
	if off == 0 && bytes.Equal(b, c.begin) && len(c.unsynced) > 0 {
		c.early = true
	}
	return c.flash.WriteAt(b, off)
}

func TestRequestReset(t *testing.T) {
	c := bootPartition(t, nil)
	if err := c.RequestReset(false); err != nil || c.read(t, resetFile) != "" {
		t.Error(err)
	}
	if err := c.RequestReset(true); err != nil || c.read(t, resetFile) != "keep-settings\n" {
		t.Error(err)
	}
	// Without the file nothing happens, whatever card this is.
	if err := bootPartition(t, map[string]string{settingsFile: "hostname=a"}).Reset("", func(string) { t.Error("a reset") }); err != nil {
		t.Error(err)
	}
}

// Whatever settings came as is gone, and nothing else.
func TestShredSettings(t *testing.T) {
	c := bootPartition(t, map[string]string{settingsFile: "a", "rpi-preseed.toml": "b", "custom.toml": "c", "wpa_supplicant.conf": "d", autobootFile: "e"})
	if err := c.shredSettings(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(c.boot)
	if err != nil || len(left) != 1 || c.read(t, autobootFile) != "e" {
		t.Errorf("%v, %v", left, err)
	}
}

func TestShred(t *testing.T) {
	dir := t.TempDir()
	name, linked := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(name, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Another name for what is in the file's place.
	if err := os.Link(name, linked); err != nil {
		t.Fatal(err)
	}
	if err := shred(name); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if b, err := os.ReadFile(linked); err != nil || !bytes.Equal(b, make([]byte, 6)) {
		t.Errorf("%q, %v", b, err)
	}
	if err := shred(name); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
}
