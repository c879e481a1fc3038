// Package mle is Mesh Link Establishment: how a Thread device finds its
// network, what role it takes in it and how it keeps its links.
//
//   - wire: commands, TLVs, the secured envelope (Thread 1.4 Section 4.5)
//   - attaching, parents and children (Section 4.7)
//   - routers: link establishment, routing by distance vector, the leader's
//     router ids, partitions and their merging (Sections 5.9, 5.10, 5.16)
//   - network data and operational datasets on their way to every device
//     (Sections 5.14, 8.4.3)
//   - discovery of networks and announcements of their channel (Sections 4.8,
//     8.4.4)
//   - sleepy children that listen at set times (Section 3.2.6.3), as parent and
//     as child; supervision of the sleepy
//   - link metrics (Section 4.11.3), as subject and as initiator
//
// Where many routers may answer a Parent Request the MAC repeats an answer that
// is not acknowledged less often than other frames, and the answer is sent again
// later: sixteen tries of each would keep a dense mesh from everything else.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package mle
