package host

import (
	"errors"
	"fmt"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"gatewayd/internal/nonblock"
)

// MinMTU is the least an IPv6 link carries (RFC 8200 Section 5), and what a
// mesh uses.
const MinMTU = 1280

const tunDevice = "/dev/net/tun"

// Options says what interface to make. Every field may be left zero.
type Options struct {
	Name string // default: wpan0
	MTU  int    // default: MinMTU
}

// A TUN is the interface of the mesh. Its methods may be called concurrently.
type TUN struct {
	name string
	link *netlink.Tuntap // names the interface to netlink by its index
	file *nonblock.File

	mu      sync.Mutex // guards what follows, and keeps one Sync at a time
	netlink *netlink.Handle
	set     addrSet // addresses that Sync added
	groups  *groups
}

// Open makes the interface, ready to carry packets and with no address. The
// errors say what to do about them.
func Open(o Options) (*TUN, error) {
	if o.Name == "" {
		o.Name = "wpan0"
	}
	if o.MTU == 0 {
		o.MTU = MinMTU
	}
	if err := CheckName(o.Name); err != nil {
		return nil, err
	}
	if o.MTU < MinMTU || o.MTU > 65535 {
		return nil, fmt.Errorf("host: MTU %d of %s: IPv6 needs %d to 65535", o.MTU, o.Name, MinMTU)
	}
	if err := ipv6Present(); err != nil {
		return nil, err
	}
	file, err := create(o.Name)
	if err != nil {
		return nil, err
	}
	t := &TUN{name: o.Name, file: file, set: addrSet{}}
	if err := t.setUp(o.MTU); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// CheckName says whether an interface may be called name.
func CheckName(name string) error {
	ok := name != "" && len(name) < unix.IFNAMSIZ && name != "." && name != ".." && name != "all" && name != "default"
	for _, c := range []byte(name) {
		ok = ok && c > ' ' && c < 0x7f && c != '/' && c != ':' && c != '%'
	}
	if !ok {
		return fmt.Errorf("host: %q cannot name an interface: want 1 to %d visible characters without / : %%",
			name, unix.IFNAMSIZ-1)
	}
	return nil
}

// create makes the TUN device and nothing more.
func create(name string) (*nonblock.File, error) {
	// Non-blocking before os.NewFile sees it, so that reads wait in the
	// runtime's poller and Close ends them. File.Fd would undo that.
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, explainDevice(err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		// Exclusive: a persistent interface somebody else made is not ours to
		// take, and would outlive us.
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_TUN_EXCL)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return nil, explainCreate(name, err)
	}
	return nonblock.NewFile(fd, tunDevice), nil
}

// setUp configures the device and brings it up.
func (t *TUN) setUp(mtu int) (err error) {
	if t.netlink, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("host: opening netlink: %w", err)
	}
	link, err := t.netlink.LinkByName(t.name)
	if err != nil {
		return fmt.Errorf("host: looking up %s: %w", t.name, err)
	}
	t.link = &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: t.name, Index: link.Attrs().Index}}
	if err := t.netlink.LinkSetMTU(t.link, mtu); err != nil {
		return explainChange(t.name, "setting the MTU", err)
	}
	if err := t.setSysctls(); err != nil {
		return err
	}
	// Before it comes up, which is when the kernel would make its addresses.
	if err := t.netlink.LinkSetIP6AddrGenMode(t.link, nl.IN6_ADDR_GEN_MODE_NONE); err != nil {
		return explainChange(t.name, "turning off the kernel's own addresses", err)
	}
	if err := t.netlink.LinkSetUp(t.link); err != nil {
		return explainChange(t.name, "bringing it up", err)
	}
	return nil
}

// Name returns the interface's name.
func (t *TUN) Name() string { return t.name }

// Index returns the interface's index.
func (t *TUN) Index() int { return t.link.Index }

// Read waits for the next IPv6 packet the kernel sends into the mesh. p
// should have room for the MTU; a longer packet is cut. After Close the error
// is os.ErrClosed.
func (t *TUN) Read(p []byte) (int, error) {
	n, err := t.file.Read(p)
	if err != nil {
		err = fmt.Errorf("host: reading from %s: %w", t.name, err)
	}
	return n, err
}

// Write gives the kernel one IPv6 packet that came out of the mesh. The
// kernel drops what it does not like without an error.
func (t *TUN) Write(p []byte) (int, error) {
	n, err := t.file.Write(p)
	if errors.Is(err, unix.EIO) {
		err = fmt.Errorf("host: writing to %s: the interface is down: %w", t.name, err)
	} else if err != nil {
		err = fmt.Errorf("host: writing to %s: %w", t.name, err)
	}
	return n, err
}

// Close removes the interface, and with it its addresses and routes. It ends
// a Read that is waiting.
func (t *TUN) Close() error {
	err := t.file.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.netlink != nil {
		t.netlink.Close()
		t.netlink = nil
	}
	if t.groups != nil {
		t.groups.close()
		t.groups = nil
	}
	return err
}
