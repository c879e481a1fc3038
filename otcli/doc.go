// Package otcli is a command line over a thread.Node that answers as
// OpenThread's does: the same commands, the same words, the same tables. What
// drives OpenThread's nodes, by hand or by script, drives ours.
//
//   - cli: a line in, its reply out, ended by "Done" or "Error N: Text"
//   - one file for each group of commands
//   - table: tables and addresses as OpenThread writes them
//
// A command that takes time (ping, scan, discover, detach) is answered when it
// is over; until then further lines are ignored. Names and formats are those of
// OpenThread's CLI reference, of which the commands that this node has a
// meaning for are here.
//
// Deviations: settings made one by one (channel, panid, networkname, ...) are
// part of the active dataset at once, which has no timestamp then; names of
// builds and devices are ours.
//
// Nothing here reads or writes a stream: text goes out by a function.
package otcli
