// Package backbone holds what a Thread node does about multicast that is wider
// than the mesh: the Backbone Router, which connects the mesh with the backbone
// link, and the client that tells it the groups that nodes listen to.
//
//   - election of the primary Backbone Router by its service in the network
//     data: Thread 1.4 Section 5.21
//   - MLR.req and MLR.rsp, the table of multicast listeners: Thread 1.4 Section
//     5.24
//
// A new primary learns the groups from the nodes, which register again with it;
// Backbone Routers do not tell each other (BMLR.ntf). Domain unicast addresses
// are not part of it.
package backbone
