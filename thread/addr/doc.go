// Package addr resolves the IPv6 addresses of a Thread network to the RLOC16
// of the node that has them, or that is the parent of the one that has them.
//
//   - Address Query, Notification and Error (Thread 1.4 Section 5.4.2)
//   - the cache, its ageing, and what it learns from passing datagrams
package addr
