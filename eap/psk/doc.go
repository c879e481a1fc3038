// Package psk is EAP-PSK (RFC 4764, EAP type 47): mutual authentication by a
// 16-octet pre-shared key, in four messages of AES-128 and nothing else.
//
//   - cipher.go: CMAC (NIST SP 800-38B) and EAX (Section 3.3)
//   - key.go: key set-up and session keys (Sections 3.1 and 3.2)
//   - message.go: the four messages and the protected channel (Section 5)
//   - server.go, peer.go: the two sides
//
// No extension is defined for the protected channel (Section 5.3) and none is
// known here: one that the server sends is answered with its type and no
// payload, and a server that insists on it (R = CONT) is told that it failed.
//
// An unknown peer and a wrong key both end in EAP-Failure, after the same
// work, so that neither the answer nor its time says which it was. A message
// that does not fit, or whose MAC or tag is wrong where the key was proven
// before, is discarded without an answer: it is somebody else's.
package psk
