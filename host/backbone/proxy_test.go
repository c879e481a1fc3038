package backbone

import (
	"net/netip"
	"testing"

	"gatewayd/ipv6"
	"gatewayd/ndp"
)

var (
	link   = Link{Name: "eth0", Index: 2, LinkLocal: netip.MustParseAddr("fe80::1"), MAC: ndp.EUI48([6]byte{2, 0, 0x5e, 0x10, 0, 1})}
	device = netip.MustParseAddr("fd00:7d03:7d03:7d03::1234")
	asker  = netip.MustParseAddr("fe80::9")
)

func proxied(a netip.Addr) bool { return a == device }

// solicitation is the packet of a question.
func solicitation(src, dst, target netip.Addr, hops uint8) []byte {
	ns := ndp.NeighborSolicit{Target: target}
	if !src.IsUnspecified() {
		ns.Options = []ndp.Option{ndp.SourceLinkAddr{Addr: ndp.EUI48([6]byte{2, 0, 0, 0, 0, 9})}}
	}
	typ, code := ns.ICMP()
	return ipv6.AppendICMPPacket(nil, ipv6.Header{Src: src, Dst: dst, HopLimit: hops}, typ, code, ns.Append(nil))
}

// What is answered, to whom, and what is not.
func TestAnswer(t *testing.T) {
	group, nobody := ndp.SolicitedNode(device), netip.IPv6Unspecified()
	changed := func(p []byte, at int, to byte) []byte { p[at] = to; return p }
	for _, x := range []struct {
		name   string
		packet []byte
		to     string // empty: nobody
	}{
		{"who has it", solicitation(asker, group, device, 255), "fe80::9"},
		{"is it there still", solicitation(asker, device, device, 255), "fe80::9"},
		{"a question by a global address", solicitation(netip.MustParseAddr("2001:db8::9"), group, device, 255), "2001:db8::9"},
		{"may I have it", solicitation(nobody, group, device, 255), "ff02::1"},
		{"who has another one", solicitation(asker, ndp.SolicitedNode(asker), asker, 255), ""},
		{"from afar", solicitation(asker, group, device, 254), ""},
		{"may I have it, asked of one", solicitation(nobody, device, device, 255), ""},
		{"from the device itself", solicitation(device, group, device, 255), ""},
		{"wrong checksum", changed(solicitation(asker, group, device, 255), 42, 7), ""},
		{"an answer", changed(solicitation(asker, group, device, 255), 40, 136), ""},
		{"UDP", changed(solicitation(asker, group, device, 255), 6, 17), ""},
		{"cut", solicitation(asker, group, device, 255)[:60], ""},
		{"nothing", nil, ""},
	} {
		o, ok := link.answer(x.packet, proxied)
		if !ok {
			if x.to != "" {
				t.Errorf("%s: no answer", x.name)
			}
			continue
		}
		msg, err := ndp.Decode(o.Type, o.Code, o.Body)
		na, is := msg.(ndp.NeighborAdvert)
		if err != nil || !is || o.Dst.String() != x.to || o.Src != link.LinkLocal || o.HopLimit != 255 {
			t.Errorf("%s: answers %v with %+v, %v", x.name, o.Dst, msg, err)
			continue
		}
		mac, there := ndp.Find[ndp.TargetLinkAddr](na.Options)
		if na.Target != device || na.Solicited != (x.to != "ff02::1") || !na.Override || na.Router || !there || mac.Addr != link.MAC {
			t.Errorf("%s: %+v", x.name, na)
		}
	}
	if _, ok := (Link{LinkLocal: asker}).answer(solicitation(asker, group, device, 255), proxied); ok {
		t.Error("answered without an address of Ethernet's")
	}
}

// Whatever comes over the wire, an answer is one to a proxied address, and holds
// as neighbour discovery.
func FuzzAnswer(f *testing.F) {
	f.Add(solicitation(asker, ndp.SolicitedNode(device), device, 255))
	f.Add(solicitation(netip.IPv6Unspecified(), ndp.SolicitedNode(device), device, 255))
	f.Fuzz(func(t *testing.T, packet []byte) {
		o, ok := link.answer(packet, proxied)
		if !ok {
			return
		}
		msg, err := ndp.Decode(o.Type, o.Code, o.Body)
		if err == nil {
			err = ndp.Validate(ndp.In{Src: o.Src, Dst: o.Dst, HopLimit: o.HopLimit, Type: o.Type, Code: o.Code, Body: o.Body}, msg)
		}
		if na, is := msg.(ndp.NeighborAdvert); err != nil || !is || na.Target != device {
			t.Fatalf("%+v, %v", msg, err)
		}
	})
}
