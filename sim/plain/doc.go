// Package plain is a seeded network of plain 6LoWPAN nodes on virtual time: the
// nodes of package wpan, each with a software radio, on one simulated air.
package plain
