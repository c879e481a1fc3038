// Package mdns is a responder and browser of multicast DNS (RFC 6762) for
// services (RFC 6763), on one or several links.
//
//   - wire: Name, Record, Message, bytes in and bytes out (RFC 1035 Section 4,
//     RFC 6762 Section 18)
//   - responder: Publish claims names by probing (Section 8.1) with
//     tie-breaking (8.2), announces (8.3), answers (6), suppresses what is
//     known or said by others (7), defends and renames (9), says goodbye (10.1)
//   - browser: Browse, Discover, Resolve, ResolveHost and Query, over a cache
//     for each link (5.2, 7.1, 7.3, 10)
//   - Check: whether what is published is seen
//
// The codec is not that of the module's other DNS: labels here are bytes and
// never text with escapes, a packet is filled record by record up to what the
// link carries, and data is compared as RFC 6762 says, without compression.
//
// A link is an interface. What is multicast goes out on all families that the
// interface has, and is one packet for suppression and limits.
//
// Deliberate deviations from RFC 6762: unicast answers are not asked for unless
// Config.Exclusive says that nobody else on the host has port 5353, because the
// kernel gives them to any of its owners (Section 15.1). A question that comes
// within 200 ms after its answer was multicast is taken as answered: it is most
// often the copy in the other family. Reverse names are not probed for, and
// there are none of addresses that an interface has, which other responders of
// the host claim.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package mdns
