// Package rcp is an IEEE 802.15.4 radio co-processor on a simulated medium.
//
//   - Radio: the lower MAC. CSMA-CA (IEEE 802.15.4-2020 Section 6.2.5),
//     acknowledgments (6.6.3), retries, frame filtering (6.6.2), outgoing
//     frame security (9.2.2), coordinated sampled listening (6.12.2) and energy
//     detection (10.2.6). It is a radio.Radio, so a MAC can sit on it directly.
//   - Server: a Radio's Spinel front, over any byte stream, as OpenThread's
//     POSIX host expects of its co-processors (RCP API version 11).
//
// Both are machines: time, randomness and the medium are given to them.
//
// Where OpenThread's simulated radio and the standard differ, the Radio keeps
// to the standard: broadcasts are never acknowledged, and a frame counter is
// never used twice with a key, whatever order keys are changed in. As in any
// Thread device a frame that is sent again tells the time to the next sample
// anew: its header and code are others then, what is encrypted is the same.
package rcp
