package ndp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A lab is a few nodes on virtual time that hear each other as wired.
type lab struct {
	t       *testing.T
	clock   *alarm.Clock
	rand    *rand.Rand
	nodes   []*labNode
	packets [][]byte // all that were sent
	log     []string // in words, since the last script
	drop    func(from, to *labNode, m Message) bool
}

// A labNode is a machine under test, or the script itself.
type labNode struct {
	name    string
	link    LinkAddr
	hears   []string // whose transmissions; nil: everybody's
	down    bool
	receive func(In) error
	own     func(netip.Addr) bool
	got     []In // of a node without receive
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, clock: new(alarm.Clock), rand: rand.New(rand.NewPCG(1, 2))}
	l.clock.Set(start)
	return l
}

func eui(n byte) LinkAddr { return EUI64([8]byte{0: 2, 7: n}) }

// add wires up a node; receive nil makes it one the script plays.
func (l *lab) add(n *labNode) *labNode {
	l.nodes = append(l.nodes, n)
	return n
}

func (l *lab) node(name string) *labNode {
	return l.nodes[slices.IndexFunc(l.nodes, func(n *labNode) bool { return n.name == name })]
}

// send returns a node's Send: the packet is encoded, travels for a
// millisecond, and is decoded.
func (l *lab) send(name string) func(Out) {
	return func(o Out) {
		from := l.node(name)
		packet := o.AppendPacket(nil)
		l.packets = append(l.packets, packet)
		m, err := Decode(o.Type, o.Code, o.Body)
		if err != nil {
			l.t.Errorf("%s sent what cannot be decoded: %v", name, err)
			return
		}
		l.note(name, o, m)
		if from.down {
			return
		}
		l.clock.After(time.Millisecond, func() { l.deliver(from, o, m, packet) })
	}
}

func (l *lab) deliver(from *labNode, o Out, m Message, packet []byte) {
	h, payload, err := ipv6.DecodeHeader(packet)
	if err != nil || !ipv6.VerifyChecksum(h.Src, h.Dst, h.NextHeader, payload) {
		l.t.Errorf("%s sent %x: %v", from.name, packet, err)
		return
	}
	icmp, _ := ipv6.DecodeICMP(payload)
	in := In{Src: h.Src, Dst: h.Dst, HopLimit: h.HopLimit, Type: icmp.Type, Code: icmp.Code, Body: icmp.Body, Link: from.link}
	for _, n := range l.nodes {
		local := in.Dst.IsMulticast() || o.Link.IsValid()
		switch {
		case n == from, n.down:
			continue
		case local && n.hears != nil && !slices.Contains(n.hears, from.name):
			continue
		case o.Link.IsValid() && o.Link != n.link:
			continue
		case !local: // routed, some way or other
			if !n.own(in.Dst) {
				continue
			}
			in.HopLimit, in.Link = in.HopLimit-1, LinkAddr{}
		}
		if l.drop != nil && l.drop(from, n, m) {
			continue
		}
		if n.receive == nil {
			n.got = append(n.got, in)
		} else {
			n.receive(in)
		}
	}
}

// note writes a line of the log.
func (l *lab) note(name string, o Out, m Message) {
	var s strings.Builder
	fmt.Fprintf(&s, "%v %s", l.clock.Now().Sub(start).Round(100*time.Millisecond), name)
	switch m := m.(type) {
	case RouterSolicit:
		fmt.Fprintf(&s, " RS to %v", o.Dst)
	case RouterAdvert:
		abro, _ := Find[BorderRouter](m.Options)
		fmt.Fprintf(&s, " RA to %v v%d", o.Dst, abro.Version)
	case NeighborSolicit:
		fmt.Fprintf(&s, " NS %v", m.Target)
		noteARO(&s, m.Options)
	case NeighborAdvert:
		fmt.Fprintf(&s, " NA to %v %v", o.Dst, m.Target)
		noteARO(&s, m.Options)
	case Duplicate:
		fmt.Fprintf(&s, " %s %v %v %v", []string{"DAR", "DAC"}[o.Type-157], m.Addr, m.Lifetime, m.Status)
		if m.Extended {
			fmt.Fprintf(&s, " tid %d", m.TID)
		}
	}
	l.log = append(l.log, s.String())
}

func noteARO(s *strings.Builder, opts []Option) {
	aro, ok := Find[AddressRegistration](opts)
	if !ok {
		return
	}
	fmt.Fprintf(s, " %v %v", aro.Lifetime, aro.Status)
	if aro.Extended {
		fmt.Fprintf(s, " tid %d", aro.TID)
	}
}

// run lets time pass.
func (l *lab) run(d time.Duration) {
	end := l.clock.Now().Add(d)
	for at := l.clock.Deadline(); !at.IsZero() && !at.After(end); at = l.clock.Deadline() {
		l.clock.Advance(at)
	}
	l.clock.Advance(end)
}

// said returns what was said since the last call, without the times and the
// messages whose line has none of the words.
func (l *lab) said(words ...string) string {
	var lines []string
	for _, s := range l.log {
		if len(words) == 0 || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) }) {
			_, rest, _ := strings.Cut(s, " ")
			lines = append(lines, rest)
		}
	}
	l.log = nil
	return strings.Join(lines, "\n")
}

func (l *lab) expect(words []string, want string) {
	l.t.Helper()
	var lines []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if got := l.said(words...); got != strings.Join(lines, "\n") {
		l.t.Fatalf("said:\n%s\nwant:\n%s", got, strings.Join(lines, "\n"))
	}
}

var labInfo = Info{
	Prefixes: []PrefixInfo{{Prefix: prefix("2001:db8::/64"), Autonomous: true, Valid: Infinity, Preferred: Infinity}},
	Contexts: []ContextOption{{ID: 0, Prefix: prefix("2001:db8::/64"), Compress: true, Lifetime: 6000 * time.Minute}},
}

var borderAddr = addr("2001:db8::1")

func (l *lab) border(cfg BorderConfig) *Border {
	n := l.add(&labNode{name: "border", link: eui(1)})
	cfg.Clock, cfg.Rand, cfg.Send = l.clock, l.rand, l.send("border")
	cfg.LinkAddr, cfg.Addr = eui(1), borderAddr
	if cfg.Info.Prefixes == nil {
		cfg.Info = labInfo
	}
	b := NewBorder(cfg)
	n.receive, n.own = b.Receive, b.own
	return b
}

// host adds a host with address number n.
func (l *lab) host(name string, n byte, cfg HostConfig) *Host {
	node := l.add(&labNode{name: name, link: eui(n)})
	cfg.Clock, cfg.Rand, cfg.Send = l.clock, l.rand, l.send(name)
	cfg.LinkAddr = eui(n)
	h := NewHost(cfg)
	node.receive, node.own = h.Receive, h.own
	return h
}

// router adds a router with address number n, a host of its own upstream.
func (l *lab) router(name string, n byte, cfg RouterConfig) (*Router, *Host) {
	h := l.host(name, n, HostConfig{})
	cfg.Clock, cfg.Rand, cfg.Send = l.clock, l.rand, l.send(name)
	cfg.LinkAddr, cfg.Host = eui(n), h
	cfg.Addr = func() netip.Addr {
		for _, a := range h.Addresses() {
			if a.State == Registered {
				return a.Addr
			}
		}
		return netip.Addr{}
	}
	r := NewRouter(cfg)
	node := l.node(name)
	node.receive, node.own = r.Receive, r.own
	h.Start()
	return r, h
}

// ask has a scripted node register an address with whoever has the link
// address to.
func (l *lab) ask(name string, to LinkAddr, aro AddressRegistration, a netip.Addr) {
	from := l.node(name)
	src, target := a, to.LinkLocal()
	if aro.Extended {
		src, target = from.link.LinkLocal(), a
	}
	l.send(name)(outgoing(src, to.LinkLocal(), localHopLimit, to, NeighborSolicit{
		Target: target, Options: []Option{SourceLinkAddr{from.link}, aro},
	}))
	l.run(10 * time.Millisecond)
}

// scripted adds a node that the script plays.
func (l *lab) scripted(name string, n byte) *labNode {
	return l.add(&labNode{name: name, link: eui(n), own: func(netip.Addr) bool { return false }})
}
