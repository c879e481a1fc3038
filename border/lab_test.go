package border

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/ndp"
	"gatewayd/thread/netdata"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// A lab is a mesh, some LANs, and who is on them, on virtual time.
type lab struct {
	t      testing.TB
	clock  *alarm.Clock
	rand   *rand.Rand
	leader *netdata.Leader
	mesh   Mesh // of all border routers
	ports  []*port
	brs    []*br
	loss   float64
	log    []string // what was sent, in words
}

// A port is where somebody is plugged in.
type port struct {
	name    string
	lan     string
	ll      netip.Addr
	receive func(ndp.In)
	down    bool
}

// A br is a border router: a Manager with what surrounds it.
type br struct {
	lab      *lab
	name     string
	rloc16   uint16
	store    mapStore
	m        *Manager
	gen      int // of m
	role     Mesh
	local    netdata.Local
	pub      Publication
	hosted   map[string][]HostPrefix
	events   []Event
	ports    map[string]*port
	sendFail bool
}

type mapStore map[string][]byte

func (s mapStore) Load(name string) ([]byte, int, bool) {
	v, ok := s[name]
	return v, 0, ok
}

func (s mapStore) Save(name string, v []byte) error {
	s[name] = slices.Clone(v)
	return nil
}

func (s mapStore) Delete(name string) error {
	delete(s, name)
	return nil
}

func newLab(t testing.TB, seed uint64) *lab {
	l := &lab{t: t, clock: new(alarm.Clock), rand: rand.New(rand.NewPCG(seed, 1))}
	l.clock.Set(start)
	l.leader = netdata.NewLeader(rand.New(rand.NewPCG(seed, 2)))
	l.mesh = Mesh{
		Attached: true, Router: true, ExtPANID: [8]byte{0xde, 0xad, 0x00, 0xbe, 0xef, 0x00, 0xca, 0xfe},
		MeshLocal: prefix("fdaa:bbbb:cccc::/64"),
	}
	return l
}

func mac(n byte) ndp.LinkAddr { return ndp.EUI48([6]byte{2, 0, 0x5e, 0, 0, n}) }

// plug puts somebody on a LAN.
func (l *lab) plug(name, lan string, n byte, receive func(ndp.In)) *port {
	p := &port{name: name, lan: lan, ll: mac(n).LinkLocal(), receive: receive}
	l.ports = append(l.ports, p)
	return p
}

// router adds a border router with interface eth0 on the LAN.
func (l *lab) router(name, lan string, n byte) *br {
	b := &br{
		lab: l, name: name, rloc16: uint16(n) << 10, store: mapStore{}, role: l.mesh,
		hosted: map[string][]HostPrefix{}, ports: map[string]*port{},
	}
	b.role.RLOC16 = b.rloc16
	l.brs = append(l.brs, b)
	b.boot()
	b.plug("eth0", lan, n)
	return b
}

// boot starts the Manager with what the Store has.
func (b *br) boot() {
	b.silence()
	b.gen++
	gen := b.gen
	b.pub, b.local = Publication{}, netdata.Local{}
	b.m = New(Config{
		Clock: b.lab.clock, Rand: rand.New(rand.NewPCG(b.lab.rand.Uint64(), 3)), Store: b.store,
		Send: func(link string, o ndp.Out) error {
			if b.sendFail {
				return errors.New("no buffer space")
			}
			b.lab.send(b.ports[link], o)
			return nil
		},
		Publish: func(p Publication) {
			if gen != b.gen {
				return
			}
			if err := p.Apply(&b.local, b.pub); err != nil {
				b.lab.t.Errorf("%s: %v", b.name, err)
			}
			b.pub = p
			b.lab.clock.After(200*time.Millisecond, b.register)
		},
		Host: func(link string, p []HostPrefix) { b.hosted[link] = p },
		Log:  func(e Event) { b.events = append(b.events, e) },
	})
	for name, p := range b.ports {
		b.set(name, p)
	}
	b.tell()
	b.m.SetEnabled(true)
}

// kill ends it without a word; the mesh forgets it as when the node is gone.
func (b *br) kill() {
	b.silence()
	for _, p := range b.ports {
		p.down = true
	}
	b.pub, b.local = Publication{}, netdata.Local{}
	b.lab.clock.After(10*time.Second, b.register)
}

// silence ends the Manager as a crash does.
func (b *br) silence() {
	b.gen++
	if b.m != nil {
		b.m.cfg.Send = func(string, ndp.Out) error { return nil }
		b.m.cfg.Host = func(string, []HostPrefix) {}
		b.m.cfg.Store = mapStore{}
		b.m.Stop()
	}
}

func (b *br) revive() {
	for _, p := range b.ports {
		p.down = false
	}
	b.boot()
}

func (b *br) plug(iface, lan string, n byte) {
	var p *port
	p = b.lab.plug(b.name, lan, n, func(in ndp.In) {
		if m, err := ndp.Decode(in.Type, in.Code, in.Body); err == nil {
			b.lab.answer(p, in, m) // the kernel does
		}
		b.m.Receive(iface, in)
	})
	b.ports[iface] = p
	b.set(iface, p)
}

func (b *br) set(iface string, p *port) {
	s := LinkState{Up: true, LinkLocal: p.ll, LinkAddr: ndp.EUI48([6]byte{2, 0, 0x5e, 0, 0, p.ll.As16()[15]})}
	if err := b.m.SetLink(iface, s); err != nil {
		b.lab.t.Fatal(err)
	}
}

// tell gives the Manager the state of the mesh.
func (b *br) tell() {
	b.role.Data = b.lab.leader.Data()
	b.m.SetMesh(b.role)
}

func (b *br) register() {
	if _, err := b.lab.leader.Register(b.lab.clock.Now(), b.rloc16, b.local.Data(b.rloc16)); err != nil {
		b.lab.t.Errorf("%s: %v", b.name, err)
	}
	b.lab.spreadData()
}

// spreadData tells all border routers the network data, a little later.
func (l *lab) spreadData() {
	l.clock.After(100*time.Millisecond, func() {
		for _, b := range l.brs {
			b.tell()
		}
	})
}

// send delivers a packet to all on the LAN, the sender included: a raw socket
// hears its own multicast.
func (l *lab) send(from *port, o ndp.Out) {
	packet := o.AppendPacket(nil)
	h, payload, err := ipv6.DecodeHeader(packet)
	if err != nil || !ipv6.VerifyChecksum(h.Src, h.Dst, h.NextHeader, payload) {
		l.t.Fatalf("%s sent %x: %v", from.name, packet, err)
	}
	if len(packet) > ipv6.MinMTU {
		l.t.Errorf("%s sent %d octets", from.name, len(packet))
	}
	icmp, _ := ipv6.DecodeICMP(payload)
	msg, err := ndp.Decode(icmp.Type, icmp.Code, icmp.Body)
	in := ndp.In{Src: h.Src, Dst: h.Dst, HopLimit: h.HopLimit, Type: icmp.Type, Code: icmp.Code, Body: icmp.Body}
	if err == nil {
		err = ndp.Validate(in, msg)
	}
	if err != nil {
		l.t.Fatalf("%s sent %x: %v", from.name, packet, err)
	}
	if from.down {
		return
	}
	l.note(from, o, msg)
	l.clock.After(time.Millisecond, func() {
		for _, p := range l.ports {
			if p.lan != from.lan || p.down || !o.Dst.IsMulticast() && (p == from || p.ll != o.Dst) {
				continue
			}
			if p != from && l.loss > 0 && l.rand.Float64() < l.loss {
				continue
			}
			p.receive(in)
		}
	})
}

func (l *lab) note(from *port, o ndp.Out, m ndp.Message) {
	var s strings.Builder
	fmt.Fprintf(&s, "%v %s ", l.clock.Now().Sub(start).Round(time.Second), from.name)
	switch m := m.(type) {
	case ndp.RouterSolicit:
		s.WriteString("RS")
	case ndp.NeighborSolicit:
		fmt.Fprintf(&s, "NS %v", m.Target)
	case ndp.NeighborAdvert:
		fmt.Fprintf(&s, "NA %v", m.Target)
	case ndp.RouterAdvert:
		fmt.Fprintf(&s, "RA %v%s", m.Lifetime, words(m.Options))
	}
	l.log = append(l.log, s.String())
}

// words tells the prefixes and routes of an advertisement.
func words(opts []ndp.Option) string {
	var s strings.Builder
	for _, o := range opts {
		switch o := o.(type) {
		case ndp.PrefixInfo:
			fmt.Fprintf(&s, " P %v %d/%d", o.Prefix, int(o.Valid.Seconds()), int(o.Preferred.Seconds()))
		case ndp.RouteInfo:
			fmt.Fprintf(&s, " R %v %v %d", o.Prefix, o.Preference, int(o.Lifetime.Seconds()))
		}
	}
	return s.String()
}

// run lets time pass.
func (l *lab) run(d time.Duration) {
	for end := l.clock.Now().Add(d); ; {
		next := l.clock.Deadline()
		if next.IsZero() || next.After(end) {
			l.clock.Set(end)
			return
		}
		l.clock.Advance(next)
	}
}

// sent returns and forgets what was sent, without what has none of the words.
func (l *lab) sent(words ...string) (lines []string) {
	for _, line := range l.log {
		for _, w := range words {
			if strings.Contains(line, w) {
				lines = append(lines, line)
				break
			}
		}
	}
	l.log = nil
	return lines
}

// A foreign is another router of a LAN. It advertises every half minute and
// when asked, and answers neighbour solicitations.
type foreign struct {
	lab   *lab
	port  *port
	ra    ndp.RouterAdvert
	timer *alarm.Timer
}

func (l *lab) foreign(name, lan string, n byte, ra ndp.RouterAdvert) *foreign {
	f := &foreign{lab: l, ra: ra}
	f.timer = l.clock.NewTimer(func() {
		f.advertise()
		f.timer.Start(30 * time.Second)
	})
	f.port = l.plug(name, lan, n, func(in ndp.In) {
		m, err := ndp.Decode(in.Type, in.Code, in.Body)
		if err != nil {
			return
		}
		if _, ok := m.(ndp.RouterSolicit); ok {
			f.timer.StartEarlier(500 * time.Millisecond)
		}
		l.answer(f.port, in, m)
	})
	f.timer.Start(0)
	return f
}

// answer says that somebody is there, if that is asked.
func (l *lab) answer(p *port, in ndp.In, m ndp.Message) {
	if ns, ok := m.(ndp.NeighborSolicit); ok && ns.Target == p.ll && in.Src != p.ll {
		l.say(p, in.Src, ndp.NeighborAdvert{Router: true, Solicited: true, Override: true, Target: ns.Target})
	}
}

func (f *foreign) advertise() { f.send(allNodes, f.ra) }

func (f *foreign) send(dst netip.Addr, m ndp.Message) { f.lab.say(f.port, dst, m) }

// say sends a message from a port.
func (l *lab) say(p *port, dst netip.Addr, m ndp.Message) {
	typ, code := m.ICMP()
	l.send(p, ndp.Out{Src: p.ll, Dst: dst, HopLimit: localHopLimit, Type: typ, Code: code, Body: m.Append(nil)})
}

func (f *foreign) off() {
	f.timer.Stop()
	f.port.down = true
}

func (f *foreign) on() {
	f.port.down = false
	f.timer.Start(0)
}

// goodPrefix is a prefix that hosts can use for long.
func goodPrefix(s string) ndp.PrefixInfo {
	return ndp.PrefixInfo{Prefix: prefix(s), OnLink: true, Autonomous: true, Valid: 24 * time.Hour, Preferred: 4 * time.Hour}
}
