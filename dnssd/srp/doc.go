// Package srp implements the server of the Service Registration Protocol, RFC
// 9665: devices register a host, its addresses and its services by DNS Update,
// signed with a key of their own; a name belongs to the key that asked first.
//
//   - wire: DNS messages as far as updates need them (RFC 1035, RFC 2136), the
//     Update Lease option in both its lengths (RFC 9664 Section 4), SIG(0) with
//     ECDSA P-256 (RFC 2931, RFC 6605)
//   - machine: Server, which checks updates (RFC 9665 Section 3.3), keeps what
//     was registered until its leases end (Section 5.1), also over a restart,
//     tells subscribers what changes, and is a dnssd.Registry
//
// Signatures are checked as devices without a clock make them: inception and
// expiration zero stand for always, the key tag is not looked at, and a
// signer's name that was compressed on the wire was signed uncompressed, in
// the case it was sent in.
//
// Deliberate deviations: a host is one label below the zone; a service has
// exactly one TXT record; labels are UTF-8 without control characters (RFC
// 6763 Section 4.1.1 asks that of instances); the pause between a client's
// updates (RFC 9664 Section 8) is not enforced, because clients split a large
// registration into several updates that follow each other at once.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package srp
