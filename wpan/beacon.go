package wpan

import (
	"bytes"
	"errors"

	"gatewayd/ieee802154"
)

// NetworkID names a network in its beacons: text, padded with zeros.
type NetworkID [16]byte

// ParseNetworkID makes an id of a name of at most 16 bytes.
func ParseNetworkID(name string) (NetworkID, error) {
	var id NetworkID
	if len(name) > len(id) {
		return id, errors.New("wpan: a network's name has at most 16 bytes")
	}
	copy(id[:], name)
	return id, nil
}

func (id NetworkID) String() string { return string(bytes.TrimRight(id[:], "\x00")) }

// beaconPayload is what a beacon says of the network: the form that ZigBee IP
// gave it (ZigBee IP Specification Section 5.2.1).
//
//	| protocol 1 | control 1 | network id 16 | optional fields |
type beaconPayload struct {
	allowJoin      bool
	routerCapacity bool
	hostCapacity   bool
	network        NetworkID
}

const (
	beaconProtocol     = 0x02
	beaconAllowJoin    = 1 << 0
	beaconRouterRoom   = 1 << 1
	beaconHostRoom     = 1 << 2
	beaconPayloadLen   = 18
	superframeNoBeacon = 0x0fff // beacon and superframe order 15, CAP over all slots
	superframePANCoord = 1 << 14
	superframePermit   = 1 << 15
)

func (p beaconPayload) append(b []byte) []byte {
	var control byte
	if p.allowJoin {
		control |= beaconAllowJoin
	}
	if p.routerCapacity {
		control |= beaconRouterRoom
	}
	if p.hostCapacity {
		control |= beaconHostRoom
	}
	return append(append(b, beaconProtocol, control), p.network[:]...)
}

// decodeBeaconPayload reads it; false if the beacon is of another protocol.
func decodeBeaconPayload(b []byte) (p beaconPayload, ok bool) {
	if len(b) < beaconPayloadLen || b[0] != beaconProtocol {
		return p, false
	}
	p.allowJoin = b[1]&beaconAllowJoin != 0
	p.routerCapacity, p.hostCapacity = b[1]&beaconRouterRoom != 0, b[1]&beaconHostRoom != 0
	copy(p.network[:], b[2:])
	return p, true
}

// beacon is what this node answers a beacon request with; nothing while it is
// in no network.
func (n *Node) beacon() (ieee802154.Beacon, bool) {
	if !n.attached() || n.cfg.Role == Host {
		return ieee802154.Beacon{}, false
	}
	p := beaconPayload{allowJoin: n.permits(), routerCapacity: true, hostCapacity: true, network: n.network.ID}
	b := ieee802154.Beacon{Superframe: superframeNoBeacon, Payload: p.append(nil)}
	if n.cfg.Role == Coordinator {
		b.Superframe |= superframePANCoord
	}
	if p.allowJoin {
		b.Superframe |= superframePermit
	}
	return b, true
}
