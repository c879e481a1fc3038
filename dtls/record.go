package dtls

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
)

// Specification constants: content types and the record header (RFC 6347
// Section 4.1), the explicit nonce and tag of AES_128_CCM_8 (RFC 6655).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23

	version10 = 0xfeff
	version12 = 0xfefd

	recordHeaderLen = 13
	nonceLen        = 8
	tagLen          = 8
	sealedOverhead  = nonceLen + tagLen
	maxSequence     = 1<<48 - 1
	maxPlaintext    = 1 << 14
)

// A record is one DTLS record, its fragment still protected when epoch is 1.
type record struct {
	typ      uint8
	version  uint16
	epoch    uint16
	seq      uint64 // 48 bits
	fragment []byte
}

// nextRecord splits the first record off a datagram. What cannot be a record
// makes the rest of the datagram useless: ok is false.
func nextRecord(b []byte) (r record, rest []byte, ok bool) {
	if len(b) < recordHeaderLen {
		return record{}, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[11:]))
	if len(b)-recordHeaderLen < n {
		return record{}, nil, false
	}
	s := binary.BigEndian.Uint64(b[3:])
	r = record{
		typ:      b[0],
		version:  binary.BigEndian.Uint16(b[1:]),
		epoch:    uint16(s >> 48),
		seq:      s & maxSequence,
		fragment: b[recordHeaderLen : recordHeaderLen+n : recordHeaderLen+n],
	}
	return r, b[recordHeaderLen+n:], true
}

// append writes a record in plain text.
func (r record) append(b []byte) []byte {
	b = r.appendHeader(b, len(r.fragment))
	return append(b, r.fragment...)
}

func (r record) appendHeader(b []byte, n int) []byte {
	b = append(b, r.typ)
	b = binary.BigEndian.AppendUint16(b, r.version)
	b = binary.BigEndian.AppendUint64(b, uint64(r.epoch)<<48|r.seq)
	return binary.BigEndian.AppendUint16(b, uint16(n))
}

// A direction protects the records of one direction (RFC 6655 Section 3).
type direction struct {
	aead cipher.AEAD
	salt [saltLen]byte
}

// seal appends the protected form of r. Epoch and sequence number are the
// explicit nonce, so no nonce is ever used twice.
func (d *direction) seal(b []byte, r record) []byte {
	b = r.appendHeader(b, len(r.fragment)+sealedOverhead)
	b = binary.BigEndian.AppendUint64(b, uint64(r.epoch)<<48|r.seq)
	nonce := d.nonce(b[len(b)-nonceLen:])
	ad := additionalData(r, len(r.fragment))
	return d.aead.Seal(b, nonce[:], r.fragment, ad[:])
}

// open returns the plain text of r, newly allocated; false when it does not
// authenticate.
func (d *direction) open(r record) ([]byte, bool) {
	n := len(r.fragment) - sealedOverhead
	if n < 0 || n > maxPlaintext {
		return nil, false
	}
	nonce := d.nonce(r.fragment[:nonceLen])
	ad := additionalData(r, n)
	plain, err := d.aead.Open(nil, nonce[:], r.fragment[nonceLen:], ad[:])
	return plain, err == nil
}

func (d *direction) nonce(explicit []byte) (n [saltLen + nonceLen]byte) {
	copy(n[:], d.salt[:])
	copy(n[saltLen:], explicit)
	return n
}

// additionalData is what the tag covers besides the text (RFC 5246 Section
// 6.2.3.3, with epoch and sequence number as in RFC 6347 Section 4.1.2.1).
func additionalData(r record, n int) (ad [recordHeaderLen]byte) {
	binary.BigEndian.PutUint64(ad[:], uint64(r.epoch)<<48|r.seq)
	ad[8] = r.typ
	binary.BigEndian.PutUint16(ad[9:], r.version)
	binary.BigEndian.PutUint16(ad[11:], uint16(n))
	return ad
}

// sendRecord sends one record of the current epoch in a datagram of its own.
func (c *Conn) sendRecord(typ uint8, body []byte) error {
	b, err := c.appendRecord(nil, typ, c.sendEpoch, body)
	if err == nil {
		c.cfg.Send(b)
	}
	return err
}

// errSequence: a session is not meant to last that long.
var errSequence = errors.New("dtls: sequence numbers are used up")

// appendRecord appends a record with the next sequence number of its epoch,
// protected in epoch 1.
func (c *Conn) appendRecord(b []byte, typ uint8, epoch uint16, body []byte) ([]byte, error) {
	if c.recordSeq[epoch] > maxSequence {
		return b, errSequence
	}
	r := record{typ: typ, version: version12, epoch: epoch, seq: c.recordSeq[epoch], fragment: body}
	c.recordSeq[epoch]++
	if epoch == 0 {
		return r.append(b), nil
	}
	return c.out.seal(b, r), nil
}
