package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "name")
	for _, text := range []string{"first", "second, and longer", ""} {
		if err := WriteFile(name, []byte(text), 0o604); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		i, errStat := os.Stat(name)
		if err != nil || errStat != nil || string(got) != text || i.Mode().Perm() != 0o604 {
			t.Errorf("%q, %v, %v, want %q", got, i, err, text)
		}
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "name"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
