// Package ndp is IPv6 neighbour discovery, on ordinary links and on the
// low-power links of 6LoWPAN.
//
// Wire: the messages and options of
//
//   - RFC 4861 Section 4: solicitations, advertisements, Redirect
//   - RFC 4191 Section 2: default router preference, Route Information
//   - RFC 4944 Section 8: link-layer addresses of 2 and 8 octets
//   - RFC 6775 Section 4, RFC 8505 Section 4: address registration, contexts,
//     border router option, duplicate address messages; RFC 7400 Section 3.3:
//     capabilities
//   - RFC 3971 Section 5.3.2 (nonce), RFC 5175 (flags extension), RFC 8106
//     (RDNSS, DNSSL), RFC 8781 (PREF64), RFC 9762 (P flag of a prefix), and the
//     SNAC router flag of draft-ietf-6man-snac-router-ra-flag
//
// Machines, which take events and time and send through a callback:
//
//   - Border, a 6LBR: RFC 6775 Sections 6 to 8, RFC 8505 Sections 5 and 6
//   - Router, a 6LR: the same sections
//   - Host: RFC 6775 Section 5, RFC 8505 Section 5, RFC 4862 Section 5.5
//   - Advertiser and Listener, the two ends of a router advertisement on an
//     ordinary link: RFC 4861 Sections 6.2 and 6.3
//
// An option is refused as a whole message only where a receiver must not go
// on: when its length is zero or beyond the end. One whose contents its RFC
// has receivers ignore is kept as RawOption, as are those of unknown type.
//
// Ownership of addresses is first come, first served by ROVR; the proof of
// RFC 8928 is not asked for.
package ndp
