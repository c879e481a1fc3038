// Package mroute has the Linux kernel route IPv6 multicast between the mesh's
// interface and the infrastructure links (CONFIG_IPV6_MROUTE, the interface of
// linux/mroute6.h).
//
// The kernel asks for a route when it has a datagram for which it knows none.
// What comes from the mesh goes to all links, if its group is wider than the
// mesh; what comes from a link goes to the mesh if somebody there listens. The
// links are told of those groups by MLD (RFC 3810), as by any host.
//
// One program at a time can do this in a network namespace.
package mroute
