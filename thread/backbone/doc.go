// Package backbone holds what a Thread node does about addresses that are known
// beyond the mesh, groups and unicast ones: the Backbone Router, which connects
// the mesh with the backbone link, and the clients that tell it what nodes
// listen to and what they are called there.
//
//   - election of the primary Backbone Router by its service in the network
//     data: Thread 1.4 Section 5.21
//   - DUA.req, DUA.rsp and DUA.ntf, the table of domain unicast addresses, and
//     BB.qry, BB.ans and PRO_BB.ntf, by which the Backbone Routers of a domain
//     find duplicates, and devices in each other's meshes: Section 5.23
//   - MLR.req and MLR.rsp, the table of multicast listeners, and BMLR.ntf, by
//     which the next primary knows it: Section 5.24
//
// Answering neighbour solicitations for the addresses is the daemon's, which is
// told of them.
package backbone
