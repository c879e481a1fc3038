package backbone

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

var meshLocal = netip.MustParsePrefix("fd00::/64")

// bench is a network of nodes that all hear each other at once, with network
// data that they make together.
type bench struct {
	t      *testing.T
	clock  alarm.Clock
	rand   *rand.Rand
	leader uint16
	nodes  []*node
}

// node is a node with both machines.
type node struct {
	*bench
	*Router
	client   *Client
	local    netdata.Local
	stack    *ip.Stack
	rloc16   uint16
	detached bool
	becoming bool
	session  uint16
	minimal  bool
	groups   []netip.Addr
	states   []State
	heard    []string
	deaf     bool

	registrar *Registrar
	holders   []Holder
	known     int      // times that its own address was registered
	refused   []string // "address status"
	mesh      netip.Prefix
	shore     *shore   // the backbone link, if there is one
	proxied   []string // "+address" and "-address"
	notified  []string // of addresses beyond the backbone: "address last for"
	errors    []string // "address to"
}

func newBench(t *testing.T, seed uint64) *bench {
	b := &bench{t: t, rand: rand.New(rand.NewPCG(seed, 0))}
	b.clock.Set(time.Unix(1e9, 0))
	return b
}

func locator(rloc16 uint16) netip.Addr {
	a := meshLocal.Addr().As16()
	copy(a[8:], []byte{0, 0, 0, 0xff, 0xfe, 0, byte(rloc16 >> 8), byte(rloc16)})
	return netip.AddrFrom16(a)
}

// Send implements ip.Mesh: a datagram is there at once, at whom it is for.
func (n *node) Send(packet []byte, _ link.Options) error {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return err
	}
	for _, x := range n.nodes {
		if locator(x.rloc16) == h.Dst && !x.deaf && !n.deaf {
			n.clock.After(time.Millisecond, func() { x.stack.Receive(packet, link.Info{Secured: true, KeyIDMode: 1}) })
		}
	}
	return nil
}

// data is what all serve that are part of the network.
func (b *bench) data() *netdata.Data {
	l := netdata.RestoreLeader(b.clock.Now(), netdata.Data{}, 0, 0, func(uint8) bool { return true })
	for _, n := range b.nodes {
		if n.detached {
			continue
		}
		if _, err := l.Register(b.clock.Now(), n.rloc16, n.local.Data(n.rloc16)); err != nil {
			b.t.Fatal(err)
		}
	}
	return l.Data()
}

// add adds a node; the first one leads.
func (b *bench) add(rloc16 uint16) *node {
	n := &node{bench: b, rloc16: rloc16, mesh: meshLocal}
	if len(b.nodes) == 0 {
		b.leader = rloc16
	}
	b.nodes = append(b.nodes, n)
	n.stack = ip.New(ip.Config{Clock: &b.clock, Rand: b.rand, Mesh: n, Router: func() bool { return true },
		RLOC16: func() uint16 { return n.rloc16 }, Reaches: func(_, _ netip.Addr) bool { return false }})
	n.stack.SetMeshLocal(meshLocal)
	n.stack.Add(ip.Address{Addr: locator(rloc16), Bits: 64, Preferred: true, Locator: true})
	agent := tmf.New(tmf.Config{Clock: &b.clock, Rand: b.rand, IP: n.stack, MeshLocal: meshLocal.Contains})
	n.Router = NewRouter(RouterConfig{Clock: &b.clock, Rand: b.rand, TMF: agent, Local: &n.local, Data: b.data,
		Register: b.changed, Attached: func() bool { return !n.detached }, RLOC16: func() uint16 { return n.rloc16 },
		LeaderRLOC16: func() uint16 { return b.leader }, Becoming: func() bool { return n.becoming },
		Session: func() (uint16, bool) { return n.session, n.session != 0 },
		Changed: func(s State) { n.states = append(n.states, s) },
		Listening: func(g netip.Addr, on bool) {
			n.heard = append(n.heard, sign(on)+g.String())
		},
		Proxying:    func(a netip.Addr, on bool) { n.proxied = append(n.proxied, sign(on)+a.String()) },
		MeshLocal:   func() netip.Prefix { return n.mesh },
		NetworkName: func() string { return "bench" }, Locator: locator,
		SourceRLOC16: func(a netip.Addr) (uint16, bool) {
			x := a.As16()
			r := uint16(x[14])<<8 | uint16(x[15])
			return r, locator(r) == a
		},
		ToBackbone: func(to netip.Addr, datagram []byte) {
			if n.shore != nil {
				n.shore.carry(n, to, datagram)
			}
		},
		AddressNotify: func(a netip.Addr, id [8]byte, last time.Duration, for16 uint16) {
			n.notified = append(n.notified, fmt.Sprintf("%v %x %v %04x", a, id, last, for16))
		},
		AddressError: func(a netip.Addr, id [8]byte, to netip.Addr) {
			n.errors = append(n.errors, fmt.Sprintf("%v %x %v", a, id, to))
		}})
	n.registrar = NewRegistrar(RegistrarConfig{Clock: &b.clock, Rand: b.rand, TMF: agent, Registers: func() bool { return !n.minimal },
		Becoming: func() bool { return n.becoming }, Holders: func() []Holder { return n.holders }, Primary: n.Router.Primary,
		Server: func(x netdata.BackboneRouter) netip.Addr { return locator(x.RLOC16) },
		RLOC:   func() netip.Addr { return locator(n.rloc16) }, Registered: func() { n.known++ },
		Refused: func(h Holder, s DUAStatus) { n.refused = append(n.refused, fmt.Sprintf("%v %v", h.DUA, s)) }})
	n.client = NewClient(ClientConfig{Clock: &b.clock, Rand: b.rand, TMF: agent, Registers: func() bool { return !n.minimal },
		Groups: func() []netip.Addr { return n.groups }, Primary: n.Router.Primary,
		Server:  func(x netdata.BackboneRouter) netip.Addr { return locator(x.RLOC16) },
		RLOC:    func() netip.Addr { return locator(n.rloc16) },
		Session: func() (uint16, bool) { return n.session, n.session != 0 }})
	return n
}

// changed has all nodes see the network data a little later.
func (b *bench) changed() {
	b.clock.After(100*time.Millisecond, func() {
		for _, n := range b.nodes {
			n.Router.Update()
			n.client.Update()
			n.registrar.Update()
		}
	})
}

func sign(on bool) string { return map[bool]string{true: "+", false: "-"}[on] }

func (b *bench) run(d time.Duration) {
	for end := b.clock.Now().Add(d); b.clock.Now().Before(end); {
		b.clock.Advance(b.clock.Now().Add(50 * time.Millisecond))
	}
}

// ask sends a request as it is and returns the answer.
func (n *node) ask(to *node, r Registration) (a Answer) {
	n.t.Helper()
	n.client.primary, n.client.has = netdata.BackboneRouter{RLOC16: to.rloc16}, true
	done := false
	n.client.request(r.Groups, r.Timeout, func(got Answer, err error) {
		if err != nil {
			n.t.Errorf("%v: %v", r, err)
		}
		a, done = got, true
	})
	n.run(time.Second)
	if !done {
		n.t.Errorf("%v: no answer", r)
	}
	n.client.Update()
	return a
}
