// Package update is how a slot of the appliance gets what it starts: by a
// bundle, which is a signed header and the slot's file system.
//
//   - version: what is older than what
//   - header: the manifest, signed with Ed25519 (RFC 8032), as it stands at a
//     bundle's begin and at a slot's end
//   - slot: written a chunk at a time, each checked before it is written and
//     all of them after; what was written before a power cut is kept
//   - source: a bundle in a file or behind a URL, from any byte on (RFC 9110
//     Section 14)
//   - image: which board, version and keys the running system has
//
// A slot whose writing was not finished is no file system: its first chunk,
// without which no firmware starts it, is written when all others have been
// read back, and its header, without which nothing here tries it, after that.
package update
