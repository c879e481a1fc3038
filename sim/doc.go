// Package sim is a mesh of Thread nodes in memory and on virtual time.
//
// A World has a clock, an air (radio/medium) and nodes; each Node is a
// thread.Node on a simulated radio, with durable state that survives Restart.
// Optionally its radio is a co-processor behind a Spinel link, whose line can
// be cut and whose firmware can crash. Nodes with TREL share an infrastructure
// link, too, which each can be taken off. Time passes only in Run and RunUntil and
// jumps from event to event. The same seed gives the same run, frame by frame.
package sim
