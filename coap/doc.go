// Package coap implements the Constrained Application Protocol of RFC 7252,
// with observation (RFC 7641) and block-wise transfer (RFC 7959).
//
//   - wire: Message and Option, bytes in and bytes out (RFC 7252 Section 3)
//   - machine: Endpoint, the message layer and the matching of requests and
//     responses (Sections 4 and 5), client and server at once
//   - layers on an Endpoint: block-wise transfer and observation
//
// An Endpoint knows nothing of sockets: a peer is a value of any comparable
// type, so that Thread management messages on UDP port 61631, messages inside
// a DTLS session and messages on the host's network all use the same code.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
//
// Deliberate deviations from RFC 7252, all of them what Thread networks do:
// NSTART (Section 4.7) is not enforced unless Config.NSTART asks for it,
// tokens have two bytes unless Config.TokenLength says otherwise, and answers
// to multicast requests are not delayed (Section 8.2).
package coap
