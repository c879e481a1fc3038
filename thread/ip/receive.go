package ip

import (
	"maps"
	"slices"

	"gatewayd/ipv6"
	"gatewayd/thread/link"
)

// maxNesting bounds tunnelled datagrams inside each other.
const maxNesting = 2

// Receive takes a datagram from the mesh. The packet belongs to the stack then.
func (s *Stack) Receive(packet []byte, info link.Info) { s.receive(packet, info, 0) }

func (s *Stack) receive(packet []byte, info link.Info, nesting int) {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil || h.Src.IsMulticast() || h.Src.IsLoopback() || h.Dst.IsLoopback() {
		s.Counters.RxFailed++
		return
	}
	packet = packet[:ipv6.HeaderLen+int(h.PayloadLen)]
	if !info.Secured && !s.unsecureAllowed(h, packet) {
		s.Counters.Refused++
		return
	}
	if h.NextHeader == ipv6.ProtoHopByHop && !s.mpl.accept(h, packet) {
		return // seen before, or not to be had
	}
	s.Counters.RxSuccess++
	proto, off, err := ipv6.Transport(packet)
	if err != nil {
		s.Counters.RxFailed++
		return
	}
	if h.Dst.IsMulticast() {
		s.receiveMulticast(h, packet, info, proto, off, nesting)
		return
	}
	if s.Has(h.Dst) {
		if proto == ipv6.ProtoIPv6 && nesting < maxNesting {
			s.receive(packet[off:], info, nesting+1)
			return
		}
		s.deliver(h, packet, info, true)
		return
	}
	s.forward(h, packet)
}

func (s *Stack) receiveMulticast(h ipv6.Header, packet []byte, info link.Info, proto uint8, off, nesting int) {
	listening := slices.Contains(s.groups, h.Dst)
	if listening && proto == ipv6.ProtoIPv6 && nesting < maxNesting {
		s.receive(slices.Clone(packet[off:]), info, nesting+1)
		return
	}
	if ipv6.Scope(h.Dst) > ipv6.ScopeRealm && s.cfg.WantsCopy != nil && s.cfg.WantsCopy(h.Dst) {
		_ = s.cfg.Mesh.Send(slices.Clone(packet), link.Options{Priority: priorityOf(h)})
	}
	if listening {
		s.deliver(h, packet, info, true)
	} else if ipv6.Scope(h.Dst) > ipv6.ScopeRealm {
		s.Border.OutMulticast.add(packet)
		s.toHost(packet)
	}
}

// forward sends a datagram for somebody else on its way: back into the mesh if
// that has a way to it, else to the host.
func (s *Stack) forward(h ipv6.Header, packet []byte) {
	if h.Dst.IsLinkLocalUnicast() || h.Src.IsLinkLocalUnicast() || h.Dst.IsUnspecified() {
		return
	}
	if s.meshLocal.Contains(h.Dst) || s.cfg.Reaches(h.Src, h.Dst) {
		if !s.cfg.Router() || h.HopLimit <= 1 {
			return
		}
		ipv6.SetHopLimit(packet, h.HopLimit-1)
		_ = s.cfg.Mesh.Send(packet, link.Options{Priority: priorityOf(h)})
		return
	}
	s.leave(h, packet)
}

// leave hands a datagram to the host that has no way in the mesh. Those from
// mesh-local addresses never leave the mesh.
func (s *Stack) leave(h ipv6.Header, packet []byte) {
	if s.meshLocal.Contains(h.Src) {
		return
	}
	s.Border.OutUnicast.add(packet)
	s.toHost(packet)
}

func (s *Stack) toHost(packet []byte) {
	if s.cfg.Host != nil && len(packet) <= MTU {
		ipv6.PadMPL(packet)
		s.cfg.Host(packet)
	}
}

// deliver gives a datagram to a protocol of the node or, if none wants it, to
// the host.
func (s *Stack) deliver(h ipv6.Header, packet []byte, info link.Info, fromMesh bool) {
	proto, off, err := ipv6.Transport(packet)
	if err != nil {
		s.Counters.RxFailed++
		return
	}
	taken := false
	switch proto {
	case ipv6.ProtoUDP:
		taken = s.deliverUDP(h, packet[off:], info)
	case ipv6.ProtoICMPv6:
		taken = s.deliverICMP(h, packet[off:])
	case ipv6.ProtoNoNext:
		taken = true // a keep-alive, or a notice to a previous parent
	}
	if !taken && fromMesh {
		s.toHost(packet)
	}
}

// unsecureAllowed is the filter for datagrams without link security: link-local
// ones to MLE, which protects itself, and to ports that were opened for joiners.
func (s *Stack) unsecureAllowed(h ipv6.Header, packet []byte) bool {
	linkLocal := h.Dst.IsLinkLocalUnicast() || h.Dst.IsMulticast() && ipv6.Scope(h.Dst) == ipv6.ScopeLink
	if !linkLocal || h.NextHeader != ipv6.ProtoUDP {
		return false
	}
	u, _, err := ipv6.DecodeUDP(packet[ipv6.HeaderLen:])
	return err == nil && (u.DstPort == portMLE || s.unsecure[u.DstPort] > 0)
}

// AllowUnsecure opens a UDP port to link-local datagrams without link security,
// until it is closed as often.
func (s *Stack) AllowUnsecure(port uint16) { s.unsecure[port]++ }

// UnsecurePorts are the ports that are open so, ascending.
func (s *Stack) UnsecurePorts() []uint16 { return slices.Sorted(maps.Keys(s.unsecure)) }

// DenyUnsecure closes it again.
func (s *Stack) DenyUnsecure(port uint16) {
	if s.unsecure[port]--; s.unsecure[port] <= 0 {
		delete(s.unsecure, port)
	}
}
