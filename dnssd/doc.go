// Package dnssd is the names and services of a border router.
//
//   - Host and Service: what is registered by SRP, published by mDNS and
//     answered by DNS
//   - srp: the server of RFC 9665, which is the Registry
//   - mdns: responder and browser of RFC 6762
//   - Resolver: answers the mesh's DNS queries from a Registry, from the links
//     by a Browser (discovery proxy, RFC 8766 in a reduced form), and from the
//     host's resolvers, with DNS64 (RFC 6147, RFC 7050, RFC 8880)
//
// Deliberate deviations of the Resolver: a client that does not say how much it
// takes gets up to 1232 bytes, not 512, because that is what clients in a mesh
// take and one more exchange costs them more; two questions, for SRV and TXT of
// one name, are answered together, as Thread's clients ask them; what was not
// found on the links is answered as a name without data, never as no name.
//
// Bytes of DNS are taken apart and made by github.com/miekg/dns. Nothing here
// opens a socket, reads a clock or starts a goroutine.
package dnssd
