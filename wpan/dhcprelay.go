package wpan

import (
	"encoding/binary"
	"net/netip"
)

// DHCPv6 relay messages (RFC 8415 Section 9) and the option that holds what is
// relayed (Section 21.10).
const (
	relayForward   = 12
	relayReply     = 13
	relayHeaderLen = 2 + 16 + 16
	optionRelayed  = 9
)

// relayDHCP is a router's part in DHCPv6: the relay agent (RFC 8415 Section 19)
// for neighbours, whose multicast does not reach the coordinator. What comes
// from another relay agent is not relayed again: every router reaches the
// coordinator by itself.
func (n *Node) relayDHCP(d Datagram) {
	if n.host == nil || len(d.Payload) == 0 {
		return
	}
	server := netip.AddrPortFrom(n.host.BorderRouter(), portDHCPServer)
	own := n.global()
	if !server.Addr().IsValid() || !own.IsValid() {
		return // not known yet where to
	}
	switch from := d.Src.Addr(); {
	case d.Payload[0] == relayReply:
		peer, b, ok := relayed(d.Payload)
		if from == server.Addr() && ok && peer.IsLinkLocalUnicast() {
			n.SendUDP(Datagram{Src: netip.AddrPortFrom(netip.Addr{}, portDHCPServer),
				Dst: netip.AddrPortFrom(peer, portDHCPClient), Payload: b})
		}
	case d.Payload[0] != relayForward && from.IsLinkLocalUnicast() && d.Src.Port() == portDHCPClient:
		n.SendUDP(Datagram{Src: netip.AddrPortFrom(own, portDHCPServer), Dst: server,
			Payload: appendRelayForward(nil, own, from, d.Payload)})
	}
}

// appendRelayForward appends a Relay-forward: a client's message, with the
// address of its link and its own.
func appendRelayForward(b []byte, link, peer netip.Addr, message []byte) []byte {
	b = append(b, relayForward, 0)
	b = append(b, link.AsSlice()...)
	b = append(b, peer.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, optionRelayed)
	b = binary.BigEndian.AppendUint16(b, uint16(len(message)))
	return append(b, message...)
}

// relayed is what a Relay-reply holds, and who it is for; false if it makes no
// sense.
func relayed(b []byte) (peer netip.Addr, message []byte, ok bool) {
	if len(b) < relayHeaderLen {
		return peer, nil, false
	}
	peer = netip.AddrFrom16([16]byte(b[18:34]))
	for b = b[relayHeaderLen:]; len(b) >= 4; {
		typ, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; len(b) < n {
			return peer, nil, false
		}
		if typ == optionRelayed {
			return peer, b[:n], n > 0
		}
		b = b[n:]
	}
	return peer, nil, false
}
