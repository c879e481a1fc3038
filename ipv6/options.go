package ipv6

import "encoding/binary"

// Option types of hop-by-hop and destination options headers (RFC 8200
// Section 4.2, RFC 7731 Section 6.1).
const (
	OptPad1 uint8 = 0x00
	OptPadN uint8 = 0x01
	OptMPL  uint8 = 0x6d
)

// Option is one option of a hop-by-hop or destination options header.
type Option struct {
	Type uint8
	Data []byte
}

// An Action is what to do with a packet that carries an unknown option (RFC
// 8200 Section 4.2).
type Action uint8

const (
	Skip             Action = iota // go on with the next option
	Discard                        // drop the packet silently
	DiscardTell                    // drop, answer with Parameter Problem
	DiscardTellUcast               // the same unless the destination is multicast
)

// Action returns the option type's own instruction for those who do not know
// it.
func (o Option) Action() Action { return Action(o.Type >> 6) }

// IsPad reports whether the option is Pad1 or PadN.
func (o Option) IsPad() bool { return o.Type <= OptPadN }

// NextOption reads the option at the start of b, which is the data of an Ext
// or the rest of an earlier call.
func NextOption(b []byte) (o Option, rest []byte, err error) {
	if len(b) == 0 {
		return Option{}, nil, decodeError("option", 0, ErrShort)
	}
	if b[0] == OptPad1 {
		return Option{}, b[1:], nil
	}
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return Option{}, nil, decodeError("option", len(b), ErrShort)
	}
	n := 2 + int(b[1])
	return Option{Type: b[0], Data: b[2:n:n]}, b[n:], nil
}

// Append appends the option; Pad1 has no data.
func (o Option) Append(b []byte) []byte {
	if o.Type == OptPad1 {
		return append(b, OptPad1)
	}
	b = append(b, o.Type, uint8(len(o.Data)))
	return append(b, o.Data...)
}

// AppendPad appends the one padding option of n bytes, 0 to 7, that is Pad1
// or a PadN of zeros.
func AppendPad(b []byte, n int) []byte {
	switch n {
	case 0:
		return b
	case 1:
		return append(b, OptPad1)
	}
	b = append(b, OptPadN, uint8(n-2))
	for range n - 2 {
		b = append(b, 0)
	}
	return b
}

// AppendOptions appends a hop-by-hop or destination options header, padded to
// a multiple of 8 bytes. The options take at most 2046 bytes.
func AppendOptions(b []byte, next uint8, opts ...Option) []byte {
	start := len(b)
	b = append(b, next, 0)
	for _, o := range opts {
		b = o.Append(b)
	}
	b = AppendPad(b, -(len(b)-start)&7)
	b[start+1] = uint8((len(b)-start)/8 - 1)
	return b
}

// MPLOption is the MPL option (RFC 7731 Section 6.1). Thread sends the seed
// either not at all, when the source address says it, or as two bytes, the
// RLOC16 of the seed.
//
//	+---------------+---------------+
//	| S |M|V|  rsv  |   sequence    |  seed, 0, 2, 8 or 16 bytes
//	+---------------+---------------+
type MPLOption struct {
	SeedLen  int    // bytes: 0, 2, 8 or 16
	Max      bool   // M: no message with a larger sequence is known to the sender
	Seq      uint8  // sequence number of the seed's message
	Seed     uint16 // when SeedLen is 2
	LongSeed []byte // when SeedLen is 8 or 16
}

const (
	mplMax     = 0x20
	mplVersion = 0x10
)

var mplSeedLen = [4]int{0, 2, 8, 16}

// DecodeMPL reads the data of an MPL option. The V flag must be zero (RFC
// 7731 Section 6.1), and the data no longer than it says.
func DecodeMPL(data []byte) (MPLOption, error) {
	if len(data) < 2 {
		return MPLOption{}, decodeError("MPL option", len(data), ErrShort)
	}
	m := MPLOption{SeedLen: mplSeedLen[data[0]>>6], Max: data[0]&mplMax != 0, Seq: data[1]}
	if data[0]&mplVersion != 0 {
		return MPLOption{}, decodeError("MPL version flag", 0, ErrMPL)
	}
	seed := data[2:]
	if len(seed) < m.SeedLen {
		return MPLOption{}, decodeError("MPL seed", len(data), ErrShort)
	}
	if len(seed) > m.SeedLen {
		return MPLOption{}, decodeError("MPL seed", 2+m.SeedLen, ErrMPL)
	}
	switch m.SeedLen {
	case 2:
		m.Seed = binary.BigEndian.Uint16(seed)
	case 8, 16:
		m.LongSeed = seed
	}
	return m, nil
}

// Append appends the option with its type and length.
func (m MPLOption) Append(b []byte) []byte {
	var control uint8
	for s, n := range mplSeedLen {
		if n == m.SeedLen {
			control = uint8(s) << 6
		}
	}
	if m.Max {
		control |= mplMax
	}
	b = append(b, OptMPL, uint8(2+m.SeedLen), control, m.Seq)
	switch m.SeedLen {
	case 2:
		b = binary.BigEndian.AppendUint16(b, m.Seed)
	case 8, 16:
		b = append(b, m.LongSeed...)
	}
	return b
}

// AppendMPLHeader appends a hop-by-hop options header with just this option:
// 8 bytes in the two forms Thread uses.
func AppendMPLHeader(b []byte, next uint8, m MPLOption) []byte {
	start := len(b)
	b = m.Append(append(b, next, 0))
	b = AppendPad(b, -(len(b)-start)&7)
	b[start+1] = uint8((len(b)-start)/8 - 1)
	return b
}

// FindMPL looks for an MPL option in the hop-by-hop header of a packet. No
// such option is not an error.
func FindMPL(packet []byte) (m MPLOption, found bool, err error) {
	if len(packet) < HeaderLen {
		return MPLOption{}, false, decodeError("IPv6 header", len(packet), ErrShort)
	}
	if packet[6] != ProtoHopByHop {
		return MPLOption{}, false, nil
	}
	e, _, err := DecodeExt(ProtoHopByHop, packet[HeaderLen:])
	if err != nil {
		return MPLOption{}, false, decodeError("hop-by-hop header", HeaderLen, ErrShort)
	}
	for data := e.Data; len(data) > 0; {
		at := HeaderLen + 2 + len(e.Data) - len(data)
		var o Option
		if o, data, err = NextOption(data); err != nil {
			return MPLOption{}, false, decodeError("hop-by-hop option", at, ErrShort)
		}
		if o.Type == OptMPL {
			if m, err = DecodeMPL(o.Data); err != nil {
				return MPLOption{}, false, err
			}
			return m, true, nil
		}
	}
	return MPLOption{}, false, nil
}

// PadMPL turns the MPL options of a packet into padding: who does not know the
// option discards the packet (RFC 7731 Section 6.1). What cannot be read stays.
func PadMPL(packet []byte) {
	if len(packet) < HeaderLen || packet[6] != ProtoHopByHop {
		return
	}
	e, _, err := DecodeExt(ProtoHopByHop, packet[HeaderLen:])
	if err != nil {
		return
	}
	for data := e.Data; len(data) > 0; {
		at := HeaderLen + 2 + len(e.Data) - len(data)
		var o Option
		if o, data, err = NextOption(data); err != nil {
			return
		}
		if o.Type == OptMPL {
			packet[at] = OptPadN
			clear(packet[at+2 : at+2+len(o.Data)])
		}
	}
}
