// Package pana is the Protocol for Carrying Authentication for Network Access:
// how a device authenticates by EAP before it has a network.
//
//   - wire: messages and AVPs (RFC 5191 Section 6), the relay's envelope
//     (RFC 6345 Section 4), encrypted AVPs (RFC 6786), and the vendor AVPs by
//     which ZigBee IP hands out its network key
//   - SA: the keys of a session and what is made with them (RFC 5191
//     Sections 5.3 and 5.4, RFC 6786 Section 6)
//   - machine: PAA, the agent of the network; PaC, the client; PRE, the relay
//     element between them (RFC 5191 Sections 4 and 5, state machines of
//     RFC 5609, RFC 6345)
//
// The PAA starts statelessly: everything of the first exchange is in a cookie
// that fills the session identifier and the sequence number, so that a flood
// of initiations costs no memory. EAP travels piggy-backed in answers, or in
// the client's own requests where a client prefers that.
//
// Deviations, all of them towards peers in the field: reserved bits and
// unknown vendor AVPs are ignored, a PaC-Information of 20 or 8 octets counts
// its padding, and a session that changes its key protects again with the new
// key what it may have to repeat.
//
// Nothing here opens a socket, reads a clock or starts a goroutine. The owner
// of a machine gives it datagrams with Receive and time through its
// alarm.Clock; callbacks run inside these calls.
package pana
