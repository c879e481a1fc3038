package backbone

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatewayd/internal/netns"
	"gatewayd/ndp"
)

// As root, the tests run where they cannot disturb the machine.
func TestMain(m *testing.M) { netns.Main(m, nil) }

// wire makes two interfaces that are linked, with the link-local addresses that
// are given them.
func wire(t *testing.T) (near, far Link) {
	t.Helper()
	netns.Need(t)
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near0"}, PeerName: "far0"})
	if err != nil {
		t.Skipf("SKIPPED: no linked interfaces here: %v", err)
	}
	t.Cleanup(func() {
		if l, err := netlink.LinkByName("near0"); err == nil {
			_ = netlink.LinkDel(l)
		}
	})
	up := func(name, addr string) Link {
		t.Helper()
		netns.Set(t, "ipv6/conf/"+name+"/accept_dad", "0")
		netns.Set(t, "ipv6/conf/"+name+"/addr_gen_mode", "1")
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
		a, err := netlink.ParseAddr(addr + "/64")
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			t.Fatal(err)
		}
		return Link{Name: name, Index: l.Attrs().Index, LinkLocal: netip.MustParseAddr(addr), MAC: ndp.EUI48([6]byte(l.Attrs().HardwareAddr))}
	}
	near, far = up("near0", "fe80::1"), up("far0", "fe80::2")
	// The kernel notices a little later that the wire has two ends, and takes the
	// addresses for its own.
	for end := time.Now().Add(10 * time.Second); !isUp(t, near) || !isUp(t, far); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the wire does not come up")
		}
	}
	return near, far
}

// isUp reports whether a link carries messages from its address.
func isUp(t *testing.T, l Link) bool {
	t.Helper()
	k, err := netlink.LinkByIndex(l.Index)
	if err != nil {
		t.Fatal(err)
	}
	all, err := netlink.AddrList(k, netlink.FAMILY_V6)
	if err != nil {
		t.Fatal(err)
	}
	up := k.Attrs().OperState == netlink.OperUp && len(all) > 0
	for _, a := range all {
		up = up && a.Flags&unix.IFA_F_TENTATIVE == 0
	}
	return up
}

type heard struct {
	from, to netip.Addr
	datagram string
}

// Messages of TMF come to groups and to addresses, on the link that they were
// sent on, and from nobody but its port.
func TestMessages(t *testing.T) {
	near, far := wire(t)
	group := netip.MustParseAddr("ff32:40:fd00:7d03:7d03:7d03:0:3")
	got := make(chan heard, 10)
	receive := func(from, to netip.Addr, b []byte) { got <- heard{from, to, string(b)} }
	a, b := New(Options{Receive: func(netip.Addr, netip.Addr, []byte) {}}), New(Options{Receive: receive})
	defer a.Close()
	defer b.Close()
	if err := errors.Join(a.Set(Want{Links: []Link{near}}), b.Set(Want{Links: []Link{far}, Groups: []netip.Addr{group}})); err != nil {
		t.Fatal(err)
	}
	expect := func(what string, want heard) {
		t.Helper()
		select {
		case h := <-got:
			if h != want {
				t.Errorf("%s: %+v", what, h)
			}
		case <-time.After(2 * time.Second):
			t.Errorf("%s: nothing came", what)
		}
	}
	a.Send(group, []byte("to all"))
	expect("to a group", heard{netip.MustParseAddr("fe80::1%far0"), group, "to all"})
	a.Send(far.LinkLocal.WithZone("near0"), []byte("to one"))
	expect("to an address", heard{netip.MustParseAddr("fe80::1%far0"), netip.MustParseAddr("fe80::2%far0"), "to one"})
	a.Send(far.LinkLocal.WithZone("far0"), []byte("to a link that it is not on"))
	c, err := net.Dial("udp6", "[fe80::2%near0]:61631")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("from a stranger")); err != nil {
		t.Fatal(err)
	}
	if err := b.Set(Want{Links: []Link{far}}); err != nil {
		t.Fatal(err)
	}
	a.Send(group, []byte("to a group that was left"))
	a.Send(far.LinkLocal.WithZone("near0"), []byte("the end"))
	expect("after what is not to come", heard{netip.MustParseAddr("fe80::1%far0"), netip.MustParseAddr("fe80::2%far0"), "the end"})
}

// A kernel finds a proxied address as a neighbour, and is told of it unasked.
func TestNeighbours(t *testing.T) {
	near, far := wire(t)
	h := New(Options{Receive: func(netip.Addr, netip.Addr, []byte) {}})
	defer h.Close()
	other := netip.MustParseAddr("fd00:7d03:7d03:7d03::5678")
	route := &netlink.Route{LinkIndex: near.Index, Dst: &net.IPNet{IP: net.ParseIP("fd00:7d03:7d03:7d03::"), Mask: net.CIDRMask(64, 128)}}
	if err := netlink.RouteAdd(route); err != nil {
		t.Fatal(err)
	}
	found := func(a netip.Addr, within time.Duration) bool {
		t.Helper()
		for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			c, err := net.Dial("udp6", netip.AddrPortFrom(a, 9).String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write([]byte("x")) // fails when the neighbour was not found
			c.Close()
			all, err := netlink.NeighList(near.Index, netlink.FAMILY_V6)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range all {
				if x, ok := netip.AddrFromSlice(n.IP); ok && x == a && strings.EqualFold(n.HardwareAddr.String(), far.MAC.String()) {
					return true
				}
			}
		}
		return false
	}
	if err := h.Set(Want{Links: []Link{far}, Proxied: []netip.Addr{device}}); err != nil {
		t.Fatal(err)
	}
	if !found(device, 10*time.Second) {
		t.Error("the device is not found")
	}
	if found(other, 400*time.Millisecond) {
		t.Error("another one is")
	}
	if err := h.Set(Want{Links: []Link{far}, Proxied: []netip.Addr{other}}); err != nil {
		t.Fatal(err)
	}
	h.Announce(other)
	if !found(other, 10*time.Second) {
		t.Error("an address that was announced is not found")
	}
	if err := h.Set(Want{}); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if err := h.Set(Want{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
