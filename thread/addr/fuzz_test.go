package addr

import (
	"math/rand/v2"
	"net/netip"
	"slices"
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

var (
	meshLocal = netip.MustParsePrefix("fd00:db8:a:b::/64")
	rloc      = netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:400")
	mleid     = netip.MustParseAddr("fd00:db8:a:b:1122:3344:5566:7788")
	asker     = netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:800")
	ofChild   = netip.MustParseAddr("fd00:db8:a:b::c1")
	elsewhere = netip.MustParseAddr("fd00:db8:a:b::e1")
)

// sink is a mesh that swallows what is sent, if it is IPv6.
type sink struct{ packets int }

func (s *sink) Send(p []byte, _ link.Options) error {
	_, _, err := ipv6.DecodeHeader(p)
	s.packets++
	return err
}

// A step of an input: what happens, a number, the payload of a message.
const (
	stepQuery = iota
	stepNotify
	stepError
	stepResolve
	stepHeard
	stepTime
	steps
)

func step(b []byte, what, n byte, payload []byte) []byte {
	return append(append(b, what, n, byte(len(payload))), payload...)
}

// Whatever the mesh says about addresses, the cache keeps to its bounds, an
// address becomes known by an answer only if it was asked for, and a child
// loses none that it did not have.
func FuzzMessages(f *testing.F) {
	notify := func(target netip.Addr, rloc16 uint16) []byte {
		return tmf.TLVs(nil).AppendAddr(tmf.Target, target).Append(tmf.MLEID, 1, 2, 3, 4, 5, 6, 7, 8).AppendUint16(tmf.RLOC16, rloc16)
	}
	var in []byte
	in = step(in, stepResolve, 0xe1, nil)
	in = step(in, stepNotify, 0, notify(elsewhere, 0x0800))
	in = step(in, stepNotify, 0, notify(elsewhere, 0x0c00))
	f.Add(step(in, stepTime, 200, nil))
	for _, a := range []netip.Addr{mleid, ofChild, elsewhere} {
		f.Add(step(nil, stepQuery, 0, tmf.TLVs(nil).AppendAddr(tmf.Target, a)))
		f.Add(step(nil, stepError, 0, notify(a, 0)))
	}
	for i := range byte(40) {
		in = step(in, stepHeard, i, nil)
	}
	f.Add(in)
	f.Fuzz(func(t *testing.T, in []byte) {
		clock := &alarm.Clock{}
		clock.Set(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		rnd, out := rand.New(rand.NewPCG(1, 2)), &sink{}
		stack := ip.New(ip.Config{Clock: clock, Rand: rnd, Mesh: out, Router: func() bool { return true },
			RLOC16: func() uint16 { return 0x0400 }, Reaches: func(_, _ netip.Addr) bool { return true }})
		stack.SetMeshLocal(meshLocal)
		stack.Add(ip.Address{Addr: rloc, Bits: 64, Preferred: true, Locator: true})
		stack.Add(ip.Address{Addr: mleid, Bits: 64, Preferred: true})
		stack.Join(ipv6.AllRoutersRealm)
		table := &neighbor.Table{Children: []*neighbor.Child{{
			Neighbor:  neighbor.Neighbor{State: neighbor.Valid, RLOC16: 0x0401},
			Addresses: []netip.Addr{netip.MustParseAddr("fd00:db8:a:b::c0"), ofChild},
		}}}
		asked := map[netip.Addr]bool{}
		limits := Limits{Entries: 20, Snooped: 4}
		r := New(Config{Clock: clock, IP: stack, Table: table, Limits: limits,
			TMF:  tmf.New(tmf.Config{Clock: clock, Rand: rnd, IP: stack, MeshLocal: meshLocal.Contains}),
			RLOC: func() netip.Addr { return rloc }, MLEID: func() netip.Addr { return mleid }, Router: func() bool { return true },
			Routable: func(rloc16 uint16) bool { return rloc16 < 0x8000 },
			Resolved: func(a netip.Addr, ok bool) {
				if !asked[a] {
					t.Fatalf("%v was resolved (%t), nobody asked", a, ok)
				}
			},
			RemoveChildAddress: func(c *neighbor.Child, a netip.Addr) {
				if !slices.Contains(c.Addresses, a) {
					t.Fatalf("%v is to go, the child has %v", a, c.Addresses)
				}
				c.Addresses = slices.DeleteFunc(c.Addresses, func(x netip.Addr) bool { return x == a })
			},
			Duplicate: func(a netip.Addr) {
				if !stack.Has(a) {
					t.Fatalf("%v is no address of ours", a)
				}
			}})
		for id := uint16(1); len(in) >= 3; id++ {
			what, n, size := in[0]%steps, in[1], min(int(in[2]), len(in)-3)
			payload := in[3 : 3+size]
			in = in[3+size:]
			target := withIID(mleid, [8]byte{7: n})
			switch what {
			case stepResolve:
				asked[target] = true
				r.Resolve(target)
			case stepHeard:
				r.Heard(target, 0x0800, n&1 == 0)
			case stepTime:
				clock.Advance(clock.Now().Add(time.Duration(n) * time.Second))
			default:
				say(stack, what, id, n, payload)
			}
			kept := 0
			for _, e := range r.Entries() {
				if e.Kind == Snooped && !e.CanEvict(clock.Now()) {
					kept++
				}
			}
			if len(r.Entries()) > limits.Entries || kept > limits.Snooped {
				t.Fatalf("%d entries, %d snooped ones that do not give way", len(r.Entries()), kept)
			}
		}
	})
}

// say has a router of the mesh send a message to us, or to all routers.
func say(s *ip.Stack, what byte, id uint16, n byte, payload []byte) {
	m := coap.Message{Type: coap.Type(n & 1), Code: coap.POST, MessageID: id, Token: []byte{1}, Payload: payload}
	m.SetPath([]string{stepQuery: tmf.AddressQuery, stepNotify: tmf.AddressNotify, stepError: tmf.AddressError}[what])
	dst := rloc
	if n&2 != 0 {
		dst = ipv6.AllRoutersRealm
	}
	s.Receive(ipv6.AppendUDPPacket(nil, ipv6.Header{Src: asker, Dst: dst, HopLimit: 64}, tmf.Port, tmf.Port, m.Append(nil)),
		link.Info{Secured: true, KeyIDMode: 1})
}
