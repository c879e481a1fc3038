// Package scenario runs meshes that a TOML file describes, on virtual time: who
// is where, what befalls them, what they send, and what is expected of them.
//
// Parse reads a Scenario and Run lives it in a sim.World; what comes out is a
// Report. The same file and seed give the same Report. The format is described
// in docs/simulation.md.
package scenario
