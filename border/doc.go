// Package border is the routing manager of a Thread border router: it makes
// the mesh and the links of the host one routed network, as Thread 1.4 border
// routers do it, and draft-ietf-snac-simple describes it for any stub network.
//
// On every infrastructure link a Manager
//
//   - listens to the routers (RFC 4861 Section 6.3, RFC 4191 Section 3), asks
//     them again when what they said becomes old, and probes whether they are
//     still there (RFC 4861 Section 7.3)
//   - advertises an on-link prefix only while no other router gives a good
//     one, and deprecates it, instead of withdrawing it, when one does
//   - advertises routes to the prefixes of the mesh, with the flag of a stub
//     network's router
//
// On the mesh it publishes in the network data the off-mesh routable prefix
// (OMR) from which devices take addresses, a route to the outside, and a NAT64
// prefix, unless another border router does so better.
//
// All border routers of a mesh come to the same decisions: the on-link prefix
// follows from the extended PAN ID, and of prefixes published the one with the
// higher preference, then the smaller one, is kept.
//
// Deliberate deviations from what others do: an OMR prefix that was in use and
// is replaced stays in the network data for a while, without the flag of a
// preferred one, so that connections do not end; advertisements whose contents
// changed are repeated in short order (RFC 4861 Section 6.2.4); prefixes that
// no link can have, such as ::/64, are not listened to; a router that fills
// the tables has to give room to the others.
//
// Several infrastructure links are possible. The first has the on-link prefix
// of the extended PAN ID, others one of this border router's own /48. Links
// that turn out to be one, and border routers of the mesh that are on none of
// our links, are reported in the Status.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package border
