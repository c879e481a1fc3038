package mle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"gatewayd/ieee802154"
	"gatewayd/thread/keys"
)

// Port is MLE's UDP port, at both ends.
const Port = 19788

// The security suites (Thread 1.4 Section 4.5.1). There is no other.
const (
	SuiteSecured   = 0
	SuiteUnsecured = 255 // discovery only
)

const (
	control    = 0x15 // the only security control byte: level 5, key id mode 2
	headerLen  = 10   // control, counter, key source, key index
	micLen     = 4
	hopLimit   = 255
	controlLen = 1
)

// Reasons for a message or a TLV not to be decoded, wrapped in a DecodeError.
var (
	ErrShort   = errors.New("too short")
	ErrMissing = errors.New("missing")
	ErrInvalid = errors.New("invalid value")
)

// A DecodeError says where in its input a message or TLV stopped making sense.
type DecodeError struct {
	What   string // the element being read, "leader data"
	Offset int    // byte offset into what was decoded
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("mle: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Message is an MLE message without its envelope.
type Message struct {
	Command Command
	TLVs    TLVs
}

// Header is the auxiliary security header of a secured message. Sequence is
// the whole key sequence; the key index that goes with it follows from it.
type Header struct {
	Counter  uint32
	Sequence uint32
}

// append writes control byte, counter, key source and key index.
func (h Header) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, control), h.Counter)
	b = binary.BigEndian.AppendUint32(b, h.Sequence)
	return append(b, keys.Index(h.Sequence))
}

// AppendUnsecured appends a message in an envelope without security.
func (m Message) AppendUnsecured(b []byte) []byte {
	return append(append(b, SuiteUnsecured, byte(m.Command)), m.TLVs...)
}

// Seal appends a message in a secured envelope: encrypted by the MLE key of
// the header's sequence, with ext as the sender, authenticated together with
// the IPv6 addresses it travels between.
func (m Message) Seal(b []byte, c *ieee802154.CCM, h Header, ext ieee802154.ExtAddr, src, dst netip.Addr) []byte {
	b = h.append(append(b, SuiteSecured))
	at := len(b)
	b = append(append(b, byte(m.Command)), m.TLVs...)
	aad := associated(b[at-headerLen:at], src, dst)
	nonce := nonceOf(ext, h.Counter)
	b = append(b, 0, 0, 0, 0)
	tag := b[len(b)-micLen:]
	c.Seal(&nonce, aad[:], b[at:len(b)-micLen], tag)
	return b
}

func associated(header []byte, src, dst netip.Addr) [32 + headerLen]byte {
	var aad [32 + headerLen]byte
	s, d := src.As16(), dst.As16()
	copy(aad[:], s[:])
	copy(aad[16:], d[:])
	copy(aad[32:], header)
	return aad
}

func nonceOf(ext ieee802154.ExtAddr, counter uint32) [ieee802154.NonceLen]byte {
	var n [ieee802154.NonceLen]byte
	copy(n[:], ext[:])
	binary.BigEndian.PutUint32(n[8:], counter)
	n[12] = uint8(ieee802154.LevelEncMIC32)
	return n
}

// Packet is a message in its envelope.
type Packet struct {
	Suite  uint8
	Header Header  // of a secured one
	Plain  Message // of an unsecured one

	header []byte
	sealed []byte // command, TLVs and MIC
}

// DecodePacket reads the envelope of a UDP payload. The result aliases b.
func DecodePacket(b []byte) (Packet, error) {
	if len(b) < 1 {
		return Packet{}, &DecodeError{What: "security suite", Err: ErrShort}
	}
	p := Packet{Suite: b[0]}
	switch b[0] {
	case SuiteUnsecured:
		if len(b) < 2 {
			return Packet{}, &DecodeError{What: "command", Offset: 1, Err: ErrShort}
		}
		p.Plain = Message{Command: Command(b[1]), TLVs: TLVs(b[2:])}
		return p, nil
	case SuiteSecured:
	default:
		return Packet{}, &DecodeError{What: "security suite", Err: fmt.Errorf("%w: %d", ErrInvalid, b[0])}
	}
	if len(b) < 1+headerLen+controlLen+micLen {
		return Packet{}, &DecodeError{What: "secured message", Offset: len(b), Err: ErrShort}
	}
	p.header, p.sealed = b[1:1+headerLen], b[1+headerLen:]
	if p.header[0] != control {
		return Packet{}, &DecodeError{What: "security control", Offset: 1, Err: fmt.Errorf("%w: %#02x", ErrInvalid, p.header[0])}
	}
	p.Header = Header{Counter: binary.LittleEndian.Uint32(p.header[1:]), Sequence: binary.BigEndian.Uint32(p.header[5:])}
	if p.header[9] != keys.Index(p.Header.Sequence) {
		return Packet{}, &DecodeError{What: "key index", Offset: 10, Err: fmt.Errorf("%w: %d for sequence %d", ErrInvalid, p.header[9], p.Header.Sequence)}
	}
	return p, nil
}

// Open decrypts a secured message in place. It fails with ieee802154.ErrMIC;
// the bytes are as they were then.
func (p *Packet) Open(c *ieee802154.CCM, ext ieee802154.ExtAddr, src, dst netip.Addr) (Message, error) {
	aad := associated(p.header, src, dst)
	nonce := nonceOf(ext, p.Header.Counter)
	body := p.sealed[:len(p.sealed)-micLen]
	if err := c.Open(&nonce, aad[:], body, p.sealed[len(body):]); err != nil {
		return Message{}, err
	}
	return Message{Command: Command(body[0]), TLVs: TLVs(body[1:])}, nil
}
