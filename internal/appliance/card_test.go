package appliance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bootPartition is a card with files on its boot partition, which can be
// written only while it says so.
func bootPartition(t *testing.T, files map[string]string) *Card {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writable := false
	t.Cleanup(func() {
		if writable {
			t.Error("the boot partition was left writable")
		}
	})
	return &Card{boot: dir, remount: func(w bool) error {
		writable = w
		return nil
	}}
}

func (c *Card) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.boot, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeep(t *testing.T) {
	const text = "# of mine\r\n[all]\r\nboot_partition=2\r\n[tryboot]\r\nboot_partition=3\r\n"
	c := bootPartition(t, map[string]string{autobootFile: text})
	file, err := os.Stat(filepath.Join(c.boot, autobootFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Keep(); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Autoboot(); a != (Autoboot{3, 2}) || err != nil {
		t.Errorf("%+v, %v", a, err)
	}
	if err := c.Keep(); err != nil || c.read(t, autobootFile) != text {
		t.Errorf("twice: %v, %q", err, c.read(t, autobootFile))
	}
	// The same file, in the same place on the card.
	if now, err := os.Stat(filepath.Join(c.boot, autobootFile)); err != nil || !os.SameFile(file, now) {
		t.Error("the file was replaced")
	}

	c.remount = func(bool) error { return errors.New("the switch on the card") }
	if err := c.Keep(); err == nil || !strings.Contains(err.Error(), "cannot be written: the switch on the card") {
		t.Errorf("%v", err)
	}
	if c.read(t, autobootFile) != text {
		t.Error("it was written all the same")
	}
	if _, err := bootPartition(t, nil).Autoboot(); err == nil {
		t.Error("no autoboot.txt, and no error")
	}
}

// Firmware that is not a Raspberry Pi's is asked by a file.
func TestTryNext(t *testing.T) {
	if _, err := os.Stat(bootedFile); err == nil {
		t.Skip("this is a Raspberry Pi")
	}
	c := bootPartition(t, nil)
	if err := c.TryNext(); err != nil || c.read(t, tryFile) != "" {
		t.Error(err)
	}
}

func TestPartition(t *testing.T) {
	sys := t.TempDir()
	for name, n := range map[string]string{"mmcblk0p1": "1", "mmcblk0p3": "3"} {
		dir := filepath.Join(sys, "class/block/mmcblk0", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "partition"), []byte(n+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := partition(sys, "mmcblk0", 3); p != "/dev/mmcblk0p3" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	if p, err := partition(sys, "mmcblk0", 2); err == nil {
		t.Errorf("a second partition: %q", p)
	}
}
