// Package link holds what travels beside an IPv6 datagram between the layers
// of a Thread node: how a received one came over the radio, and how one that
// is to be sent must leave.
package link

import (
	"gatewayd/ieee802154"
)

// Security says how the MAC protects a frame.
type Security uint8

// The kinds of protection Thread knows. All but Unsecured are ENC-MIC-32.
const (
	Secured   Security = iota // key id mode 1, the network's MAC key
	Unsecured                 // none: MLE protects itself, joiners have no key
	JoinerKEK                 // key id mode 0, the KEK of a joiner session
	WellKnown                 // key id mode 2, the key everybody has (MLE Announce)
)

func (s Security) String() string {
	return [...]string{"secured", "unsecured", "kek", "well-known"}[s&3]
}

// Priority orders what waits to be sent.
type Priority uint8

// The priorities, lowest first.
const (
	Low Priority = iota
	Normal
	High
	Net
)

// Info is how a datagram reached this node over the radio. For one that came
// in several fragments it is the first fragment's.
type Info struct {
	// FromHost is set for a datagram that did not come over the radio.
	FromHost bool

	Src, Dst ieee802154.Addr // of the MAC, or of the mesh header
	SrcPAN   uint16
	DstPAN   uint16
	Channel  uint8
	Radio    Radio // by which it came
	RSSI     int8  // dBm
	LQI      uint8
	Secured  bool // link security was good, with key id mode 0 or 1
	// KeyIDMode is of the frame's security; with mode 2 Secured is false,
	// because anybody has that key.
	KeyIDMode uint8
}

// Options is how a datagram must be sent. The zero value is an ordinary one.
type Options struct {
	Security Security
	Priority Priority
	// PANID and Channel of the frame where they are not the network's.
	// OverridePAN says that PANID counts.
	OverridePAN bool
	PANID       uint16
	Channel     uint8
	// Radios to send by; none leaves it to the MAC.
	Radios Radios
	// Direct sends at once even to a sleepy child, which is listening now.
	Direct bool
	// SecureIfCut turns Unsecured into Secured for a datagram that does not fit
	// one frame, as MLE wants it.
	SecureIfCut bool
	// Tries is how often a frame is sent, at most, until it is acknowledged; 0
	// is the MAC's own number.
	Tries uint8
	// Repeat marks a further transmission of a multicast datagram, which
	// sleepy children have had already.
	Repeat bool
	// Done, when set, is called once: with true when the last frame was
	// transmitted and, if unicast, acknowledged.
	Done func(ok bool)
}
