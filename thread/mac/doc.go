// Package mac is the IEEE 802.15.4 MAC of a Thread node.
//
//   - transmission: direct frames, indirect frames to sleepy children, data
//     polls and beacons, one at a time (IEEE 802.15.4-2015 Section 6)
//   - coordinated sampled listening: frames to synchronized sleepy children when
//     they listen (Section 6.12.2, Thread 1.4 Section 3.2.6.3), and what tells a
//     parent when this node does
//   - frame security, outgoing and incoming, with the replay rules of Thread
//     (Thread 1.4 Section 3 and 7)
//   - a second link beside the radio, and by which of them a neighbour is
//     reached: TREL, Thread over infrastructure
//   - scanning, and waiting on another channel for MLE discovery
//
// It asks the layer above for the next frame when it is free to send one
// (Source) and hands up data frames that passed every check (Handler). What
// the radio can do by itself (CSMA-CA, retries, acknowledgements, encryption)
// is left to it; what it cannot is done here.
package mac
