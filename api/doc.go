// Package api is how a running gateway is commanded: JSON over HTTP on a Unix
// socket that only its owner can open. Server answers for a gateway, Client
// asks; docs/commands.md lists the endpoints.
//
// Secrets (network key, PSKc, PSKd) are in no answer but that of the two
// dataset exports and of the command line's own commands for them.
package api

// Base is what every path begins with.
const Base = "/v1"

// MaxBody bounds the body of a request, in bytes.
const MaxBody = 16 << 10
