package psk

import (
	"encoding/binary"

	"gatewayd/eap"
)

// Specification constants (RFC 4764 Section 5).
const (
	randLen  = 16
	macLen   = 16
	tagLen   = 16
	nonceLen = 4
	maxIDLen = 966 // Section 5.1: what fits the 1020 octets of any lower layer

	flagsMask = 0xc0 // T: which message it is
	first     = 0x00
	second    = 0x40
	third     = 0x80
	fourth    = 0xc0

	// The protected channel's first octet.
	resultMask  = 0xc0
	cont        = 0x40
	doneSuccess = 0x80
	doneFailure = 0xc0
	extension   = 0x20

	// headerLen is what EAX covers besides the payload: the EAP header with
	// type, the flags and RAND_S.
	headerLen = eap.MethodHeaderLen + 1 + randLen
)

// prefix reads what every message begins with: flags and RAND_S.
func prefix(data []byte) (t byte, randS, rest []byte, ok bool) {
	if len(data) < 1+randLen {
		return 0, nil, nil, false
	}
	return data[0] & flagsMask, data[1 : 1+randLen], data[1+randLen:], true
}

// channel is the protected channel (Section 3.3) on top of EAX.
type channel struct {
	eaxState
	header [headerLen]byte
	nonce  block // 12 zero octets and the counter
}

// setHeader makes out the first octets of a packet with n octets of data.
func (c *channel) setHeader(code eap.Code, id uint8, n int, data []byte) {
	c.header[0], c.header[1] = byte(code), id
	binary.BigEndian.PutUint16(c.header[2:], uint16(eap.MethodHeaderLen+n))
	c.header[4] = byte(eap.TypePSK)
	copy(c.header[eap.MethodHeaderLen:], data)
}

// seal appends counter, tag and the encrypted payload to data, which is the
// packet's data so far.
func (c *channel) seal(data []byte, code eap.Code, id uint8, counter uint32, payload ...byte) []byte {
	c.setHeader(code, id, len(data)+nonceLen+tagLen+len(payload), data)
	binary.BigEndian.PutUint32(c.nonce[blockLen-nonceLen:], counter)
	data = binary.BigEndian.AppendUint32(data, counter)
	at := len(data)
	data = append(data, make([]byte, tagLen)...)
	data = append(data, payload...)
	tag := c.eaxState.seal(c.nonce[:], c.header[:], data[at+tagLen:])
	copy(data[at:], tag[:])
	return data
}

// open reads the channel's part b of a packet, which must have the counter
// given. The payload is at least one octet.
func (c *channel) open(p eap.Packet, b []byte, counter uint32) (payload []byte, ok bool) {
	if len(b) < nonceLen+tagLen+1 || binary.BigEndian.Uint32(b) != counter {
		return nil, false
	}
	c.setHeader(p.Code, p.Identifier, len(p.Data), p.Data)
	binary.BigEndian.PutUint32(c.nonce[blockLen-nonceLen:], counter)
	payload = append([]byte(nil), b[nonceLen+tagLen:]...)
	return payload, c.eaxState.open(c.nonce[:], c.header[:], payload, b[nonceLen:nonceLen+tagLen])
}

// sessionID is the method's Session-Id (RFC 5247 Appendix A).
func sessionID(randP, randS *block) []byte {
	b := make([]byte, 0, 1+2*randLen)
	b = append(b, byte(eap.TypePSK))
	b = append(b, randP[:]...)
	return append(b, randS[:]...)
}
