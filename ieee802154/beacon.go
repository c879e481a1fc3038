package ieee802154

import "encoding/binary"

// A Beacon is the payload of a beacon frame of version 2003 or 2006 (IEEE
// 802.15.4-2015 Section 7.3.1).
type Beacon struct {
	Superframe uint16 // specification, see the methods

	GTSPermit     bool
	GTSDirections uint8  // bit mask, when there are descriptors
	GTS           []byte // up to 7 descriptors of 3 octets

	PendingShort    []uint16 // up to 7
	PendingExtended []ExtAddr

	Payload []byte
}

// Superframe specification (IEEE 802.15.4-2015 Figure 7-7) and list lengths.
const (
	superframeCoordinator = 1 << 14
	superframePermit      = 1 << 15

	gtsCount             = 0x07
	gtsPermit            = 0x80
	gtsDescriptorLen     = 3
	pendingCount         = 0x07
	pendingExtendedShift = 4
)

// BeaconOrder returns the beacon order; 15 is a PAN without periodic beacons.
func (b *Beacon) BeaconOrder() uint8 { return uint8(b.Superframe & 0xf) }

// SuperframeOrder returns the superframe order.
func (b *Beacon) SuperframeOrder() uint8 { return uint8(b.Superframe >> 4 & 0xf) }

// PANCoordinator reports whether the sender is the PAN coordinator.
func (b *Beacon) PANCoordinator() bool { return b.Superframe&superframeCoordinator != 0 }

// AssociationPermit reports whether the sender lets devices associate.
func (b *Beacon) AssociationPermit() bool { return b.Superframe&superframePermit != 0 }

// Append appends the beacon as a frame's Payload.
func (b *Beacon) Append(p []byte) []byte {
	p = binary.LittleEndian.AppendUint16(p, b.Superframe)
	n := len(b.GTS) / gtsDescriptorLen & gtsCount
	spec := byte(n)
	if b.GTSPermit {
		spec |= gtsPermit
	}
	p = append(p, spec)
	if n > 0 {
		p = append(p, b.GTSDirections)
		p = append(p, b.GTS[:n*gtsDescriptorLen]...)
	}
	p = append(p, byte(len(b.PendingShort)&pendingCount)|byte(len(b.PendingExtended)&pendingCount)<<pendingExtendedShift)
	for _, a := range b.PendingShort {
		p = binary.LittleEndian.AppendUint16(p, a)
	}
	for _, a := range b.PendingExtended {
		p = ExtendedAddr(a).append(p)
	}
	return append(p, b.Payload...)
}

// DecodeBeacon reads the Payload of a beacon frame. Thread devices send beacons
// with nothing in them: an empty payload is the zero Beacon. GTS and Payload
// alias payload. Offsets in errors count from its start.
func DecodeBeacon(payload []byte) (Beacon, error) {
	if len(payload) == 0 {
		return Beacon{}, nil
	}
	return decodeBeacon(payload, 0)
}

func decodeBeacon(payload []byte, off int) (Beacon, error) {
	var b Beacon
	d := decoder{b: payload}
	b.Superframe = d.uint16("superframe specification")
	gts := d.uint8("GTS specification")
	b.GTSPermit = gts&gtsPermit != 0
	if n := int(gts & gtsCount); n > 0 {
		b.GTSDirections = d.uint8("GTS directions")
		b.GTS = d.take("GTS list", n*gtsDescriptorLen)
	}
	pending := d.uint8("pending address specification")
	for range pending & pendingCount {
		b.PendingShort = append(b.PendingShort, d.uint16("pending short address"))
	}
	for range pending >> pendingExtendedShift & pendingCount {
		b.PendingExtended = append(b.PendingExtended, d.addr("pending extended address", AddrExtended).Ext)
	}
	if e, ok := d.err.(*DecodeError); ok {
		e.Offset += off
		return Beacon{}, e
	}
	b.Payload = payload[d.off:]
	return b, nil
}
