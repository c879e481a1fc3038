// Package ipv6 encodes and decodes what a Thread host stack needs of IPv6.
//
//   - the fixed header and the walk over extension headers: RFC 8200
//     Sections 3 and 4, with the MPL option of RFC 7731 Section 6.1
//   - UDP and the pseudo-header checksum: RFC 768, RFC 8200 Section 8.1
//   - ICMPv6: RFC 4443 Sections 2 to 4
//   - the multicast scopes of RFC 4291 Section 2.7 and RFC 7346, and the
//     prefix-based multicast addresses of RFC 3306
//
// Decoders alias their input. Nothing here opens a socket, reads a clock or
// starts a goroutine.
package ipv6
