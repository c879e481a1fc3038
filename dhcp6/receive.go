package dhcp6

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// query is a client's message and how it came.
type query struct {
	msg     *dhcpv6.Message
	duid    []byte     // the client's; nil if it does not say
	peer    netip.Addr // the client's address
	unicast bool       // sent to the server's own address
	foreign bool       // from a link that is not ours
}

// Why messages are discarded.
var (
	errRelays   = errors.New("too many relay agents")
	errType     = errors.New("not for a server")
	errClientID = errors.New("no client identifier, or too long")
	errServerID = errors.New("a server identifier where there must be none")
	errNotUs    = errors.New("for another server")
	errIA       = errors.New("an identity association where there must be none")
	errUnicast  = errors.New("not sent to the multicast address")
	errNoAddrs  = errors.New("no addresses to confirm")
	errLink     = errors.New("of a link that is not ours")
	errEmpty    = errors.New("no message in it")
)

// Receive answers a datagram that came to port 547 from an address; unicast says
// that it came to an address of the server's own, not to one of the multicast
// addresses. There may be no answer.
func (s *Server) Receive(from netip.AddrPort, b []byte, unicast bool) (reply []byte, to netip.AddrPort) {
	s.stats.Received++
	discard := func(err error) ([]byte, netip.AddrPort) {
		s.stats.Discarded++
		s.notify(Event{Kind: EventDiscarded, From: from.Addr(), Err: err})
		return nil, netip.AddrPort{}
	}
	outer, err := dhcpv6.FromBytes(b)
	if err != nil {
		return discard(fmt.Errorf("dhcp6: message from %v: %w", from.Addr(), err))
	}
	q := query{peer: from.Addr(), unicast: unicast}
	var link netip.Addr
	var relays []*dhcpv6.RelayMessage // outermost first
	inner := outer
	for inner != nil && inner.IsRelay() {
		r := inner.(*dhcpv6.RelayMessage)
		if r.MessageType != dhcpv6.MessageTypeRelayForward {
			return discard(fmt.Errorf("dhcp6: %v from %v: %w", r.MessageType, from.Addr(), errType))
		}
		if len(relays) > hopLimit {
			return discard(fmt.Errorf("dhcp6: message from %v: %w", from.Addr(), errRelays))
		}
		relays = append(relays, r)
		q.unicast = false
		q.peer, _ = netip.AddrFromSlice(r.PeerAddr)
		// The one closest to the client that knows says what link it is on
		// (RFC 8415 Section 13.1).
		if a, ok := netip.AddrFromSlice(r.LinkAddr); ok && a.IsGlobalUnicast() {
			link = a
		}
		inner = r.Options.RelayMessage()
	}
	if inner == nil {
		return discard(fmt.Errorf("dhcp6: relayed message from %v: %w", from.Addr(), errEmpty))
	}
	q.msg = inner.(*dhcpv6.Message)
	q.foreign = link.IsValid() && !s.ours(link)
	if id := q.msg.Options.ClientID(); id != nil {
		q.duid = id.ToBytes()
	}
	answer, err := s.answer(&q)
	if err != nil {
		return discard(fmt.Errorf("dhcp6: %v from %v: %w", q.msg.MessageType, from.Addr(), err))
	}
	s.stats.Replied++
	var out dhcpv6.DHCPv6 = answer
	for i := len(relays) - 1; i >= 0; i-- {
		out = relayReply(relays[i], out)
	}
	return out.ToBytes(), replyTo(from, relays)
}

// relayReply wraps an answer for the relay agent that sent f (RFC 8415 Section
// 19.3).
func relayReply(f *dhcpv6.RelayMessage, answer dhcpv6.DHCPv6) *dhcpv6.RelayMessage {
	r := &dhcpv6.RelayMessage{
		MessageType: dhcpv6.MessageTypeRelayReply,
		HopCount:    f.HopCount, LinkAddr: f.LinkAddr, PeerAddr: f.PeerAddr,
	}
	if id := f.Options.GetOne(dhcpv6.OptionInterfaceID); id != nil {
		r.AddOption(id)
	}
	// The agent wants to hear on another port than 547 (RFC 8357 Section 5.2).
	if p := f.Options.GetOne(dhcpv6.OptionRelayPort); p != nil {
		r.AddOption(p)
	}
	r.AddOption(dhcpv6.OptRelayMessage(answer))
	return r
}

// replyTo is where an answer goes (RFC 8415 Sections 7.2 and 18.3.10).
func replyTo(from netip.AddrPort, relays []*dhcpv6.RelayMessage) netip.AddrPort {
	if len(relays) == 0 {
		return netip.AddrPortFrom(from.Addr(), ClientPort)
	}
	if relays[0].Options.GetOne(dhcpv6.OptionRelayPort) != nil {
		return from
	}
	return netip.AddrPortFrom(from.Addr(), ServerPort)
}

// answer validates a message (RFC 8415 Section 16) and answers it.
func (s *Server) answer(q *query) (*dhcpv6.Message, error) {
	server := q.msg.Options.GetOne(dhcpv6.OptionServerID)
	toUs := server != nil && bytes.Equal(server.ToBytes(), s.cfg.DUID)
	if q.msg.MessageType != dhcpv6.MessageTypeInformationRequest && (len(q.duid) == 0 || len(q.duid) > maxDUID) {
		return nil, errClientID
	}
	switch q.msg.MessageType {
	case dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRebind:
		switch {
		case server != nil:
			return nil, errServerID
		case q.unicast:
			return nil, errUnicast
		}
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		switch {
		case !toUs:
			return nil, errNotUs
		case q.unicast:
			return s.status(q, useMulticast), nil
		}
	case dhcpv6.MessageTypeInformationRequest:
		switch {
		case server != nil && !toUs:
			return nil, errNotUs
		case len(q.duid) > maxDUID:
			return nil, errClientID
		case q.msg.GetOneOption(dhcpv6.OptionIANA) != nil, q.msg.GetOneOption(dhcpv6.OptionIATA) != nil, q.msg.GetOneOption(dhcpv6.OptionIAPD) != nil:
			return nil, errIA
		}
	}
	switch q.msg.MessageType {
	case dhcpv6.MessageTypeSolicit:
		return s.solicit(q), nil
	case dhcpv6.MessageTypeRequest:
		return s.request(q), nil
	case dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind:
		return s.renew(q), nil
	case dhcpv6.MessageTypeConfirm:
		return s.confirm(q)
	case dhcpv6.MessageTypeRelease:
		return s.release(q), nil
	case dhcpv6.MessageTypeDecline:
		return s.decline(q), nil
	case dhcpv6.MessageTypeInformationRequest:
		m := s.reply(q, dhcpv6.MessageTypeReply)
		s.information(q, m)
		return m, nil
	}
	return nil, errType
}
