// Package diag is network diagnostics: what a node of the mesh tells of itself
// and its neighbours, and how the others are asked for it.
//
//   - wire: the TLVs and their values (Thread 1.4 Section 10.11)
//   - server: Diagnostic Get, Query and Reset (d/dg, d/dq, d/dr); the answer to
//     a query comes in as many messages (d/da) as it takes
//   - client: the same from the other side
//   - surveys: the topology of the whole mesh, the children and the neighbours
//     of one router
//
// Error rates of links are not measured and not told; links to children that
// sleep by schedule are told as not synchronized. A node tells no battery level
// and no supply voltage.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package diag
