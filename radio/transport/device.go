package transport

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"gatewayd/radio"
)

// holders names the other processes that have a device open, as far as may be
// seen: "otbr-agent (process 123)", or "".
func holders(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	var list []string
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		pid := filepath.Base(proc)
		if pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		fds, err := os.ReadDir(filepath.Join(proc, "fd"))
		if err != nil {
			continue // ended, or somebody else's
		}
		for _, fd := range fds {
			if to, _ := os.Readlink(filepath.Join(proc, "fd", fd.Name())); to == real {
				name, _ := os.ReadFile(filepath.Join(proc, "comm"))
				list = append(list, fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid))
				break
			}
		}
	}
	return strings.Join(list, ", ")
}

// usbID is what tells one USB serial port from another, wherever it is plugged
// in and whatever name the kernel gives it.
type usbID struct {
	vendor, product, serial, iface string
}

// usbIdentity reads the identity of the tty of that name below sys, which is
// /sys; false if it is not a USB device.
func usbIdentity(sys, tty string) (usbID, bool) {
	// .../usb1/1-2/1-2:1.0/tty/ttyACM0, or .../1-2:1.0/ttyUSB0/tty/ttyUSB0.
	dir, err := filepath.EvalSymlinks(filepath.Join(sys, "class/tty", tty, "device"))
	if err != nil {
		return usbID{}, false
	}
	read := func(dir, name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.TrimSpace(string(b))
	}
	var id usbID
	for range 4 {
		if id.iface == "" {
			id.iface = read(dir, "bInterfaceNumber")
		}
		if id.vendor = read(dir, "idVendor"); id.vendor != "" {
			id.product, id.serial = read(dir, "idProduct"), read(dir, "serial")
			return id, true
		}
		dir = filepath.Dir(dir)
	}
	return usbID{}, false
}

// Dialer opens the same device again and again, also after the kernel has
// given it another name. With radio.BusAuto it looks for one, and for another
// one when that has gone.
type Dialer struct {
	sys    string  // "/sys", but in tests
	finder *finder // nil if a device is named

	mu  sync.Mutex
	url radio.URL // BusAuto until one was found

	id   usbID
	isID bool // id is known
}

// NewDialer returns a Dialer of u.
func NewDialer(u radio.URL) *Dialer {
	d := &Dialer{url: u, sys: "/sys"}
	if u.Bus == radio.BusAuto {
		d.finder = &finder{sys: "/sys", dev: "/dev", dial: Dial}
	}
	return d
}

// URL is what is opened: with radio.BusAuto the device last found, if one was.
func (d *Dialer) URL() radio.URL {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.url
}

// Dial opens the device. Only one goroutine may call it.
func (d *Dialer) Dial(ctx context.Context) (Conn, error) {
	u := d.URL()
	if u.Bus != radio.BusAuto {
		c, err := d.open(ctx, u)
		if err == nil || d.finder == nil {
			return c, err
		}
	}
	u, err := d.finder.find(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.url, d.isID = u, false
	d.mu.Unlock()
	return d.open(ctx, u)
}

func (d *Dialer) open(ctx context.Context, u radio.URL) (Conn, error) {
	if u.Bus != radio.BusUART {
		return Dial(ctx, u)
	}
	u.Path = d.path(u.Path)
	c, err := Dial(ctx, u)
	if err == nil && !d.isID {
		d.id, d.isID = usbIdentity(d.sys, ttyName(u.Path))
	}
	return c, err
}

func ttyName(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return filepath.Base(path)
}

// path is where the device is now: under the name it was given, unless another
// device has that now or none, and exactly one other port is the device.
func (d *Dialer) path(name string) string {
	if !d.isID {
		return name
	}
	if id, ok := usbIdentity(d.sys, ttyName(name)); ok && id == d.id {
		return name
	}
	ttys, _ := filepath.Glob(filepath.Join(d.sys, "class/tty/*"))
	found := ""
	for _, tty := range ttys {
		if id, ok := usbIdentity(d.sys, filepath.Base(tty)); ok && id == d.id {
			if found != "" {
				return name // two dongles that look the same
			}
			found = filepath.Join("/dev", filepath.Base(tty))
		}
	}
	if found == "" {
		return name
	}
	return found
}
