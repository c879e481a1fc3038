package wpan

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/ndp"
	"gatewayd/radio"
	"gatewayd/wpan/mac"
)

// A neighbour that does not answer keeps nobody waiting for all that it is to
// get, and what is urgent goes first.
func TestQueue(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	d.silent[other] = true
	d.sent = nil
	var done []string
	queue := func(to ieee802154.ExtAddr, name string, size int, urgent bool) {
		p := udp(linkLocal(own), linkLocal(to), 1, 2, string(make([]byte, size)))
		d.send(p, sending{urgent: urgent, done: func(ok bool) { done = append(done, fmt.Sprintf("%s %v", name, ok)) }})
	}
	for i := range 5 {
		queue(other, fmt.Sprint("dead", i), 500, false)
	}
	for i := range 3 {
		queue(peer, fmt.Sprint("live", i), 200, false)
	}
	queue(peer, "urgent", 10, true)
	d.pass(10 * time.Second)
	want := "[dead0 false urgent true live0 true dead1 false live1 true dead2 false live2 true dead3 false dead4 false]"
	if got := fmt.Sprint(done); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// Each neighbour has its part, and urgent datagrams displace others.
	done = nil
	for i := range maxPerHop + 10 {
		queue(other, "dead", 500, false)
		_ = i
	}
	if n := len(d.adapt.queue); n != maxPerHop {
		t.Errorf("%d wait for one neighbour", n)
	}
	full := d.Counters.QueueFull
	for i := range 2 * maxQueued {
		queue(ieee802154.ExtAddr{8, byte(i >> 8), byte(i)}, "many", 10, false)
	}
	if n := len(d.adapt.queue); n != maxQueued {
		t.Errorf("%d wait", n)
	}
	queue(peer, "urgent", 10, true)
	if n := len(d.adapt.queue); n != maxQueued || !d.adapt.queue[1].urgent {
		t.Errorf("%d wait, the urgent one not as the next", n)
	}
	if d.Counters.QueueFull == full {
		t.Error("not counted")
	}
	for range 3 * maxQueued {
		queue(other, "urgent", 10, true)
	}
	if n := len(d.adapt.queue); n > maxQueued {
		t.Errorf("%d wait", n)
	}
	d.adapt.flush()
	if len(done) < 3*maxQueued {
		t.Errorf("%d of those that asked were told", len(done))
	}
}

// Without a key nothing leaves a secured network, but what is meant to.
func TestNothingInClear(t *testing.T) {
	d := newDesk(t, Router, nil)
	d.join()
	d.pass(time.Second)
	d.mac.DropKey(1)
	d.sent = nil
	d.SendUDP(Datagram{Src: netip.AddrPortFrom(linkLocal(own), 1), Dst: netip.AddrPortFrom(linkLocal(peer), 2), Payload: []byte("secret")})
	d.pass(time.Second)
	for _, f := range d.sent {
		if f.Type == ieee802154.FrameData {
			t.Errorf("%+v", f)
		}
	}
	if d.Counters.Undelivered == 0 {
		t.Error("not counted")
	}
}

func TestSizes(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	full := udp(linkLocal(peer), linkLocal(own), 1, 2, string(make([]byte, ipv6.MinMTU-48)))
	d.hear(peer, full, true)
	if len(d.host) != 1 || !bytes.Equal(d.host[0], full) {
		t.Fatalf("%d datagrams", len(d.host))
	}
	d.sent = nil
	if err := d.FromHost(udp(linkLocal(own), linkLocal(peer), 1, 2, string(make([]byte, ipv6.MinMTU-48)))); err != nil {
		t.Fatal(err)
	}
	d.pass(time.Second)
	if n := len(d.sent); n < 12 {
		t.Errorf("%d frames", n)
	}
	before := d.Counters
	if err := d.FromHost(udp(linkLocal(own), linkLocal(peer), 1, 2, string(make([]byte, ipv6.MinMTU-47)))); err != nil {
		t.Fatal(err)
	}
	if d.Counters.Malformed != before.Malformed+1 {
		t.Error("larger than a link's MTU, and sent")
	}
	for _, b := range [][]byte{nil, {0x60}, bytes.Repeat([]byte{0xff}, 100)} {
		if d.FromHost(b) == nil {
			t.Errorf("%x is no datagram", b)
		}
	}
	d.sent = nil
	for name, p := range map[string][]byte{
		"a router solicitation": icmp(linkLocal(own), allRouters, 133, 0, 0, 0, 0),
		"RPL":                   icmp(linkLocal(own), linkLocal(peer), 155, 0, 0, 0, 0),
		"multicast":             udp(linkLocal(own), netip.MustParseAddr("ff02::fb"), 5353, 5353, "x"),
		"from nobody":           udp(netip.IPv6Unspecified(), linkLocal(peer), 1, 2, "x"),
	} {
		if err := d.FromHost(p); err != nil {
			t.Fatal(err)
		}
		d.pass(time.Millisecond * 10)
		if len(d.sent) != 0 {
			t.Errorf("takes %s from the host", name)
			d.sent = nil
		}
	}
	// A host that says it is a relay element is not believed.
	if err := d.FromHost(udp(global(peer), global(own), 716, 716, string([]byte{0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}))); err != nil {
		t.Fatal(err)
	}
	d.pass(time.Second)
	if c := d.PAA().Counters; c.Initiations+c.Dropped != 0 {
		t.Errorf("%+v", c)
	}
}

// Errors are told at a bounded rate, and never about errors.
func TestErrors(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	d.hear(peer, udp(global(peer), global(other), 1, 2, "x"), true) // makes peer known
	d.pass(time.Second)
	before := len(d.host)
	for range 50 {
		if err := d.FromHost(udp(netip.MustParseAddr("2001:db8::1"), global(other), 1, 2, "x")); err != nil {
			t.Fatal(err)
		}
		d.pass(10 * time.Millisecond)
	}
	if n := len(d.host) - before; n < 1 || n > 6 {
		t.Errorf("%d errors in half a second", n)
	}
	for _, p := range d.host[before:] {
		if _, proto, off, err := transport(p); err != nil || proto != ipv6.ProtoICMPv6 || p[off] != ipv6.ICMPDstUnreachable {
			t.Errorf("%x", p)
		}
	}
	before = len(d.host)
	body := append(make([]byte, 4), udp(global(own), global(other), 1, 2, "x")...)
	if err := d.FromHost(icmp(netip.MustParseAddr("2001:db8::1"), global(other), 1, body...)); err != nil {
		t.Fatal(err)
	}
	d.pass(time.Second)
	if len(d.host) != before {
		t.Error("an error about an error")
	}
}

// Tunnels within tunnels end, and lead to nothing that is not routed.
func TestTunnels(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	wrap := func(p []byte) []byte {
		h := ipv6.Header{Src: global(peer), Dst: global(own), NextHeader: ipv6.ProtoIPv6, HopLimit: 64, PayloadLen: uint16(len(p))}
		return append(h.Append(nil), p...)
	}
	outside := netip.MustParseAddr("2001:db8::1")
	exits := func(p []byte) bool {
		before := len(d.host)
		d.hear(peer, p, true)
		d.pass(100 * time.Millisecond)
		return len(d.host) > before
	}
	inner := udp(global(peer), outside, 1, 2, "x")
	if !exits(inner) || !exits(wrap(inner)) {
		t.Error("a device does not get out")
	}
	for name, p := range map[string][]byte{
		"in another's name":           udp(netip.MustParseAddr("2001:db8::2"), outside, 1, 2, "x"),
		"from link-local":             udp(linkLocal(peer), outside, 1, 2, "x"),
		"to multicast":                wrap(udp(global(peer), netip.MustParseAddr("ff0e::1"), 1, 2, "x")),
		"to link-local":               wrap(udp(global(peer), linkLocal(other), 1, 2, "x")),
		"from link-local in a tunnel": wrap(udp(linkLocal(peer), outside, 1, 2, "x")),
		"nothing in a tunnel":         wrap(nil),
		"nine tunnels":                wrap(wrap(wrap(wrap(wrap(wrap(wrap(wrap(wrap(inner))))))))),
	} {
		if exits(p) {
			t.Errorf("leaves: %s", name)
		}
	}
}

// Frame counters after restarts: with records lost, and with all of them lost.
func TestCountersOverRestart(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	k := d.network.Key
	next := func(d *desk) uint32 {
		c, ok := d.counter.Next()
		if !ok {
			t.Fatal("no counter")
		}
		return c
	}
	used := next(d)
	for lost := range 4 {
		d.store.lost[storeCounter] = lost
		d = reopen(t, Coordinator, d.store, nil)
		if c := next(d); c <= used || c < uint32(lost)*mac.Reserve || d.network.Key != k {
			t.Errorf("%d records lost: counter %d after %d", lost, c, used)
		} else {
			used = c
		}
	}
	d.store.lost[storeCounter] = 0

	// Back and forth between two keys.
	if _, ok := d.RotateKey(); !ok {
		t.Fatal("no other key")
	}
	d.switchKey()
	if c := next(d); c > 3*mac.Reserve+100 { // of which a record may have been lost
		t.Errorf("a new key begins at %d", c)
	}
	d.adoptKey(k)
	if c := next(d); c <= used {
		t.Errorf("the key before goes on at %d, after %d", c, used)
	}

	// A device is told where to begin.
	d.begins(k, 5)
	d.adoptKey(k)
	if c := next(d); c < 5<<24 || c >= 6<<24 {
		t.Errorf("%#x", c)
	}

	delete(d.store.values, storeCounter)
	d.store.lost[storeCounter] = 3
	index := d.network.Key.Index
	d = reopen(t, Coordinator, d.store, nil)
	if d.network.Key == k || d.network.Key.Index != index%255+1 {
		t.Errorf("uses %v again", d.network.Key)
	}
	r := newDesk(t, Router, nil)
	r.join()
	r.store.values[storeCounter] = []byte("[")
	r = reopen(t, Router, r.store, nil)
	if r.network.Key.Index != 0 {
		t.Errorf("a device uses %v again", r.network.Key)
	}
}

// Key indexes go round without anything being used twice.
func TestIndexWraps(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	seen := map[[16]byte]bool{d.network.Key.Value: true}
	for range 600 {
		was := d.network.Key
		index, ok := d.RotateKey()
		if !ok || index == 0 || index != was.Index%255+1 {
			t.Fatalf("after %d: %d %v", was.Index, index, ok)
		}
		d.pass(activationDelay)
		if d.network.Key.Index != index || seen[d.network.Key.Value] || d.network.Other != was {
			t.Fatalf("%v, beside it %v", d.network.Key, d.network.Other)
		}
		seen[d.network.Key.Value] = true
		d.pass(retireTime)
		if d.network.Other.Index != 0 || d.mac.ActiveKey() != index {
			t.Fatalf("still accepts %v", d.network.Other)
		}
	}
	if d.learnKey(Key{Index: d.network.Key.Index - 1, Value: [16]byte{1}}) || d.learnKey(Key{}) {
		t.Error("learns an older key")
	}
}

func TestNewNode(t *testing.T) {
	store := &memory{values: map[string][]byte{}}
	for name, c := range map[string]Config{
		"no store":   {Random: rand.NewChaCha8([32]byte{})},
		"no random":  {Store: store},
		"no backend": {Role: Coordinator, Random: rand.NewChaCha8([32]byte{}), Store: store},
		"no peer":    {Role: Host, Random: rand.NewChaCha8([32]byte{}), Store: store},
		"dry source": {Role: Host, Random: bytes.NewReader(nil), Store: store, Network: Network{Open: true}},
	} {
		if _, err := New(c, began); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	if _, err := ParseNetworkID("seventeen letters"); err == nil {
		t.Error("17 bytes are a name")
	}
	if id, err := ParseNetworkID("sixteen letters."); err != nil || id.String() != "sixteen letters." {
		t.Errorf("%q %v", id, err)
	}
	// A store that does not take anything is told about, and is no panic.
	var said []string
	d := reopen(t, Coordinator, &memory{values: map[string][]byte{}, fail: errors.New("disk full")}, func(c *Config) {
		c.Log = func(e Event) { said = append(said, e.ID) }
	})
	d.pass(time.Minute)
	if len(said) == 0 || len(d.sent) != 0 {
		t.Errorf("%v, sent %d", said, len(d.sent))
	}
}

// Another prefix is one with everything: addresses, who is registered, what
// leaves the mesh, and after a restart.
func TestRenumber(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	second := netip.MustParsePrefix("2001:db8:7::/64")
	version := d.border.Version()
	d.border.Restore(ndp.State{Registrations: []ndp.Registration{{Addr: global(peer), ROVR: ndp.ROVROf(peer), Link: ndp.EUI64(peer), Expires: d.clock.Now().Add(time.Hour)}}})
	if n := len(d.Registrations()); n != 1 {
		t.Fatalf("%d registrations", n)
	}
	d.sent = nil
	d.Renumber(second)
	d.pass(5 * time.Second)
	if len(d.sent) == 0 {
		t.Error("nobody is told")
	}
	if a := d.Addresses(); len(a) != 2 || a[1] != inPrefix(second, own) || d.Network().Prefix != second {
		t.Errorf("addresses %v", a)
	}
	if n := len(d.Registrations()); n != 0 {
		t.Errorf("%d registrations are left", n)
	}
	if d.border.Version() <= version {
		t.Errorf("version %d after %d", d.border.Version(), version)
	}
	outside := netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		src  netip.Addr
		want int
	}{{global(peer), 0}, {inPrefix(second, peer), 1}} {
		d.host = nil
		d.hear(peer, udp(tt.src, outside, 1, 2, "x"), true)
		d.pass(100 * time.Millisecond)
		if len(d.host) != tt.want {
			t.Errorf("from %v %d datagrams leave", tt.src, len(d.host))
		}
	}

	// And back: who knew the first prefix hears news of it.
	version = d.border.Version()
	d.Renumber(prefix)
	if v := d.border.Version(); v <= version || d.Addresses()[1] != global(own) {
		t.Errorf("version %d after %d, addresses %v", v, version, d.Addresses())
	}
	// Before there is a network, it is just another one.
	d.Stop()
	d.Renumber(second)
	d.Start()
	d.pass(time.Second)
	if a := d.Addresses(); len(a) != 2 || a[1] != inPrefix(second, own) {
		t.Errorf("addresses %v", a)
	}
}

// What was answered to a beacon request, as Wireshark's ZigBee IP beacons.
func TestBeaconPayload(t *testing.T) {
	id, _ := ParseNetworkID("lab")
	p := beaconPayload{allowJoin: true, hostCapacity: true, network: id}
	b := p.append(nil)
	want := append([]byte{2, 5}, "lab\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	if !bytes.Equal(b, want) {
		t.Errorf("%x, want %x", b, want)
	}
	if got, ok := decodeBeaconPayload(append(b, 1, 2)); !ok || got != p {
		t.Errorf("%+v %v", got, ok)
	}
	for _, b := range [][]byte{nil, b[:17], append([]byte{3}, b[1:]...)} {
		if _, ok := decodeBeaconPayload(b); ok {
			t.Errorf("%x is a beacon", b)
		}
	}
}

// Whatever is heard, with the key or without, a node of any role does not
// panic, keeps its bounds, and forwards nothing that came without a key.
func FuzzHeard(f *testing.F) {
	add := func(p []byte) {
		f.Add(uint8(0), true, p)
		f.Add(uint8(1), false, p)
		f.Add(uint8(2), true, p)
	}
	add(udp(linkLocal(peer), linkLocal(own), 61617, 716, string([]byte{0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})))
	add(udp(global(peer), global(other), 1, 2, "x"))
	add(icmp(linkLocal(peer), allRouters, 133, make([]byte, 4)...))
	add(icmp(linkLocal(peer), allRPL, 155, make([]byte, 24)...))
	add(icmp(global(peer), global(own), 128, 0, 1, 0, 1))
	add(udp(linkLocal(peer), allDHCP, 546, 547, "\x01abc"))
	add(append(ipv6.Header{Src: global(peer), Dst: global(own), NextHeader: 41, HopLimit: 9, PayloadLen: 40}.Append(nil), make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, role uint8, secured bool, in []byte) {
		d := newDesk(t, Role(role%3), nil)
		if d.cfg.Role != Coordinator {
			d.join()
		}
		if h, _, err := ipv6.DecodeHeader(in); err == nil && len(in) == ipv6.HeaderLen+int(h.PayloadLen) && len(in) <= 1500 {
			d.hear(peer, in, secured)
		}
		// And as the payload of a frame.
		fr := ieee802154.Frame{Type: ieee802154.FrameData, Version: ieee802154.Version2006, DstPAN: 0xabcd, SrcPAN: 0xabcd,
			Dst: ieee802154.ExtendedAddr(own), Src: ieee802154.ExtendedAddr(peer), Payload: in[:min(len(in), 80)]}
		fr.CompressPAN()
		if secured {
			fr.Secured = true
			fr.Security = ieee802154.Security{Level: ieee802154.LevelEncMIC32, KeyIDMode: ieee802154.KeyIDIndex, KeyIndex: d.network.Key.Index, Counter: 1 << 30}
			d.Radio().Received(d.clock.Now(), radio.RxFrame{PSDU: fr.Seal(ieee802154.NewCCM(d.network.Key.mac()), peer, nil), Channel: 15})
		} else {
			d.Radio().Received(d.clock.Now(), radio.RxFrame{PSDU: fr.Append(nil), Channel: 15})
		}
		if !secured && (d.Counters.Forwarded > 0 || len(d.host) > 0) {
			t.Errorf("without a key: %+v, %d to the host", d.Counters, len(d.host))
		}
		d.pass(3 * time.Second)
		if len(d.adapt.queue) > maxQueued || len(d.joiners.heard) > maxJoiners {
			t.Error("out of bounds")
		}
	})
}
