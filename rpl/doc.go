// Package rpl implements the routing protocol of 6LoWPAN meshes.
//
//   - messages and options: RFC 6550 Section 6, with the metric container of
//     RFC 6551 for ETX and hop count
//   - the RPL hop-by-hop option of RFC 6553 and its second type number of RFC
//     9008 Section 4.2; the source routing header of RFC 6554
//   - trickle timers: RFC 6206; lollipop counters: RFC 6550 Section 7.2
//   - Root: the root of one DODAG, non-storing or storing (RFC 6550 Sections
//     8.3, 9 and 18), and the source routes it computes
//   - Node: a router or leaf in one DODAG: parents by OF0 (RFC 6552) or MRHOF
//     with ETX (RFC 6719), DAOs, downward routes in storing mode
//   - the data path: what becomes of a datagram that is originated, received
//     or entering (RFC 6550 Section 11.2, RFC 6553, RFC 6554, RFC 9008)
//
// Deliberately not here: the secure variants of the messages (recognised and
// refused), multicast in storing mode (a DODAG of that mode is joined as a
// leaf), floating DODAGs, and several instances at once.
//
// Input from the air is never trusted: tables are bounded and a malformed
// message changes nothing. Nothing here opens a socket, reads a clock or
// starts a goroutine.
package rpl
