package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gatewayd/ieee802154"
)

// UDP ports (RFC 8415 Section 7.2).
const (
	ClientPort = 546
	ServerPort = 547
)

// Type is a message type (RFC 8415 Section 7.3).
type Type uint8

// The types that are used.
const (
	Solicit Type = 1
	Reply   Type = 7
)

// Option codes (RFC 8415 Section 21).
const (
	optionClientID    = 1
	optionServerID    = 2
	optionIANA        = 3
	optionIAAddr      = 5
	optionElapsed     = 8
	optionStatus      = 13
	optionRapidCommit = 14
)

// DUIDs based on link-layer addresses (RFC 8415 Section 11.4).
const (
	duidLL    = 3
	hwEUI64   = 27
	maxDUID   = 130
	duidLLLen = 4 + 8
)

// Forever is the lifetime of what does not expire.
const Forever = 0xffffffff * time.Second

// Reasons for a DecodeError.
var (
	ErrShort  = errors.New("message ends early")
	ErrLength = errors.New("wrong length")
)

// A DecodeError says where in the input a message stopped making sense.
type DecodeError struct {
	What   string
	Offset int // byte offset into the message
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("dhcp: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// A Message is a Solicit or a Reply. Options that play no part here are not kept.
type Message struct {
	Type        Type
	Transaction [3]byte
	ClientID    []byte // DUIDs; nil if there is none
	ServerID    []byte
	Elapsed     *time.Duration
	Status      uint16 // 0 is success
	RapidCommit bool
	IA          *IA
}

// IA is an identity association for non-temporary addresses (RFC 8415 Section
// 21.4).
type IA struct {
	ID        uint32
	T1, T2    time.Duration // full seconds
	Status    uint16
	Addresses []IAAddress
}

// IAAddress is an address of an IA (RFC 8415 Section 21.6).
type IAAddress struct {
	Addr             netip.Addr
	Preferred, Valid time.Duration // full seconds
}

// DUID is the DUID of a device with an EUI-64.
func DUID(e ieee802154.ExtAddr) []byte {
	return append([]byte{0, duidLL, 0, hwEUI64}, e[:]...)
}

// EUI64Of is the EUI-64 in a DUID; false if it is of another kind.
func EUI64Of(duid []byte) (e ieee802154.ExtAddr, ok bool) {
	if len(duid) != duidLLLen || [4]byte(duid) != [4]byte{0, duidLL, 0, hwEUI64} {
		return e, false
	}
	return ieee802154.ExtAddr(duid[4:]), true
}

// Append appends the encoded message to b.
func (m *Message) Append(b []byte) []byte {
	b = append(b, byte(m.Type))
	b = append(b, m.Transaction[:]...)
	if m.Elapsed != nil {
		b = appendOption(b, optionElapsed, binary.BigEndian.AppendUint16(nil, uint16(min(*m.Elapsed/(10*time.Millisecond), 0xffff))))
	}
	if m.ServerID != nil {
		b = appendOption(b, optionServerID, m.ServerID)
	}
	if m.ClientID != nil {
		b = appendOption(b, optionClientID, m.ClientID)
	}
	if m.IA != nil {
		b = appendOption(b, optionIANA, m.IA.append(nil, m.Type == Reply))
	}
	if m.RapidCommit {
		b = appendOption(b, optionRapidCommit, nil)
	}
	if m.Status != 0 {
		b = appendOption(b, optionStatus, binary.BigEndian.AppendUint16(nil, m.Status))
	}
	return b
}

func (a *IA) append(b []byte, status bool) []byte {
	b = binary.BigEndian.AppendUint32(b, a.ID)
	b = appendSeconds(appendSeconds(b, a.T1), a.T2)
	if status {
		b = appendOption(b, optionStatus, binary.BigEndian.AppendUint16(nil, a.Status))
	}
	for _, x := range a.Addresses {
		v := x.Addr.As16()
		b = appendOption(b, optionIAAddr, appendSeconds(appendSeconds(v[:], x.Preferred), x.Valid))
	}
	return b
}

func appendOption(b []byte, code uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(value))), value...)
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(min(d/time.Second, 0xffffffff)))
}

func seconds(b []byte) time.Duration { return time.Duration(binary.BigEndian.Uint32(b)) * time.Second }

// Decode reads a message that fills b, which it aliases. Of an option that may
// come once the last one counts.
func Decode(b []byte) (m Message, err error) {
	if len(b) < 4 {
		return m, &DecodeError{What: "header", Err: ErrShort}
	}
	m.Type, m.Transaction = Type(b[0]), [3]byte(b[1:])
	err = options(b, 4, func(code uint16, v []byte, at int) error {
		wrong := func(what string, ok bool) error {
			if ok {
				return nil
			}
			return &DecodeError{What: what, Offset: at, Err: ErrLength}
		}
		switch code {
		case optionClientID:
			m.ClientID = v
			return wrong("client identifier", len(v) >= 3 && len(v) <= maxDUID)
		case optionServerID:
			m.ServerID = v
			return wrong("server identifier", len(v) >= 3 && len(v) <= maxDUID)
		case optionElapsed:
			if len(v) == 2 {
				d := time.Duration(binary.BigEndian.Uint16(v)) * 10 * time.Millisecond
				m.Elapsed = &d
			}
			return wrong("elapsed time", len(v) == 2)
		case optionRapidCommit:
			m.RapidCommit = true
		case optionStatus:
			if len(v) >= 2 {
				m.Status = binary.BigEndian.Uint16(v)
			}
			return wrong("status code", len(v) >= 2)
		case optionIANA:
			if len(v) < 12 {
				return wrong("identity association", false)
			}
			ia, err := decodeIA(b[:at+len(v)], at)
			m.IA = &ia
			return err
		}
		return nil
	})
	return m, err
}

func decodeIA(b []byte, at int) (a IA, err error) {
	a.ID = binary.BigEndian.Uint32(b[at:])
	a.T1, a.T2 = seconds(b[at+4:]), seconds(b[at+8:])
	err = options(b, at+12, func(code uint16, v []byte, at int) error {
		switch {
		case code == optionStatus && len(v) >= 2:
			a.Status = binary.BigEndian.Uint16(v)
		case code == optionIAAddr && len(v) >= 24:
			a.Addresses = append(a.Addresses, IAAddress{netip.AddrFrom16([16]byte(v)), seconds(v[16:]), seconds(v[20:])})
		case code == optionStatus || code == optionIAAddr:
			return &DecodeError{What: "option of an identity association", Offset: at, Err: ErrLength}
		}
		return nil
	})
	return a, err
}

// options gives f the options from a place in b on, with where their values are.
func options(b []byte, at int, f func(code uint16, v []byte, at int) error) error {
	for at < len(b) {
		if len(b)-at < 4 {
			return &DecodeError{What: "option", Offset: at, Err: ErrShort}
		}
		n := int(binary.BigEndian.Uint16(b[at+2:]))
		if len(b)-at-4 < n {
			return &DecodeError{What: "option", Offset: at, Err: ErrShort}
		}
		if err := f(binary.BigEndian.Uint16(b[at:]), b[at+4:at+4+n:at+4+n], at+4); err != nil {
			return err
		}
		at += 4 + n
	}
	return nil
}
