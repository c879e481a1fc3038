package rpl

import (
	"bytes"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/internal/netns"
	"gatewayd/ipv6"
)

// Linux, as a router in the middle and as the end, takes source routes that we
// made, and passes on what our own router would.
func TestKernelFollowsSourceRoute(t *testing.T) {
	if _, inside := netns.Between(t, "v0", "v1", router); !inside {
		return
	}
	const kernel = "fd00:1::a"
	port := openPort(t, "v0")
	hops := []netip.Addr{addr(kernel), addr("fd00:1::b:1"), addr("fd00:1::b:2"), addr("fd00:1::c")}
	through := InsertSourceRoute(echo("fd00:1::1", "fd00:1::c", 64), hops)
	want, next, problem, reason := advance(through, func(a netip.Addr) bool { return a == hops[0] })
	if problem != nil || next != hops[1] {
		t.Fatalf("our own step: %v, %s", next, reason)
	}
	got := port.exchange(t, through, func(p []byte) bool { return [16]byte(p[24:40]) == hops[1].As16() })
	if got == nil {
		t.Fatal("the kernel did not pass the datagram on")
	}
	// The kernel may compress the addresses in another way.
	gh, _, err := ipv6.DecodeHeader(got)
	if err != nil {
		t.Fatal(err)
	}
	wh, _, _ := ipv6.DecodeHeader(want)
	gh.PayloadLen, wh.PayloadLen = 0, 0
	if gh != wh {
		t.Errorf("kernel's header %+v\nours            %+v", gh, wh)
	}
	gr, wr := routeIn(t, got), routeIn(t, want)
	if !reflect.DeepEqual(gr, wr) {
		t.Errorf("kernel's route %+v\nours           %+v", gr, wr)
	}
	_, off, err := ipv6.Transport(got)
	_, ours, _ := ipv6.Transport(want)
	if err != nil || !bytes.Equal(got[off:], want[ours:]) {
		t.Errorf("kernel's payload %x\nours             %x", got[off:], want[ours:])
	}

	// At the end of a route the kernel answers.
	hops = []netip.Addr{addr("fd00:1::b:1"), addr(kernel)}
	last, _, _, _ := advance(InsertSourceRoute(echo("fd00:1::1", kernel, 64), hops), func(a netip.Addr) bool { return a == hops[0] })
	reply := port.exchange(t, last, func(p []byte) bool { return [16]byte(p[24:40]) == addr("fd00:1::1").As16() })
	if proto, off, err := ipv6.Transport(reply); err != nil || proto != ipv6.ProtoICMPv6 || reply[off] != ipv6.ICMPEchoReply {
		t.Errorf("the kernel's answer at the end of a route: %x, %v", reply, err)
	}

	// One with more segments left than there are is answered as ours is.
	bad := bytes.Clone(through)
	at, _ := findSRH(bad)
	bad[at+1] = 9
	_, _, problem, _ = advance(bad, func(a netip.Addr) bool { return a == addr(kernel) })
	reply = port.exchange(t, bad, func(p []byte) bool { return [16]byte(p[24:40]) == addr("fd00:1::1").As16() })
	proto, off, err := ipv6.Transport(reply)
	if err != nil || proto != ipv6.ProtoICMPv6 {
		t.Fatalf("the kernel's answer to too many segments: %x, %v", reply, err)
	}
	m, _ := ipv6.DecodeICMP(reply[off:])
	e, err := ipv6.DecodeErrorBody(m.Body)
	if err != nil || !reflect.DeepEqual(*problem, Problem{m.Type, m.Code, e.Param}) {
		t.Errorf("the kernel says %d, %d, %d; we say %+v", m.Type, m.Code, e.Param, problem)
	}
}

func routeIn(t *testing.T, p []byte) SourceRoute {
	t.Helper()
	at, end := findSRH(p)
	r, err := DecodeSourceRoute(p[at:end], netip.AddrFrom16([16]byte(p[24:40])))
	if err != nil {
		t.Fatalf("%x: %v", p, err)
	}
	return r
}

// router makes the kernel at the other end of the wire one that follows RPL's
// source routes.
func router(w *netns.Wire) {
	w.IP(w.Ours, "link", "set", "v0", "address", "02:00:5e:00:00:01", "addrgenmode", "none")
	w.IP(w.Peer, "link", "set", "v1", "address", "02:00:5e:00:00:02")
	for _, set := range []string{"all/forwarding", "all/rpl_seg_enabled", "v1/rpl_seg_enabled"} {
		w.Set(w.Peer, "ipv6/conf/"+set, "1")
	}
	w.IP(w.Peer, "addr", "add", "fd00:1::a/64", "dev", "v1", "nodad")
	w.IP(w.Peer, "link", "set", "v1", "up")
	for _, a := range []string{"fd00:1::1", "fd00:1::b:1"} {
		w.IP(w.Peer, "neigh", "add", a, "lladdr", "02:00:5e:00:00:01", "dev", "v1", "nud", "permanent")
	}
}

// A port sends and receives whole IPv6 packets on an interface.
type port struct {
	fd, index int
}

func openPort(t *testing.T, name string) *port {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	proto := uint16(unix.ETH_P_IPV6<<8&0xff00 | unix.ETH_P_IPV6>>8)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, int(proto))
	if err != nil {
		t.Skipf("packet socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: ifi.Index}); err != nil {
		t.Fatal(err)
	}
	tv := unix.NsecToTimeval(int64(50 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	return &port{fd, ifi.Index}
}

// exchange sends a packet to the kernel until one comes back that is wanted,
// and returns that, or nil after two seconds.
func (p *port) exchange(t *testing.T, packet []byte, want func([]byte) bool) []byte {
	t.Helper()
	to := unix.SockaddrLinklayer{
		Protocol: unix.ETH_P_IPV6<<8&0xff00 | unix.ETH_P_IPV6>>8, Ifindex: p.index, Halen: 6,
		Addr: [8]byte{2, 0, 0x5e, 0, 0, 2},
	}
	for range 10 {
		if err := unix.Sendto(p.fd, packet, 0, &to); err != nil {
			t.Fatalf("send: %v", err)
		}
		b := make([]byte, 2048)
		for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
			n, from, err := unix.Recvfrom(p.fd, b, 0)
			if ll, _ := from.(*unix.SockaddrLinklayer); err != nil || ll == nil || ll.Pkttype == unix.PACKET_OUTGOING || n < ipv6.HeaderLen {
				continue
			}
			if want(b[:n]) {
				return b[:n]
			}
		}
	}
	return nil
}
