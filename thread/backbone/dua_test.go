package backbone

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

var domain = netip.MustParsePrefix("fd00:7d03:7d03:7d03::/64")

// dua is an address of the domain.
func dua(iid uint16) netip.Addr {
	a := domain.Addr().As16()
	a[14], a[15] = byte(iid>>8), byte(iid)
	return netip.AddrFrom16(a)
}

// inDomain has a node publish the domain's prefix.
func (n *node) inDomain(p netip.Prefix) {
	n.t.Helper()
	if err := n.local.SetPrefix(p, netdata.FlagOnMesh|netdata.FlagDomain, true); err != nil {
		n.t.Fatal(err)
	}
	n.changed()
	n.run(200 * time.Millisecond)
}

// shore is a backbone link: a datagram is there at once.
type shore struct {
	nodes []*node
	said  []string // "path of whom to whom"
}

// ashore links the primaries of several networks, whose locators differ.
func ashore(nodes ...*node) *shore {
	s := &shore{nodes: nodes}
	for _, n := range nodes {
		n.shore = s
	}
	return s
}

func (n *node) linkLocal() netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 14: byte(n.rloc16 >> 8), 15: byte(n.rloc16)}).WithZone("eth0")
}

func (s *shore) carry(from *node, to netip.Addr, datagram []byte) {
	if m, err := coap.Decode(datagram); err == nil && m.Code.IsRequest() {
		s.said = append(s.said, fmt.Sprintf("%s %04x", m.Path(), from.rloc16))
	}
	for _, x := range s.nodes {
		if x == from || to != x.linkLocal() && !(to.IsMulticast() && slices.Contains(x.Groups(), to)) {
			continue
		}
		from.clock.After(time.Millisecond, func() { x.FromBackbone(from.linkLocal(), to, datagram) })
	}
}

func id(v byte) [8]byte { return [8]byte{7: v} }

func TestDUAMessages(t *testing.T) {
	for _, x := range []struct {
		name, wire string
		want       DUARegistration
	}{{
		name: "a node's",
		wire: `0010 fd007d037d037d03 0000000000001234  # Target
		       0308 0000000000000001                   # ML-EID`,
		want: DUARegistration{Target: dua(0x1234), MLEID: id(1)},
	}, {
		name: "a child's",
		wire: `0010 fd007d037d037d03 0000000000001234
		       0308 0000000000000001
		       0604 0000 003c                          # last transaction`,
		want: DUARegistration{Target: dua(0x1234), MLEID: id(1), LastTransaction: ptr[uint32](60)},
	}} {
		b := wire(x.wire)
		got, err := DecodeDUARegistration(b)
		if err != nil || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, %v", x.name, got, err)
		}
		if again := x.want.Append(nil); !slices.Equal(again, b) {
			t.Errorf("%s: %x", x.name, again)
		}
	}
	for _, bad := range []string{"", "0010 fd007d037d037d03 0000000000001234", "0308 0000000000000001", "000f" + "00000000000000000000000000000000"} {
		if r, err := DecodeDUARegistration(wire(bad)); err == nil {
			t.Errorf("%s is %+v", bad, r)
		}
	}
	b := wire("0401 03  0010 fd007d037d037d03 0000000000001234")
	a, err := DecodeDUAAnswer(b)
	if want := (DUAAnswer{DUADuplicate, dua(0x1234)}); err != nil || a != want || !slices.Equal(a.Append(nil), b) {
		t.Errorf("%+v, %v", a, err)
	}
}

// What devices register is looked for on the backbone three times, and proxied
// then.
func TestRegistersDUA(t *testing.T) {
	b := newBench(t, 1)
	p, c := b.add(0x0400), b.add(0x0800)
	other := b.add(0x0c00) // in another mesh, in truth
	other.detached = true
	s := ashore(p, other)
	c.holders = []Holder{{DUA: dua(1), MLEID: id(1)}, {DUA: dua(2), MLEID: id(2), Heard: b.clock.Now()}}
	p.SetEnabled(true)
	p.inDomain(domain)
	b.run(8 * time.Second)
	if got := p.Proxies(); len(got) != 2 || c.known != 1 || !c.registrar.IsRegistered(dua(2)) {
		t.Fatalf("%+v, registered %d times", got, c.known)
	}
	b.run(5 * time.Second)
	slices.Sort(p.proxied)
	if want := []string{"+" + dua(1).String(), "+" + dua(2).String()}; !slices.Equal(p.proxied, want) {
		t.Errorf("proxied %q", p.proxied)
	}
	count := map[string]int{}
	for _, x := range s.said {
		count[x]++
	}
	if want := map[string]int{"b/bq 0400": 6, "b/ba 0400": 2}; !reflect.DeepEqual(count, want) {
		t.Errorf("said %v", count)
	}
	// A child's goes on being as old as it is; another address replaces it.
	if x := p.Proxies()[p.proxy(dua(2))]; x.Last.After(c.holders[1].Heard.Add(time.Second)) {
		t.Errorf("last heard %v after it was", x.Last.Sub(c.holders[1].Heard))
	}
	c.holders[1].DUA = dua(3)
	c.registrar.Changed(id(2))
	b.run(10 * time.Second)
	if p.proxy(dua(2)) >= 0 || p.proxy(dua(3)) < 0 || !slices.Contains(p.proxied, "-"+dua(2).String()) {
		t.Errorf("%+v, %q", p.Proxies(), p.proxied)
	}
	// With another sequence all is registered again, and the neighbours are told.
	p.proxied = nil
	x := p.Settings()
	x.Sequence++
	if err := p.SetSettings(x); err != nil {
		t.Fatal(err)
	}
	b.run(8 * time.Second)
	if c.known != 2 || len(p.proxied) != 2 {
		t.Errorf("registered %d times, told %q", c.known, p.proxied)
	}
	p.local.RemovePrefix(domain)
	b.changed()
	b.run(time.Second)
	if len(p.Proxies()) != 0 {
		t.Errorf("without a domain: %+v", p.Proxies())
	}
}

// Each status has its consequence.
func TestDUAStatuses(t *testing.T) {
	b := newBench(t, 2)
	p, c := b.add(0x0400), b.add(0x0800)
	p.SetEnabled(true)
	b.run(time.Second)
	status := func(m DUARegistration) DUAStatus { return p.registerDUA(m, 0x0800) }
	if s := status(DUARegistration{Target: dua(1), MLEID: id(1)}); s != DUAGeneralFailure {
		t.Errorf("without a domain: %v", s)
	}
	p.inDomain(domain)
	for _, x := range []struct {
		what   string
		target netip.Addr
		id     byte
		want   DUAStatus
	}{
		{"first", dua(1), 1, DUASuccess},
		{"the same again", dua(1), 1, DUASuccess},
		{"another device's", dua(1), 2, DUADuplicate},
		{"of another prefix", netip.MustParseAddr("fd00:1::1"), 2, DUAInvalid},
		{"another one", dua(2), 1, DUASuccess},
		{"now free", dua(1), 2, DUASuccess},
	} {
		if s := status(DUARegistration{Target: x.target, MLEID: id(x.id)}); s != x.want {
			t.Errorf("%s: %v, want %v", x.what, s, x.want)
		}
	}
	c.holders = []Holder{{DUA: dua(1), MLEID: id(9)}, {DUA: netip.MustParseAddr("fd00:1::1"), MLEID: id(8), Heard: b.clock.Now()}}
	c.registrar.Update()
	b.run(10 * time.Second)
	if want := []string{dua(1).String() + " duplicate", "fd00:1::1 invalid"}; !slices.Equal(c.refused, want) {
		t.Errorf("%q", c.refused)
	}
	b.run(10 * time.Minute)
	if len(c.refused) != 2 {
		t.Errorf("refused again: %q", c.refused)
	}
	c.registrar.Changed(id(8)) // the child asks once more
	b.run(10 * time.Second)
	if len(c.refused) != 3 {
		t.Errorf("not asked again: %q", c.refused)
	}
	// A full table is no reason to give up.
	for i := range MaxProxies {
		status(DUARegistration{Target: dua(uint16(0x100 + i)), MLEID: [8]byte{byte(i >> 8), byte(i)}})
	}
	c.refused, c.holders = nil, []Holder{{DUA: dua(0x77), MLEID: id(7)}}
	c.registrar.Update()
	b.run(20 * time.Second)
	if len(p.Proxies()) != MaxProxies || len(c.refused) < 2 || c.refused[0] != dua(0x77).String()+" no resources" {
		t.Errorf("%d proxies, %q", len(p.Proxies()), c.refused)
	}
	p.dropProxy(p.proxy(dua(0x101)))
	b.run(10 * time.Second)
	if c.known != 1 || p.proxy(dua(0x77)) < 0 {
		t.Error("not registered when there is room")
	}
	// Silence.
	c.holders = []Holder{{DUA: dua(0x78), MLEID: id(7)}}
	p.deaf = true
	c.registrar.Changed(id(7))
	b.run(2 * time.Minute)
	p.deaf = false
	b.run(45 * time.Second)
	if c.known != 2 {
		t.Error("not registered after silence")
	}
}

// What is no registration, and where nobody takes any.
func TestRefusesDUA(t *testing.T) {
	b := newBench(t, 3)
	p, c := b.add(0x0400), b.add(0x0800)
	m := DUARegistration{Target: dua(1), MLEID: id(1)}.Append(nil)
	ask := func(payload []byte) (code coap.Code, b []byte) {
		c.client.cfg.TMF.Send(tmf.DUARegister, locator(p.rloc16), payload, tmf.Options{Source: c.stack.Addresses()[0].Addr}, func(r tmf.Response, err error) {
			code, b = r.Code, r.Payload
		})
		c.run(time.Second)
		return code, b
	}
	if code, _ := ask(m); code != coap.NotFound {
		t.Errorf("disabled: %v", code)
	}
	p.SetEnabled(true)
	p.inDomain(domain)
	b.run(2 * time.Second)
	if code, got := ask(m); code != coap.Changed || !slices.Equal(got, DUAAnswer{DUASuccess, dua(1)}.Append(nil)) {
		t.Errorf("%v %x", code, got)
	}
	if code, _ := ask(m[:20]); code != coap.BadRequest {
		t.Errorf("half of it: %v", code)
	}
}

// Of two devices with one address in two meshes of a domain the one that comes
// second gives it up; a device that moves is where it was heard last.
func TestDuplicateOverBackbone(t *testing.T) {
	b, b2 := newBench(t, 4), newBench(t, 5)
	p, q := b.add(0x0400), b2.add(0x4400)
	q.mesh = netip.MustParsePrefix("fd01::/64")
	both := func(d time.Duration) {
		for range int(d / (50 * time.Millisecond)) {
			b.run(50 * time.Millisecond)
			b2.run(50 * time.Millisecond)
		}
	}
	ashore(p, q)
	for _, n := range []*node{p, q} {
		n.SetEnabled(true)
		n.inDomain(domain)
	}
	both(2 * time.Second)
	register := func(n *node, who byte, ago uint32) DUAStatus {
		return n.registerDUA(DUARegistration{Target: dua(1), MLEID: id(who), LastTransaction: &ago}, n.rloc16+1)
	}
	if register(p, 1, 0) != DUASuccess {
		t.Fatal("not registered")
	}
	both(5 * time.Second)
	if register(q, 2, 0) != DUASuccess {
		t.Fatal("not registered at first")
	}
	both(5 * time.Second)
	if len(q.Proxies()) != 0 || len(p.Proxies()) != 1 {
		t.Errorf("%+v and %+v", p.Proxies(), q.Proxies())
	}
	if want := []string{fmt.Sprintf("%v %x %v", dua(1), id(1), locator(0x4401))}; !slices.Equal(q.errors, want) || len(p.errors) != 0 {
		t.Errorf("%q and %q", p.errors, q.errors)
	}
	if len(q.proxied) != 0 {
		t.Errorf("proxied %q", q.proxied)
	}
	// Another Address Query for it, from the second mesh.
	q.Extend(dua(1), 0x4800)
	both(time.Second)
	if len(q.notified) != 1 || !q.Abroad(dua(1)) || p.Abroad(dua(1)) {
		t.Errorf("%q", q.notified)
	}
	q.Extend(dua(2), 0x4800)
	q.Extend(netip.MustParseAddr("fd00::1"), 0x4800)
	both(time.Second)
	if len(q.notified) != 1 {
		t.Errorf("%q", q.notified)
	}
	// The device moves.
	both(time.Minute)
	if register(q, 1, 0) != DUASuccess {
		t.Fatal("not registered after it moved")
	}
	both(10 * time.Second)
	if len(p.Proxies()) != 0 || len(q.Proxies()) != 1 || q.Abroad(dua(1)) {
		t.Errorf("after it moved: %+v and %+v", p.Proxies(), q.Proxies())
	}
	if want := []string{"+" + dua(1).String(), "-" + dua(1).String()}; !slices.Equal(p.proxied, want) {
		t.Errorf("told %q", p.proxied)
	}
	// A message late: the device has not been there for long.
	p.registerDUA(DUARegistration{Target: dua(1), MLEID: id(1), LastTransaction: ptr[uint32](1000)}, 0x0401)
	p.proxies[0].Tentative = false
	p.announce(p.proxies[0])
	both(time.Second)
	if len(p.Proxies()) != 0 || len(q.Proxies()) != 1 {
		t.Errorf("late: %+v and %+v", p.Proxies(), q.Proxies())
	}
	// Two at once, and both were missed.
	p.proxies = []Proxy{{DUA: dua(5), MLEID: id(5), Last: b.clock.Now()}}
	q.proxies = []Proxy{{DUA: dua(5), MLEID: id(6), Last: b2.clock.Now()}}
	p.announce(p.proxies[0])
	both(time.Second)
	if len(q.Proxies()) != 0 || q.errors[len(q.errors)-1] != fmt.Sprintf("%v %x %v", dua(5), id(5), netip.Addr{}) {
		t.Errorf("%+v, %q", q.Proxies(), q.errors)
	}
	// A host of the link with an address of the domain is beyond, as long as it is
	// heard, and a registered device is not.
	p.registerDUA(DUARegistration{Target: dua(6), MLEID: id(6)}, 0x0401)
	for _, a := range []netip.Addr{dua(6), dua(7), netip.MustParseAddr("2001:db8::7")} {
		p.FromBeyond(a)
		if p.Abroad(a) != (a == dua(7)) {
			t.Errorf("%v is beyond: %v", a, p.Abroad(a))
		}
	}
	for i := range uint16(2 * maxAbroad) {
		p.FromBeyond(dua(0x1000 + i))
	}
	if len(p.abroad) > maxAbroad || !p.Abroad(dua(0x1000+2*maxAbroad-1)) {
		t.Errorf("%d addresses are beyond", len(p.abroad))
	}
	both(5 * time.Minute)
	if q.Abroad(dua(1)) || p.Abroad(dua(7)) {
		t.Error("still believed abroad")
	}
}

// The next primary hears what nodes listen to before it is that.
func TestReports(t *testing.T) {
	b := newBench(t, 6)
	p, q := b.add(0x0400), b.add(0x0800)
	c := b.add(0x0c00)
	ashore(p, q)
	p.SetEnabled(true)
	b.run(2 * time.Second)
	q.SetEnabled(true)
	b.run(time.Second)
	p.ask(p, Registration{}) // no groups: nothing to tell
	c.groups = addrs("ff04::1", "ff04::2")
	c.client.GroupsChanged()
	b.run(2 * time.Second)
	if got := listened(q); !slices.Equal(got, []string{"ff04::1", "ff04::2"}) {
		t.Errorf("the secondary knows %v", got)
	}
	// A device's own word counts more than hearsay, when there is no room.
	for i := range MaxListeners {
		q.hear(netip.AddrFrom16([16]byte{0: 0xff, 1: 5, 15: byte(i + 1)}), time.Hour)
	}
	if s := q.Router.add(netip.MustParseAddr("ff05::ffff"), time.Hour); s != Success || len(q.Listeners()) != MaxListeners {
		t.Errorf("%v, %d groups", s, len(q.Listeners()))
	}
	p.registerGone(t, "ff04::2")
	b.run(time.Second)
	if q.Listens(netip.MustParseAddr("ff04::2")) {
		t.Error("the secondary still knows ff04::2")
	}
}

// registerGone ends the registration of a group as a commissioner does.
func (n *node) registerGone(t *testing.T, g string) {
	t.Helper()
	n.session = 1
	if a := n.register(Registration{Groups: addrs(g), Session: ptr[uint16](1), Timeout: ptr[uint32](0)}, nil); a.Status != Success {
		t.Errorf("%v", a.Status)
	}
}

// Datagrams of others than Backbone Routers are not looked at.
func TestStrangers(t *testing.T) {
	b := newBench(t, 7)
	p := b.add(0x0400)
	s := ashore(p)
	if len(p.Groups()) != 0 {
		t.Errorf("disabled, and in %v", p.Groups())
	}
	p.SetEnabled(true)
	p.inDomain(domain)
	b.run(2 * time.Second)
	if want := addrs("ff32:40:fd00::3", "ff32:40:fd00:7d03:7d03:7d03:0:3"); !slices.Equal(p.Groups(), want) {
		t.Errorf("%v", p.Groups())
	}
	p.registerDUA(DUARegistration{Target: dua(1), MLEID: id(1)}, 0x0800)
	b.run(5 * time.Second)
	m := coap.Message{Type: coap.NonConfirmable, Code: coap.POST, MessageID: 1, Token: []byte{1, 2},
		Payload: tmf.TLVs(nil).AppendAddr(tmf.Target, dua(1))}
	m.SetPath(tmf.BackboneQuery)
	group, ll := p.Groups()[1], netip.MustParseAddr("fe80::9%eth0")
	s.said = nil
	for i, x := range []struct {
		from, to netip.Addr
		answers  bool
	}{
		{ll, group, true},
		{ll, p.linkLocal(), true},
		{netip.MustParseAddr("2001:db8::1"), group, false},
		{ll, netip.MustParseAddr("2001:db8::2"), false},
		{ll, netip.MustParseAddr("ff02::1"), false},
	} {
		m.MessageID++
		p.FromBackbone(x.from, x.to, m.Append(nil))
		b.run(10 * time.Millisecond)
		if got := len(s.said) > 0; got != x.answers {
			t.Errorf("%d: %v", i, s.said)
		}
		p.backbone.end.CancelAll()
		s.said = nil
	}
}
