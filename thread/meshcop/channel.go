package meshcop

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// The channels Thread uses: page 0, the O-QPSK channels of the 2.4 GHz band.
const (
	FirstChannel = 11
	LastChannel  = 26
)

// A Channel is a channel number on a page (Thread 1.4 Section 8.10.1.1).
type Channel struct {
	Page   uint8
	Number uint16
}

// Valid reports whether a Thread radio can use the channel.
func (c Channel) Valid() bool {
	return c.Page == 0 && c.Number >= FirstChannel && c.Number <= LastChannel
}

// Append appends the three bytes of the value to b.
func (c Channel) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint16(append(b, c.Page), c.Number)
}

// DecodeChannel reads the value of a Channel or Wake-up Channel TLV; the
// channel must be one that Thread can use.
func DecodeChannel(b []byte) (Channel, error) {
	if len(b) < 3 {
		return Channel{}, &DecodeError{What: "channel", Offset: len(b), Err: ErrShort}
	}
	c := Channel{Page: b[0], Number: binary.BigEndian.Uint16(b[1:])}
	if !c.Valid() {
		return Channel{}, &DecodeError{What: "channel", Err: fmt.Errorf("%w: page %d channel %d", ErrInvalid, c.Page, c.Number)}
	}
	return c, nil
}

// A ChannelMask is a set of channels, one entry for each page (Thread 1.4
// Section 8.10.1.16).
type ChannelMask []ChannelMaskEntry

// A ChannelMaskEntry is the set of channels of one page. Channel 0 is the
// most significant bit of the first byte.
type ChannelMaskEntry struct {
	Page uint8
	Mask []byte
}

// AllChannels is the mask of every channel Thread can use.
func AllChannels() ChannelMask { return MaskOf(0x07fff800) }

// MaskOf returns the page 0 mask of the channels whose bit is set in bits,
// channel n at 1<<n: the form command lines show.
func MaskOf(bits uint32) ChannelMask {
	var m [4]byte
	for n := range 32 {
		if bits&(1<<n) != 0 {
			m[n/8] |= 0x80 >> (n % 8)
		}
	}
	return ChannelMask{{Page: 0, Mask: m[:]}}
}

// Bits returns the channels of page 0 that Thread can use, channel n at 1<<n.
func (m ChannelMask) Bits() uint32 {
	var bits uint32
	for _, e := range m {
		if e.Page != 0 {
			continue
		}
		for n := FirstChannel; n <= LastChannel && n/8 < len(e.Mask); n++ {
			if e.Mask[n/8]&(0x80>>(n%8)) != 0 {
				bits |= 1 << n
			}
		}
	}
	return bits
}

// Channels returns the channel numbers of page 0 that Thread can use, in
// ascending order.
func (m ChannelMask) Channels() []uint8 {
	var out []uint8
	for n, bits := uint8(FirstChannel), m.Bits(); n <= LastChannel; n++ {
		if bits&(1<<n) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// Contains reports whether channel c is in the set.
func (m ChannelMask) Contains(c Channel) bool {
	return c.Valid() && m.Bits()&(1<<c.Number) != 0
}

// Append appends the value of a Channel Mask TLV to b.
func (m ChannelMask) Append(b []byte) []byte {
	for _, e := range m {
		b = append(b, e.Page, byte(len(e.Mask)))
		b = append(b, e.Mask...)
	}
	return b
}

// DecodeChannelMask reads the value of a Channel Mask TLV. There must be at
// least one entry, and that of page 0 has four bytes; entries of other pages
// are kept as they are.
func DecodeChannelMask(b []byte) (ChannelMask, error) {
	if len(b) == 0 {
		return nil, &DecodeError{What: "channel mask", Err: ErrShort}
	}
	var m ChannelMask
	for off := 0; off < len(b); {
		rest := b[off:]
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return nil, &DecodeError{What: "channel mask entry", Offset: off, Err: ErrShort}
		}
		n := 2 + int(rest[1])
		if rest[0] == 0 && n != 6 {
			return nil, &DecodeError{What: "channel mask entry", Offset: off + 1, Err: fmt.Errorf("%w: %d bytes for page 0", ErrInvalid, n-2)}
		}
		m = append(m, ChannelMaskEntry{Page: rest[0], Mask: rest[2:n:n]})
		off += n
	}
	return m, nil
}

// Clone returns a copy that shares no memory with m.
func (m ChannelMask) Clone() ChannelMask {
	out := slices.Clone(m)
	for i := range out {
		out[i].Mask = slices.Clone(out[i].Mask)
	}
	return out
}
