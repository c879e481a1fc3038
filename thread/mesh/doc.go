// Package mesh is the forwarder between IPv6 datagrams and MAC frames of a
// Thread node: it finds the next hop, compresses and fragments, queues for
// sleepy children, forwards frames that carry a mesh header, and puts received
// fragments together again.
//
//   - RFC 4944 Sections 5 and 11: fragments and the mesh header
//   - RFC 6282 by package lowpan
//   - Thread 1.4 Section 3.4 and 5: link-layer forwarding, indirect transmission
package mesh
