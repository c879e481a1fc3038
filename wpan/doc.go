// Package wpan is a node of a plain 6LoWPAN network, one that is not Thread: as
// one machine.
//
//   - Coordinator: makes the network, is its border router (RFC 6775, RFC
//     8505), the root of its RPL (RFC 6550) and its PANA Authentication Agent
//     (RFC 5191)
//   - Router: joins it, forwards, and takes joining devices further as a PANA
//     Relay Element (RFC 6345) and as a DHCPv6 relay agent (RFC 8415 Section 19)
//   - Host: joins it
//
// Each hop puts datagrams together again (route over); links are secured by one
// network key under ENC-MIC-32, which a device gets when it has authenticated,
// in PANA's Encryption-Encap (RFC 6786). What a device without the key may do is
// in filter.go.
//
// Deviations: no sleeping hosts, and no multicast beyond a link.
package wpan
