// Package multicast gives a machine of package mdns its sockets (RFC 6762
// Sections 3, 11 and 15): port 5353 of both families, shared with whatever
// other responder the host has, members of the groups on chosen interfaces
// only, hop limit 255, with the interface and destination of each datagram.
package multicast
