// Package eap is the Extensible Authentication Protocol without any lower
// layer.
//
//   - wire: packets, types, Nak (RFC 3748 Sections 4 and 5)
//   - machine: Server, the stand-alone authenticator's side, and Peer
//     (RFC 3748 Sections 2 and 4, state machines of RFC 4137)
//   - Backend: what an authenticator sees of an EAP server, whether that is
//     the Server here or one behind RADIUS
//
// Retransmission is the lower layer's: PANA and RADIUS both deliver reliably
// or repeat by themselves, and RFC 3748 Section 4.3 lets such a layer switch
// it off here. Methods are packages of their own and know no lower layer.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package eap
