// Package tls is EAP-TLS (RFC 5216 with TLS 1.2, RFC 9190 with TLS 1.3, EAP
// type 13): mutual authentication by certificates.
//
//   - fragment.go: flags, fragments and their reassembly (RFC 5216 Section 3)
//   - engine.go: crypto/tls as a machine: TLS octets in, TLS octets out
//   - keys.go: MSK, EMSK and Session-Id (RFC 5216 Section 2.3, RFC 9190
//     Section 2.3)
//   - verify.go, crl.go, ocsp.go: whom to believe
//   - server.go, peer.go: the two sides
//
// The handshake is crypto/tls's and runs in a coroutine that gives way where
// it wants to read. No goroutine runs by itself; one is parked per handshake
// under way, until it ended or was closed. Whoever limits the number of
// conversations limits both; TestMemory says how much one may
// hold.
//
// Sessions are resumed by tickets only, in TLS 1.2 as well as in 1.3.
//
// Limits, each refused with its own reason: TLS below 1.2; a peer that does
// TLS 1.2 without the extended master secret (RFC 7627), as crypto/tls
// exports no keys then; a peer that has AES-CCM cipher suites only; a peer
// without a certificate.
package tls
