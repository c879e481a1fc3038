package rpl

import (
	"encoding/binary"
	"net/netip"
)

// ICMPType is the ICMPv6 type of all RPL messages (RFC 6550 Section 6). The
// messages of this package are the body of such an ICMPv6 message, after the
// checksum.
const ICMPType uint8 = 155

// Codes of RPL messages (RFC 6550 Section 6, Figure 6). A secure variant has
// the highest bit set; CC exists only so.
const (
	CodeDIS    uint8 = 0x00
	CodeDIO    uint8 = 0x01
	CodeDAO    uint8 = 0x02
	CodeDAOAck uint8 = 0x03
	CodeSecure uint8 = 0x80
	CodeCC     uint8 = 0x8a
)

// AllNodes is the multicast group of all RPL nodes on the link (RFC 6550
// Section 20.19).
var AllNodes = netip.MustParseAddr("ff02::1a")

// InfiniteRank is the rank of what is no way to the root (RFC 6550 Section
// 17).
const InfiniteRank uint16 = 0xffff

// MOP is the mode of operation of a DODAG: how, if at all, routes towards the
// nodes are kept (RFC 6550 Section 6.3.1).
type MOP uint8

const (
	NoDownward       MOP = 0 // only routes to the root
	NonStoring       MOP = 1 // the root knows all, and routes by source routes
	Storing          MOP = 2 // every router knows what is below it
	StoringMulticast MOP = 3
)

func (m MOP) String() string {
	switch m {
	case NoDownward:
		return "no downward routes"
	case NonStoring:
		return "non-storing"
	case Storing:
		return "storing"
	case StoringMulticast:
		return "storing with multicast"
	}
	return "unassigned"
}

// DIS asks neighbours for a DIO (RFC 6550 Section 6.2).
type DIS struct {
	Options []Option
}

// DecodeDIS reads the body of a DIS.
func DecodeDIS(body []byte) (m DIS, err error) {
	if len(body) < 2 {
		return DIS{}, decodeError("DIS base", len(body), ErrShort)
	}
	m.Options, err = decodeOptions(body, 2)
	return m, err
}

// Append appends the body of the message.
func (m DIS) Append(b []byte) []byte {
	return appendOptions(append(b, 0, 0), m.Options)
}

// DIO announces a DODAG and the sender's place in it (RFC 6550 Section 6.3.1).
//
//	+---------------+---------------+-------------------------------+
//	| RPLInstanceID |Version Number |             Rank              |
//	+-+-+-----+-----+---------------+---------------+---------------+
//	|G|0| MOP | Prf |     DTSN      |     Flags     |   Reserved    |
//	+-+-+-----+-----+---------------+---------------+---------------+
//	|                       DODAGID, 16 bytes                       |
type DIO struct {
	Instance   uint8
	Version    uint8 // of the DODAG, a lollipop counter
	Rank       uint16
	Grounded   bool
	MOP        MOP
	Preference uint8 // 0 to 7, of the root
	DTSN       uint8 // destination advertisement trigger, a lollipop counter
	DODAGID    netip.Addr
	Options    []Option
}

const dioLen = 24

// DecodeDIO reads the body of a DIO.
func DecodeDIO(body []byte) (m DIO, err error) {
	if len(body) < dioLen {
		return DIO{}, decodeError("DIO base", len(body), ErrShort)
	}
	m = DIO{
		Instance:   body[0],
		Version:    body[1],
		Rank:       binary.BigEndian.Uint16(body[2:]),
		Grounded:   body[4]&0x80 != 0,
		MOP:        MOP(body[4] >> 3 & 7),
		Preference: body[4] & 7,
		DTSN:       body[5],
		DODAGID:    netip.AddrFrom16([16]byte(body[8:24])),
	}
	m.Options, err = decodeOptions(body, dioLen)
	return m, err
}

// Append appends the body of the message.
func (m DIO) Append(b []byte) []byte {
	b = append(b, m.Instance, m.Version)
	b = binary.BigEndian.AppendUint16(b, m.Rank)
	b = append(b, flag(m.Grounded, 0x80)|uint8(m.MOP&7)<<3|m.Preference&7, m.DTSN, 0, 0)
	b = appendAddr(b, m.DODAGID)
	return appendOptions(b, m.Options)
}

// DAO tells a parent or the root who can be reached (RFC 6550 Section 6.4).
//
//	+---------------+-+-+-----------+---------------+---------------+
//	| RPLInstanceID |K|D|   Flags   |   Reserved    |  DAOSequence  |
//	+---------------+-+-+-----------+---------------+---------------+
//	|                  DODAGID, 16 bytes, when D                    |
type DAO struct {
	Instance uint8
	WantAck  bool // K
	Sequence uint8
	DODAGID  netip.Addr // invalid when left out
	Options  []Option
}

// DecodeDAO reads the body of a DAO.
func DecodeDAO(body []byte) (m DAO, err error) {
	if len(body) < 4 {
		return DAO{}, decodeError("DAO base", len(body), ErrShort)
	}
	m = DAO{Instance: body[0], WantAck: body[1]&0x80 != 0, Sequence: body[3]}
	off := 4
	if body[1]&0x40 != 0 {
		if m.DODAGID, err = addrAt(body, off, "DAO DODAGID"); err != nil {
			return DAO{}, err
		}
		off += 16
	}
	m.Options, err = decodeOptions(body, off)
	return m, err
}

// Append appends the body of the message.
func (m DAO) Append(b []byte) []byte {
	b = append(b, m.Instance, flag(m.WantAck, 0x80)|flag(m.DODAGID.IsValid(), 0x40), 0, m.Sequence)
	if m.DODAGID.IsValid() {
		b = appendAddr(b, m.DODAGID)
	}
	return appendOptions(b, m.Options)
}

// Status values of a DAO-ACK (RFC 6550 Section 6.5.1): zero accepts, up to
// 127 the sender rather wants another parent used, above it rejects.
const (
	StatusAccepted uint8 = 0
	StatusStale    uint8 = 1   // what was announced is older than what is known
	StatusRejected uint8 = 128 // there is no room
)

// DAOAck answers a DAO (RFC 6550 Section 6.5).
type DAOAck struct {
	Instance uint8
	Sequence uint8 // of the DAO
	Status   uint8
	DODAGID  netip.Addr // invalid when left out
	Options  []Option
}

// DecodeDAOAck reads the body of a DAO-ACK.
func DecodeDAOAck(body []byte) (m DAOAck, err error) {
	if len(body) < 4 {
		return DAOAck{}, decodeError("DAO-ACK base", len(body), ErrShort)
	}
	m = DAOAck{Instance: body[0], Sequence: body[2], Status: body[3]}
	off := 4
	if body[1]&0x80 != 0 {
		if m.DODAGID, err = addrAt(body, off, "DAO-ACK DODAGID"); err != nil {
			return DAOAck{}, err
		}
		off += 16
	}
	m.Options, err = decodeOptions(body, off)
	return m, err
}

// Append appends the body of the message.
func (m DAOAck) Append(b []byte) []byte {
	b = append(b, m.Instance, flag(m.DODAGID.IsValid(), 0x80), m.Sequence, m.Status)
	if m.DODAGID.IsValid() {
		b = appendAddr(b, m.DODAGID)
	}
	return appendOptions(b, m.Options)
}

// CC is the consistency check (RFC 6550 Section 6.6), as it stands after the
// security section that a CC always has.
type CC struct {
	Instance uint8
	Response bool // R
	Nonce    uint16
	DODAGID  netip.Addr
	Counter  uint32 // destination counter
	Options  []Option
}

const ccLen = 24

// DecodeCC reads the CC base object.
func DecodeCC(b []byte) (m CC, err error) {
	if len(b) < ccLen {
		return CC{}, decodeError("CC base", len(b), ErrShort)
	}
	m = CC{
		Instance: b[0],
		Response: b[1]&0x80 != 0,
		Nonce:    binary.BigEndian.Uint16(b[2:]),
		DODAGID:  netip.AddrFrom16([16]byte(b[4:20])),
		Counter:  binary.BigEndian.Uint32(b[20:]),
	}
	m.Options, err = decodeOptions(b, ccLen)
	return m, err
}

// Append appends the CC base object.
func (m CC) Append(b []byte) []byte {
	b = append(b, m.Instance, flag(m.Response, 0x80))
	b = binary.BigEndian.AppendUint16(b, m.Nonce)
	b = appendAddr(b, m.DODAGID)
	b = binary.BigEndian.AppendUint32(b, m.Counter)
	return appendOptions(b, m.Options)
}

// Decode reads the body of an RPL message of any code: a DIS, DIO, DAO or
// DAOAck. Secure variants are refused with ErrSecured, others with ErrCode.
func Decode(code uint8, body []byte) (any, error) {
	switch code {
	case CodeDIS:
		return orNil(DecodeDIS(body))
	case CodeDIO:
		return orNil(DecodeDIO(body))
	case CodeDAO:
		return orNil(DecodeDAO(body))
	case CodeDAOAck:
		return orNil(DecodeDAOAck(body))
	case CodeSecure | CodeDIS, CodeSecure | CodeDIO, CodeSecure | CodeDAO, CodeSecure | CodeDAOAck, CodeCC:
		return nil, decodeError("message", 0, ErrSecured)
	}
	return nil, decodeError("message", 0, ErrCode)
}

func orNil[M any](m M, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

func flag(on bool, bit uint8) uint8 {
	if on {
		return bit
	}
	return 0
}

// appendAddr appends 16 bytes; an invalid address is the unspecified one.
func appendAddr(b []byte, a netip.Addr) []byte {
	v := a.As16()
	return append(b, v[:]...)
}

func addrAt(b []byte, off int, what string) (netip.Addr, error) {
	if len(b) < off+16 {
		return netip.Addr{}, decodeError(what, len(b), ErrShort)
	}
	return netip.AddrFrom16([16]byte(b[off : off+16])), nil
}
