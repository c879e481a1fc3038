package rpl

import (
	"net/netip"
)

// Send is an RPL message that a machine wants sent. A message to a multicast
// or link-local address goes to the link as it is; another is a datagram of
// this node's own and goes through Originate.
type Send struct {
	Src, Dst   netip.Addr
	HopLimit   uint8
	Type, Code uint8  // of ICMPv6
	Body       []byte // after the checksum
}

// Hop limits of messages on the link and across the mesh.
const (
	linkHops uint8 = 255
	meshHops uint8 = 64
)

func message(src, dst netip.Addr, code uint8, body []byte) Send {
	s := Send{Src: src, Dst: dst, HopLimit: meshHops, Type: ICMPType, Code: code, Body: body}
	if dst.IsMulticast() || dst.IsLinkLocalUnicast() {
		s.HopLimit = linkHops
	}
	return s
}

// Verdict says what to do with a datagram.
type Verdict struct {
	Action Action
	// Next is whom to hand Packet to, for Forward: a link-local address, or
	// the global one of a neighbour when NextHop is nil. For a datagram to a
	// multicast group of the link it is the group.
	Next netip.Addr
	// Packet is the datagram as it goes on, may share memory with the one
	// given, and is set for a drop that is to be told about: it is what the
	// ICMPv6 error quotes.
	Packet []byte
	// Tell is the ICMPv6 error that is due to Packet's source, or nil.
	Tell *Problem
	// Reason says why a datagram was dropped.
	Reason string
}

// An Action is a datagram's fate.
type Action uint8

const (
	Drop    Action = iota
	Deliver        // it is for this node
	Forward        // to the neighbour Next
	Exit           // it leaves the DODAG here: the host routes it on, from the root, or the link has its target, from a router
)

func (a Action) String() string {
	return [...]string{"drop", "deliver", "forward", "exit"}[a&3]
}

// Problem is an ICMPv6 error (RFC 4443 Section 3).
type Problem struct {
	Type, Code uint8
	Pointer    uint32
}

// UnreachSourceRoute is the code of Destination Unreachable that says Error
// in Source Routing Header (RFC 6550 Section 20.18).
const UnreachSourceRoute uint8 = 7
