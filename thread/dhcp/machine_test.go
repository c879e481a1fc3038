package dhcp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/netdata"
)

// device is a client and an agent on one stack whose datagrams end in a list.
type device struct {
	*Client
	*Agent
	clock alarm.Clock
	stack *ip.Stack
	data  netdata.Data
	sent  []sent
	away  bool
}

type sent struct {
	to netip.AddrPort
	m  Message
}

const prefix = "fd11:22::/64"

var meshLocal = netip.MustParsePrefix("fd00::/64")

func locator(rloc16 uint16) netip.Addr {
	b := meshLocal.Addr().As16()
	copy(b[8:], []byte{0, 0, 0, 0xff, 0xfe, 0, byte(rloc16 >> 8), byte(rloc16)})
	return netip.AddrFrom16(b)
}

func (d *device) Send(p []byte, _ link.Options) error {
	h, rest, err := ipv6.DecodeHeader(p)
	if err != nil {
		return err
	}
	u, b, err := ipv6.DecodeUDP(rest)
	if err != nil {
		return err
	}
	m, err := Decode(bytes.Clone(b))
	d.sent = append(d.sent, sent{netip.AddrPortFrom(h.Dst, u.DstPort), m})
	return err
}

func newDevice() *device {
	d := &device{}
	d.clock.Set(time.Unix(1e9, 0))
	rnd := rand.New(rand.NewPCG(1, 2))
	d.stack = ip.New(ip.Config{Clock: &d.clock, Rand: rnd, Mesh: d, Router: func() bool { return false },
		RLOC16: func() uint16 { return 0x0c00 }, Reaches: func(_, _ netip.Addr) bool { return true }})
	d.stack.SetMeshLocal(meshLocal)
	d.stack.Add(ip.Address{Addr: locator(0x0c00), Bits: 64, Preferred: true, Locator: true})
	data, attached := func() *netdata.Data { return &d.data }, func() bool { return !d.away }
	eui64 := func() ieee802154.ExtAddr { return ieee802154.ExtAddr{0x18, 0xb4, 0x30, 7: 0x0c} }
	d.Client = NewClient(ClientConfig{Clock: &d.clock, Rand: rnd, IP: d.stack, Data: data, Attached: attached,
		RLOC: func() netip.Addr { return locator(0x0c00) }, Locator: locator, EUI64: eui64})
	d.Agent = NewAgent(AgentConfig{IP: d.stack, Data: data, Attached: attached,
		RLOC16: func() uint16 { return 0x0c00 }, EUI64: eui64})
	return d
}

// serve is a prefix in the network data, by a node.
func (d *device) serve(p string, flags netdata.PrefixFlags, rloc16 uint16, context *netdata.Context) {
	d.data.Prefixes = append(d.data.Prefixes, netdata.Prefix{Prefix: netip.MustParsePrefix(p), Context: context,
		BorderRouters: []netdata.BorderRouter{{RLOC16: rloc16, Flags: flags}}})
}

func (d *device) run(t time.Duration) {
	for range t / (100 * time.Millisecond) {
		d.clock.Advance(d.clock.Now().Add(100 * time.Millisecond))
	}
}

// receive gives the stack a datagram from a node's locator.
func (d *device) receive(from uint16, src, dst uint16, m Message) {
	d.stack.Receive(ipv6.AppendUDPPacket(nil, ipv6.Header{Src: locator(from), Dst: locator(0x0c00), HopLimit: 64}, src, dst, m.Append(nil)),
		link.Info{Secured: true, KeyIDMode: 1})
}

// answer is what an agent says to the last Solicit.
func (d *device) answer(change func(m *Message)) {
	last := d.sent[len(d.sent)-1].m
	m := Message{Type: Reply, Transaction: last.Transaction, ServerID: DUID(ieee802154.ExtAddr{1}), ClientID: last.ClientID, RapidCommit: true,
		IA: &IA{T1: Forever, T2: Forever, Addresses: []IAAddress{{netip.MustParseAddr("fd11:22::9"), Forever, Forever}}}}
	if change != nil {
		change(&m)
	}
	d.receive(0x0800, ServerPort, ClientPort, m)
}

func TestClient(t *testing.T) {
	d := newDevice()
	own := netip.MustParseAddr("fd11:22::9")
	d.serve("fd33::/64", netdata.FlagSLAAC, 0x0800, nil)
	d.serve(prefix, netdata.FlagDHCP|netdata.FlagPreferred, 0x0800, &netdata.Context{ID: 2})
	d.Client.Update()
	d.run(time.Minute)
	if n := len(d.sent); n < 5 || n > 8 {
		t.Errorf("asked %d times in a minute", n)
	}
	first, last := d.sent[0], d.sent[len(d.sent)-1]
	if first.to != netip.AddrPortFrom(locator(0xfc02), ServerPort) || *first.m.Elapsed != 0 || *last.m.Elapsed < 20*time.Second ||
		first.m.Transaction != last.m.Transaction || !first.m.RapidCommit || first.m.IA.Addresses[0].Addr != netip.MustParseAddr("fd11:22::") {
		t.Errorf("first %+v, last %+v", first, last)
	}
	for name, change := range map[string]func(*Message){
		"another transaction": func(m *Message) { m.Transaction[0]++ },
		"another client":      func(m *Message) { m.ClientID = DUID(ieee802154.ExtAddr{5}) },
		"no server":           func(m *Message) { m.ServerID = nil },
		"no rapid commit":     func(m *Message) { m.RapidCommit = false },
		"no association":      func(m *Message) { m.IA = nil },
		"no address":          func(m *Message) { m.IA.Addresses = nil },
		"an error":            func(m *Message) { m.Status = 1 },
		"an inner error":      func(m *Message) { m.IA.Status = 2 },
		"another prefix":      func(m *Message) { m.IA.Addresses[0].Addr = netip.MustParseAddr("fd33::9") },
		"no lifetime":         func(m *Message) { m.IA.Addresses[0].Valid = 0 },
		"a Solicit":           func(m *Message) { m.Type = Solicit },
	} {
		if d.answer(change); len(d.stack.Addresses()) != 1 {
			t.Errorf("%s: took %v", name, d.stack.Addresses())
		}
	}
	d.answer(nil)
	if !d.stack.Has(own) {
		t.Fatalf("%v", d.stack.Addresses())
	}
	n := len(d.sent)
	if d.run(time.Hour); len(d.sent) != n {
		t.Error("asked again for what lasts")
	}
	d.data.Prefixes = nil
	d.Client.Update()
	if d.stack.Has(own) || d.stack.UDPInUse(ClientPort) {
		t.Error("the address outlives its prefix")
	}
}

// An address with a lifetime is asked for again in time, and is gone if nobody
// answers; a prefix without a context is asked for at its border router.
func TestClientLifetime(t *testing.T) {
	d := newDevice()
	own := netip.MustParseAddr("fd11:22::9")
	d.serve(prefix, netdata.FlagDHCP, 0x0800, nil)
	d.Client.Update()
	d.run(2 * time.Second)
	if to := d.sent[0].to.Addr(); to != locator(0x0800) {
		t.Errorf("asked %v", to)
	}
	short := func(m *Message) {
		m.IA.Addresses[0].Preferred, m.IA.Addresses[0].Valid = 100*time.Second, 200*time.Second
	}
	d.answer(short)
	n := len(d.sent)
	if d.run(49 * time.Second); len(d.sent) != n {
		t.Error("asked too soon")
	}
	if d.run(2 * time.Second); len(d.sent) != n+1 || d.sent[n].m.Transaction == d.sent[0].m.Transaction {
		t.Errorf("%d Solicits", len(d.sent)-n)
	}
	d.answer(short)
	if d.run(199 * time.Second); !d.stack.Has(own) {
		t.Error("lost too soon")
	}
	if d.run(2 * time.Second); d.stack.Has(own) {
		t.Error("kept for too long")
	}
	d.away = true
	d.Client.Update()
	n = len(d.sent)
	if d.run(10 * time.Minute); len(d.sent) != n {
		t.Error("asks while detached")
	}
}

func TestAgent(t *testing.T) {
	d := newDevice()
	solicit := func() Message {
		m, err := Decode(unhex(t, comments(theirSolicit)))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	d.serve("fd33::/64", netdata.FlagSLAAC, 0x0c00, nil)
	d.serve("fd44::/64", netdata.FlagDHCP, 0x0800, nil)
	d.Agent.Update()
	if d.receive(0x0800, ClientPort, ServerPort, solicit()); len(d.sent) != 0 {
		t.Errorf("answered for prefixes of others: %v", d.sent)
	}
	d.serve(prefix, netdata.FlagDHCP, 0x0c00, nil)
	d.serve("fd55::/64", netdata.FlagConfigure, 0x0c00, nil)
	d.Agent.Update()
	for name, change := range map[string]func(*Message){
		"no rapid commit":      func(m *Message) { m.RapidCommit = false },
		"for another server":   func(m *Message) { m.ServerID = DUID(ieee802154.ExtAddr{1}) },
		"no association":       func(m *Message) { m.IA = nil },
		"another kind of DUID": func(m *Message) { m.ClientID = []byte{0, 4, 1, 2} },
		"a Reply":              func(m *Message) { m.Type = Reply },
	} {
		m := solicit()
		change(&m)
		if d.receive(0x0800, ClientPort, ServerPort, m); len(d.sent) != 0 {
			t.Errorf("%s: answered", name)
			d.sent = nil
		}
	}
	d.receive(0x0800, ClientPort, ServerPort, solicit())
	m := solicit()
	m.IA.Addresses = nil
	d.receive(0x0800, ClientPort, ServerPort, m)
	if len(d.sent) != 2 {
		t.Fatalf("%v", d.sent)
	}
	// As OpenThread's agent answered, but for transaction and EUI-64.
	want, err := Decode(unhex(t, comments(theirReply)))
	if err != nil {
		t.Fatal(err)
	}
	want.Transaction, want.ServerID, want.ClientID = m.Transaction, DUID(ieee802154.ExtAddr{0x18, 0xb4, 0x30, 7: 0x0c}), m.ClientID
	want.IA.Addresses[0].Addr = netip.MustParseAddr("fd11:22::1ab4:3000:0:e")
	if got := d.sent[0]; got.to != netip.AddrPortFrom(locator(0x0800), ClientPort) || !bytes.Equal(got.m.Append(nil), want.Append(nil)) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if as := d.sent[1].m.IA.Addresses; len(as) != 2 || as[1].Addr != netip.MustParseAddr("fd55::1ab4:3000:0:e") {
		t.Errorf("asked for none: %v", as)
	}
	d.data.Prefixes = nil
	if d.Agent.Update(); d.stack.UDPInUse(ServerPort) {
		t.Error("still there for nothing")
	}
}
