package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// open opens dir and returns the store with what it logs.
func open(t *testing.T, dir string) (*Store, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	s, err := Open(dir, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, &logged
}

func save(t *testing.T, s *Store, name, data string) {
	t.Helper()
	if err := s.Save(name, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, s *Store, name, want string) {
	t.Helper()
	got, err := s.Load(name)
	if err != nil || string(got) != want {
		t.Errorf("Load(%q) = %q, %v, want %q", name, got, err, want)
	}
}

func wantNone(t *testing.T, s *Store, name string) {
	t.Helper()
	if got, err := s.Load(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load(%q) = %q, %v, want none", name, got, err)
	}
}

// listing returns the names of dir's files but the lock.
func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != lockName {
			names = append(names, e.Name())
		}
	}
	return names
}

func put(t *testing.T, dir, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSaveLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	s, logged := open(t, dir)
	wantNone(t, s, "dataset")
	for i := range 12 { // past 9, where names stop sorting like numbers
		save(t, s, "dataset", fmt.Sprint("value ", i))
		wantValue(t, s, "dataset", fmt.Sprint("value ", i))
	}
	save(t, s, "empty", "")
	save(t, s, "bytes", "\x00\xff\n\n\x80")
	if got, want := listing(t, dir), []string{"bytes.1", "dataset.10", "dataset.11", "dataset.12", "empty.1"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	for file, want := range map[string]fs.FileMode{".": 0o700 | fs.ModeDir, "dataset.12": 0o600, lockName: 0o600} {
		if fi, err := os.Stat(filepath.Join(dir, file)); err != nil || fi.Mode() != want {
			t.Errorf("%s has mode %v, %v, want %v", file, fi.Mode(), err, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s, _ = open(t, dir)
	wantValue(t, s, "dataset", "value 11")
	wantValue(t, s, "empty", "")
	wantValue(t, s, "bytes", "\x00\xff\n\n\x80")
	if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"bytes", "dataset", "empty"}) {
		t.Errorf("Names = %q, %v", names, err)
	}
	if logged.Len() != 0 {
		t.Errorf("logged %s", logged)
	}
}

func TestDelete(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	save(t, s, "a", "1")
	save(t, s, "a", "2")
	save(t, s, "b", "3")
	put(t, dir, "a.1.corrupt-1", []byte("a secret, perhaps"))
	if err := s.Delete("a"); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, "a")
	wantValue(t, s, "b", "3")
	if got := listing(t, dir); !slices.Equal(got, []string{"b.1"}) {
		t.Errorf("files %q after Delete", got)
	}
	if err := s.Delete("a"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
}

func TestWipe(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	save(t, s, "a", "1")
	save(t, s, "b", "2")
	save(t, s, "b", "3")
	put(t, dir, "c.4.corrupt-2", []byte("x"))
	put(t, dir, "notes.txt", []byte("not the store's"))
	if err := s.Wipe(); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, dir); !slices.Equal(got, []string{"notes.txt"}) {
		t.Errorf("files %q after Wipe", got)
	}
	save(t, s, "a", "4")
	wantValue(t, s, "a", "4")
}

// A Wipe that was interrupted half way is finished by the next Open.
func TestWipeInterrupted(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	save(t, s, "a", "1")
	save(t, s, "b", "2")
	s.Close()
	put(t, dir, wipeName, nil)
	s, logged := open(t, dir)
	wantNone(t, s, "a")
	wantNone(t, s, "b")
	if got := listing(t, dir); len(got) != 0 {
		t.Errorf("files %q", got)
	}
	if !strings.Contains(logged.String(), "STORE-0003") {
		t.Errorf("logged %q", logged)
	}
}

func TestNames(t *testing.T) {
	s, _ := open(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "a/b", "../a", "a.1", "A", "a b", "lock", "wiping", "ü", "a\x00",
		strings.Repeat("a", 65)} {
		if err := s.Save(name, nil); err == nil || !strings.HasPrefix(err.Error(), "store: ") {
			t.Errorf("Save(%q) = %v", name, err)
		}
		if _, err := s.Load(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load(%q) = %v", name, err)
		}
		if err := s.Delete(name); err == nil {
			t.Errorf("Delete(%q) succeeded", name)
		}
	}
	for _, name := range []string{"a", "7", "srp-leases", "node_1", strings.Repeat("a", 64)} {
		save(t, s, name, "x")
		wantValue(t, s, name, "x")
	}
}

// What is not the store's is neither read nor removed; what an interrupted
// Save left is.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	foreign := []string{".hidden", "README", "a", "a.01", "a.-1", "a.1.bak", "a.99999999999999999999", "a.x",
		"a.1.corrupt-x", "B.1"}
	for _, f := range foreign {
		put(t, dir, f, []byte("x"))
	}
	put(t, dir, ".a.11234567890", []byte("half a val"))
	put(t, dir, ".wiping99", nil)
	s, _ := open(t, dir)
	wantNone(t, s, "a")
	slices.Sort(foreign)
	if got := listing(t, dir); !slices.Equal(got, foreign) {
		t.Errorf("files %q, want %q", got, foreign)
	}
}

func TestTooLarge(t *testing.T) {
	s, _ := open(t, t.TempDir())
	if err := s.Save("a", make([]byte, MaxSize+1)); err == nil {
		t.Error("saved more than MaxSize")
	}
	if err := s.Save("a", make([]byte, MaxSize)); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Load("a"); err != nil || len(b) != MaxSize {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestClosed(t *testing.T) {
	s, _ := open(t, t.TempDir())
	s.Close()
	_, lerr := s.Load("a")
	_, nerr := s.Names()
	for _, err := range []error{s.Save("a", nil), s.Delete("a"), s.Wipe(), lerr, nerr} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("closed store: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestOpenDirectory(t *testing.T) {
	base := t.TempDir()
	put(t, base, "file", nil)
	if _, err := Open(filepath.Join(base, "file"), nil); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file as data directory: %v", err)
	}
	if err := os.Mkdir(filepath.Join(base, "wide"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, logged := open(t, filepath.Join(base, "wide")); !strings.Contains(logged.String(), "STORE-0002") {
		t.Errorf("a directory others can read: logged %q", logged)
	}
}
