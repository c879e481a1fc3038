// Package dhcp gives Thread nodes addresses by DHCPv6 (RFC 8415), in the form
// that Thread has it (Thread 1.4 Section 5.15.4): a prefix in the network data
// with the DHCP flag, a border router that is its agent, and a Solicit to that
// with Rapid Commit, answered by a Reply at once.
//
//   - wire: Message, the few options that take part (Sections 8 and 21)
//   - machine: Client, which asks for an address in each such prefix, and Agent,
//     which answers for the prefixes that the node itself serves
//
// The agent keeps no leases: the address of a device is made of its EUI-64 and
// lasts as long as the prefix. There is no Request, Renew or Release.
package dhcp
