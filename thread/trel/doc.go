// Package trel is the Thread Radio Encapsulation Link: the frames of the
// Thread MAC, carried over UDP between border routers that share an
// infrastructure link. Thread calls it Thread over Infrastructure; the format is
// the one that OpenThread's nodes understand.
//
//   - wire: Packet, the header that stands before a MAC frame
//   - wire: TXT, what the service _trel._udp says of a node
//   - machine: Link, with the table of peers, the acknowledgements of unicast
//     packets, and what is counted
//
// A peer is found by DNS-SD and kept by traffic: DNS-SD can only add one and
// move one that is silent, while a frame that passed the security of the
// layers above shows at once where its sender is now, and is as good a reason
// to know it as an announcement. So a lost goodbye, a stale cache or a forged
// announcement costs nothing while frames are exchanged.
//
// Beyond what Thread asks for, the last packet to a peer is sent again if it is
// not acknowledged soon. Earlier ones are not: their frame counters are lower
// than those of what has followed, and the receiver would refuse them.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package trel
