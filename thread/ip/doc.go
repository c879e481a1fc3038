// Package ip is the IPv6 layer of a Thread node: its addresses, the way of a
// datagram between the mesh, the host and the protocols inside the node, UDP
// ports, echo, and MPL for multicast wider than one link.
//
//   - addresses and scopes: RFC 4291, RFC 6724 as far as a node needs it
//   - forwarding decisions and the filter for datagrams that came without link
//     security: Thread 1.4 Section 5 and 7
//   - multicast forwarding: RFC 7731 as Thread profiles it
//   - echo: RFC 4443 Section 4
package ip
