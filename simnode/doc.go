// Package simnode runs one of our Thread nodes on the air of OpenThread's
// simulation, with OpenThread's command line: in place of ot-cli-ftd.
//
// The air is package radio/medium/udp's, the radio package radio/rcp's, the
// node package thread's, the command line package otcli's; one goroutine owns
// them all. Time may pass faster than it does.
//
// A file keeps the node's state over restarts, as ot-cli-ftd's flash does and
// beside it: tmp/gatewayd_<offset>_<node>.data.
package simnode
