package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tmpfs mounts a small disk that only this test sees: the test's thread gets
// mounts of its own, and ends with the test.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root can mount the small disk that this test fills")
	}
	runtime.LockOSThread() // never unlocked: the thread is not fit for others
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Skipf("SKIPPED: no mounts of its own: %v", err)
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Skipf("SKIPPED: no mounts of its own: %v", err)
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("SKIPPED: no tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "size=64k")
	s, _ := open(t, dir)
	big := strings.Repeat("x", 10<<10)
	save(t, s, "v", "one")
	save(t, s, "v", big)
	before := listing(t, dir)
	err := s.Save("v", []byte(strings.Repeat(big, 6)))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "saving v, the value before it is kept") {
		t.Fatalf("Save of more than there is room for: %v", err)
	}
	wantValue(t, s, "v", big)
	if got := listing(t, dir); !slices.Equal(got, before) {
		t.Errorf("files %q, before %q", got, before)
	}
	s.Close()

	for f, err := os.Create(filepath.Join(dir, "filler")); err == nil; _, err = f.Write(make([]byte, 512)) {
	}
	s, _ = open(t, dir) // not a byte left
	wantValue(t, s, "v", big)
	if err := s.Save("w", []byte("x")); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Save without a byte left: %v", err)
	}
	if err := s.Wipe(); err != nil {
		t.Errorf("Wipe without a byte left: %v", err)
	}
	wantNone(t, s, "v")
	save(t, s, "w", "room again")
}

// No file can be made any more, not even an empty one.
func TestInodesFull(t *testing.T) {
	dir := tmpfs(t, "size=64k,nr_inodes=4") // the directory, the lock, and two
	s, _ := open(t, dir)
	save(t, s, "v", "one")
	save(t, s, "v", "two")
	if err := s.Save("v", []byte("three")); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Save: %v", err)
	}
	wantValue(t, s, "v", "two")
	if err := s.Wipe(); err != nil {
		t.Errorf("Wipe: %v", err)
	}
	wantNone(t, s, "v")
}

func TestReadOnlyDisk(t *testing.T) {
	dir := tmpfs(t, "size=64k")
	s, _ := open(t, dir)
	save(t, s, "v", "one")
	save(t, s, "v", "two")
	put(t, dir, "v.2", []byte("rot"))
	// A disk that turned read-only by itself: the same files, bound over.
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })

	wantValue(t, s, "v", "one") // the damaged file cannot be renamed, only passed over
	if n := s.Lost("v"); n != 1 {
		t.Errorf("Lost = %d", n)
	}
	for _, err := range []error{s.Save("v", nil), s.Delete("v"), s.Wipe()} {
		if !errors.Is(err, unix.EROFS) {
			t.Errorf("on a read-only disk: %v", err)
		}
	}
	wantValue(t, s, "v", "one")
	s.Close()

	_, err := Open(dir, nil)
	if !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), dir+" cannot be written") {
		t.Errorf("Open on a read-only disk: %v", err)
	}
}

// The same for everyone else: a directory without the right to write.
func TestReadOnlyDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("SKIPPED: root may write anywhere; TestReadOnlyDisk is its counterpart")
	}
	dir := t.TempDir()
	s, _ := open(t, dir)
	save(t, s, "v", "one")
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	for _, err := range []error{s.Save("v", nil), s.Delete("v"), s.Wipe()} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("in a read-only directory: %v", err)
		}
	}
	wantValue(t, s, "v", "one")
}
