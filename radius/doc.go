// Package radius is RADIUS for EAP: as an authenticator's way to an
// authentication server, as such a server, and for orders to end a session.
//
//   - wire: Packet and Attribute, their authenticators, the EAP-Message and
//     MS-MPPE key attributes (RFC 2865, RFC 2866, RFC 2869, RFC 3579, RFC 2548)
//   - Client: an eap.Backend that passes EAP on to RADIUS servers, with
//     failover, and accounts for sessions (RFC 2866, RFC 3579, RFC 3580,
//     RFC 5080, RFC 5997)
//   - Server: any eap.Backend, served over RADIUS to other authenticators
//   - Dynamic: Disconnect and Change-of-Authorization requests (RFC 5176)
//
// Blast-RADIUS (CVE-2024-3596): every Access-Request, every Status-Server and
// every answer to an Access-Request must carry a Message-Authenticator; ours
// comes first, a foreign one may stand anywhere, since older servers put it
// last.
//
// Deviations: a request that is repeated towards another server is a new one
// (other identifier and authenticators); a conversation that has a State stays
// with its server, and fails with it. Accounting-Requests carry Event-Timestamp
// in place of Acct-Delay-Time, so that they may be repeated unchanged. No
// extended attributes, no PAP or CHAP.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package radius
