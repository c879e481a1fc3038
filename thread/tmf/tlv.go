package tmf

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"gatewayd/ieee802154"
)

// Type is a network layer TLV type (Thread 1.4 Section 5.18).
type Type uint8

// The types.
const (
	Target          Type = 0  // IPv6 address
	ExtMAC          Type = 1  // extended address
	RLOC16          Type = 2  // u16
	MLEID           Type = 3  // interface identifier of a mesh-local EID
	Status          Type = 4  // u8
	LastTransaction Type = 6  // u32, seconds
	RouterMask      Type = 7  // id sequence and 64-bit mask
	NetworkData     Type = 10 // network data TLVs
	Timeout         Type = 11 // u32, seconds
	NetworkName     Type = 12
	Addresses       Type = 14 // IPv6 addresses
	Session         Type = 15 // u16
)

// TLVs is a sequence of TLVs.
type TLVs []byte

// Append appends a TLV with up to 254 bytes of value.
func (t TLVs) Append(typ Type, value ...byte) TLVs {
	return append(append(t, byte(typ), byte(len(value))), value...)
}

// AppendUint16 appends a TLV with a 16-bit value.
func (t TLVs) AppendUint16(typ Type, v uint16) TLVs {
	return binary.BigEndian.AppendUint16(append(t, byte(typ), 2), v)
}

// AppendUint32 appends a TLV with a 32-bit value.
func (t TLVs) AppendUint32(typ Type, v uint32) TLVs {
	return binary.BigEndian.AppendUint32(append(t, byte(typ), 4), v)
}

// AppendAddr appends a TLV with an IPv6 address.
func (t TLVs) AppendAddr(typ Type, a netip.Addr) TLVs {
	b := a.As16()
	return t.Append(typ, b[:]...)
}

// A MissingError says that a TLV is not there, or shorter than it must be.
type MissingError struct {
	Type Type
	Len  int // it must have
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("tmf: no TLV of type %d with %d bytes", e.Type, e.Len)
}

// Find returns the value of the first TLV of a type that has at least n bytes.
// What comes behind a TLV that is cut short is not looked at.
func (t TLVs) Find(typ Type, n int) ([]byte, error) {
	for b := []byte(t); len(b) >= 2; {
		size := int(b[1])
		head := 2
		if size == 0xff {
			if len(b) < 4 {
				break
			}
			size, head = int(binary.BigEndian.Uint16(b[2:])), 4
		}
		if len(b) < head+size {
			break
		}
		if Type(b[0]) == typ && size >= n {
			return b[head : head+size], nil
		}
		b = b[head+size:]
	}
	return nil, &MissingError{typ, n}
}

// Uint8 returns a TLV's 8-bit value.
func (t TLVs) Uint8(typ Type) (uint8, error) {
	v, err := t.Find(typ, 1)
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// Uint16 returns a TLV's 16-bit value.
func (t TLVs) Uint16(typ Type) (uint16, error) {
	v, err := t.Find(typ, 2)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint16(v), nil
}

// Uint32 returns a TLV's 32-bit value.
func (t TLVs) Uint32(typ Type) (uint32, error) {
	v, err := t.Find(typ, 4)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(v), nil
}

// Addr returns a TLV's IPv6 address.
func (t TLVs) Addr(typ Type) (netip.Addr, error) {
	v, err := t.Find(typ, 16)
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.AddrFrom16([16]byte(v)), nil
}

// Ext returns a TLV's extended address.
func (t TLVs) Ext(typ Type) (ieee802154.ExtAddr, error) {
	v, err := t.Find(typ, 8)
	if err != nil {
		return ieee802154.ExtAddr{}, err
	}
	return ieee802154.ExtAddr(v), nil
}
