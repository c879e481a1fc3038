package addr

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rig is a resolver whose requests end in a list.
type rig struct {
	*Resolver
	clock    alarm.Clock
	stack    *ip.Stack
	table    neighbor.Table
	sent     []string // "path to address: payload"
	resolved []string
	id       uint16
}

func (r *rig) Send(p []byte, _ link.Options) error {
	h, _, err := ipv6.DecodeHeader(p)
	if err != nil {
		return err
	}
	_, off, err := ipv6.Transport(p)
	if err != nil {
		return err
	}
	_, b, err := ipv6.DecodeUDP(p[off:])
	if err != nil {
		return err
	}
	m, err := coap.Decode(b)
	if err != nil {
		return err
	}
	if m.Code.IsRequest() {
		r.sent = append(r.sent, fmt.Sprintf("%s to %v: %x", m.Path(), h.Dst, m.Payload))
	}
	return nil
}

func newRig() *rig {
	r := &rig{}
	r.clock.Set(start)
	rnd := rand.New(rand.NewPCG(1, 2))
	r.stack = ip.New(ip.Config{Clock: &r.clock, Rand: rnd, Mesh: r, Router: func() bool { return false },
		RLOC16: func() uint16 { return 0x0400 }, Reaches: func(_, _ netip.Addr) bool { return true }})
	r.stack.SetMeshLocal(meshLocal)
	r.stack.Add(ip.Address{Addr: rloc, Bits: 64, Preferred: true, Locator: true})
	r.stack.Add(ip.Address{Addr: mleid, Bits: 64, Preferred: true})
	r.stack.Join(ipv6.AllRoutersRealm)
	r.Resolver = New(Config{Clock: &r.clock, IP: r.stack, Table: &r.table,
		TMF:  tmf.New(tmf.Config{Clock: &r.clock, Rand: rnd, IP: r.stack, MeshLocal: meshLocal.Contains}),
		RLOC: func() netip.Addr { return rloc }, MLEID: func() netip.Addr { return mleid },
		Router:             func() bool { return true },
		Routable:           func(uint16) bool { return true },
		Resolved:           func(a netip.Addr, ok bool) { r.resolved = append(r.resolved, fmt.Sprint(a, ok)) },
		RemoveChildAddress: func(*neighbor.Child, netip.Addr) {},
		Duplicate:          func(netip.Addr) {}})
	return r
}

// receive gives the resolver a message from asker.
func (r *rig) receive(path string, to netip.Addr, typ coap.Type, payload []byte) {
	r.id++
	m := coap.Message{Type: typ, Code: coap.POST, MessageID: r.id, Token: []byte{1, 2}, Payload: payload}
	m.SetPath(path)
	p := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: asker, Dst: to, HopLimit: 64}, tmf.Port, tmf.Port, m.Append(nil))
	r.stack.Receive(p, link.Info{Secured: true, KeyIDMode: 1})
	r.clock.Advance(r.clock.Now())
}

func (r *rig) pass(d time.Duration) { r.clock.Advance(r.clock.Now().Add(d)) }

func TestQueryAndAnswer(t *testing.T) {
	r := newRig()
	if _, s := r.Resolve(elsewhere); s != Asked {
		t.Fatalf("state %v", s)
	}
	want := "a/aq to ff03::2: 0010fd000db8000a000b00000000000000e1"
	if len(r.sent) != 1 || r.sent[0] != want {
		t.Fatalf("sent %q, want %q", r.sent, want)
	}
	if _, s := r.Resolve(elsewhere); s != Asked || len(r.sent) != 1 {
		t.Error("asked twice")
	}
	b := elsewhere.As16()
	r.receive(tmf.AddressNotify, rloc, coap.Confirmable, tmf.TLVs(nil).Append(tmf.Target, b[:]...).
		Append(tmf.MLEID, 1, 2, 3, 4, 5, 6, 7, 8).AppendUint16(tmf.RLOC16, 0x0800))
	if got, s := r.Resolve(elsewhere); s != Known || got != 0x0800 {
		t.Errorf("%04x, %v", got, s)
	}
	if fmt.Sprint(r.resolved) != "["+elsewhere.String()+" true]" {
		t.Errorf("resolved %v", r.resolved)
	}
}

// Nobody answers: the question is not repeated for 15 s, then 30, up to 120.
func TestBackoff(t *testing.T) {
	r := newRig()
	for i, delay := range []time.Duration{15, 30, 60, 120, 120} {
		if _, s := r.Resolve(elsewhere); s != Asked || len(r.sent) != i+1 {
			t.Fatalf("question %d: state %v, %d sent", i, s, len(r.sent))
		}
		r.pass(Limits{}.withDefaults().QueryTimeout)
		if len(r.resolved) != i+1 {
			t.Fatalf("question %d: given up %d times", i, len(r.resolved))
		}
		r.pass(delay*time.Second - time.Second)
		if _, s := r.Resolve(elsewhere); s != Unknown || len(r.sent) != i+1 {
			t.Fatalf("question %d: asked again before %v", i, delay*time.Second)
		}
		r.pass(time.Second)
	}
}

// Under another locator everything is asked anew, at once, also what is not to
// be asked for a while.
func TestRestart(t *testing.T) {
	r := newRig()
	r.Resolve(elsewhere)
	r.pass(Limits{}.withDefaults().QueryTimeout)
	if _, s := r.Resolve(elsewhere); s != Unknown {
		t.Fatalf("state %v", s)
	}
	other := withIID(elsewhere, [8]byte{7: 1})
	r.Resolve(other)
	r.Restart()
	if len(r.sent) != 4 {
		t.Errorf("sent %q", r.sent)
	}
	for _, a := range []netip.Addr{elsewhere, other} {
		if _, s := r.Resolve(a); s != Asked {
			t.Errorf("%v: state %v", a, s)
		}
	}
	if r.pass(Limits{}.withDefaults().QueryTimeout); len(r.resolved) != 3 {
		t.Errorf("resolved %q", r.resolved)
	}
}

// A datagram that waits for a child's new address goes when the child has
// registered it.
func TestAddressArrivesWhileAskedFor(t *testing.T) {
	r := newRig()
	r.Resolve(elsewhere)
	r.Arrived(elsewhere)
	r.Arrived(ofChild) // nobody asked for that one
	if fmt.Sprint(r.resolved) != "["+elsewhere.String()+" true]" || len(r.Entries()) != 0 {
		t.Errorf("resolved %v, %d entries", r.resolved, len(r.Entries()))
	}
	r.pass(time.Minute)
	if len(r.resolved) != 1 {
		t.Errorf("resolved %v", r.resolved)
	}
}

// We answer for ourselves and for children that are no full Thread devices.
func TestAnswersQueries(t *testing.T) {
	r := newRig()
	eid := netip.MustParseAddr("fd00:db8:a:b::c0")
	r.table.Children = []*neighbor.Child{{
		Neighbor:  neighbor.Neighbor{State: neighbor.Valid, RLOC16: 0x0401, LastHeard: start.Add(-10 * time.Second)},
		Addresses: []netip.Addr{eid, ofChild},
	}}
	query := func(a netip.Addr) string {
		r.sent = nil
		r.receive(tmf.AddressQuery, ipv6.AllRoutersRealm, coap.NonConfirmable, tmf.TLVs(nil).AppendAddr(tmf.Target, a))
		return fmt.Sprint(r.sent)
	}
	to := "a/an to " + asker.String() + ": "
	for a, want := range map[netip.Addr]string{
		mleid:     "[" + to + "0010fd000db8000a000b1122334455667788" + "03081122334455667788" + "02020400" + "]",
		ofChild:   "[" + to + "0010fd000db8000a000b00000000000000c1" + "030800000000000000c0" + "02020400" + "06040000000a" + "]",
		elsewhere: "[]",
	} {
		if got := query(a); got != want {
			t.Errorf("asked for %v: %s, want %s", a, got, want)
		}
	}
	r.table.Children[0].Mode = neighbor.ModeFullThread
	if got := query(ofChild); got != "[]" {
		t.Errorf("answered for a full Thread device: %s", got)
	}
	r.table.Children[0].Mode = 0
	r.table.Children[0].Failures = maxFailures
	if got := query(ofChild); got != "[]" {
		t.Errorf("answered for a child that does not take frames: %s", got)
	}
}

// A full cache gives up what matters least.
func TestEviction(t *testing.T) {
	r := newRig()
	limits := Limits{}.withDefaults()
	at := func(i int) netip.Addr {
		b := elsewhere.As16()
		b[14], b[15] = byte(i>>8), byte(i)
		return netip.AddrFrom16(b)
	}
	for i := range limits.Entries {
		r.Resolve(at(i))
		r.Heard(at(i), 0x0800, true)
		r.Resolve(at(i)) // used: it counts as cached now
	}
	if len(r.Entries()) != limits.Entries {
		t.Fatalf("%d entries", len(r.Entries()))
	}
	r.Resolve(at(0))
	r.Resolve(at(1000))
	if _, ok := r.Lookup(at(1)); ok || len(r.Entries()) != limits.Entries {
		t.Errorf("the least recently used one stayed; %d entries", len(r.Entries()))
	}
	if _, ok := r.Lookup(at(0)); !ok {
		t.Error("one that was used lately went")
	}
	for i := range 100 {
		r.Heard(at(2000+i), 0x0800, true)
	}
	n := 0
	for _, e := range r.Entries() {
		if e.Kind == Snooped {
			n++
		}
	}
	if n > limits.Snooped {
		t.Errorf("%d snooped entries", n)
	}
}

// What passes by teaches new addresses only if it is for us; the first of them
// are kept for a while.
func TestSnooping(t *testing.T) {
	r := newRig()
	at := func(i byte) netip.Addr { return withIID(mleid, [8]byte{7: i}) }
	show := func() string {
		var s []string
		for _, e := range r.Entries() {
			s = append(s, fmt.Sprintf("%x:%04x %v %t", e.Target.As16()[15], e.RLOC16, e.Kind, e.CanEvict(r.clock.Now())))
		}
		return strings.Join(s, ", ")
	}
	r.cfg.Limits.Snooped = 2
	r.Heard(at(1), 0x0800, false)
	for i := byte(2); i <= 4; i++ {
		r.Heard(at(i), 0x0800, true)
	}
	if got, want := show(), "4:0800 snoop true, 3:0800 snoop false, 2:0800 snoop false"; got != want {
		t.Errorf("after three for us: %s, want %s", got, want)
	}
	r.Heard(at(2), 0x0c00, false)
	r.Resolve(at(3))
	r.clock.Advance(r.clock.Now().Add(4 * time.Second))
	if got, want := show(), "3:0800 cache true, 4:0800 snoop true, 2:0c00 snoop true"; got != want {
		t.Errorf("later: %s, want %s", got, want)
	}
}
