// Package enrol says who may join a network by EAP: by which method, with which
// credential, until when, and what became of it.
//
// An Entry is for one identity, or for a set of certificates' subjects. Its
// secret goes in and is never told again. A List is a value: who owns it saves
// what Marshal returns.
package enrol
