package tmf

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
)

// What a TLV is found to be survives being appended, and a lookup by type and
// length finds nothing shorter.
func FuzzTLVs(f *testing.F) {
	f.Add([]byte(TLVs(nil).AppendUint16(RLOC16, 0x0400).AppendUint32(LastTransaction, 7)), byte(LastTransaction), byte(4))
	f.Add([]byte(TLVs(nil).AppendAddr(Target, netip.MustParseAddr("fd00::1")).Append(Status, 1)), byte(Target), byte(16))
	f.Add([]byte{10, 0xff, 0, 2, 1, 2, 4, 1, 9}, byte(Status), byte(1)) // an extended length
	f.Add([]byte{2, 1, 9, 2, 2, 4, 0, 1, 8}, byte(RLOC16), byte(2))
	f.Fuzz(func(t *testing.T, in []byte, typ, n byte) {
		v, err := TLVs(in).Find(Type(typ), int(n))
		if err != nil {
			if v != nil {
				t.Fatalf("%x with %v", v, err)
			}
			return
		}
		if len(v) < int(n) || !bytes.Contains(in, v) {
			t.Fatalf("%x in %x, want %d bytes", v, in, n)
		}
		if len(v) < 0xff {
			again, err := TLVs(nil).Append(Type(typ), v...).Find(Type(typ), len(v))
			if err != nil || !bytes.Equal(again, v) {
				t.Fatalf("%x became %x, %v", v, again, err)
			}
		}
		_, _ = TLVs(in).Uint8(Type(typ))
		_, _ = TLVs(in).Uint16(Type(typ))
		_, _ = TLVs(in).Uint32(Type(typ))
		_, _ = TLVs(in).Addr(Type(typ))
		_, _ = TLVs(in).Ext(Type(typ))
	})
}

var (
	meshLocal = netip.MustParsePrefix("fd00:db8:a:b::/64")
	own       = netip.MustParseAddr("fd00:db8:a:b:0:ff:fe00:400")
	addresses = []netip.Addr{
		own, netip.MustParseAddr("fd00:db8:a:b::1"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("2001:db8::1"),
		ipv6.AllNodesLinkLocal, ipv6.AllNodesRealm, netip.MustParseAddr("ff05::1"), netip.MustParseAddr("fe80::2"),
	}
)

type nowhere struct{ sent int }

func (n *nowhere) Send(p []byte, _ link.Options) error {
	if _, _, err := ipv6.DecodeHeader(p); err == nil {
		n.sent++
	}
	return nil
}

// Whoever sends whatever, requests of those who may not speak to the agent
// reach no handler, and one datagram is answered by at most one.
func FuzzReceive(f *testing.F) {
	m := coap.Message{Type: coap.Confirmable, Code: coap.POST, MessageID: 1, Token: []byte{1, 2}, Payload: TLVs(nil).AppendUint16(RLOC16, 0x0400)}
	m.SetPath(AddressSolicit)
	for from := range addresses {
		f.Add(byte(from), byte(0), m.Append(nil))
	}
	f.Add(byte(1), byte(5), m.Append(nil))
	f.Add(byte(1), byte(3), m.Append(nil))
	f.Add(byte(2), byte(4), m.Append(nil)) // link-local to a group of the link
	f.Fuzz(func(t *testing.T, from, to byte, datagram []byte) {
		src, dst := addresses[int(from)%len(addresses)], addresses[int(to)%len(addresses)]
		clock := &alarm.Clock{}
		clock.Set(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		rnd := rand.New(rand.NewPCG(1, 2))
		out := &nowhere{}
		stack := ip.New(ip.Config{Clock: clock, Rand: rnd, Mesh: out, Router: func() bool { return true },
			RLOC16: func() uint16 { return 0x0400 }, Reaches: func(_, _ netip.Addr) bool { return true }})
		a := New(Config{Clock: clock, Rand: rnd, IP: stack, MeshLocal: meshLocal.Contains})
		handled := 0
		a.Handle(AddressSolicit, func(r *Request) {
			if handled++; !mayAsk(src, dst) {
				t.Fatalf("a request from %v to %v was handled", src, dst)
			}
			r.Respond(coap.Changed, nil)
		})
		for range 2 { // the second is a duplicate
			a.receive(&ip.Datagram{Src: netip.AddrPortFrom(src, Port), Dst: netip.AddrPortFrom(dst, Port), Payload: datagram,
				Info: link.Info{Secured: true, KeyIDMode: 1}})
		}
		if handled > 1 || out.sent > 2 || !a.Idle() {
			t.Fatalf("handled %d times, %d datagrams sent, idle: %t", handled, out.sent, a.Idle())
		}
		if !mayAsk(src, dst) && a.Refused != 2 {
			t.Fatalf("%d refused", a.Refused)
		}
	})
}

// mayAsk is who may speak to whom, by the scopes of Thread 1.4 Section 10.
func mayAsk(src, dst netip.Addr) bool {
	switch {
	case src.IsLinkLocalUnicast():
		return dst.IsLinkLocalUnicast() || dst == ipv6.AllNodesLinkLocal
	case dst.IsMulticast():
		return meshLocal.Contains(src) && (dst == ipv6.AllNodesLinkLocal || dst == ipv6.AllNodesRealm)
	}
	return meshLocal.Contains(src) && meshLocal.Contains(dst)
}
