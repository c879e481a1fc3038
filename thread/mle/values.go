package mle

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"gatewayd/thread/neighbor"
)

const (
	leaderDataLen   = 8
	connectivityLen = 7
	connectivitySED = 10 // with what a router keeps for sleepy children
	routeLen        = 9
)

// Append appends the value of a Leader Data TLV.
func (d LeaderData) Append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, d.Partition), d.Weight, d.DataVersion, d.StableVersion, d.LeaderID)
}

// DecodeLeaderData reads the value of a Leader Data TLV.
func DecodeLeaderData(b []byte) (LeaderData, error) {
	if len(b) < leaderDataLen {
		return LeaderData{}, &DecodeError{What: "leader data", Offset: len(b), Err: ErrShort}
	}
	if b[7] > neighbor.MaxRouterID {
		return LeaderData{}, &DecodeError{What: "leader's router id", Offset: 7, Err: fmt.Errorf("%w: %d", ErrInvalid, b[7])}
	}
	return LeaderData{binary.BigEndian.Uint32(b), b[4], b[5], b[6], b[7]}, nil
}

// Connectivity is what a router tells who looks for a parent (Thread 1.4
// Section 4.5.5.16).
type Connectivity struct {
	Priority      ParentPriority
	LinkQuality   [4]uint8 // neighbours by link quality; the first is not sent
	LeaderCost    uint8
	IDSequence    uint8
	ActiveRouters uint8
	// SED says that the following two are there.
	SED          bool
	SEDBuffer    uint16 // bytes kept for a sleepy child
	SEDDatagrams uint8
}

// Singleton reports whether the sender is alone in its partition.
func (c *Connectivity) Singleton() bool { return c.ActiveRouters <= 1 }

// Append appends the value of a Connectivity TLV.
func (c *Connectivity) Append(b []byte) []byte {
	b = append(b, byte(c.Priority)<<6, c.LinkQuality[3], c.LinkQuality[2], c.LinkQuality[1],
		c.LeaderCost, c.IDSequence, c.ActiveRouters)
	if c.SED {
		b = append(binary.BigEndian.AppendUint16(b, c.SEDBuffer), c.SEDDatagrams)
	}
	return b
}

// DecodeConnectivity reads the value of a Connectivity TLV.
func DecodeConnectivity(b []byte) (Connectivity, error) {
	if len(b) < connectivityLen {
		return Connectivity{}, &DecodeError{What: "connectivity", Offset: len(b), Err: ErrShort}
	}
	c := Connectivity{
		LinkQuality: [4]uint8{3: b[1], 2: b[2], 1: b[3]},
		LeaderCost:  b[4], IDSequence: b[5], ActiveRouters: b[6],
	}
	switch b[0] >> 6 {
	case 1:
		c.Priority = PriorityHigh
	case 3:
		c.Priority = PriorityLow
	}
	if len(b) >= connectivitySED {
		c.SED, c.SEDBuffer, c.SEDDatagrams = true, binary.BigEndian.Uint16(b[7:]), b[9]
	}
	return c, nil
}

// Route is a router's view of its partition (the Route64 TLV, Thread 1.4
// Section 4.5.5.10).
type Route struct {
	Sequence uint8
	Mask     uint64 // of allocated router ids, most significant bit: id 0
	Entries  [neighbor.MaxRouterID + 1]RouteEntry
}

// RouteEntry is what the sender knows of one router.
type RouteEntry struct {
	Out, In uint8 // link qualities, 0 without a link
	Cost    uint8 // of the path, 0 without one; 1 in the sender's own entry
}

// idBit is a router id's bit in a mask.
func idBit(id uint8) uint64 { return 1 << (63 - id) }

// idMask has the bits of all valid router ids.
const idMask = ^uint64(1)

// Has reports whether a router id is allocated.
func (r *Route) Has(id uint8) bool { return id <= neighbor.MaxRouterID && r.Mask&idBit(id) != 0 }

// Count is how many ids are allocated.
func (r *Route) Count() int { return bits.OnesCount64(r.Mask) }

// Singleton reports whether the sender is alone in its partition.
func (r *Route) Singleton() bool { return r.Count() <= 1 }

// Append appends the value of a Route64 TLV.
func (r *Route) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(append(b, r.Sequence), r.Mask&idMask)
	for id := range r.Entries {
		if e := r.Entries[id]; r.Has(uint8(id)) {
			b = append(b, e.Out<<6|e.In&3<<4|e.Cost&15)
		}
	}
	return b
}

// DecodeRoute reads the value of a Route64 TLV. Bytes beyond the last router
// are ignored.
func DecodeRoute(b []byte) (Route, error) {
	if len(b) < routeLen {
		return Route{}, &DecodeError{What: "route", Offset: len(b), Err: ErrShort}
	}
	r := Route{Sequence: b[0], Mask: binary.BigEndian.Uint64(b[1:]) & idMask}
	rest := b[routeLen:]
	if len(rest) < r.Count() {
		return Route{}, &DecodeError{What: "route entries", Offset: len(b), Err: ErrShort}
	}
	for id := range r.Entries {
		if r.Has(uint8(id)) {
			r.Entries[id] = RouteEntry{Out: rest[0] >> 6, In: rest[0] >> 4 & 3, Cost: rest[0] & 15}
			rest = rest[1:]
		}
	}
	return r, nil
}

// AddressEntry is one address of an Address Registration TLV: a whole one, or
// the interface identifier below a 6LoWPAN context's prefix.
type AddressEntry struct {
	Compressed bool
	Context    uint8
	IID        [8]byte
	Addr       netip.Addr // if not Compressed
}

const (
	entryCompressed  = 0x80
	entryContext     = 0x0f
	entryCompressLen = 1 + 8
	entryLen         = 1 + 16
)

// AppendAddresses appends the value of an Address Registration TLV.
func AppendAddresses(b []byte, entries []AddressEntry) []byte {
	for _, e := range entries {
		if e.Compressed {
			b = append(append(b, entryCompressed|e.Context), e.IID[:]...)
			continue
		}
		a := e.Addr.As16()
		b = append(append(b, 0), a[:]...)
	}
	return b
}

// DecodeAddresses reads the value of an Address Registration TLV.
func DecodeAddresses(b []byte) ([]AddressEntry, error) {
	var out []AddressEntry
	for off := 0; off < len(b); {
		rest := b[off:]
		n := entryLen
		if rest[0]&entryCompressed != 0 {
			n = entryCompressLen
		}
		if len(rest) < n {
			return nil, &DecodeError{What: "registered address", Offset: off, Err: ErrShort}
		}
		if n == entryCompressLen {
			out = append(out, AddressEntry{Compressed: true, Context: rest[0] & entryContext, IID: [8]byte(rest[1:])})
		} else {
			out = append(out, AddressEntry{Addr: netip.AddrFrom16([16]byte(rest[1:]))})
		}
		off += n
	}
	return out, nil
}
