package meshcop

import "encoding/binary"

// A RelayRx is the body of RLY_RX.ntf (c/rx): a DTLS datagram of a joiner, on
// its way from the joiner router to the commissioner (Thread 1.4 Section
// 8.4.4.4).
type RelayRx struct {
	JoinerPort    uint16  // the joiner's UDP source port
	JoinerIID     [8]byte // of the joiner's link-local address
	RouterLocator uint16  // RLOC16 of the joiner router
	Encapsulation []byte  // the DTLS datagram
	Unknown       []TLV
}

// Append appends the encoded message to b.
func (m *RelayRx) Append(b []byte) []byte {
	b = AppendUint16(b, TypeJoinerUDPPort, m.JoinerPort)
	b = AppendTLV(b, TypeJoinerIID, m.JoinerIID[:])
	b = AppendUint16(b, TypeJoinerRouterLocator, m.RouterLocator)
	b = append(appendExtendedHeader(b, TypeJoinerDTLSEncapsulation, len(m.Encapsulation)), m.Encapsulation...)
	return appendTLVs(b, m.Unknown)
}

// relayed reads what both directions have in common.
func (f *fields) relayed() RelayRx {
	f.require(TypeJoinerUDPPort, TypeJoinerIID, TypeJoinerRouterLocator, TypeJoinerDTLSEncapsulation)
	return RelayRx{
		JoinerPort:    value(f.uint16(TypeJoinerUDPPort)),
		JoinerIID:     value(f.eight(TypeJoinerIID)),
		RouterLocator: value(f.uint16(TypeJoinerRouterLocator)),
		Encapsulation: f.bytes(TypeJoinerDTLSEncapsulation, MaxTLVLength),
	}
}

// DecodeRelayRx reads an RLY_RX.ntf, of which every element is required.
func DecodeRelayRx(b []byte) (RelayRx, error) {
	f := newFields(b)
	m := f.relayed()
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return RelayRx{}, err
	}
	return m, nil
}

// A RelayTx is the body of RLY_TX.ntf (c/tx): a DTLS datagram for a joiner, on
// its way from the commissioner to the joiner router. With KEK, the router
// entrusts the network to the joiner (Thread 1.4 Section 8.4.4.4).
type RelayTx struct {
	JoinerPort    uint16  // the joiner's UDP port
	JoinerIID     [8]byte // of the joiner's link-local address
	RouterLocator uint16  // RLOC16 of the joiner router
	Encapsulation []byte  // the DTLS datagram
	KEK           *Key
	Unknown       []TLV
}

// Append appends the encoded message to b.
func (m *RelayTx) Append(b []byte) []byte {
	b = AppendUint16(b, TypeJoinerUDPPort, m.JoinerPort)
	b = AppendTLV(b, TypeJoinerIID, m.JoinerIID[:])
	b = AppendUint16(b, TypeJoinerRouterLocator, m.RouterLocator)
	if m.KEK != nil {
		b = AppendTLV(b, TypeJoinerRouterKEK, m.KEK[:])
	}
	b = append(appendExtendedHeader(b, TypeJoinerDTLSEncapsulation, len(m.Encapsulation)), m.Encapsulation...)
	return appendTLVs(b, m.Unknown)
}

// DecodeRelayTx reads an RLY_TX.ntf, of which every element but the KEK is
// required.
func DecodeRelayTx(b []byte) (RelayTx, error) {
	f := newFields(b)
	r := f.relayed()
	m := RelayTx{
		JoinerPort:    r.JoinerPort,
		JoinerIID:     r.JoinerIID,
		RouterLocator: r.RouterLocator,
		Encapsulation: r.Encapsulation,
		KEK:           f.key(TypeJoinerRouterKEK),
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return RelayTx{}, err
	}
	return m, nil
}

// A UDPProxy is the body of UDP_RX.ntf and UDP_TX.ntf (c/ur, c/ut): a datagram
// between a commissioner outside the mesh and a node (Thread 1.4 Section
// 8.4.3.3).
type UDPProxy struct {
	SourcePort, DestPort uint16
	Payload              []byte
	Address              [16]byte // the node's: source of c/ur, destination of c/ut
	Unknown              []TLV
}

// Append appends the encoded message to b.
func (m *UDPProxy) Append(b []byte) []byte {
	b = appendExtendedHeader(b, TypeUDPEncapsulation, 4+len(m.Payload))
	b = binary.BigEndian.AppendUint16(b, m.SourcePort)
	b = binary.BigEndian.AppendUint16(b, m.DestPort)
	b = append(b, m.Payload...)
	b = AppendTLV(b, TypeIPv6Address, m.Address[:])
	return appendTLVs(b, m.Unknown)
}

// DecodeUDPProxy reads a UDP_RX.ntf or UDP_TX.ntf.
func DecodeUDPProxy(b []byte) (UDPProxy, error) {
	f := newFields(b)
	f.require(TypeUDPEncapsulation, TypeIPv6Address)
	var m UDPProxy
	if v, off, ok := f.raw(TypeUDPEncapsulation); ok {
		if len(v) < 4 {
			f.fail(TypeUDPEncapsulation, off, ErrShort)
		} else {
			m.SourcePort, m.DestPort = binary.BigEndian.Uint16(v), binary.BigEndian.Uint16(v[2:])
			m.Payload = v[4:]
		}
	}
	if v, ok := f.fixed(TypeIPv6Address, 16); ok {
		m.Address = [16]byte(v)
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return UDPProxy{}, err
	}
	return m, nil
}
