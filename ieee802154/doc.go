// Package ieee802154 implements the MAC frames of IEEE 802.15.4 in the three
// versions that share the air: 2003, 2006 and 2015.
//
//   - frames, addresses and PAN ID compression: IEEE 802.15.4-2015 Section 7.2
//   - beacons, acknowledgments and commands: Sections 7.3 and 7.5
//   - information elements: Section 7.4
//   - auxiliary security header, nonce and CCM*: Sections 9.3 and 9.4, Annex B
//
// A PSDU is handled without its frame check sequence; FCS computes one.
// Decoders alias their input.
//
// Reserved bits are ignored on receipt and sent as zero. Multipurpose,
// fragment and extended frames are refused, as are secured frames of version
// 2003, whose security suites the standard has withdrawn. Frames whose nonce
// is made of an absolute slot number (TSCH) are decoded but not opened.
package ieee802154
