package ip

import (
	"maps"
	"net/netip"
	"slices"

	"gatewayd/ipv6"
	"gatewayd/thread/link"
)

// Datagram is a UDP datagram.
type Datagram struct {
	Src, Dst netip.AddrPort
	HopLimit uint8 // 0 when sending: 64, or 255 where Options say so
	// TrafficClass as in the IPv6 header; TMF tells priority by it.
	TrafficClass uint8
	Payload      []byte
	Info         link.Info // of a received one
}

const defaultHopLimit = 64

// HandleUDP gives datagrams to a port to h; nil stops that. Payloads may be
// kept.
func (s *Stack) HandleUDP(port uint16, h func(*Datagram)) {
	if h == nil {
		delete(s.ports, port)
		return
	}
	s.ports[port] = h
}

// UDPInUse reports whether a port has a handler.
func (s *Stack) UDPInUse(port uint16) bool { return s.ports[port] != nil }

// UDPPorts are the ports that have a handler, in order.
func (s *Stack) UDPPorts() []uint16 { return slices.Sorted(maps.Keys(s.ports)) }

// SendUDP sends a datagram. A source address that is not valid is chosen.
func (s *Stack) SendUDP(d Datagram, o link.Options) error {
	src := d.Src.Addr()
	if !src.IsValid() {
		var ok bool
		if src, ok = s.SourceFor(d.Dst.Addr()); !ok {
			finish(o, false)
			return ErrNoSource
		}
	}
	if d.HopLimit == 0 {
		d.HopLimit = defaultHopLimit
	}
	h := ipv6.Header{Src: src, Dst: d.Dst.Addr(), HopLimit: d.HopLimit, TrafficClass: d.TrafficClass}
	p := ipv6.AppendUDPPacket(make([]byte, 0, ipv6.HeaderLen+ipv6.UDPHeaderLen+len(d.Payload)+mplRoom), h,
		d.Src.Port(), d.Dst.Port(), d.Payload)
	return s.Send(p, o)
}

func (s *Stack) deliverUDP(h ipv6.Header, b []byte, info link.Info) bool {
	u, payload, err := ipv6.DecodeUDP(b)
	if err != nil || !ipv6.VerifyChecksum(h.Src, h.Dst, ipv6.ProtoUDP, b[:len(payload)+ipv6.UDPHeaderLen]) {
		s.Counters.RxFailed++
		return true
	}
	f := s.ports[u.DstPort]
	if f == nil {
		return false
	}
	f(&Datagram{
		Src: netip.AddrPortFrom(h.Src, u.SrcPort), Dst: netip.AddrPortFrom(h.Dst, u.DstPort),
		HopLimit: h.HopLimit, TrafficClass: h.TrafficClass, Payload: payload, Info: info,
	})
	return true
}
