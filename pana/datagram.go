package pana

import (
	"fmt"
	"net/netip"
)

// A Datagram is a UDP datagram that came in.
type Datagram struct {
	From netip.AddrPort
	// HopLimit is the IPv6 hop limit or the IPv4 time to live it arrived
	// with; 0 if unknown.
	HopLimit uint8
	Payload  []byte // kept by nobody
}

// OnLink reports whether the sender must be a neighbour: its address is
// link-local or nobody has forwarded the datagram (RFC 5191 Section 3, RFC
// 6345 Section 2).
func (d *Datagram) OnLink() bool {
	return d.HopLimit == 255 || d.From.Addr().IsLinkLocalUnicast()
}

// path is the way to a client: directly, or through a relay element.
type path struct {
	pac    netip.AddrPort
	pre    netip.AddrPort // zero: none
	padded bool           // how the relay element writes PaC-Information
}

func (p path) relayed() bool { return p.pre.IsValid() }

func (p path) String() string {
	if p.relayed() {
		return fmt.Sprintf("%v through %v", p.pac, p.pre)
	}
	return p.pac.String()
}

// same reports whether both lead to the same place.
func (p path) same(q path) bool { return p.pac == q.pac && p.pre == q.pre }

// wrap is the datagram that takes the message b to the client, and where to
// send it.
func (p path) wrap(b []byte) (to netip.AddrPort, out []byte) {
	if !p.relayed() {
		return p.pac, b
	}
	return p.pre, appendRelay(nil, PaCInformation{Addr: p.pac, Padded: p.padded}, b)
}

// appendRelay appends the relay message that carries one of or to a client.
func appendRelay(out []byte, who PaCInformation, b []byte) []byte {
	m := Message{Type: Relay, AVPs: AVPs{
		{Code: CodePaCInformation, Value: who.Append(nil)},
		{Code: CodeRelayedMessage, Value: b},
	}}
	return m.Append(out)
}

// unwrap reads a relay message that passed Check.
func (m *Message) unwrap() (PaCInformation, []byte, error) {
	v, _ := m.AVPs.Find(CodePaCInformation)
	who, err := DecodePaCInformation(v)
	if err != nil {
		return who, nil, err
	}
	inner, _ := m.AVPs.Find(CodeRelayedMessage)
	return who, inner, nil
}
