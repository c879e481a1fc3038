// Package mac is the IEEE 802.15.4 MAC of a plain 6LoWPAN node, one that is no
// Thread node: nonbeacon-enabled PAN, devices that always listen, extended
// addresses.
//
//   - transmission of one frame at a time, with CSMA-CA, acknowledgement and
//     retries where the radio does not do these (IEEE 802.15.4-2015 Section 6)
//   - frame security ENC-MIC-32 under key id mode 1 (Section 9), with a
//     frame counter for each neighbour and key against replay
//   - beacons on request, with the permission to join, and active scans
//
// A frame under no key is passed up as what it is; the layer above decides what
// a device that has no key yet may do. A neighbour's counter is believed when it
// is first heard under a key: what was recorded before that can be replayed
// once, so the layers above must bear a repeated datagram.
//
// It asks the layer above for the next frame when it is free to send one.
package mac
