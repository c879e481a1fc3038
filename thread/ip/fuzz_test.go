package ip

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/ipv6"
	"gatewayd/thread/link"
)

// What an input does with a packet, bits of its first byte.
const (
	isSecured  = 1 << 0
	isRepaired = 1 << 1 // lengths and checksum are made right first
	timePasses = 1 << 2
	fromHost   = 1 << 3
)

// chunk appends a packet to an input.
func chunk(b []byte, how byte, packet []byte) []byte {
	return append(binary.BigEndian.AppendUint16(append(b, how), uint16(len(packet))), packet...)
}

// repair makes an IPv6 packet of bytes, as far as they allow.
func repair(p []byte) []byte {
	if len(p) < ipv6.HeaderLen {
		return p
	}
	p[0] = 0x60 | p[0]&0x0f
	binary.BigEndian.PutUint16(p[4:], uint16(len(p)-ipv6.HeaderLen))
	proto, off, err := ipv6.Transport(p)
	if err != nil {
		return p
	}
	sumAt := off + 2
	switch proto {
	case ipv6.ProtoUDP:
		sumAt = off + 6
		if len(p) >= off+ipv6.UDPHeaderLen {
			binary.BigEndian.PutUint16(p[off+4:], uint16(len(p)-off))
		}
	case ipv6.ProtoICMPv6:
	default:
		return p
	}
	if len(p) >= sumAt+2 {
		p[sumAt], p[sumAt+1] = 0, 0
		sum := ipv6.Checksum(netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:])), proto, p[off:])
		binary.BigEndian.PutUint16(p[sumAt:], sum)
	}
	return p
}

const (
	openPort   = 1000 // to joiners, without link security
	closedPort = 2000
)

// Whatever comes from the mesh or the host, only whole datagrams go on, none
// without link security but to MLE and open ports, none from the host to MLE
// and TMF, no link-local or mesh-local one to the host on behalf of others,
// and no more is sent than was received, but for MPL's two repetitions.
func FuzzReceive(f *testing.F) {
	h := ipv6.Header{Src: peer, Dst: mleid, HopLimit: 64}
	echo := ipv6.AppendICMPPacket(nil, h, ipv6.ICMPEchoRequest, 0, ipv6.Echo{ID: 1, Seq: 2, Data: []byte("data")}.Append(nil))
	group := ipv6.AppendMPLHeader(ipv6.Header{Src: peer, Dst: ipv6.AllNodesRealm, HopLimit: 3, NextHeader: ipv6.ProtoHopByHop}.Append(nil),
		ipv6.ProtoUDP, ipv6.MPLOption{SeedLen: 2, Seed: 0x1800, Seq: 9})
	group = append(group, udp(peer, ipv6.AllNodesRealm, closedPort)[ipv6.HeaderLen:]...)
	tunnel := append(ipv6.Header{Src: rloc, Dst: mleid, HopLimit: 64, NextHeader: ipv6.ProtoIPv6}.Append(nil), udp(peer, mleid, closedPort)...)
	for _, p := range [][]byte{
		echo, group, tunnel, udp(peer, mleid, closedPort), udp(peerLL, linkLocal, portMLE), udp(peerLL, linkLocal, openPort),
		udp(peer, netip.MustParseAddr("fd11:22::99"), 53), udp(global, netip.MustParseAddr("2001:db8::1"), 53),
	} {
		for _, how := range []byte{isRepaired, isRepaired | isSecured, isRepaired | fromHost} {
			f.Add(chunk(chunk(nil, how, p), how|timePasses, p))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newRig(true)
		r.AllowUnsecure(openPort)
		for _, port := range []uint16{portMLE, portTMF, openPort, closedPort} {
			r.HandleUDP(port, func(d *Datagram) {
				mayUse := d.Info.Secured || d.Info.FromHost || d.Dst.Port() == portMLE || d.Dst.Port() == openPort
				if !mayUse || d.Dst.Port() != port {
					t.Fatalf("port %d got %+v", port, d)
				}
			})
		}
		received := 0
		for len(in) > 3 {
			how, n := in[0], min(int(binary.BigEndian.Uint16(in[1:])), len(in)-3)
			p := slices.Clone(in[3 : 3+n])
			in = in[3+n:]
			if how&isRepaired != 0 {
				p = repair(p)
			}
			received++
			hosts, sent := len(r.host), len(r.sent)
			was := slices.Clone(p)
			if how&fromHost != 0 {
				_ = r.FromHost(p)
				r.checkFromHost(t, was, r.sent[sent:])
			} else {
				r.Receive(p, link.Info{Secured: how&isSecured != 0, KeyIDMode: 1})
				r.checkFromMesh(t, was, how&isSecured != 0, hosts, sent)
			}
			if how&timePasses != 0 {
				r.clock.Advance(r.clock.Now().Add(50 * time.Millisecond))
			}
		}
		for range mplSends {
			r.clock.Advance(r.clock.Now().Add(time.Second))
		}
		// Sent on by MPL, a copy for sleepy children, and an answer.
		if len(r.sent) > (mplSends+2)*received || r.mpl.waiting != 0 || len(r.mpl.seeds) > mplSeeds {
			t.Fatalf("%d datagrams sent for %d received; %d wait, %d seeds", len(r.sent), received, r.mpl.waiting, len(r.mpl.seeds))
		}
		for _, p := range append(r.sent, r.host...) {
			if h, _, err := ipv6.DecodeHeader(p); err != nil || len(p) != ipv6.HeaderLen+int(h.PayloadLen) {
				t.Fatalf("no whole datagram: %x, %v", p, err)
			}
		}
	})
}

func (r *rig) checkFromMesh(t *testing.T, was []byte, secured bool, hosts, sent int) {
	t.Helper()
	if !secured && len(r.sent) > sent {
		t.Fatalf("forwarded without link security: %x", was)
	}
	for _, p := range r.host[hosts:] {
		h, _, err := ipv6.DecodeHeader(p)
		switch {
		case err != nil || len(p) > MTU:
			t.Fatalf("host got %x: %v", p, err)
		case h.Src.IsMulticast() || h.Src.IsLoopback() || h.Dst.IsLoopback():
			t.Fatalf("host got a datagram from %v to %v", h.Src, h.Dst)
		case r.Has(h.Dst) || h.Dst.IsMulticast():
		case h.Src.IsLinkLocalUnicast() || h.Dst.IsLinkLocalUnicast() || meshLocal.Contains(h.Src) || meshLocal.Contains(h.Dst):
			t.Fatalf("host was to forward a datagram from %v to %v", h.Src, h.Dst)
		}
		if !secured && !r.joinersOwn(p) {
			t.Fatalf("host got without link security: %x", p)
		}
	}
}

// joinersOwn reports whether a datagram may come without link security.
func (r *rig) joinersOwn(p []byte) bool {
	h, b, _ := ipv6.DecodeHeader(p)
	u, _, err := ipv6.DecodeUDP(b)
	linkLocal := h.Dst.IsLinkLocalUnicast() || h.Dst.IsMulticast() && ipv6.Scope(h.Dst) == ipv6.ScopeLink
	return linkLocal && h.NextHeader == ipv6.ProtoUDP && err == nil && (u.DstPort == portMLE || u.DstPort == openPort)
}

func (r *rig) checkFromHost(t *testing.T, was []byte, sent [][]byte) {
	t.Helper()
	for _, p := range sent {
		h, _, err := ipv6.DecodeHeader(p)
		if err != nil {
			t.Fatalf("%x became %x: %v", was, p, err)
		}
		proto, off, err := ipv6.Transport(p)
		if err != nil || h.Src.IsUnspecified() || h.Src.IsMulticast() || h.Dst.IsLoopback() {
			t.Fatalf("host sent %x into the mesh: %v", p, err)
		}
		if u, _, err := ipv6.DecodeUDP(p[off:]); proto == ipv6.ProtoUDP && err == nil && (u.DstPort == portMLE || u.DstPort == portTMF) {
			t.Fatalf("host sent to port %d of the mesh", u.DstPort)
		}
	}
}
