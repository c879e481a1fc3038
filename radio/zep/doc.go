// Package zep is a medium of ZEP datagrams: the ZigBee Encapsulation Protocol,
// IEEE 802.15.4 frames over UDP, as sniffers, RIOT's native nodes and RIOT's
// zep_dispatch speak it.
//
//   - Packet: versions 1 and 2 of the protocol, bytes in and bytes out. There is
//     no standard of it; Exegin's description, as Wireshark's dissector has it,
//     and what RIOT adds, the Hello of a node to its dispatcher.
//   - Medium: one node's place, a medium.Port beneath an rcp.Radio.
//
// A frame is a datagram to the one remote that there is: another node, or a
// dispatcher that passes it on to those who would hear it. Frames take no time
// and do not collide. The radios acknowledge frames themselves, on both sides,
// by frames of acknowledgment like any others; ZEP's own acknowledgment is not
// used by anybody and ignored.
package zep
