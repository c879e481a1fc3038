// Package tmf is the Thread Management Framework: CoAP on UDP port 61631
// between the nodes of a network, and the TLVs its messages carry.
//
//   - the agent: who may speak to it, priority by DSCP (Thread 1.4 Section 4 and 10)
//   - network layer TLVs (Thread 1.4 Section 5.18)
//
// Joiner Entrust travels on the same port, under a joiner's KEK.
package tmf
