package wpan

import (
	"net/netip"
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
)

// Link is how a datagram reached this node over the radio.
type Link struct {
	Src       ieee802154.Addr
	Secured   bool
	Broadcast bool
	RSSI      int8 // dBm
	LQI       uint8
	FromHost  bool // not by radio at all
}

// Groups that a node listens to.
var (
	allNodes   = netip.MustParseAddr("ff02::1")
	allRouters = netip.MustParseAddr("ff02::2")
	allRPL     = netip.MustParseAddr("ff02::1a")
	allDHCP    = netip.MustParseAddr("ff02::1:2")
)

const defaultHopLimit = 64

// Addresses are the node's own, the link-local one first.
func (n *Node) Addresses() []netip.Addr { return slices.Clone(n.addrs) }

func (n *Node) has(a netip.Addr) bool { return slices.Contains(n.addrs, a) }

func (n *Node) listens(group netip.Addr) bool {
	switch group {
	case allNodes:
		return true
	case allRouters, allRPL:
		return n.cfg.Role != Host
	case allDHCP:
		return n.udp[portDHCPServer] != nil
	}
	// Solicited-node groups of our addresses (RFC 4291 Section 2.7.1).
	g := group.As16()
	if [13]byte(g[:13]) != solicitedNode {
		return false
	}
	for _, a := range n.addrs {
		if b := a.As16(); [3]byte(b[13:]) == [3]byte(g[13:]) {
			return true
		}
	}
	return false
}

var solicitedNode = [13]byte{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}

// SourceFor is the address to send from to dst: of the same scope.
func (n *Node) SourceFor(dst netip.Addr) (netip.Addr, bool) {
	if len(n.addrs) == 0 {
		return netip.Addr{}, false
	}
	if dst.IsLinkLocalUnicast() || dst.IsMulticast() && ipv6.Scope(dst) <= ipv6.ScopeLink {
		return n.addrs[0], true
	}
	if len(n.addrs) < 2 {
		return netip.Addr{}, false
	}
	return n.addrs[len(n.addrs)-1], true
}

// receive takes a datagram from the radio.
func (n *Node) receive(packet []byte, info Link) {
	h, proto, off, err := transport(packet)
	if err != nil || h.Src.IsMulticast() || h.Src.IsLoopback() || h.Dst.IsLoopback() || h.Dst.IsUnspecified() {
		n.Counters.Malformed++
		return
	}
	packet = packet[:ipv6.HeaderLen+int(h.PayloadLen)]
	if n.secured() && !info.Secured && !n.mayPassUnsecured(h, proto, packet[off:], info) {
		n.Counters.Refused++
		return
	}
	n.Counters.Received++
	if info.Secured && info.Src.Mode == ieee802154.AddrExtended {
		delete(n.joiners.heard, info.Src.Ext)
	}
	switch {
	case h.Dst.IsMulticast():
		if n.listens(h.Dst) {
			n.deliver(h, packet, info)
		}
	case h.Dst.IsLinkLocalUnicast():
		if n.has(h.Dst) {
			n.deliver(h, packet, info)
		}
	default:
		n.onward(h, packet, info)
	}
}

// onward takes a datagram with a routable destination, ours or not: RPL's
// headers come first, for a source route passes through addresses of ours.
func (n *Node) onward(h ipv6.Header, packet []byte, info Link) {
	if !routable(h.Src) {
		n.Counters.Refused++
		return
	}
	n.routing.arrived(h, packet, info)
}

// routable reports an address that datagrams are forwarded by.
func routable(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !a.IsLoopback()
}

// maxNesting bounds datagrams inside each other.
const maxNesting = 2

// deliver gives a datagram to whom it is for on this node.
func (n *Node) deliver(h ipv6.Header, packet []byte, info Link) {
	_, proto, off, err := transport(packet)
	if err != nil {
		n.Counters.Malformed++
		return
	}
	b := packet[off:]
	switch proto {
	case ipv6.ProtoUDP:
		if n.deliverUDP(h, b, info) {
			return
		}
	case ipv6.ProtoICMPv6:
		if n.deliverICMP(h, b, info) {
			return
		}
	case ipv6.ProtoIPv6:
		inner, _, err := ipv6.DecodeHeader(b)
		if err != nil || n.nesting >= maxNesting || !routable(inner.Dst) || !routable(inner.Src) {
			n.Counters.Malformed++
			return
		}
		n.nesting++
		n.onward(inner, slices.Clone(b[:ipv6.HeaderLen+int(inner.PayloadLen)]), info)
		n.nesting--
		return
	case ipv6.ProtoNoNext:
		return
	}
	n.toHost(packet)
}

func (n *Node) toHost(packet []byte) {
	if n.cfg.Host != nil {
		n.Counters.ToHost++
		n.cfg.Host(packet)
	}
}

// FromHost takes a datagram that the host wants on the mesh. Neighbour and
// listener discovery belong to links with Ethernet's habits, and PANA is the
// gateway's own.
func (n *Node) FromHost(packet []byte) error {
	h, proto, off, err := transport(packet)
	if err != nil {
		n.Counters.Refused++
		return err
	}
	packet = packet[:ipv6.HeaderLen+int(h.PayloadLen)]
	if proto == ipv6.ProtoICMPv6 {
		if m, err := ipv6.DecodeICMP(packet[off:]); err == nil && (m.Type >= 130 && m.Type <= 137 || m.Type == 143 || m.Type == icmpRPL) {
			n.Counters.Refused++
			return nil
		}
	}
	if h.Dst.IsMulticast() || h.Src.IsUnspecified() || h.Src.IsLoopback() || h.Dst.IsUnspecified() {
		n.Counters.Refused++
		return nil // nobody in a mesh without multicast routing hears it
	}
	n.Counters.FromHost++
	n.send(packet, sending{})
	return nil
}

// sending is how a datagram leaves.
type sending struct {
	urgent bool
	// hop is the neighbour to send to, where that is known.
	hop ieee802154.Addr
	// unsecured sends under no key: to a device that has none.
	unsecured bool
	done      func(ok bool)
}

func (o sending) finish(ok bool) {
	if o.done != nil {
		o.done(ok)
	}
}

// send sends a datagram of this node or its host. The packet belongs to the
// node then.
func (n *Node) send(packet []byte, o sending) {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil || len(packet) > ipv6.MinMTU {
		n.Counters.Malformed++
		o.finish(false)
		return
	}
	switch {
	case h.Dst.IsMulticast():
		n.toAir(packet, ieee802154.ShortAddr(ieee802154.BroadcastShort), o)
	case n.has(h.Dst):
		n.loop(packet)
		o.finish(true)
	case o.hop.Mode != ieee802154.AddrNone:
		n.toAir(packet, o.hop, o)
	case h.Dst.IsLinkLocalUnicast():
		n.toAir(packet, linkAddress(h.Dst), o)
	default:
		n.routing.originate(h, packet, o)
	}
}

func (n *Node) toAir(packet []byte, hop ieee802154.Addr, o sending) {
	n.adapt.send(&datagram{packet: packet, hop: hop, unsecured: o.unsecured, urgent: o.urgent, done: o.done})
}

// maxLooped bounds the datagrams on their way to ourselves.
const maxLooped = 32

// loop delivers a datagram to ourselves: not at once, because who sends does
// not expect to be called in the middle of it.
func (n *Node) loop(packet []byte) {
	if len(n.looped) >= maxLooped {
		n.Counters.QueueFull++
		return
	}
	n.looped = append(n.looped, packet)
	n.looper.StartEarlier(0)
}

func (n *Node) deliverLooped() {
	packets := n.looped
	n.looped = nil
	for _, p := range packets {
		if h, _, err := ipv6.DecodeHeader(p); err == nil {
			n.deliver(h, p, Link{Secured: true, FromHost: true})
		}
	}
}

// Datagram is a UDP datagram.
type Datagram struct {
	Src, Dst netip.AddrPort
	HopLimit uint8 // 0 when sending is 64
	Payload  []byte
	Link     Link // of a received one
}

// HandleUDP gives datagrams to a port to f; nil stops that.
func (n *Node) HandleUDP(port uint16, f func(Datagram)) {
	if f == nil {
		delete(n.udp, port)
		return
	}
	n.udp[port] = f
}

// SendUDP sends a datagram, from an address that is chosen if none is given;
// false if there is none to send from.
func (n *Node) SendUDP(d Datagram) bool { return n.sendUDP(d, sending{}) }

func (n *Node) sendUDP(d Datagram, o sending) bool {
	src := d.Src.Addr()
	if !src.IsValid() {
		var ok bool
		if src, ok = n.SourceFor(d.Dst.Addr()); !ok {
			o.finish(false)
			return false
		}
	}
	if d.HopLimit == 0 {
		d.HopLimit = defaultHopLimit
	}
	h := ipv6.Header{Src: src, Dst: d.Dst.Addr(), HopLimit: d.HopLimit}
	n.send(ipv6.AppendUDPPacket(nil, h, d.Src.Port(), d.Dst.Port(), d.Payload), o)
	return true
}

func (n *Node) deliverUDP(h ipv6.Header, b []byte, info Link) bool {
	u, payload, err := ipv6.DecodeUDP(b)
	if err != nil || !ipv6.VerifyChecksum(h.Src, h.Dst, ipv6.ProtoUDP, b[:len(payload)+ipv6.UDPHeaderLen]) {
		n.Counters.Malformed++
		return true
	}
	f := n.udp[u.DstPort]
	if f == nil {
		return false
	}
	f(Datagram{Src: netip.AddrPortFrom(h.Src, u.SrcPort), Dst: netip.AddrPortFrom(h.Dst, u.DstPort),
		HopLimit: h.HopLimit, Payload: payload, Link: info})
	return true
}
