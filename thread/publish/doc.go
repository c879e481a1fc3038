// Package publish serves prefixes, routes and services in the network data only
// while too few others do (Thread 1.4 Section 5.15.7 for the DNS/SRP service;
// the rest is OpenThread's practice).
//
// What is published is looked at whenever the network data changes. With fewer
// entries like ours than are wanted, ours is added after a random delay; with
// more, it is taken back after one, which is longer if ours is among those that
// all would rather keep: of two entries that of a router, and of the smaller
// locator.
package publish
