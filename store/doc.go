// Package store keeps the durable state of one gateway in a data directory:
// named values, opaque to the store, that survive power cuts, full disks and
// rotting flash.
//
// A value is saved as a new file beside its predecessors, name.generation,
// and only once that file and its directory entry are on the disk are
// generations beyond the newest three removed. Each file begins with a line
// that says what it is and carries a checksum; a file that does not match is
// set aside as name.generation.corrupt-n, logged, and the generation before
// it is used. Nothing here ever edits a file in place.
package store
