// Package dhcp6 is DHCP for IPv6 (RFC 8415), without sockets:
//
//   - Server: hands out the addresses of one link, a mesh, to clients on it and
//     behind relay agents. Solicit to Information-request (RFC 8415 Section
//     18.3), Relay-forward (19.3), DNS servers and search list (RFC 3646), SNTP
//     servers (RFC 4075), leases that survive a restart.
//   - Client: has prefixes delegated by a router upstream (Sections 6.3 and 18.2).
//
// Bytes are taken apart and made by github.com/insomniacslk/dhcp.
//
// Deliberate limits: a Server delegates no prefixes, assigns no temporary
// addresses, offers no Reconfigure and no Server Unicast option, and a Client
// heeds neither. The addresses that clients wish for do not matter: the address
// of a client follows from its DUID and IAID, so that one whose lease was lost
// may keep what it has.
package dhcp6
