// Package firewall keeps the mesh apart from what has no business with it, by
// one nftables table of the gateway's own, of family inet, which it fills
// through netlink and replaces in one transaction.
//
// Chains, and why at these priorities:
//
//   - antispoof, prerouting at raw - 10: before connection tracking and before
//     anybody else looks, what says that it comes from the mesh and does not is
//     dropped (RFC 2827).
//   - forward, forward at filter - 10: between the mesh and elsewhere, what
//     policy does not allow is dropped, before other tables count or log it.
//     What neither comes from the mesh nor goes there passes untouched.
//   - nat64, postrouting at srcnat: packets of the NAT64's own IPv4 network get
//     the host's address.
//
// A packet must pass every table of the host. An accept here therefore never
// overrides a drop of firewalld, ufw or Docker, and the other way round:
// package doctor tells what to do about those.
//
// The kernel removes the table with the process that made it (since Linux
// 5.12, by which nobody's "flush ruleset" touches it either). Before that,
// the next process finds and replaces what a killed one has left.
package firewall
