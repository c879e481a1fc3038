package rpl

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

// The figures of RFC 6553 Section 3 and RFC 6554 Section 3.
func TestPacketInfo(t *testing.T) {
	p := PacketInfo{Down: true, ForwardingError: true, Instance: 30, SenderRank: 0x0203}
	wire := unhex(t, `a0 1e 0203`)
	if b := p.Append(nil); !bytes.Equal(b, wire) {
		t.Errorf("encoded %x", b)
	}
	if got, err := DecodePacketInfo(wire); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("decoded %+v, %v", got, err)
	}
	if _, err := DecodePacketInfo(wire[:3]); err == nil {
		t.Error("three bytes decode")
	}
}

func TestSourceRouteHeader(t *testing.T) {
	tests := []struct {
		name string
		wire string // with next header ICMPv6
		dst  string
		want SourceRoute
	}{{
		name: "one hop left, all but a byte shared",
		wire: `3a 01 03 01  ff 70 00 00  03 00000000000000`,
		dst:  "fd00::2:0",
		want: SourceRoute{SegmentsLeft: 1, Addrs: []netip.Addr{addr("fd00::2:3")}},
	}, {
		name: "prefix shared",
		wire: `3a 03 03 03  88 00 00 00  0200000000000003 0300000000000004 0400000000000005`,
		dst:  "fd00::100:0:0:2",
		want: SourceRoute{SegmentsLeft: 3, Addrs: []netip.Addr{
			addr("fd00::200:0:0:3"), addr("fd00::300:0:0:4"), addr("fd00::400:0:0:5")}},
	}, {
		name: "last address elsewhere",
		wire: `3a 03 03 02  f0 70 00 00  03  20010db8 00000000 00000000 00000001  00000000000000`,
		dst:  "fd00::2",
		want: SourceRoute{SegmentsLeft: 2, Addrs: []netip.Addr{addr("fd00::3"), addr("2001:db8::1")}},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			if b := tt.want.Append(nil, ipv6.ProtoICMPv6, addr(tt.dst)); !bytes.Equal(b, wire) {
				t.Errorf("encoded %x\nwant    %x", b, wire)
			}
			got, err := DecodeSourceRoute(wire[2:], addr(tt.dst))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("decoded %+v, %v", got, err)
			}
		})
	}
	for _, bad := range []string{
		`03 01 88 00 00`,                             // cut
		`04 01 88 00 00 00 0200000000000003`,         // segment routing
		`03 01 88 90 00 00 0200000000000003`,         // more padding than there is
		`03 01 88 00 00 00 020000000000`,             // half an address
		`03 01 80 00 00 00 0200000000000003 0000000`, // an odd number of them
	} {
		if r, err := DecodeSourceRoute(unhex(t, bad+pad(bad)), addr("fd00::1")); err == nil {
			t.Errorf("%s decodes to %+v", bad, r)
		}
	}
}

// pad completes an odd number of hex digits.
func pad(s string) string {
	n := 0
	for _, c := range s {
		if c != ' ' {
			n++
		}
	}
	return "0"[:n%2]
}

// echo is an echo request as an application sends it.
func echo(src, dst string, hops uint8) []byte {
	return ipv6.AppendICMPPacket(nil, ipv6.Header{Src: addr(src), Dst: addr(dst), HopLimit: hops},
		ipv6.ICMPEchoRequest, 0, []byte{0, 1, 0, 2, 'h', 'i'})
}

func TestInsertAndRemove(t *testing.T) {
	p := echo("fd00::1", "fd00::9", 64)
	with := InsertPacketInfo(p, PacketInfo{Instance: 5}, HopOption)
	want := unhex(t, `3a 00 63 04 00 05 0000`)
	if !bytes.Equal(with[40:48], want) || with[6] != 0 || len(with) != len(p)+8 {
		t.Errorf("inserted: %x", with)
	}
	info, at, found, err := FindPacketInfo(with)
	if err != nil || !found || at != 44 || info.Instance != 5 {
		t.Errorf("found %+v at %d, %v, %v", info, at, found, err)
	}
	if back := RemovePacketInfo(with); !bytes.Equal(back, p) {
		t.Errorf("removed: %x\nwant     %x", back, p)
	}

	// Beside another option the header stays.
	mpl := append(ipv6.Header{PayloadLen: uint16(8 + len(p) - 40), HopLimit: 64, Src: addr("fd00::1"), Dst: addr("fd00::9")}.Append(nil),
		ipv6.AppendMPLHeader(nil, ipv6.ProtoICMPv6, ipv6.MPLOption{Seq: 7})...)
	mpl = append(mpl, p[40:]...)
	both := InsertPacketInfo(mpl, PacketInfo{Instance: 5}, HopOption23)
	if m, found, err := ipv6.FindMPL(both); err != nil || !found || m.Seq != 7 {
		t.Errorf("MPL option after insertion: %+v, %v, %v", m, found, err)
	}
	if o, _, found, _ := FindPacketInfo(both); !found || o.Instance != 5 {
		t.Errorf("both: %x", both)
	}
	if back := RemovePacketInfo(both); !bytes.Equal(back, mpl) {
		t.Errorf("removed: %x\nwant     %x", back, mpl)
	}
}

// A source route is followed hop by hop, and arrives as what was sent but for
// the header, hop limit and the addresses that have been visited.
func TestFollowSourceRoute(t *testing.T) {
	hops := []netip.Addr{addr("fd00::a"), addr("fd00::b"), addr("fd00::c"), addr("fd00::d")}
	p := InsertSourceRoute(InsertPacketInfo(echo("fd00::1", "fd00::d", 64), PacketInfo{Down: true}, HopOption), hops)
	for i, self := range hops[:3] {
		own := func(a netip.Addr) bool { return a == self }
		h, _, err := ipv6.DecodeHeader(p)
		if err != nil || h.Dst != self || h.HopLimit != uint8(64-i) || segmentsLeft(p) != 3-i {
			t.Fatalf("hop %d: %+v, %v, %d segments left", i, h, err, segmentsLeft(p))
		}
		out, next, problem, reason := advance(p, own)
		if problem != nil || next != hops[i+1] {
			t.Fatalf("hop %d: next %v, %v %s", i, next, problem, reason)
		}
		p = out
	}
	at, end := findSRH(p)
	r, err := DecodeSourceRoute(p[at:end], hops[3])
	if err != nil || r.SegmentsLeft != 0 || !reflect.DeepEqual(r.Addrs, hops[:3]) {
		t.Errorf("at the end: %+v, %v", r, err)
	}
	proto, off, err := ipv6.Transport(p)
	if err != nil || !ipv6.VerifyChecksum(addr("fd00::1"), addr("fd00::d"), proto, p[off:]) {
		t.Errorf("checksum at the end is wrong: %v", err)
	}
}

// bench is a node or root on a script: what it sends is collected.
type bench struct {
	clock alarm.Clock
	sent  []Send
	node  *Node
	root  *Root
}

func newBench() *bench {
	b := new(bench)
	b.clock.Set(epoch)
	return b
}

func (b *bench) run(d time.Duration) {
	end := b.clock.Now().Add(d)
	for {
		t := b.clock.Deadline()
		if t.IsZero() || t.After(end) {
			b.clock.Advance(end)
			return
		}
		b.clock.Advance(t)
	}
}

// take returns what was sent with a code since the last call, and forgets the
// rest.
func (b *bench) take(code uint8) (out []Send) {
	for _, s := range b.sent {
		if s.Code == code {
			out = append(out, s)
		}
	}
	b.sent = nil
	return out
}

func (b *bench) withNode(t testing.TB, cfg NodeConfig) *Node {
	cfg.Clock, cfg.Rand, cfg.LinkLocal = &b.clock, rand.New(rand.NewPCG(1, 2)), addr("fe80::b")
	cfg.Send = func(s Send) { b.sent = append(b.sent, s) }
	n, err := NewNode(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.node = n
	n.SetAddresses(addr("fd00::b"))
	n.Start()
	return n
}

func (b *bench) withRoot(t testing.TB, cfg RootConfig) *Root {
	cfg.Clock, cfg.Rand, cfg.LinkLocal = &b.clock, rand.New(rand.NewPCG(1, 2)), addr("fe80::1")
	cfg.Send = func(s Send) { b.sent = append(b.sent, s) }
	cfg.Address = addr("fd00::1")
	cfg.Prefixes = []PrefixInformation{{Bits: 64, Autonomous: true, Valid: Infinite, Preferred: Infinite, Prefix: addr("fd00::")}}
	v := uint8(240)
	cfg.LastVersion = &v
	r, err := NewRoot(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.root = r
	r.Start()
	return r
}

// announce is a DIO of a DODAG rooted at fd00::1.
func announce(mop MOP, version uint8, rank uint16, router string, more ...func(*DIO)) []byte {
	m := DIO{
		Version: version, Rank: rank, Grounded: true, MOP: mop, DTSN: 1, DODAGID: addr("fd00::1"),
		Options: []Option{DODAGConfig{}.withDefaults(), PrefixInformation{
			Bits: 64, Autonomous: true, Router: mop == NonStoring, Valid: Infinite, Preferred: Infinite, Prefix: addr(router)}},
	}
	for _, f := range more {
		f(&m)
	}
	return m.Append(nil)
}

func (b *bench) hear(t testing.TB, from string, code uint8, body []byte) {
	t.Helper()
	if err := b.node.Receive(addr(from), AllNodes, code, body); err != nil {
		t.Fatal(err)
	}
}

func TestNodeDatapath(t *testing.T) {
	b := newBench()
	onLink := map[netip.Addr]bool{addr("fd00::c"): true}
	n := b.withNode(t, NodeConfig{NextHop: func(a netip.Addr) (netip.Addr, bool) { return a, onLink[a] }})
	n.SetExternal(External{Prefix: prefix("fd00::ee/128")})
	if v := n.Originate(echo("fd00::b", "fd00::9", 64)); v.Tell == nil || v.Tell.Code != ipv6.UnreachNoRoute {
		t.Errorf("without a DODAG: %+v", v)
	}
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))

	route := func(self string, hops ...string) []byte {
		all := []netip.Addr{addr(self)}
		for _, h := range hops {
			all = append(all, addr(h))
		}
		return InsertSourceRoute(echo("fd00::1", hops[len(hops)-1], 64), all)
	}
	with := func(p []byte, i PacketInfo) []byte { return InsertPacketInfo(p, i, HopOption) }
	tests := []struct {
		name    string
		verdict Verdict
		action  Action
		next    string
		tell    *Problem
	}{
		{"own, inside", n.Originate(echo("fd00::b", "fd00::9", 64)), Forward, "fe80::a", nil},
		{"own, outside: tunnelled", n.Originate(echo("fd00::b", "2001:db8::1", 64)), Forward, "fe80::a", nil},
		{"own, to the link", n.Originate(echo("fe80::b", "fe80::c", 64)), Forward, "fe80::c", nil},
		{"own, to itself", n.Originate(echo("fd00::b", "fd00::b", 64)), Deliver, "", nil},
		{"own, to a host behind", n.Originate(echo("fd00::b", "fd00::ee", 64)), Exit, "", nil},
		{"for us", n.Forward(echo("fd00::1", "fd00::b", 64), addr("fe80::a")), Deliver, "", nil},
		{"up", n.Forward(with(echo("fd00::c", "fd00::9", 64), PacketInfo{}), addr("fe80::c")), Forward, "fe80::a", nil},
		{"up, last hop", n.Forward(echo("fd00::c", "fd00::9", 1), addr("fe80::c")), Drop, "",
			&Problem{Type: ipv6.ICMPTimeExceeded}},
		{"up, from the parent", n.Forward(echo("fd00::c", "fd00::9", 64), addr("fe80::a")), Drop, "",
			&Problem{Type: ipv6.ICMPDstUnreachable}},
		{"up, rank error", n.Forward(with(echo("fd00::c", "fd00::9", 64), PacketInfo{SenderRank: 1}), addr("fe80::c")),
			Forward, "fe80::a", nil},
		{"up, second rank error", n.Forward(with(echo("fd00::c", "fd00::9", 64), PacketInfo{SenderRank: 1, RankError: true}), addr("fe80::c")),
			Drop, "", nil},
		{"of another instance", n.Forward(with(echo("fd00::c", "fd00::9", 64), PacketInfo{Instance: 9}), addr("fe80::c")), Drop, "", nil},
		{"source route", n.Forward(route("fd00::b", "fd00::c"), addr("fe80::a")), Forward, "fd00::c", nil},
		{"source route to no neighbour", n.Forward(route("fd00::b", "fd00::d"), addr("fe80::a")), Drop, "",
			&Problem{Type: ipv6.ICMPDstUnreachable, Code: UnreachSourceRoute}},
		{"source route in a circle", n.Forward(route("fd00::b", "fd00::c", "fd00::b", "fd00::c", "fd00::b"), addr("fe80::a")), Drop, "",
			&Problem{Type: ipv6.ICMPParameterProblem, Pointer: 40 + 8 + 3}},
		{"source route by multicast", n.Forward(route("fd00::b", "ff02::1"), addr("fe80::a")), Drop, "", nil},
		{"to a host behind", n.Forward(echo("fd00::1", "fd00::ee", 64), addr("fe80::a")), Exit, "", nil},
		{"tunnel to a host behind", n.Forward(Encapsulate(echo("2001:db8::1", "fd00::ee", 64), addr("fd00::1"), addr("fd00::b")), addr("fe80::a")),
			Exit, "", nil},
		{"tunnel to us", n.Forward(Encapsulate(echo("2001:db8::1", "fd00::b", 64), addr("fd00::1"), addr("fd00::b")), addr("fe80::a")),
			Deliver, "", nil},
		{"tunnel to others", n.Forward(Encapsulate(echo("2001:db8::1", "fd00::c", 64), addr("fd00::1"), addr("fd00::b")), addr("fe80::a")),
			Drop, "", &Problem{Type: ipv6.ICMPDstUnreachable}},
	}
	for _, tt := range tests {
		v := tt.verdict
		next := ""
		if v.Next.IsValid() {
			next = v.Next.String()
		}
		if v.Action != tt.action || next != tt.next || !reflect.DeepEqual(v.Tell, tt.tell) {
			t.Errorf("%s: %v to %q, %+v (%s); want %v to %q, %+v", tt.name, v.Action, next, v.Tell, v.Reason, tt.action, tt.next, tt.tell)
		}
	}

	// What goes up has our rank; what leaves the DODAG is in a tunnel to the
	// root; what is out of it has no option.
	info, _, _, _ := FindPacketInfo(tests[6].verdict.Packet)
	if want := (PacketInfo{SenderRank: n.conf.dagRank(n.rank)}); !reflect.DeepEqual(info, want) || info.SenderRank == 0 {
		t.Errorf("up: %+v", info)
	}
	if info, _, _, _ = FindPacketInfo(tests[9].verdict.Packet); !info.RankError {
		t.Errorf("after a rank error: %+v", info)
	}
	out := tests[1].verdict.Packet
	inner, ok := Decapsulate(out)
	if _, _, found, _ := FindPacketInfo(out); !ok || !found || !bytes.Equal(inner, echo("fd00::b", "2001:db8::1", 64)) ||
		[16]byte(out[24:40]) != addr("fd00::1").As16() {
		t.Errorf("out: %x", out)
	}
	// The error says which packet, and goes to who sent it.
	e := tests[13].verdict.AppendError(nil, addr("fd00::b"))
	h, payload, err := ipv6.DecodeHeader(e)
	if err != nil || h.Dst != addr("fd00::1") || payload[0] != 1 || payload[1] != 7 || !ipv6.VerifyChecksum(h.Src, h.Dst, ipv6.ProtoICMPv6, payload) {
		t.Errorf("error: %x", e)
	}
}

func TestUndelivered(t *testing.T) {
	routed := InsertSourceRoute(echo("fd00::1", "fd00::c", 64), []netip.Addr{addr("fd00::b"), addr("fd00::c")})
	for _, tt := range []struct {
		packet []byte
		want   *Problem
	}{
		{routed, &Problem{Type: ipv6.ICMPDstUnreachable, Code: UnreachSourceRoute}},
		{echo("fd00::1", "fd00::c", 64), &Problem{Type: ipv6.ICMPDstUnreachable, Code: ipv6.UnreachAddress}},
		{routed[:50], nil},
	} {
		if v := Undelivered(tt.packet); v.Action != Drop || !reflect.DeepEqual(v.Tell, tt.want) {
			t.Errorf("%x: %+v", tt.packet, v)
		}
	}
}

func TestRootDatapath(t *testing.T) {
	b := newBench()
	r := b.withRoot(t, RootConfig{MOP: NonStoring})
	dao := func(target, parent string, seq, lifetime uint8, external bool) {
		t.Helper()
		m := DAO{WantAck: true, Sequence: 9, Options: []Option{Target{prefix(target)},
			Transit{PathSequence: seq, PathLifetime: lifetime, Parent: addr(parent), External: external}}}
		if err := r.Receive(addr("fd00::77"), addr("fd00::1"), CodeDAO, m.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	dao("fd00::a/128", "fd00::1", 240, 30, false)
	dao("fd00::b/128", "fd00::a", 240, 30, false)
	dao("fd00::c/128", "fd00::b", 240, 30, false)
	dao("fd00::ee/128", "fd00::c", 240, 30, true)
	dao("fd00:5::/60", "fd00::b", 240, 30, true)
	if acks := b.take(CodeDAOAck); len(acks) != 5 || !bytes.Equal(acks[0].Body, []byte{0, 0, 9, 0}) || acks[0].Dst != addr("fd00::77") {
		t.Errorf("acknowledgements: %+v", acks)
	}
	for dst, want := range map[string][]netip.Addr{
		"fd00::a":      {addr("fd00::a")},
		"fd00::c":      {addr("fd00::a"), addr("fd00::b"), addr("fd00::c")},
		"fd00::ee":     {addr("fd00::a"), addr("fd00::b"), addr("fd00::c")},
		"fd00:5:0:f::": {addr("fd00::a"), addr("fd00::b")},
		"fd00::d":      nil,
	} {
		if got, ok := r.Route(addr(dst)); !reflect.DeepEqual(got, want) || ok != (want != nil) {
			t.Errorf("route to %s: %v, %v; want %v", dst, got, ok, want)
		}
	}

	own := r.Originate(echo("fd00::1", "fd00::c", 64))
	if own.Action != Forward || own.Next != addr("fd00::a") || segmentsLeft(own.Packet) != 2 {
		t.Errorf("own: %+v", own)
	}
	in := r.Enter(echo("2001:db8::1", "fd00::c", 64))
	inner, ok := Decapsulate(in.Packet)
	if in.Action != Forward || !ok || !bytes.Equal(inner, echo("2001:db8::1", "fd00::c", 64)) || segmentsLeft(in.Packet) != 2 {
		t.Errorf("entering: %+v", in)
	}
	if v := r.Enter(echo("2001:db8::1", "fd00::d", 64)); v.Tell == nil || v.Tell.Type != ipv6.ICMPDstUnreachable {
		t.Errorf("entering to nobody: %+v", v)
	}
	up := InsertPacketInfo(echo("fd00::a", "2001:db8::1", 64), PacketInfo{SenderRank: 4}, HopOption23)
	if v := r.Forward(up, addr("fe80::a")); v.Action != Exit || !bytes.Equal(v.Packet, echo("fd00::a", "2001:db8::1", 64)) {
		t.Errorf("leaving: %+v", v)
	}

	// A circle of parents is no route, and ends nothing.
	dao("fd00::b/128", "fd00::c", 241, 30, false)
	if got, ok := r.Route(addr("fd00::c")); ok {
		t.Errorf("route in a circle: %v", got)
	}
	dao("fd00::b/128", "fd00::a", 240, 30, false) // older: refused
	if a := b.take(CodeDAOAck); a[len(a)-1].Body[3] != StatusStale {
		t.Errorf("acknowledgement of an old sequence: %x", a[len(a)-1].Body)
	}
	dao("fd00::b/128", "fd00::a", 242, 30, false)

	// A hop that fails is avoided for a while if there is another way, else
	// tried again.
	way := func(want ...netip.Addr) {
		t.Helper()
		if got, _ := r.Route(addr("fd00::c")); !reflect.DeepEqual(got, want) {
			t.Errorf("route %v, want %v", got, want)
		}
	}
	fail := func() {
		t.Helper()
		p := InsertSourceRoute(echo("fd00::1", "fd00::c", 64), []netip.Addr{addr("fd00::b"), addr("fd00::c")})
		p, _, _, _ = advance(p, func(a netip.Addr) bool { return a == addr("fd00::b") })
		r.SourceRouteError(addr("fd00::b"), ipv6.ErrorBody{Invoking: p})
	}
	long := []netip.Addr{addr("fd00::a"), addr("fd00::b"), addr("fd00::c")}
	fail()
	way(long...)
	m := DAO{Options: []Option{Target{prefix("fd00::c/128")},
		Transit{PathControl: 0x80, PathSequence: 241, PathLifetime: 30, Parent: addr("fd00::b")},
		Transit{PathControl: 0x40, PathSequence: 241, PathLifetime: 30, Parent: addr("fd00::a")}}}
	if err := r.Receive(addr("fd00::c"), addr("fd00::1"), CodeDAO, m.Append(nil)); err != nil {
		t.Fatal(err)
	}
	way(long...)
	fail()
	way(addr("fd00::a"), addr("fd00::c"))
	b.run(suspectTime)
	way(long...)

	// Withdrawn, and expired.
	dao("fd00::a/128", "fd00::1", 241, 0, false)
	if _, ok := r.Route(addr("fd00::a")); ok {
		t.Error("a No-Path has no effect")
	}
	b.run(30*time.Minute + sweepInterval)
	if n := len(r.Table().Routes); n != 0 {
		t.Errorf("%d routes after their lifetime", n)
	}
}
