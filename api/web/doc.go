// Package web is the gateway's page for people: what it sees and what is
// missing, in plain words. It changes nothing and asks for nothing, so it
// needs no password.
package web
