package lowpan

// The two bytes of the IPHC base encoding (RFC 6282 Section 3.1.1).
//
//	  0                                       1
//	  0   1   2   3   4   5   6   7   8   9   0   1   2   3   4   5
//	+---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+
//	| 0 | 1 | 1 |  TF   |NH | HLIM  |CID|SAC|  SAM  | M |DAC|  DAM  |
//	+---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+
const (
	hcFlowElided  = 0x1000 // TF, first bit
	hcClassElided = 0x0800 // TF, second bit: with the flow label the DSCP, without it everything
	hcNext        = 0x0400
	hcHops        = 0x0300
	hcHops1       = 0x0100
	hcHops64      = 0x0200
	hcHops255     = 0x0300
	hcContextID   = 0x0080
	hcSrcContext  = 0x0040
	hcMulticast   = 0x0008
	hcDstContext  = 0x0004

	srcModeShift, dstModeShift = 4, 0
)

// Address modes, SAM and DAM.
const (
	modeInline uint16 = iota
	mode64
	mode16
	modeElided
)

// Multicast address modes, DAM when M is set.
const (
	mcastInline uint16 = iota
	mcast48
	mcast32
	mcast8
)

// NHC encodings (RFC 6282 Section 4).
const (
	nhcExt, maskExt = 0xe0, 0xf0
	extID           = 0x0e // which extension header
	extNext         = 0x01 // the header after it is compressed as well

	extHopByHop = 0 << 1
	extRouting  = 1 << 1
	extFragment = 2 << 1
	extDstOpts  = 3 << 1
	extMobility = 4 << 1
	extIPv6     = 7 << 1

	nhcUDP, maskUDP = 0xf0, 0xf8
	udpNoChecksum   = 0x04
	udpPorts        = 0x03
	udpPortsInline  = 0
	udpDst8         = 1
	udpSrc8         = 2
	udpBoth4        = 3
)

// maxIPHeaders bounds how many IPv6 headers one datagram may have inside each
// other. Thread uses two (a multicast tunnelled to the MPL forwarders).
const maxIPHeaders = 4

// ECN returns the congestion bits of a compressed header without
// decompressing it: ok is false if b is no IPHC header. Elided bits are zero.
func ECN(b []byte) (ecn uint8, ok bool) {
	if !IsIPHC(b) || len(b) < 2 {
		return 0, false
	}
	at, carried := ecnOffset(b)
	if !carried {
		return 0, true
	}
	if len(b) <= at {
		return 0, false
	}
	return b[at] >> 6, true
}

// SetECN overwrites the congestion bits of a compressed header in place, if it
// carries them: an elided traffic class is not ECN capable.
func SetECN(b []byte, ecn uint8) (ok bool) {
	if !IsIPHC(b) || len(b) < 2 {
		return false
	}
	at, carried := ecnOffset(b)
	if !carried || len(b) <= at {
		return false
	}
	b[at] = b[at]&0x3f | ecn<<6
	return true
}

func ecnOffset(b []byte) (at int, carried bool) {
	const elided = (hcFlowElided | hcClassElided) >> 8
	at = 2
	if b[1]&hcContextID != 0 {
		at = 3
	}
	return at, b[0]&elided != elided
}
