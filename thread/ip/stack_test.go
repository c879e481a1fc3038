package ip

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/thread/link"
)

var (
	start     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	meshLocal = netip.MustParsePrefix("fd00:db8:a:b::/64")
	linkLocal = netip.MustParseAddr("fe80::1034:5678:9abc:def0")
	mleid     = netip.MustParseAddr("fd00:db8:a:b:8c2c:6a4b:9c71:1d05")
	rloc      = netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:ec00")
	aloc      = netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:fc00")
	global    = netip.MustParseAddr("fd11:22::5054:1")
	peerLL    = netip.MustParseAddr("fe80::1")
	peer      = netip.MustParseAddr("fd00:db8:a:b::77")
)

// rig is a stack whose mesh and host are slices.
type rig struct {
	*Stack
	clock  alarm.Clock
	sent   [][]byte
	opts   []link.Options
	host   [][]byte
	router bool
}

func (r *rig) Send(p []byte, o link.Options) error {
	r.sent, r.opts = append(r.sent, slices.Clone(p)), append(r.opts, o)
	return nil
}

func newRig(withHost bool) *rig {
	r := &rig{router: true}
	r.clock.Set(start)
	cfg := Config{Clock: &r.clock, Rand: rand.New(rand.NewPCG(1, 2)), Mesh: r,
		Router: func() bool { return r.router }, RLOC16: func() uint16 { return 0xec00 },
		Reaches: func(_, dst netip.Addr) bool { return dst == netip.MustParseAddr("fd11:22::99") }}
	if withHost {
		cfg.Host = func(p []byte) { r.host = append(r.host, slices.Clone(p)) }
	}
	r.Stack = New(cfg)
	r.SetMeshLocal(meshLocal)
	for _, a := range []Address{
		{Addr: linkLocal, Bits: 64, Preferred: true}, {Addr: mleid, Bits: 64, Preferred: true},
		{Addr: rloc, Bits: 64, Preferred: true, Locator: true}, {Addr: aloc, Bits: 64, Preferred: true, Locator: true},
		{Addr: global, Bits: 64, Preferred: true, Origin: OriginSLAAC},
	} {
		r.Add(a)
	}
	r.Join(ipv6.AllNodesLinkLocal)
	r.Join(ipv6.AllNodesRealm)
	r.Join(ipv6.AllMPLForwarders)
	return r
}

func udp(src, dst netip.Addr, port uint16) []byte {
	return ipv6.AppendUDPPacket(nil, ipv6.Header{Src: src, Dst: dst, HopLimit: 64}, 1000, port, []byte("hello"))
}

func TestSourceFor(t *testing.T) {
	r := newRig(false)
	for dst, want := range map[netip.Addr]netip.Addr{
		peerLL:                 linkLocal,
		ipv6.AllNodesLinkLocal: linkLocal,
		peer:                   mleid,
		netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:4400"): rloc,   // a locator talks to a locator
		netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:fc00"): aloc,   // ourselves
		netip.MustParseAddr("fd11:22::99"):                 global, // the longest prefix in common
		netip.MustParseAddr("2001:db8::1"):                 global, // mesh-local ones are of a smaller scope
		ipv6.AllNodesRealm:                                 mleid,
	} {
		if got, ok := r.SourceFor(dst); !ok || got != want {
			t.Errorf("to %v: from %v, want %v", dst, got, want)
		} else if (got == rloc || got == aloc) && want != got {
			t.Errorf("to %v: from a locator", dst)
		}
	}
	r.Add(Address{Addr: global, Bits: 64, Origin: OriginSLAAC}) // deprecated
	if got, _ := r.SourceFor(netip.MustParseAddr("fd11:22::99")); got != global {
		t.Errorf("from %v when that of the right scope is deprecated, want %v", got, global)
	}
	other := netip.MustParseAddr("fd99::1")
	r.Add(Address{Addr: other, Bits: 64, Preferred: true, Origin: OriginSLAAC})
	if got, _ := r.SourceFor(netip.MustParseAddr("fd11:22::99")); got != other {
		t.Errorf("from %v with the better prefix deprecated, want %v", got, other)
	}
}

// What came without link security may only be MLE or for an open joiner port,
// and only link-local.
func TestUnsecuredTraffic(t *testing.T) {
	for _, x := range []struct {
		name    string
		packet  []byte
		secured bool
		open    bool
		want    bool
	}{
		{"MLE", udp(peerLL, linkLocal, portMLE), false, false, true},
		{"MLE to all nodes", udp(peerLL, ipv6.AllNodesLinkLocal, portMLE), false, false, true},
		{"TMF", udp(peerLL, linkLocal, portTMF), false, false, false},
		{"TMF, secured", udp(peerLL, linkLocal, portTMF), true, false, true},
		{"joiner port, closed", udp(peerLL, linkLocal, 1000), false, false, false},
		{"joiner port, open", udp(peerLL, linkLocal, 1000), false, true, true},
		{"joiner port, mesh-local", udp(peer, mleid, 1000), false, true, false},
		{"MLE, mesh-local", udp(peer, mleid, portMLE), false, false, false},
		{"MLE to the realm", udp(peer, ipv6.AllNodesRealm, portMLE), false, false, false},
		{"MLE behind a hop-by-hop header", append(ipv6.AppendMPLHeader(
			ipv6.Header{Src: peerLL, Dst: linkLocal, HopLimit: 64, PayloadLen: 8 + 13}.Append(nil),
			ipv6.ProtoUDP, ipv6.MPLOption{SeedLen: 2}), udp(peerLL, linkLocal, portMLE)[40:]...), false, false, false},
	} {
		r := newRig(false)
		got := false
		for _, p := range []uint16{portMLE, portTMF, 1000} {
			r.HandleUDP(p, func(*Datagram) { got = true })
		}
		if x.open {
			r.AllowUnsecure(1000)
		}
		r.Receive(x.packet, link.Info{Secured: x.secured})
		if got != x.want {
			t.Errorf("%s: received %v, want %v", x.name, got, x.want)
		}
		if !x.want && r.Counters.Refused != 1 {
			t.Errorf("%s: refused %d times", x.name, r.Counters.Refused)
		}
	}
}

func TestFromHost(t *testing.T) {
	icmp := func(typ uint8) []byte {
		return ipv6.AppendICMPPacket(nil, ipv6.Header{Src: linkLocal, Dst: ipv6.AllNodesLinkLocal, HopLimit: 255}, typ, 0, make([]byte, 20))
	}
	for _, x := range []struct {
		name   string
		packet []byte
		ok     bool
	}{
		{"UDP", udp(mleid, peer, 5683), true},
		{"echo", icmp(ipv6.ICMPEchoRequest), true},
		{"TMF", udp(mleid, peer, portTMF), false},
		{"MLE", udp(linkLocal, peerLL, portMLE), false},
		{"router solicitation", icmp(ipv6.ICMPRouterSolicit), false},
		{"listener report", icmp(143), false},
		{"no source", udp(netip.IPv6Unspecified(), peer, 1), false},
		{"loopback", udp(netip.IPv6Loopback(), peer, 1), false},
		{"cut", udp(mleid, peer, 5683)[:45], false},
		{"not IPv6", []byte{0x45, 0, 0, 20}, false},
		{"empty", nil, false},
	} {
		r := newRig(true)
		err := r.FromHost(x.packet)
		if (err == nil) != x.ok || (len(r.sent) == 1) != x.ok {
			t.Errorf("%s: error %v, %d sent; want ok %v", x.name, err, len(r.sent), x.ok)
		}
	}
}

func TestEcho(t *testing.T) {
	request := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: peer, Dst: mleid, HopLimit: 64},
		ipv6.ICMPEchoRequest, 0, ipv6.Echo{ID: 7, Seq: 9, Data: []byte("data")}.Append(nil))
	alone := newRig(false)
	alone.Receive(slices.Clone(request), link.Info{Secured: true})
	if len(alone.sent) != 1 {
		t.Fatalf("%d answers", len(alone.sent))
	}
	h, body, _ := ipv6.DecodeHeader(alone.sent[0])
	m, _ := ipv6.DecodeICMP(body)
	e, _ := ipv6.DecodeEcho(m.Body)
	if h.Src != mleid || h.Dst != peer || m.Type != ipv6.ICMPEchoReply || e.ID != 7 || e.Seq != 9 || string(e.Data) != "data" {
		t.Errorf("answer %+v %+v %+v", h, m, e)
	}
	hosted := newRig(true)
	hosted.Receive(slices.Clone(request), link.Info{Secured: true})
	if len(hosted.sent) != 0 || len(hosted.host) != 1 {
		t.Errorf("with a host: %d answers, %d to the host", len(hosted.sent), len(hosted.host))
	}
	request[len(request)-1] ^= 1 // checksum
	hosted.Receive(request, link.Info{Secured: true})
	if len(hosted.host) != 1 || hosted.Counters.RxFailed != 1 {
		t.Error("a bad checksum got through")
	}
}

func TestPing(t *testing.T) {
	r := newRig(true)
	var replies []Reply
	sent, received := -1, -1
	r.Ping(&Ping{Dst: peer, Size: 16, Count: 2, Interval: time.Second, Timeout: 3 * time.Second,
		Reply: func(x Reply) { replies = append(replies, x) },
		Done:  func(s, n int) { sent, received = s, n }})
	r.clock.Advance(start.Add(5 * time.Millisecond))
	_, body, _ := ipv6.DecodeHeader(r.sent[0])
	m, _ := ipv6.DecodeICMP(body)
	reply := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: peer, Dst: mleid, HopLimit: 63}, ipv6.ICMPEchoReply, 0, m.Body)
	r.Receive(slices.Clone(reply), link.Info{Secured: true})
	r.Receive(slices.Clone(reply), link.Info{Secured: true}) // a duplicate does not count twice
	for range 10 {
		r.clock.Advance(r.clock.Now().Add(time.Second))
	}
	if len(replies) != 1 || replies[0].RTT != 5*time.Millisecond || replies[0].Size != 16 || replies[0].HopLimit != 63 {
		t.Errorf("replies %+v", replies)
	}
	if sent != 2 || received != 1 || len(r.host) != 0 {
		t.Errorf("sent %d, received %d, to the host %d", sent, received, len(r.host))
	}
}

// A realm multicast leaves with an MPL option, is repeated once by a router, and
// is not taken back when it is heard again.
func TestMulticast(t *testing.T) {
	r := newRig(false)
	if err := r.SendUDP(Datagram{Dst: netip.AddrPortFrom(ipv6.AllNodesRealm, 9), Payload: []byte("x")}, link.Options{}); err != nil {
		t.Fatal(err)
	}
	r.clock.Advance(start.Add(time.Second))
	if len(r.sent) != 2 || r.opts[0].Repeat || !r.opts[1].Repeat || !slices.Equal(r.sent[0], r.sent[1]) {
		t.Fatalf("sent %d times: %+v", len(r.sent), r.opts)
	}
	o, found, err := ipv6.FindMPL(r.sent[0])
	if err != nil || !found || o.SeedLen != 2 || o.Seed != 0xec00 {
		t.Errorf("option %+v, %v, %v", o, found, err)
	}
	got := 0
	r.HandleUDP(9, func(*Datagram) { got++ })
	r.Receive(slices.Clone(r.sent[0]), link.Info{Secured: true})
	if got != 0 {
		t.Error("our own multicast was received")
	}
}

// The host's kernel gets a realm multicast without the option that it would
// discard it for; the mesh gets it with that.
func TestMulticastToHost(t *testing.T) {
	from := netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:4400")
	inner := udp(from, ipv6.AllNodesRealm, 9)[40:]
	h := ipv6.Header{Src: from, Dst: ipv6.AllNodesRealm, HopLimit: 64, NextHeader: ipv6.ProtoHopByHop, PayloadLen: uint16(8 + len(inner))}
	packet := append(ipv6.AppendMPLHeader(h.Append(nil), ipv6.ProtoUDP, ipv6.MPLOption{Seq: 1}), inner...)
	r := newRig(true)
	r.Receive(slices.Clone(packet), link.Info{Secured: true})
	r.clock.Advance(start.Add(time.Second))
	if len(r.host) != 1 || len(r.sent) == 0 {
		t.Fatalf("%d to the host, %d sent on", len(r.host), len(r.sent))
	}
	want := slices.Clone(packet)
	copy(want[42:], []byte{ipv6.OptPadN, 2, 0, 0})
	if !slices.Equal(r.host[0], want) {
		t.Errorf("the host gets\n%x, want\n%x", r.host[0], want)
	}
	if _, found, err := ipv6.FindMPL(r.sent[0]); err != nil || !found {
		t.Errorf("the mesh gets %x", r.sent[0])
	}
}

func TestMulticastForwarding(t *testing.T) {
	from := netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:4400")
	inner := udp(from, ipv6.AllNodesRealm, 9)[40:]
	packet := func(seq, hops uint8) []byte {
		h := ipv6.Header{Src: from, Dst: ipv6.AllNodesRealm, HopLimit: hops, NextHeader: ipv6.ProtoHopByHop, PayloadLen: uint16(8 + len(inner))}
		return append(ipv6.AppendMPLHeader(h.Append(nil), ipv6.ProtoUDP, ipv6.MPLOption{Seq: seq}), inner...)
	}
	r := newRig(false)
	got := 0
	r.HandleUDP(9, func(*Datagram) { got++ })
	for _, x := range []struct {
		seq, hops uint8
		got, sent int
	}{
		{10, 64, 1, 2}, {10, 64, 1, 2}, {9, 64, 1, 2}, {11, 64, 2, 4}, {11, 64, 2, 4}, {12, 1, 3, 4},
	} {
		r.Receive(packet(x.seq, x.hops), link.Info{Secured: true})
		for range 4 {
			r.clock.Advance(r.clock.Now().Add(mplInterval))
		}
		if got != x.got || len(r.sent) != x.sent {
			t.Errorf("sequence %d, %d hops: received %d, sent %d; want %d, %d", x.seq, x.hops, got, len(r.sent), x.got, x.sent)
		}
	}
	if r.sent[0][7] != 63 {
		t.Errorf("forwarded with hop limit %d", r.sent[0][7])
	}
	r.clock.Advance(r.clock.Now().Add(mplLifetime))
	r.Receive(packet(3, 64), link.Info{Secured: true})
	if got != 4 {
		t.Error("a sequence was remembered for too long")
	}
}

// A group beyond the realm travels in a tunnel to all forwarders.
func TestTunnelledMulticast(t *testing.T) {
	group := netip.MustParseAddr("ff05::abcd")
	a := newRig(false)
	if err := a.SendUDP(Datagram{Src: netip.AddrPortFrom(global, 9), Dst: netip.AddrPortFrom(group, 9), Payload: []byte("x")}, link.Options{}); err != nil {
		t.Fatal(err)
	}
	h, _, _ := ipv6.DecodeHeader(a.sent[0])
	if h.Dst != ipv6.AllMPLForwarders || h.Src != rloc {
		t.Fatalf("outer header %+v", h)
	}
	b := newRig(false)
	b.Join(group)
	var got *Datagram
	b.HandleUDP(9, func(d *Datagram) { got = d })
	p := slices.Clone(a.sent[0])
	copy(p[8:24], netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:4400").AsSlice())
	b.Receive(p, link.Info{Secured: true})
	if got == nil || got.Dst.Addr() != group || got.Src.Addr() != global {
		t.Errorf("received %+v", got)
	}
}

func TestForwarding(t *testing.T) {
	onMesh, outside := netip.MustParseAddr("fd11:22::99"), netip.MustParseAddr("2001:db8::1")
	for _, x := range []struct {
		name       string
		src, dst   netip.Addr
		router     bool
		sent, host int
	}{
		{"into the mesh", peer, onMesh, true, 1, 0},
		{"into the mesh, by a child", peer, onMesh, false, 0, 0},
		{"to a mesh-local address", global, peer, true, 1, 0},
		{"out", onMesh, outside, true, 0, 1},
		{"out from a mesh-local address", peer, outside, true, 0, 0},
		{"link-local", peerLL, netip.MustParseAddr("fe80::2"), true, 0, 0},
	} {
		r := newRig(true)
		r.router = x.router
		r.Receive(udp(x.src, x.dst, 9), link.Info{Secured: true})
		if len(r.sent) != x.sent || len(r.host) != x.host {
			t.Errorf("%s: %d into the mesh, %d to the host; want %d, %d", x.name, len(r.sent), len(r.host), x.sent, x.host)
		}
		if x.sent == 1 && r.sent[0][7] != 63 {
			t.Errorf("%s: hop limit %d", x.name, r.sent[0][7])
		}
	}
}
