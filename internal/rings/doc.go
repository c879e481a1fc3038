// Package rings holds the test that keeps the project's imports pointing
// inward: daemon packages may use machines, machines may use wire packages,
// and neither of the inner two rings touches a socket, a file, a clock or the
// global random source. docs/architecture.md says why.
//
// A new package needs a line in table_test.go.
package rings
