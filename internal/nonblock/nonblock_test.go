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

// stream is what a File and a Line are.
type stream interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

func newFile(_ *testing.T, fd int, name string) stream { return NewFile(fd, name) }

func newLine(t *testing.T, fd int, name string) stream {
	l, err := NewLine(fd, name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// both runs a test with both ends of a connection, as Files and as Lines.
func both(t *testing.T, test func(t *testing.T, a, b stream)) {
	for name, open := range map[string]func(t *testing.T, fd int, name string) stream{"File": newFile, "Line": newLine} {
		t.Run(name, func(t *testing.T) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			a, b := open(t, fds[0], "a"), open(t, fds[1], "b")
			defer a.Close()
			defer b.Close()
			test(t, a, b)
		})
	}
}

// What is too much for the other end's buffers waits there to be read, and
// what is not there yet is waited for.
func TestWaits(t *testing.T) { both(t, testWaits) }

func testWaits(t *testing.T, a, b stream) {
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

func TestCloseEndsBoth(t *testing.T) { both(t, testCloseEndsBoth) }

func testCloseEndsBoth(t *testing.T, a, _ stream) {
	ended := make(chan error, 2)
	go func() {
		_, err := a.Read(make([]byte, 1))
		ended <- err
	}()
	go func() {
		_, err := a.Write(make([]byte, 1<<20)) // more than there is room for
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond) // they wait by then, mostly; either way they end
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	if err := a.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close after it: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after it: %v", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write: %v", err)
	}
}

func TestErrors(t *testing.T) { both(t, testErrors) }

func testErrors(t *testing.T, a, b stream) {
	if err := a.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	// Long enough for the write to begin, on a busy machine, too.
	if err := a.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Write(make([]byte, 1<<20)); n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %d, %v", n, err)
	}
	if err := a.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
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
