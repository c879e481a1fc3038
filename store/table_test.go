package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func dump(t *testing.T, tab *Table) string {
	t.Helper()
	var all []string
	if err := tab.Each(func(k, v []byte) error { all = append(all, fmt.Sprintf("%s=%s", k, v)); return nil }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestTable(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tab, err := s.Table("leases")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"b", "a", "c"} {
		if err := tab.Put([]byte(k), []byte("1"+k)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tab.Delete([]byte("b")), tab.Delete([]byte("x")), tab.Put([]byte("a"), []byte("2"))); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, tab); got != "a=2 c=1c" {
		t.Error(got)
	}
	if fi, err := os.Stat(filepath.Join(dir, "leases.db")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi, err)
	}
	if err := tab.Close(); err != nil {
		t.Fatal(err)
	}
	// It is there again, and the store does not mind the file.
	if tab, err = s.Table("leases"); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, tab); got != "a=2 c=1c" {
		t.Error(got)
	}
	if names, err := s.Names(); err != nil || len(names) != 0 {
		t.Errorf("%v %v", names, err)
	}
	stop := errors.New("stop")
	if err := tab.Each(func(_, _ []byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	tab.Close()

	if err := os.WriteFile(filepath.Join(dir, "leases.db"), []byte(strings.Repeat("no database\n", 4000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Table("leases"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	if _, err := s.Table("../x"); err == nil {
		t.Error("a name with a slash")
	}
}

// A factory reset takes the tables along.
func TestWipeTables(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tab, err := s.Table("leases")
	if err != nil {
		t.Fatal(err)
	}
	tab.Close()
	if err := s.Wipe(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.db")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
