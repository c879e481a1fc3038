package transport

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"gatewayd/radio"
)

// dongle is a pseudo terminal whose slave is opened as if it were a dongle.
func dongle(t *testing.T) (master *os.File, u radio.URL) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	slave.Close()
	return master, radio.URL{Path: slave.Name(), StopBits: 1}
}

func open(t *testing.T, u radio.URL) Conn {
	t.Helper()
	c, err := Dial(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// within fails the test if f takes longer.
func within(t *testing.T, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s takes more than %v", what, d)
	}
}

func TestSerialSettings(t *testing.T) {
	for _, tt := range []struct {
		change     func(*radio.URL)
		baud       uint32
		set, unset uint32
	}{
		{func(u *radio.URL) {}, 115200, unix.CS8 | unix.CREAD | unix.CLOCAL, unix.CRTSCTS | unix.PARENB | unix.CSTOPB | unix.HUPCL},
		{func(u *radio.URL) { u.Baud, u.FlowControl = 460800, true }, 460800, unix.CRTSCTS, unix.PARENB},
		{func(u *radio.URL) { u.Baud, u.Parity = 1234567, radio.ParityEven }, 1234567, unix.PARENB, unix.PARODD},
		{func(u *radio.URL) { u.Parity, u.StopBits = radio.ParityOdd, 2 }, 115200, unix.PARENB | unix.PARODD | unix.CSTOPB, 0},
	} {
		master, u := dongle(t)
		tt.change(&u)
		open(t, u)
		fd, err := unix.Open(u.Path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0) // root may
		if err != nil {
			t.Skipf("another look at the line: %v", err)
		}
		got, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		// A pseudo terminal's driver knows no parity and one stop bit only.
		if got.Ospeed != tt.baud {
			t.Errorf("%d baud, want %d", got.Ospeed, tt.baud)
		}
		ptyOnly := uint32(unix.PARENB | unix.PARODD | unix.CSTOPB)
		if got.Cflag&tt.set&^ptyOnly != tt.set&^ptyOnly || got.Cflag&tt.unset != 0 {
			t.Errorf("flags %#o, want %#o and not %#o", got.Cflag, tt.set, tt.unset)
		}
		if got.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || got.Iflag&(unix.ICRNL|unix.IXON) != 0 || got.Oflag&unix.OPOST != 0 {
			t.Errorf("not raw: %+v", got)
		}
		master.Close()
	}
}

// Every byte passes in both directions.
func TestSerialTransparent(t *testing.T) {
	master, u := dongle(t)
	c := open(t, u)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, dir := range []struct {
		w io.Writer
		r io.Reader
	}{{c, master}, {master, c}} {
		if _, err := dir.w.Write(all); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(all))
		within(t, 5*time.Second, "reading", func() {
			if _, err := io.ReadFull(dir.r, got); err != nil {
				t.Error(err)
			}
		})
		if string(got) != string(all) {
			t.Errorf("%x became %x", all, got)
		}
	}
}

func TestSerialClose(t *testing.T) {
	_, u := dongle(t)
	c := open(t, u)
	read := make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 10))
		read <- err
	}()
	time.Sleep(20 * time.Millisecond)
	within(t, time.Second, "closing", func() { c.Close() })
	within(t, time.Second, "ending a read", func() {
		if err := <-read; !errors.Is(err, fs.ErrClosed) || errors.Is(err, ErrHungUp) {
			t.Errorf("%v", err)
		}
	})
}

func TestSerialHangUp(t *testing.T) {
	master, u := dongle(t)
	c := open(t, u)
	read := make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 10))
		read <- err
	}()
	time.Sleep(20 * time.Millisecond)
	master.Close()
	within(t, time.Second, "seeing the hang-up", func() {
		if err := <-read; !errors.Is(err, ErrHungUp) || err.Error() != "transport: "+u.Path+" hung up" {
			t.Errorf("%v", err)
		}
	})
	if _, err := c.Write([]byte{1}); !errors.Is(err, ErrHungUp) {
		t.Errorf("writing: %v", err)
	}
}

func TestSerialDeadline(t *testing.T) {
	_, u := dongle(t)
	c := open(t, u)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestSerialExclusive(t *testing.T) {
	_, u := dongle(t)
	c := open(t, u)
	if _, err := Dial(t.Context(), u); err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("a second time: %v", err)
	}
	c.Close()
	open(t, u).Close()

	// A program that neither locks nor asks.
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	f, err := os.OpenFile(u.Path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sleep, "60")
	cmd.Stdin = f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if _, err := Dial(t.Context(), u); err == nil || !strings.Contains(err.Error(), "in use by sleep (process ") {
		t.Errorf("while sleep has it: %v", err)
	}
}

func TestDialErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		u    radio.URL
		want string
	}{
		{radio.URL{Path: filepath.Join(dir, "none")}, "is the dongle plugged in?"},
		{radio.URL{Path: file}, "to run a program use spinel+hdlc+forkpty"},
		{radio.URL{Path: "/dev/null"}, "not a serial device"},
		{radio.URL{Bus: radio.BusPTY, Path: filepath.Join(dir, "none")}, "no such file"},
		{radio.URL{Bus: radio.BusPTY, Path: file}, "permission denied"},
		{radio.URL{Bus: radio.BusUnix, Path: file}, "transport: dial unix"},
		{radio.URL{Bus: radio.BusSim, Path: "x"}, "no bytes"},
	} {
		_, err := Dial(t.Context(), tt.u)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "transport: ") {
			t.Errorf("%v: %v, want %q", tt.u, err, tt.want)
		}
	}
}

// A device that comes back under another name is found by its identity.
func TestDialerFollows(t *testing.T) {
	sys := t.TempDir()
	plug := func(tty, serial string) {
		usb := filepath.Join(sys, "devices/usb1", serial)
		ifc := filepath.Join(usb, "1-1:1.0")
		for file, text := range map[string]string{
			"idVendor": "303a", "idProduct": "4001", "serial": serial, "1-1:1.0/bInterfaceNumber": "00",
		} {
			path := filepath.Join(usb, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		dir := filepath.Join(sys, "class/tty", tty)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(ifc, filepath.Join(dir, "device")); err != nil {
			t.Fatal(err)
		}
	}
	unplug := func(tty string) {
		if err := os.RemoveAll(filepath.Join(sys, "class/tty", tty)); err != nil {
			t.Fatal(err)
		}
	}
	plug("ttyACM0", "A")
	plug("ttyACM1", "B")
	d := NewDialer(radio.URL{Path: "/dev/ttyACM0"})
	d.sys = sys
	if got := d.path("/dev/ttyACM0"); got != "/dev/ttyACM0" {
		t.Errorf("at first %s", got)
	}
	d.id, d.isID = usbIdentity(sys, "ttyACM0")
	if !d.isID || d.id != (usbID{"303a", "4001", "A", "00"}) {
		t.Errorf("identity %+v, %v", d.id, d.isID)
	}
	unplug("ttyACM0")
	if got := d.path("/dev/ttyACM0"); got != "/dev/ttyACM0" {
		t.Errorf("while it is away %s", got)
	}
	plug("ttyACM2", "A")
	if got := d.path("/dev/ttyACM0"); got != "/dev/ttyACM2" {
		t.Errorf("under another name %s", got)
	}
	plug("ttyACM0", "C") // its old name is another's now
	if got := d.path("/dev/ttyACM0"); got != "/dev/ttyACM2" {
		t.Errorf("with its old name taken %s", got)
	}
	plug("ttyACM3", "A") // two alike
	if got := d.path("/dev/ttyACM0"); got != "/dev/ttyACM0" {
		t.Errorf("with two alike %s", got)
	}
	if _, ok := usbIdentity(sys, "ttyS0"); ok {
		t.Error("a port that is not USB has an identity")
	}
}
