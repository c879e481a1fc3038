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
// Error rates of links are not measured and not told, nor are battery level and
// supply voltage. A type that a request lists twice is told once, and what does
// not fit a packet of the mesh is left out.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package diag
