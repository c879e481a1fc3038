// Package infra is the gateway's side towards the networks of the host: it
// follows the interfaces that lead there, whatever becomes of them, carries
// neighbor discovery (RFC 4861) between them and a machine that speaks it, and
// gives the host addresses of the prefixes that the gateway advertises.
//
// Everything put into the kernel can be told from what others put there: by
// the protocol of routes and, since Linux 5.18, of addresses
// (host.RouteProtocol). What a killed process left is found by it, and an
// address ends by its lifetime besides.
package infra
