package lowpan

import (
	"encoding/binary"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
)

// Decompress reads the headers at the start of in, compressed (RFC 6282) or
// not (RFC 4944 Section 5.1), and appends them to b as they were. consumed is
// how many bytes of in they took; the rest of in follows them unchanged. src
// and dst are the addresses of the frame or of its mesh header. datagramSize
// is the size of the whole packet according to the fragment header, from which
// elided lengths are computed, or 0 if in holds all of it. On error b is
// returned as it was.
func Decompress(b, in []byte, src, dst ieee802154.Addr, ctx Contexts, datagramSize int) (out []byte, consumed int, err error) {
	if len(in) > MaxDatagram || datagramSize > MaxDatagram {
		return b, 0, decodeError("datagram", 0, ErrLength)
	}
	d := decompressor{src: src, dst: dst, ctx: ctx, in: in, size: datagramSize, start: len(b)}
	if IsIPv6(in) {
		out, err = d.uncompressed(b)
	} else {
		out, err = d.ip(b)
	}
	if err == nil && d.size > 0 && len(out)-len(b) > d.size {
		err = decodeError("datagram size", 0, ErrLength)
	}
	if err != nil {
		return b, 0, err
	}
	return out, d.off, nil
}

// DecompressPacket appends the whole packet of an unfragmented frame to b.
func DecompressPacket(b, in []byte, src, dst ieee802154.Addr, ctx Contexts) ([]byte, error) {
	out, n, err := Decompress(b, in, src, dst, ctx, 0)
	if err != nil {
		return b, err
	}
	return append(out, in[n:]...), nil
}

type decompressor struct {
	src, dst ieee802154.Addr
	ctx      Contexts
	in       []byte
	off      int // next byte of in
	size     int // of the packet, 0 if all of it is here
	start    int // of the packet in out
	ips      int // IPv6 headers so far
}

// take returns the next n bytes.
func (d *decompressor) take(what string, n int) ([]byte, error) {
	if len(d.in)-d.off < n {
		return nil, decodeError(what, len(d.in), ErrShort)
	}
	d.off += n
	return d.in[d.off-n : d.off], nil
}

// after returns how long the packet is from at on, where at is an offset into
// out and all headers have been read.
func (d *decompressor) after(out []byte, at int) (int, error) {
	n := len(out) - d.start + len(d.in) - d.off
	if d.size > 0 {
		n = d.size
	}
	if n -= at - d.start; n < len(out)-at || n > 0xffff {
		return 0, decodeError("datagram size", d.off, ErrLength)
	}
	return n, nil
}

// uncompressed takes the fixed header as it is.
func (d *decompressor) uncompressed(b []byte) ([]byte, error) {
	d.off = 1
	h, err := d.take("IPv6 header", ipv6.HeaderLen)
	if err != nil {
		return nil, err
	}
	if h[0]>>4 != 6 {
		return nil, decodeError("IPv6 header", 1, ipv6.ErrVersion)
	}
	return append(b, h...), nil
}

// ip reads an IPHC header and the headers after it.
func (d *decompressor) ip(b []byte) ([]byte, error) {
	if d.ips++; d.ips > maxIPHeaders {
		return nil, decodeError("IPv6 header", d.off, ErrNesting)
	}
	start := len(b)
	b, more, err := d.base(b)
	if err != nil {
		return nil, err
	}
	for proto := b[start+6]; more; {
		switch proto {
		case ipv6.ProtoUDP:
			more = false
			b, err = d.udp(b)
		case ipv6.ProtoIPv6:
			more = false
			d.off++ // the NHC encoding; what follows is a whole header of its own
			b, err = d.ip(b)
		default:
			at := len(b)
			if b, more, err = d.ext(b, proto); err == nil {
				proto = b[at]
			}
		}
		if err != nil {
			return nil, err
		}
	}
	n, err := d.after(b, start+ipv6.HeaderLen)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(b[start+4:], uint16(n))
	return b, nil
}

// base reads the IPHC encoding. more says that an NHC encoding follows; the
// protocol it stands for is in the header already.
func (d *decompressor) base(b []byte) (out []byte, more bool, err error) {
	at := d.off
	v, err := d.take("IPHC encoding", 2)
	if err != nil {
		return nil, false, err
	}
	if !IsIPHC(v) {
		return nil, false, decodeError("IPHC encoding", at, ErrDispatch)
	}
	hc := binary.BigEndian.Uint16(v)
	var cid byte
	if hc&hcContextID != 0 {
		if v, err = d.take("IPHC contexts", 1); err != nil {
			return nil, false, err
		}
		cid = v[0]
	}

	h := [ipv6.HeaderLen]byte{0: 6 << 4}
	if err = d.classAndFlow(&h, hc); err != nil {
		return nil, false, err
	}
	if hc&hcNext == 0 {
		if v, err = d.take("IPHC next header", 1); err != nil {
			return nil, false, err
		}
		h[6] = v[0]
	}
	switch hc & hcHops {
	case hcHops1:
		h[7] = 1
	case hcHops64:
		h[7] = 64
	case hcHops255:
		h[7] = 255
	default:
		if v, err = d.take("IPHC hop limit", 1); err != nil {
			return nil, false, err
		}
		h[7] = v[0]
	}

	src, dst := (*[16]byte)(h[8:24]), (*[16]byte)(h[24:40])
	sam, dam := hc>>srcModeShift&3, hc>>dstModeShift&3
	if unspecified := hc&hcSrcContext != 0 && sam == modeInline; !unspecified {
		err = d.unicast("IPHC source address", src, d.src, sam, hc&hcSrcContext != 0, cid>>4)
		if err != nil {
			return nil, false, err
		}
	}
	switch {
	case hc&hcMulticast != 0:
		err = d.multicast(dst, dam, hc&hcDstContext != 0, cid&0x0f)
	case hc&hcDstContext != 0 && dam == modeInline:
		err = decodeError("IPHC destination address", at+1, ErrReserved)
	default:
		err = d.unicast("IPHC destination address", dst, d.dst, dam, hc&hcDstContext != 0, cid&0x0f)
	}
	if err != nil {
		return nil, false, err
	}
	if hc&hcNext != 0 {
		if h[6], err = d.protoAt(d.off); err != nil {
			return nil, false, err
		}
	}
	return append(b, h[:]...), hc&hcNext != 0, nil
}

func (d *decompressor) classAndFlow(h *[ipv6.HeaderLen]byte, hc uint16) error {
	n := [4]int{4, 3, 1, 0}[hc>>11&3]
	v, err := d.take("IPHC traffic class and flow label", n)
	if err != nil || n == 0 {
		return err
	}
	class := v[0] >> 6 // ECN
	if hc&hcClassElided == 0 {
		class |= v[0] << 2 // DSCP
	}
	h[0] |= class >> 4
	h[1] = class << 4
	if n >= 3 {
		h[1] |= v[n-3] & 0x0f
		h[2], h[3] = v[n-2], v[n-1]
	}
	return nil
}

func (d *decompressor) unicast(what string, a *[16]byte, mac ieee802154.Addr, mode uint16, stateful bool, cid uint8) error {
	at := d.off
	var iid [8]byte
	switch mode {
	case modeInline:
		v, err := d.take(what, 16)
		if err == nil {
			*a = [16]byte(v)
		}
		return err
	case mode64:
		v, err := d.take(what, 8)
		if err != nil {
			return err
		}
		iid = [8]byte(v)
	case mode16:
		v, err := d.take(what, 2)
		if err != nil {
			return err
		}
		iid = shortIID(v[0], v[1])
	case modeElided:
		var ok bool
		if iid, ok = macIID(mac); !ok {
			return decodeError(what, at, ErrAddress)
		}
	}
	ctx := linkLocal
	if stateful {
		var ok bool
		if ctx, ok = d.ctx.ByID(cid); !ok {
			return decodeError(what, at, ErrContext)
		}
	}
	*a = ctx.expand(iid)
	return nil
}

func (d *decompressor) multicast(a *[16]byte, mode uint16, stateful bool, cid uint8) error {
	const what = "IPHC multicast address"
	at := d.off
	a[0] = 0xff
	if stateful {
		if mode != mcastInline {
			return decodeError(what, at, ErrReserved)
		}
		ctx, ok := d.ctx.ByID(cid)
		if !ok {
			return decodeError(what, at, ErrContext)
		}
		v, err := d.take(what, 6)
		if err != nil {
			return err
		}
		p := ctx.Prefix.Masked().Addr().As16()
		a[1], a[2], a[3] = v[0], v[1], uint8(ctx.Prefix.Bits())
		copy(a[4:12], p[:8])
		copy(a[12:], v[2:])
		return nil
	}
	n := [4]int{mcastInline: 16, mcast48: 6, mcast32: 4, mcast8: 1}[mode]
	v, err := d.take(what, n)
	if err != nil {
		return err
	}
	switch mode {
	case mcastInline:
		*a = [16]byte(v)
	case mcast8:
		a[1], a[15] = 0x02, v[0]
	default:
		a[1] = v[0]
		copy(a[17-n:], v[1:])
	}
	return nil
}

// protoAt returns which protocol the NHC encoding at off stands for.
func (d *decompressor) protoAt(off int) (uint8, error) {
	if off >= len(d.in) {
		return 0, decodeError("NHC encoding", len(d.in), ErrShort)
	}
	nhc := d.in[off]
	if nhc&maskUDP == nhcUDP {
		return ipv6.ProtoUDP, nil
	}
	if nhc&maskExt != nhcExt {
		return 0, decodeError("NHC encoding", off, ErrDispatch)
	}
	switch nhc & extID {
	case extHopByHop:
		return ipv6.ProtoHopByHop, nil
	case extRouting:
		return ipv6.ProtoRouting, nil
	case extFragment:
		return ipv6.ProtoFragment, nil
	case extDstOpts:
		return ipv6.ProtoDstOpts, nil
	case extMobility:
		return ipv6.ProtoMobility, nil
	case extIPv6:
		return ipv6.ProtoIPv6, nil
	}
	return 0, decodeError("NHC encoding", off, ErrReserved)
}

// ext reads a compressed extension header (RFC 6282 Section 4.2), where
// protoAt has found the encoding of proto. more is as for base.
func (d *decompressor) ext(b []byte, proto uint8) (out []byte, more bool, err error) {
	const what = "NHC extension header"
	at := d.off
	more = d.in[at]&extNext != 0
	d.off++
	var next uint8
	if !more {
		v, err := d.take(what, 1)
		if err != nil {
			return nil, false, err
		}
		next = v[0]
	}
	v, err := d.take(what, 1)
	if err != nil {
		return nil, false, err
	}
	data, err := d.take(what, int(v[0]))
	if err != nil {
		return nil, false, err
	}
	if more {
		if next, err = d.protoAt(d.off); err != nil {
			return nil, false, err
		}
	}

	pad := -(2 + len(data)) & 7
	switch proto {
	case ipv6.ProtoHopByHop, ipv6.ProtoDstOpts:
		// Only these can be padded; the sender may have elided the padding.
	case ipv6.ProtoFragment:
		if len(data) != 6 {
			return nil, false, decodeError(what, at, ErrLength)
		}
	default:
		if pad != 0 {
			return nil, false, decodeError(what, at, ErrLength)
		}
	}
	b = append(b, next, uint8((2+len(data)+pad)/8-1))
	return ipv6.AppendPad(append(b, data...), pad), more, nil
}

// udp reads a compressed UDP header (RFC 6282 Section 4.3), always the last.
func (d *decompressor) udp(b []byte) ([]byte, error) {
	const what = "NHC UDP header"
	nhc := d.in[d.off]
	d.off++
	v, err := d.take(what, [4]int{udpPortsInline: 4, udpDst8: 3, udpSrc8: 3, udpBoth4: 1}[nhc&udpPorts])
	if err != nil {
		return nil, err
	}
	start := len(b)
	switch nhc & udpPorts {
	case udpPortsInline:
		b = append(b, v...)
	case udpDst8:
		b = append(b, v[0], v[1], 0xf0, v[2])
	case udpSrc8:
		b = append(b, 0xf0, v[0], v[1], v[2])
	case udpBoth4:
		b = append(b, 0xf0, 0xb0|v[0]>>4, 0xf0, 0xb0|v[0]&0x0f)
	}
	b = append(b, 0, 0)
	var sum [2]byte
	if nhc&udpNoChecksum == 0 {
		if v, err = d.take(what, 2); err != nil {
			return nil, err
		}
		sum = [2]byte(v)
	}
	b = append(b, sum[:]...)
	n, err := d.after(b, start)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(b[start+4:], uint16(n))
	return b, nil
}
