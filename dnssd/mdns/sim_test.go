package mdns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/dnssd"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// network is links of machines on virtual time. What a machine multicasts comes to
// all on the link, itself too, a millisecond later.
type network struct {
	t     *testing.T
	clock alarm.Clock
	rand  *rand.Rand
	loss  float64 // of deliveries to others
	nodes []*node
	sent  []packet
	quiet bool // do not keep what is sent
	count int  // of what was sent
}

// node is a machine whose interface n is on link n.
type node struct {
	*Machine
	net   *network
	name  string
	links []int
	down  bool
}

type packet struct {
	at    time.Duration
	from  string
	iface int
	to    netip.AddrPort
	b     []byte
}

func newNetwork(t *testing.T) *network {
	n := &network{t: t, rand: rand.New(rand.NewPCG(1, 2))}
	n.clock.Set(start)
	return n
}

// add adds a machine, number i of the network, on links; IPv6 only.
func (n *network) add(name string, cfg Config, links ...int) *node {
	nd := &node{net: n, name: name, links: links}
	i := len(n.nodes) + 1
	cfg.Clock = &n.clock
	cfg.Rand = rand.New(rand.NewPCG(uint64(i), 7))
	cfg.Send = func(iface int, to netip.AddrPort, b []byte) { n.send(nd, iface, to, b) }
	nd.Machine = New(cfg)
	n.nodes = append(n.nodes, nd)
	nd.up()
	return nd
}

// up gives the node its interfaces.
func (nd *node) up() {
	i := slices.Index(nd.net.nodes, nd) + 1
	var ifs []Interface
	for _, l := range nd.links {
		ifs = append(ifs, Interface{Index: l, Name: fmt.Sprint("eth", l), Addrs: []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("fe80::%d:%d/64", l, i)),
			netip.MustParsePrefix(fmt.Sprintf("192.0.%d.%d/24", l, i)),
		}, V6: true})
	}
	nd.SetInterfaces(ifs)
}

func (nd *node) addr(link int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("fe80::%d:%d", link, slices.Index(nd.net.nodes, nd)+1))
}

func (n *network) send(from *node, iface int, to netip.AddrPort, b []byte) {
	b = slices.Clone(b)
	n.count++
	if !n.quiet {
		n.sent = append(n.sent, packet{n.clock.Now().Sub(start), from.name, iface, to, b})
	}
	if _, err := DecodeMessage(b); err != nil {
		n.t.Errorf("%s sent %x: %v", from.name, b, err)
	}
	src := netip.AddrPortFrom(from.addr(iface), Port)
	for _, nd := range n.nodes {
		if !slices.Contains(nd.links, iface) || !to.Addr().IsMulticast() && to.Addr() != nd.addr(iface) {
			continue
		}
		if nd != from && n.rand.Float64() < n.loss {
			continue
		}
		n.clock.After(time.Millisecond, func() {
			if !nd.down {
				nd.Receive(iface, src, to.Addr(), slices.Clone(b))
			}
		})
	}
}

// run lets time pass.
func (n *network) run(d time.Duration) {
	end := n.clock.Now().Add(d)
	for {
		at := n.clock.Deadline()
		if at.IsZero() || at.After(end) {
			break
		}
		n.clock.Advance(at)
	}
	n.clock.Advance(end)
}

// inject has a node hear a packet of somebody who is not there.
func (n *network) inject(to *node, iface int, from string, group bool, m Message) {
	dst := to.addr(iface)
	if group {
		dst = Group6
	}
	to.Receive(iface, netip.MustParseAddrPort(from), dst, m.Append(nil))
}

// take returns what was sent since the last take.
func (n *network) take() []packet {
	s := n.sent
	n.sent = nil
	return s
}

func (p packet) String() string {
	m, err := DecodeMessage(p.b)
	if err != nil {
		return err.Error()
	}
	var s []string
	for _, q := range m.Questions {
		u := ""
		if q.Unicast {
			u = " QU"
		}
		s = append(s, fmt.Sprintf("? %v %s%s", q.Name, typeName(q.Type), u))
	}
	for _, r := range m.Answers {
		s = append(s, show(r))
	}
	for _, r := range m.Authorities {
		s = append(s, "auth "+show(r))
	}
	for _, r := range m.Additionals {
		s = append(s, "add "+show(r))
	}
	if m.Truncated {
		s = append(s, "TC")
	}
	to := ""
	if !p.to.Addr().IsMulticast() {
		to = " to " + p.to.String()
	}
	return fmt.Sprintf("%s%s: %s", p.from, to, strings.Join(s, "; "))
}

func show(r Record) string {
	if r.Flush {
		return "!" + r.String()
	}
	return r.String()
}

func lines(ps []packet) string {
	var s []string
	for _, p := range ps {
		s = append(s, p.String())
	}
	return strings.Join(s, "\n")
}

// expect compares what was sent since the last time with lines.
func (n *network) expect(want ...string) {
	n.t.Helper()
	if got := lines(n.take()); got != strings.Join(want, "\n") {
		n.t.Errorf("sent:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func addrs(s ...string) (as []netip.Addr) {
	for _, a := range s {
		as = append(as, netip.MustParseAddr(a))
	}
	return as
}

func lamp(i int) dnssd.Host {
	return dnssd.Host{
		Name:  fmt.Sprintf("sensor-%d", i),
		Addrs: addrs(fmt.Sprintf("fd00::%x", i)),
		Services: []dnssd.Service{{
			Instance: fmt.Sprintf("Lamp %d", i), Type: "_hap._udp", Subtypes: []string{"_color"}, Port: 5000, TXT: []byte("\x03a=1\x01b"),
		}},
	}
}

func (nd *node) publish(owner string, h dnssd.Host, opt Options) *Registration {
	nd.net.t.Helper()
	r, err := nd.Publish(owner, h, opt)
	if err != nil {
		nd.net.t.Fatal(err)
	}
	return r
}

func name(s string) Name {
	n, err := ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}
