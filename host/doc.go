// Package host is the gateway's side towards the Linux kernel: the network
// interface of the mesh, with its addresses, routes and multicast groups.
//
// The interface is a TUN device that lives as long as the process has it
// open, so that a crash leaves nothing behind. The kernel does nothing on it
// by itself: no address of its own making (addr_gen_mode none), no duplicate
// address detection, which the mesh does, and neither router advertisements
// (RFC 4861 Section 6.2) nor redirects (Section 8) taken from mesh devices.
//
// Below it: infra, the interfaces towards the host's networks; firewall, what
// may pass between them and the mesh; sysctl, kernel settings that are put
// back; doctor, what on the host stands in the way.
package host
