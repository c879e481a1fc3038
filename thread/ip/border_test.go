package ip

import (
	"net/netip"
	"testing"

	"gatewayd/ipv6"
	"gatewayd/thread/link"
)

// A node that is the way out of the mesh gives its own datagrams to the host,
// but never the host's back to it.
func TestExits(t *testing.T) {
	outside := netip.MustParseAddr("2001:db8::1")
	r := newRig(true)
	r.cfg.Exits = func(_, dst netip.Addr) bool { return dst == outside }
	packet := udp(global, outside, 7)
	if err := r.Stack.Send(packet, link.Options{}); err != nil || len(r.host) != 1 || len(r.sent) != 0 {
		t.Fatalf("own: %v, %d to the host, %d to the mesh", err, len(r.host), len(r.sent))
	}
	if want := (Traffic{Packets: 1, Bytes: uint64(len(packet))}); r.Border.OutUnicast != want {
		t.Errorf("counted %+v, want %+v", r.Border.OutUnicast, want)
	}
	if err := r.FromHost(udp(global, outside, 7)); err != nil || len(r.host) != 1 || len(r.sent) != 1 {
		t.Fatalf("the host's: %v, %d to the host, %d to the mesh", err, len(r.host), len(r.sent))
	}
	// Mesh-local addresses mean nothing outside.
	if err := r.Stack.Send(udp(mleid, outside, 7), link.Options{}); err != nil || len(r.host) != 1 {
		t.Errorf("from a mesh-local address: %v, %d to the host", err, len(r.host))
	}
}

func TestBorderCounters(t *testing.T) {
	r := newRig(true)
	lan := netip.MustParseAddr("2001:db8::2")
	p := udp(lan, netip.MustParseAddr("fd11:22::99"), 7)
	if err := r.FromHost(p); err != nil {
		t.Fatal(err)
	}
	if err := r.FromHost(udp(global, netip.MustParseAddr("fd11:22::99"), 7)); err != nil {
		t.Fatal(err)
	}
	if want := (Traffic{1, uint64(len(p))}); r.Border.InUnicast != want {
		t.Errorf("in: %+v, want %+v: the node's own do not count", r.Border.InUnicast, want)
	}
	out := udp(netip.MustParseAddr("fd11:22::99"), lan, 7)
	r.Receive(out, link.Info{Secured: true})
	if want := (Traffic{1, uint64(len(out))}); r.Border.OutUnicast != want || len(r.host) != 1 {
		t.Errorf("out: %+v, want %+v", r.Border.OutUnicast, want)
	}
}

// With Loop, the node itself is one of those that answer a ping of a group.
func TestPingLoop(t *testing.T) {
	for _, loop := range []bool{false, true} {
		r := newRig(false)
		var from []netip.Addr
		r.Ping(&Ping{Dst: ipv6.AllNodesLinkLocal, Count: 1, Loop: loop, Reply: func(x Reply) { from = append(from, x.From) }})
		r.clock.Advance(start) // what is for ourselves comes back as soon as we return
		r.clock.Advance(start)
		if want := map[bool]int{false: 0, true: 1}[loop]; len(from) != want || want > 0 && from[0] != linkLocal {
			t.Errorf("loop %t: answers from %v", loop, from)
		}
	}
}

func TestPorts(t *testing.T) {
	r := newRig(false)
	r.HandleUDP(1234, func(*Datagram) {})
	r.AllowUnsecure(2000)
	r.AllowUnsecure(1000)
	if !r.UDPInUse(1234) || r.UDPInUse(1235) {
		t.Error("ports in use")
	}
	if p := r.UnsecurePorts(); len(p) != 2 || p[0] != 1000 || p[1] != 2000 {
		t.Errorf("unsecure ports %v", p)
	}
}
