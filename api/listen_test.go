package api

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestListenMode(t *testing.T) {
	path := socketPath(t)
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(path)
	if err != nil || st.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// The archive's configuration has the socket in a folder that only the unit
// makes.
func TestListenMakesFolder(t *testing.T) {
	path := filepath.Join(filepath.Dir(socketPath(t)), "gatewayd", "s")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), filepath.Join(path, "s")); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("in a file: %v", err)
	}
}

func TestListenStale(t *testing.T) {
	path := socketPath(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("somebody listens: %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the other's socket: %v", err)
	}
	l.SetUnlinkOnClose(false) // as if it had been killed
	l.Close()
	ours, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatalf("stale: %v", err)
	}
	ours.Close()
}

func TestListenOnAnotherFile(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), path); err == nil || !strings.Contains(err.Error(), "another kind") {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Listen(t.Context(), path+"/no/such/dir"); err == nil {
		t.Error("listens nowhere")
	}
}
