package pana

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Port is the UDP port of PANA (RFC 5191 Section 6.1).
const Port = 716

// Type is the type of a message (RFC 5191 Section 7, RFC 6345 Section 4).
type Type uint16

// The types. A request and its answer share one; see FlagRequest.
const (
	Initiation   Type = 1 // PCI
	Auth         Type = 2 // PAR, PAN
	Termination  Type = 3 // PTR, PTA
	Notification Type = 4 // PNR, PNA
	Relay        Type = 5 // PRY
)

// Flags of a message (RFC 5191 Section 6.2).
type Flags uint16

// The flags. Others are sent as zero and ignored on receipt.
const (
	FlagRequest  Flags = 0x8000 // R
	FlagStart    Flags = 0x4000 // S: first exchange of a session
	FlagComplete Flags = 0x2000 // C: last exchange of a handshake
	FlagReauth   Flags = 0x1000 // A: the client asks for re-authentication
	FlagPing     Flags = 0x0800 // P: liveness test
	FlagReconfig Flags = 0x0400 // I: the client shall get itself a new address

	flagsKnown = FlagRequest | FlagStart | FlagComplete | FlagReauth | FlagPing | FlagReconfig
)

func (f Flags) String() string {
	var b strings.Builder
	for i, c := range "RSCAPI" {
		if f&(FlagRequest>>i) != 0 {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// A Message is one PANA message (RFC 5191 Section 6.2).
type Message struct {
	Flags     Flags
	Type      Type
	SessionID uint32
	Seq       uint32
	AVPs      AVPs

	raw []byte // what it was decoded from
}

// HeaderLen is the length of a message without AVPs in bytes.
const HeaderLen = 16

func (m *Message) String() string {
	name := [...]string{"type 0", "PCI", "PAN", "PTA", "PNA", "PRY"}
	s := fmt.Sprintf("type %d", uint16(m.Type))
	if int(m.Type) < len(name) {
		s = name[m.Type]
	}
	if m.Flags&FlagRequest != 0 {
		s = strings.NewReplacer("PAN", "PAR", "PTA", "PTR", "PNA", "PNR").Replace(s)
	}
	if f := m.Flags &^ FlagRequest; f != 0 {
		s += "[" + f.String() + "]"
	}
	return fmt.Sprintf("%s %08x/%08x", s, m.SessionID, m.Seq)
}

// is reports whether the message is of a type and has exactly the flags, apart
// from the one that only says what comes later.
func (m *Message) is(t Type, f Flags) bool {
	return m.Type == t && m.Flags&flagsKnown&^FlagReconfig == f
}

// request reports whether the R bit is set.
func (m *Message) request() bool { return m.Flags&FlagRequest != 0 }

// Append appends the message to b. The whole of it must be shorter than 64 KiB.
func (m *Message) Append(b []byte) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, 0) // reserved
	b = binary.BigEndian.AppendUint16(b, 0) // length, below
	b = binary.BigEndian.AppendUint16(b, uint16(m.Flags))
	b = binary.BigEndian.AppendUint16(b, uint16(m.Type))
	b = binary.BigEndian.AppendUint32(b, m.SessionID)
	b = binary.BigEndian.AppendUint32(b, m.Seq)
	b = m.AVPs.Append(b)
	setLength(b[at:])
	return b
}

// setLength writes the length of the message that fills b into its header.
func setLength(b []byte) { binary.BigEndian.PutUint16(b[2:], uint16(len(b))) }

// Decode reads a message that fills b. The message aliases b. What the types
// require of flags and AVPs is for Check.
func Decode(b []byte) (*Message, error) {
	if len(b) < HeaderLen {
		return nil, &DecodeError{"header", 0, ErrShort}
	}
	switch n := int(binary.BigEndian.Uint16(b[2:])); {
	case n > len(b):
		return nil, &DecodeError{"length", 2, ErrShort}
	case n < len(b):
		return nil, &DecodeError{"length", 2, ErrLength}
	}
	avps, err := decodeAVPs(b[HeaderLen:], HeaderLen)
	if err != nil {
		return nil, err
	}
	return &Message{
		Flags:     Flags(binary.BigEndian.Uint16(b[4:])),
		Type:      Type(binary.BigEndian.Uint16(b[6:])),
		SessionID: binary.BigEndian.Uint32(b[8:]),
		Seq:       binary.BigEndian.Uint32(b[12:]),
		AVPs:      avps,
		raw:       b,
	}, nil
}
