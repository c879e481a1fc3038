package nonblock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is both ends of a connection.
func pair(t *testing.T) (a, b *File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b = NewFile(fds[0], "a"), NewFile(fds[1], "b")
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// What is too much for the other end's buffers waits there to be read, and
// what is not there yet is waited for.
func TestWaits(t *testing.T) {
	a, b := pair(t)
	want := bytes.Repeat([]byte("0123456789"), 1<<17)
	written := make(chan error, 1)
	go func() {
		time.Sleep(10 * time.Millisecond) // the reader is there first
		n, err := a.Write(want)
		if err == nil && n != len(want) {
			err = io.ErrShortWrite
		}
		a.Close()
		written <- err
	}()
	got, err := io.ReadAll(struct{ io.Reader }{b})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

func TestCloseEndsRead(t *testing.T) {
	a, _ := pair(t)
	ended := make(chan error)
	go func() {
		_, err := a.Read(make([]byte, 1))
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond) // it waits by then, mostly; either way it ends
	a.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after it: %v", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write: %v", err)
	}
}

func TestErrors(t *testing.T) {
	a, b := pair(t)
	if err := a.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	b.Close()
	if _, err := a.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("write: %v", err)
	}
}

func TestReceiveFrom(t *testing.T) {
	for _, network := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, err := net.ListenPacket("udp", network)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b, err := net.Dial("udp", a.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		raw, err := a.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write([]byte("datagram")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10)
		var n int
		var port uint16
		if waited := raw.Read(func(fd uintptr) bool {
			n, port, err = ReceiveFrom(fd, buf)
			return err != unix.EAGAIN
		}); waited != nil || err != nil {
			t.Fatal(waited, err)
		}
		if string(buf[:n]) != "datagram" || int(port) != b.LocalAddr().(*net.UDPAddr).Port {
			t.Errorf("%q from port %d, want %v", buf[:n], port, b.LocalAddr())
		}
	}
}

// A file that cannot be waited for is read all the same.
func TestPlainFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := NewFile(fd, path)
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := f.Write([]byte("s")); err != nil {
		t.Error(err)
	}
}
