// Package pcap reads and writes packet files that hold IEEE 802.15.4 frames.
//
//   - Reader: pcap (draft-ietf-opsawg-pcap) and pcapng
//     (draft-ietf-opsawg-pcapng), in either byte order
//   - Writer: pcapng, with radio metadata and comments
//   - TAP: the pseudo-header of link type 283 (IEEE 802.15.4 TAP Link Type
//     Specification, exegin), with its FCS type, RSS, channel and LQI
//
// Packets of other link types are read as plain bytes.
package pcap
