package pcap

import (
	"encoding/binary"
)

// pcapng block types (draft-ietf-opsawg-pcapng Section 4).
const (
	blockSection   = 0x0a0d0d0a // reads the same in both byte orders
	blockInterface = 1
	blockSimple    = 3
	blockEnhanced  = 6

	orderMagic = 0x1a2b3c4d
)

// Option codes, and sizes in octets.
const (
	optEnd       = 0
	optComment   = 1
	optFlags     = 2  // enhanced packet: direction in the two lowest bits
	optName      = 2  // interface: if_name
	optHardware  = 2  // section: shb_hardware
	optOS        = 3  // section: shb_os
	optApp       = 4  // section: shb_userappl
	optTimeRes   = 9  // interface: if_tsresol
	optTimeStart = 14 // interface: if_tsoffset

	blockLen    = 12 // type and the two lengths
	sectionLen  = 16
	ifaceLen    = 8
	enhancedLen = 20
)

// maxInterfaces bounds the memory that a file full of descriptions can claim.
const maxInterfaces = 1024

// nextBlock reads blocks up to the next one with a packet in it.
func (r *Reader) nextBlock() (Packet, error) {
	for {
		start := r.off
		var h [4]byte
		if err := r.read(h[:], "block", false); err != nil {
			return Packet{}, err
		}
		if binary.LittleEndian.Uint32(h[:]) == blockSection {
			if err := r.section(start); err != nil {
				return Packet{}, err
			}
			continue
		}
		body, err := r.body(start)
		if err != nil {
			return Packet{}, err
		}
		switch r.order.Uint32(h[:]) {
		case blockInterface:
			err = r.addInterface(body, start)
		case blockEnhanced:
			return r.enhanced(body, start)
		case blockSimple:
			return r.simple(body, start)
		}
		if err != nil {
			return Packet{}, err
		}
	}
}

// section reads a section header block, whose type has been read at start.
func (r *Reader) section(start int64) error {
	var h [8]byte // total length, byte-order magic
	if err := r.read(h[:], "section header", true); err != nil {
		return err
	}
	switch uint32(orderMagic) {
	case binary.LittleEndian.Uint32(h[4:]):
		r.order = binary.LittleEndian
	case binary.BigEndian.Uint32(h[4:]):
		r.order = binary.BigEndian
	default:
		return &DecodeError{What: "byte-order magic", Offset: start + 8, Err: ErrFormat}
	}
	r.interfaces = r.interfaces[:0]
	n := r.order.Uint32(h[:])
	if n < blockLen+sectionLen || n > maxRecord || n%4 != 0 {
		return &DecodeError{What: "section header", Offset: start + 4, Err: ErrLength}
	}
	return r.read(make([]byte, n-blockLen), "section header", true) // the magic was read in place of the length at the end
}

// body reads the rest of a block, whose type has been read at start.
func (r *Reader) body(start int64) ([]byte, error) {
	var h [4]byte
	if err := r.read(h[:], "block", true); err != nil {
		return nil, err
	}
	n := r.order.Uint32(h[:])
	if n < blockLen || n > maxRecord || n%4 != 0 {
		return nil, &DecodeError{What: "block length", Offset: start + 4, Err: ErrLength}
	}
	b := make([]byte, n-8) // with the length at the end
	if err := r.read(b, "block", true); err != nil {
		return nil, err
	}
	if r.order.Uint32(b[len(b)-4:]) != n {
		return nil, &DecodeError{What: "block length", Offset: r.off - 4, Err: ErrLength}
	}
	return b[:len(b)-4], nil
}

func (r *Reader) addInterface(b []byte, start int64) error {
	if len(b) < ifaceLen {
		return &DecodeError{What: "interface description", Offset: start, Err: ErrShort}
	}
	if len(r.interfaces) == maxInterfaces {
		return &DecodeError{What: "number of interfaces", Offset: start, Err: ErrLength}
	}
	i := iface{link: LinkType(r.order.Uint16(b)), snap: r.order.Uint32(b[4:]), perSec: 1e6}
	valid := true
	r.options(b[ifaceLen:], func(code uint16, v []byte) {
		switch {
		case code == optTimeRes && len(v) == 1:
			i.perSec, valid = unitsPerSecond(v[0])
		case code == optTimeStart && len(v) == 8:
			i.offset = int64(r.order.Uint64(v))
		}
	})
	if !valid {
		return &DecodeError{What: "time stamp resolution", Offset: start, Err: ErrLength}
	}
	r.interfaces = append(r.interfaces, i)
	return nil
}

// unitsPerSecond reads if_tsresol: a negative power of 2 or, without the top
// bit, of 10.
func unitsPerSecond(res byte) (n uint64, ok bool) {
	if exp := res & 0x7f; res != exp {
		return 1 << (exp & 63), exp < 64
	}
	n = 1
	for range min(res, 19) {
		n *= 10
	}
	return n, res <= 19
}

func (r *Reader) enhanced(b []byte, start int64) (Packet, error) {
	if len(b) < enhancedLen {
		return Packet{}, &DecodeError{What: "packet block", Offset: start, Err: ErrShort}
	}
	index, n, orig := r.order.Uint32(b), r.order.Uint32(b[12:]), r.order.Uint32(b[16:])
	if uint64(index) >= uint64(len(r.interfaces)) {
		return Packet{}, &DecodeError{What: "interface of a packet", Offset: start + 8, Err: ErrLength}
	}
	if uint64(n) > uint64(len(b)-enhancedLen) {
		return Packet{}, &DecodeError{What: "captured length", Offset: start + 20, Err: ErrLength}
	}
	i := &r.interfaces[index]
	p := Packet{Time: i.time(uint64(r.order.Uint32(b[4:]))<<32 | uint64(r.order.Uint32(b[8:])))}
	data, rest := b[enhancedLen:enhancedLen+n], b[enhancedLen+n:]
	r.options(rest[min(pad4(int(n)), len(rest)):], func(code uint16, v []byte) {
		switch {
		case code == optComment:
			p.Comment = string(v)
		case code == optFlags && len(v) == 4:
			p.Direction = Direction(r.order.Uint32(v) & 3 % 3)
		}
	})
	p.setData(i.link, data, n < orig)
	return p, nil
}

// simple reads a packet without a time.
func (r *Reader) simple(b []byte, start int64) (Packet, error) {
	if len(b) < 4 || len(r.interfaces) == 0 {
		return Packet{}, &DecodeError{What: "simple packet block", Offset: start, Err: ErrShort}
	}
	i := &r.interfaces[0]
	orig := r.order.Uint32(b)
	n := orig
	if i.snap != 0 {
		n = min(n, i.snap)
	}
	if uint64(n) > uint64(len(b)-4) {
		return Packet{}, &DecodeError{What: "packet length", Offset: start + 8, Err: ErrLength}
	}
	var p Packet
	p.setData(i.link, b[4:4+n], n < orig)
	return p, nil
}

// options calls f for each option of a block. A list that is cut off ends
// there: nothing in it is worth refusing the packet for.
func (r *Reader) options(b []byte, f func(code uint16, v []byte)) {
	for len(b) >= 4 {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		b = b[4:]
		if code == optEnd || n > len(b) {
			return
		}
		f(code, b[:n])
		b = b[min(n+pad4(n), len(b)):]
	}
}
