// Package survey finds out about a network's surroundings for a commissioner,
// and tells nodes on other channels where the network is.
//
//   - Server: MGMT_ED_SCAN, MGMT_PANID_QUERY and MGMT_ANNOUNCE_BEGIN as every
//     node answers them (Thread 1.4 Section 8.7.8 to 8.7.10)
//   - Client: the same as a commissioner asks for them
//   - Announcer: Announces now and then, unasked, for who missed that the
//     network has moved
//
// A Server does what the commissioner asks whose session is in the network
// data, and nobody else, as far as the node has the data that tell.
package survey
