// Package dnssd is the names and services of a border router.
//
//   - Host and Service: what is registered by SRP, published by mDNS and
//     answered by DNS
//   - srp: the server of RFC 9665, which is the Registry
//   - mdns: responder and browser of RFC 6762
//
// Bytes of DNS are taken apart and made by github.com/miekg/dns. Nothing here
// opens a socket, reads a clock or starts a goroutine.
package dnssd
