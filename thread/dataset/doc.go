// Package dataset keeps the operational datasets of a Thread node: the active
// one, by which the network runs, and the pending one, which becomes active
// when its delay is over.
//
//   - the leader's decisions on MGMT_ACTIVE_SET, MGMT_ACTIVE_REPLACE and
//     MGMT_PENDING_SET (Thread 1.4 Section 8.7.4 and 8.7.5)
//   - the answers to MGMT_ACTIVE_GET and MGMT_PENDING_GET
//   - a dataset of the node's own that is newer than the network's: it is
//     offered to the leader until the network has it (Section 8.4.3.2)
//   - an updater that moves a network by a pending dataset
//
// It deviates in three ways. The leader refuses a set request whose outcome
// would not be complete: applied, it would end the network. A dataset of the
// node's own has no effect in an attached node before the leader has taken it.
// And a pending dataset that was stored before a restart takes effect only
// when the network has told the delay that is left, or when the node leads.
package dataset
