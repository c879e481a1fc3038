// Package nat64 translates between the IPv6 of a mesh and the IPv4 of the rest
// of the world.
//
//   - addresses that hold an IPv4 address: RFC 6052 Section 2.2
//   - headers, ICMP, ICMP errors and the packets inside of them, MTU: RFC 7915
//     Sections 4 and 5
//   - which port is whose and until when, filtering, hairpinning: RFC 6146
//     Section 3, with the behaviour that RFC 4787, RFC 5382 and RFC 5508 ask of
//     a translator
//   - fragments are put together before they are translated, and taken apart
//     again for the other side: RFC 6146 Section 3.4, RFC 5722
//
// A Translator is given packets and passes on what becomes of them: the
// translation, or an ICMP error for the sender. Nothing here opens a socket,
// reads a clock or starts a goroutine. What one host can take up is bounded, and
// so is the whole.
//
// Deliberate deviations:
//
//   - An IPv4 packet with options is dropped and counted. RFC 7915 Section 4.1
//     would have most options ignored; a translator that goes on behind them has
//     to be right about where they end, and nobody sends any.
//   - A TCP segment from the mesh that belongs to no session begins one, in
//     state TRANS, unless it is a reset. After a restart of the translator, a
//     host is mapped to the same address and port as before where they are
//     free, and its connections go on. RFC 6146 Section 3.5.2.2 drops it.
//   - A reset ends a connection that one side has closed as it does an open one,
//     and a SYN from the mesh begins anew what both have closed.
//   - A SYN from the IPv4 side that no mapping awaits is dropped at once
//     instead of being kept for six seconds.
//   - Extensions of ICMP errors (RFC 4884) are cut off.
package nat64
