// Package netdata is the Thread Network Data: the prefixes, routes and services
// of the border routers and servers of a mesh, Chapter 5 of the Thread 1.4
// Specification.
//
//   - Data: the TLVs of Section 5.18, bytes to values and back
//   - Data's lookups: contexts for 6LoWPAN, on-mesh and SLAAC prefixes, routes,
//     services and anycast locators (Sections 5.9, 5.15)
//   - Leader: merges what servers register, allocates context and service ids
//     and counts versions (Section 5.15), with time and randomness as arguments
//   - Local: what this node itself serves, as it registers it
//   - the Thread services every node understands: Backbone Router and the two
//     ways to publish an SRP server
//
// Decoding a value and appending it gives the same bytes, in the same order,
// but for reserved bits and prefix bits beyond the prefix length, which are
// dropped. Everything is big-endian.
package netdata
