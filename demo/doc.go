// Package demo shows the gateway at work without hardware: a real gateway, on
// an embedded co-processor, and three simulated devices on the same simulated
// air, in real time. The network forms, the devices discover it, join by their
// PSKds, attach, get addresses and answer pings.
//
// Where the kernel allows it, all of it runs in a user and network namespace of
// its own, and it is the kernel's IPv6 stack that pings; else the gateway's.
package demo
