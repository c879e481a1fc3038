package trel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
)

var (
	start   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	network = ExtPANID{1, 2, 3, 4, 5, 6, 7, 8}
	foreign = ExtPANID{9}
	atTwo   = netip.MustParseAddrPort("[fe80::2]:9200")
	other   = netip.MustParseAddrPort("[fe80::3]:666")
)

// bench is a Link of node one, on channel 15 of PAN 0xface, and what it did.
type bench struct {
	*Link
	clock   alarm.Clock
	did     []string
	channel uint8
	dead    bool            // nothing can be sent
	proved  map[string]bool // of a payload: whether it is fresh
}

func newBench() *bench {
	b := &bench{channel: 15, proved: map[string]bool{}}
	b.clock.Set(start)
	b.Link = New(Config{Clock: &b.clock, Handler: b, Send: b.sent,
		Ext: func() ieee802154.ExtAddr { return one }, ExtPANID: func() ExtPANID { return network },
		PANID: func() uint16 { return 0xface }, Channel: func() uint8 { return b.channel }})
	b.SetEnabled(true)
	b.SetUp(true)
	return b
}

func (b *bench) sent(to netip.AddrPort, raw []byte) bool {
	p, err := Decode(raw)
	if err != nil {
		panic(err)
	}
	b.did = append(b.did, fmt.Sprintf("%v %d %q to %v", p.Type, p.Number, p.Payload, to.Addr()))
	return !b.dead
}

func (b *bench) TRELReceived(frame []byte, _ uint8) {
	b.did = append(b.did, fmt.Sprintf("got %q", frame))
	if fresh, ok := b.proved[string(frame)]; ok {
		b.Confirm(two, fresh)
	}
}

func (b *bench) TRELAcked(peer ieee802154.ExtAddr, ok bool) {
	b.did = append(b.did, fmt.Sprintf("acked %v", ok))
}

// expect compares what was done since it was asked last.
func (b *bench) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(b.did, want) {
		t.Errorf("did\n\t%s\nwant\n\t%s", strings.Join(b.did, "\n\t"), strings.Join(want, "\n\t"))
	}
	b.did = nil
}

func (b *bench) pass(d time.Duration) {
	for end := b.clock.Now().Add(d); ; {
		at := b.clock.Deadline()
		if at.IsZero() || at.After(end) {
			b.clock.Advance(end)
			return
		}
		b.clock.Advance(at)
	}
}

func unicast(s string) Frame {
	return Frame{Bytes: []byte(s), Channel: 15, PANID: 0xface, Unicast: true, Dst: two, AckRequest: true}
}

func (b *bench) ack(number uint32) {
	b.Receive(atTwo, Packet{Type: Ack, Channel: 11, PANID: 0xface, Number: number, Src: two, Dst: one}.Append(nil))
}

func TestBroadcast(t *testing.T) {
	b := newBench()
	b.Announced(TXT{two, network}, atTwo)
	b.Announced(TXT{ieee802154.ExtAddr{3}, foreign}, other)
	b.Announced(TXT{one, network}, other) // ourselves
	b.Send(Frame{Bytes: []byte("data"), Channel: 15, PANID: 0xface})
	b.expect(t, `broadcast 0 "data" to fe80::2`)
	b.Send(Frame{Bytes: []byte("ask"), Channel: 15, PANID: 0xffff, Discovery: true})
	b.expect(t, `broadcast 1 "ask" to fe80::3`, `broadcast 1 "ask" to fe80::2`)
	if b.Send(Frame{Bytes: []byte("x"), Unicast: true, Dst: ieee802154.ExtAddr{4}}) {
		t.Error("sent to nobody")
	}
	b.SetUp(false)
	if b.Send(Frame{Bytes: []byte("x")}) {
		t.Error("sent without an interface")
	}
	b.expect(t)
}

func TestAcknowledgements(t *testing.T) {
	b := newBench()
	b.Announced(TXT{two, network}, atTwo)
	for _, s := range []string{"a", "b", "c"} {
		b.Send(unicast(s))
	}
	b.expect(t, `unicast 0 "a" to fe80::2`, `unicast 1 "b" to fe80::2`, `unicast 2 "c" to fe80::2`)
	b.ack(1) // of the second: the first is lost
	b.expect(t, "acked false", "acked true")
	for _, n := range []uint32{0, 1, 3, 1 << 31} {
		b.ack(n)
	}
	b.expect(t)
	if b.Counters.StrayAcks != 4 {
		t.Errorf("%d strays", b.Counters.StrayAcks)
	}
	b.pass(250 * time.Millisecond) // only the last is sent again
	b.expect(t, `unicast 2 "c" to fe80::2`)
	b.ack(2)
	b.ack(2)
	b.expect(t, "acked true")
	b.pass(time.Hour)
	b.expect(t)

	b.Send(unicast("d"))
	b.pass(2 * time.Second)
	b.expect(t, `unicast 3 "d" to fe80::2`, `unicast 3 "d" to fe80::2`, `unicast 3 "d" to fe80::2`, "acked false")
	if c := b.Counters; c.Acked != 2 || c.Lost != 2 || c.Retries != 3 {
		t.Errorf("%+v", c)
	}
}

// A number that goes around, and more than may wait.
func TestManyUnacknowledged(t *testing.T) {
	b := newBench()
	b.Announced(TXT{two, network}, atTwo)
	b.peers[two].number = ^uint32(0) - 2
	for range 5 {
		b.Send(unicast("x"))
	}
	b.did = nil
	b.ack(1)
	b.expect(t, "acked false", "acked false", "acked false", "acked false", "acked true")
	for range 1000 {
		b.Send(unicast("x"))
	}
	if n := len(b.peers[two].at); n > maxPending {
		t.Errorf("%d wait", n)
	}
}

func TestReceive(t *testing.T) {
	b := newBench()
	b.Announced(TXT{two, network}, atTwo)
	good := Packet{Type: Unicast, AckRequest: true, Channel: 15, PANID: 0xface, Number: 9, Src: two, Dst: one, Payload: []byte("hi")}
	b.Receive(atTwo, good.Append(nil))
	b.expect(t, `ack 9 "" to fe80::2`, `got "hi"`)
	for name, change := range map[string]func(p *Packet){
		"another channel":     func(p *Packet) { p.Channel = 16 },
		"another PAN":         func(p *Packet) { p.PANID = 0xbeef },
		"from ourselves":      func(p *Packet) { p.Src = one },
		"for another":         func(p *Packet) { p.Dst = two },
		"without a frame":     func(p *Packet) { p.Payload = nil },
		"with a giant":        func(p *Packet) { p.Payload = make([]byte, MaxFrame+1) },
		"an ack of nothing":   func(p *Packet) { p.Type = Ack },
		"an ack from nowhere": func(p *Packet) { p.Type, p.Src = Ack, ieee802154.ExtAddr{4} },
	} {
		p := good
		change(&p)
		b.Receive(atTwo, p.Append(nil))
		if len(b.did) > 0 {
			t.Errorf("%s: %q", name, b.did)
			b.did = nil
		}
	}
	b.channel = 0 // asleep
	p := good
	p.Channel = 0
	b.Receive(atTwo, p.Append(nil))
	b.Receive(atTwo, []byte("nonsense"))
	b.expect(t)
	if c := b.Counters; c.Foreign != 5 || c.Malformed != 3 || c.StrayAcks != 2 {
		t.Errorf("%+v", c)
	}
}

// A peer is where it was last heard by what is authentic and fresh, whatever
// DNS-SD says, until it is silent.
func TestPeerMoves(t *testing.T) {
	b := newBench()
	at := func() string {
		for _, p := range b.Peers() {
			if p.Ext == two {
				return p.Addr.Addr().String()
			}
		}
		return ""
	}
	step := func(what, want string) {
		t.Helper()
		if got := at(); got != want {
			t.Errorf("%s: the peer is at %q, want %q", what, got, want)
		}
	}
	hear := func(from netip.AddrPort, s string) {
		b.Receive(from, Packet{Channel: 15, PANID: 0xface, Src: two, Payload: []byte(s)}.Append(nil))
	}
	b.proved["fresh"], b.proved["replay"] = true, false

	hear(other, "forged")
	step("a forged frame", "")
	hear(atTwo, "replay")
	step("an authentic one", "fe80::2")
	hear(other, "replay")
	step("its replay", "fe80::2")
	b.Announced(TXT{two, network}, other)
	step("announced before it was heard", "fe80::3")
	hear(atTwo, "fresh")
	step("a fresh one", "fe80::2")
	b.Announced(TXT{two, network}, other)
	step("announced elsewhere", "fe80::2")
	b.Announced(TXT{ieee802154.ExtAddr{5}, network}, atTwo)
	step("another one announced in its place", "fe80::2")
	b.Withdrawn(two)
	b.pass(4 * time.Minute)
	step("withdrawn", "fe80::2")
	b.pass(2 * time.Minute)
	step("withdrawn and silent", "")

	b.Announced(TXT{two, network}, atTwo)
	hear(atTwo, "fresh")
	b.Announced(TXT{two, network}, other)
	b.Send(unicast("x"))
	b.pass(time.Second)
	step("it does not acknowledge", "fe80::3")
	b.pass(time.Hour)
	step("announced and silent", "fe80::3")
	b.Announced(TXT{ieee802154.ExtAddr{6}, network}, other)
	step("it has another address", "")
	b.SetEnabled(false)
	if len(b.Peers()) != 0 {
		t.Error("a link that is off has peers")
	}
}

// A flood of peers does not push out those that were heard.
func TestManyPeers(t *testing.T) {
	b := newBench()
	b.proved["fresh"] = true
	b.Receive(atTwo, Packet{Channel: 15, PANID: 0xface, Src: two, Payload: []byte("fresh")}.Append(nil))
	for i := range uint32(10000) {
		x := TXT{ExtPANID: network}
		binary.BigEndian.PutUint32(x.Ext[:], i+100)
		if i%2 == 0 {
			x.ExtPANID = foreign
		}
		b.Announced(x, netip.AddrPortFrom(other.Addr(), uint16(i)))
	}
	all := b.Peers()
	if len(all) != MaxPeers || !slices.ContainsFunc(all, func(p Peer) bool { return p.Ext == two }) {
		t.Errorf("%d peers", len(all))
	}
	for _, x := range b.peers {
		x.heard = b.clock.Now()
	}
	b.Announced(TXT{ieee802154.ExtAddr{7}, network}, other)
	if b.Counters.PeersRefused != 1 || len(b.peers) != MaxPeers {
		t.Errorf("%d refused, %d peers", b.Counters.PeersRefused, len(b.peers))
	}
}

func TestFilter(t *testing.T) {
	b := newBench()
	b.Announced(TXT{two, network}, atTwo)
	b.Filter = true
	if !b.Send(unicast("x")) {
		t.Error("the filter is noticed")
	}
	b.Receive(atTwo, Packet{Channel: 15, PANID: 0xface, Src: two, Payload: []byte("x")}.Append(nil))
	b.pass(time.Second)
	b.expect(t, "acked false")
}

// Whatever comes, in whatever order, the table stays bounded and nothing waits
// for ever.
func FuzzLink(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, []byte("\x05\x0f\xfa\xce\x00\x00\x00\x00........WWWWWWWWhello"))
	f.Fuzz(func(t *testing.T, steps, packet []byte) {
		b := newBench()
		b.proved[""] = true
		for i, s := range steps {
			ext := ieee802154.ExtAddr{s}
			switch s % 8 {
			case 0:
				b.Announced(TXT{ext, network}, atTwo)
			case 1:
				b.Withdrawn(ext)
			case 2:
				b.Send(Frame{Bytes: packet, Unicast: true, Dst: ext, AckRequest: true})
			case 3:
				b.Send(Frame{Bytes: packet})
			case 4:
				b.Receive(other, slices.Clone(packet))
			case 5:
				b.ack(uint32(i))
			case 6:
				b.pass(time.Duration(s) * 10 * time.Millisecond)
			case 7:
				b.SetUp(s&8 == 0)
			}
		}
		if len(b.peers) > MaxPeers {
			t.Fatalf("%d peers", len(b.peers))
		}
		b.pass(2 * ackWindow)
		for _, x := range b.peers {
			if len(x.at) > 0 {
				t.Fatalf("%d wait", len(x.at))
			}
		}
	})
}
