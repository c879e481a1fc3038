// Package lowpan carries IPv6 packets in IEEE 802.15.4 frames.
//
//   - wire: the dispatch, mesh, broadcast and fragment headers of RFC 4944
//     Sections 5 and 11, and the header compression of RFC 6282 (IPHC and NHC)
//   - machine: Reassembler, fragments and time in, packets out
//
// Decompress reads every form of RFC 6282 except extended UDP and reserved
// encodings. Compress writes the forms OpenThread writes, byte for byte:
//
//   - a UDP checksum is always carried; one elided by a peer decodes as zero
//   - of the extension headers only hop-by-hop and an inner IPv6 header are
//     compressed, the others stay inline
//   - addresses that a header elides are those of the frame (or of its mesh
//     header) at every depth: RFC 6282 Section 3.2.2 would have an inner IPv6
//     header inherit them from the outer one, which no Thread device does
//
// One thing differs from it on purpose: a form is used only if it decodes to
// the very same bytes, so an address behind a context shorter than 64 bits
// whose subnet is not zero, padding that is not zero, or a UDP length that
// disagrees with the packet keeps a longer form.
package lowpan
