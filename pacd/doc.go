// Package pacd runs PANA clients (RFC 5191): one that authenticates over the
// host's UDP, and a device of a plain 6LoWPAN network on a radio of its own.
package pacd
