package diag

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/neighbor"
)

// ChildTable is the Child Table TLV: what a router says of its children in one
// breath.
type ChildTable []ChildEntry

// ChildEntry is one child of a ChildTable.
type ChildEntry struct {
	// Timeout is the binary logarithm of the child's timeout in seconds,
	// rounded up, plus 4; 5 bits.
	Timeout uint8
	Quality uint8 // of the link from the child, 0 to 3
	ID      uint16
	Mode    neighbor.Mode
}

const childEntryLen = 3

// TimeoutCode is a timeout as a ChildEntry has it.
func TimeoutCode(d time.Duration) uint8 {
	return uint8(min(bits.Len64(uint64(max(d/time.Second, 1)-1))+4, 31))
}

func (ChildTable) Type() Type { return TypeChildTable }

func (t ChildTable) append(b []byte) []byte {
	for _, c := range t {
		b = binary.BigEndian.AppendUint16(b, uint16(c.Timeout&31)<<11|uint16(c.Quality&3)<<9|c.ID&neighbor.MaxChildID)
		b = append(b, byte(c.Mode))
	}
	return b
}

func decodeChildTable(b []byte) (Value, error) {
	if len(b)%childEntryLen != 0 {
		return nil, ErrShort
	}
	t := make(ChildTable, 0, len(b)/childEntryLen)
	for ; len(b) > 0; b = b[childEntryLen:] {
		n := binary.BigEndian.Uint16(b)
		t = append(t, ChildEntry{Timeout: uint8(n >> 11), Quality: uint8(n >> 9 & 3), ID: n & neighbor.MaxChildID,
			Mode: neighbor.Mode(b[2])})
	}
	return t, nil
}

// UnknownRSSI is told when nothing was heard.
const UnknownRSSI = 127

// A Link is how well a neighbour is heard, and how it takes what is sent.
type Link struct {
	Margin  uint8 // dB
	Average int8  // dBm, or UnknownRSSI
	Last    int8
	// MeasuresErrors says that the following two are there: of frames and of
	// whole datagrams, 0xffff is all.
	MeasuresErrors bool
	FrameErrors    uint16
	MessageErrors  uint16
}

func (l *Link) append(b []byte) []byte {
	b = append(b, l.Margin, byte(l.Average), byte(l.Last))
	b = binary.BigEndian.AppendUint16(b, l.FrameErrors)
	return binary.BigEndian.AppendUint16(b, l.MessageErrors)
}

func decodeLink(b []byte) Link {
	return Link{Margin: b[0], Average: int8(b[1]), Last: int8(b[2]),
		FrameErrors: binary.BigEndian.Uint16(b[3:]), MessageErrors: binary.BigEndian.Uint16(b[5:])}
}

func linkOf(n *neighbor.Neighbor) Link {
	l := Link{Average: UnknownRSSI, Last: UnknownRSSI, MeasuresErrors: true,
		FrameErrors: uint16(n.FrameErrors), MessageErrors: uint16(n.MessageErrors)}
	if q := &n.Quality; q.Known() {
		l.Margin, l.Average, l.Last = uint8(min(q.Margin(), 255)), q.Average(), q.Last()
	}
	return l
}

// Child is the Child TLV: everything a router knows of a child.
type Child struct {
	RxOnWhenIdle, FullThread, FullNetworkData bool
	RLOC16                                    uint16
	Ext                                       ieee802154.ExtAddr
	Version                                   uint16
	Timeout, Age, Connected                   time.Duration // full seconds
	Supervision                               time.Duration // full seconds; 0 for children that always listen
	Link                                      Link
	Queued                                    uint16 // datagrams
	CSL                                       CSL
}

// CSL is a child's coordinated sampled listening.
type CSL struct {
	Synchronized bool
	Period       uint16        // 160 us
	Timeout      time.Duration // full seconds
	Channel      uint8         // 0: that of the network
}

// Bits of the first byte.
const (
	flagRxOn   = 0x80
	flagFull   = 0x40
	flagAll    = 0x20
	flagCSL    = 0x10
	flagErrors = 0x08

	flagRouterErrors = 0x80
)

const childLen = 43

func (Child) Type() Type { return TypeChild }

func (c Child) append(b []byte) []byte {
	var flags byte
	for _, f := range []struct {
		on  bool
		bit byte
	}{
		{c.RxOnWhenIdle, flagRxOn}, {c.FullThread, flagFull}, {c.FullNetworkData, flagAll},
		{c.CSL.Synchronized, flagCSL}, {c.Link.MeasuresErrors, flagErrors},
	} {
		if f.on {
			flags |= f.bit
		}
	}
	b = binary.BigEndian.AppendUint16(append(b, flags), c.RLOC16)
	b = binary.BigEndian.AppendUint16(append(b, c.Ext[:]...), c.Version)
	b = appendSeconds(appendSeconds(appendSeconds(b, c.Timeout), c.Age), c.Connected)
	b = binary.BigEndian.AppendUint16(b, uint16(min(c.Supervision/time.Second, 0xffff)))
	b = c.Link.append(b)
	b = binary.BigEndian.AppendUint16(b, c.Queued)
	b = binary.BigEndian.AppendUint16(b, c.CSL.Period)
	return append(appendSeconds(b, c.CSL.Timeout), c.CSL.Channel)
}

func decodeChild(b []byte) Child {
	c := Child{
		RxOnWhenIdle: b[0]&flagRxOn != 0, FullThread: b[0]&flagFull != 0, FullNetworkData: b[0]&flagAll != 0,
		RLOC16: binary.BigEndian.Uint16(b[1:]), Ext: ieee802154.ExtAddr(b[3:11]), Version: binary.BigEndian.Uint16(b[11:]),
		Timeout: seconds(b[13:]), Age: seconds(b[17:]), Connected: seconds(b[21:]),
		Supervision: time.Duration(binary.BigEndian.Uint16(b[25:])) * time.Second,
		Link:        decodeLink(b[27:]), Queued: binary.BigEndian.Uint16(b[34:]),
		CSL: CSL{Synchronized: b[0]&flagCSL != 0, Period: binary.BigEndian.Uint16(b[36:]), Timeout: seconds(b[38:]), Channel: b[42]},
	}
	c.Link.MeasuresErrors = b[0]&flagErrors != 0
	return c
}

func childOf(c *neighbor.Child, now time.Time) Child {
	out := Child{
		RxOnWhenIdle: c.Mode.RxOnWhenIdle(), FullThread: c.Mode.FullThread(), FullNetworkData: c.Mode.FullNetworkData(),
		RLOC16: c.RLOC16, Ext: c.Ext, Version: c.Version, Timeout: c.Timeout,
		Age: since(c.LastHeard, now), Connected: since(c.ConnectedAt, now),
		Link: linkOf(&c.Neighbor), Queued: uint16(min(c.Indirect.Queued, 0xffff)),
		CSL: CSL{Synchronized: c.CSL.Synced, Period: c.CSL.Period, Timeout: c.CSL.Timeout, Channel: c.CSL.Channel},
	}
	if !out.RxOnWhenIdle {
		out.Supervision = c.Supervision
	}
	return out
}

// since is the full seconds from then to now, 0 if then never was.
func since(then, now time.Time) time.Duration {
	if then.IsZero() {
		return 0
	}
	return max(now.Sub(then), 0).Truncate(time.Second)
}

// ChildAddresses is the Child IPv6 Address List TLV: what one child registered.
type ChildAddresses struct {
	RLOC16    uint16
	Addresses []netip.Addr
}

func (ChildAddresses) Type() Type { return TypeChildAddresses }

func (c ChildAddresses) append(b []byte) []byte {
	return appendAddrs(binary.BigEndian.AppendUint16(b, c.RLOC16), c.Addresses)
}

// RouterNeighbor is the Router Neighbor TLV: a router that a router has a link
// with.
type RouterNeighbor struct {
	RLOC16    uint16
	Ext       ieee802154.ExtAddr
	Version   uint16
	Connected time.Duration // full seconds
	Link      Link
}

const routerNeighborLen = 24

func (RouterNeighbor) Type() Type { return TypeRouterNeighbor }

func (r RouterNeighbor) append(b []byte) []byte {
	var flags byte
	if r.Link.MeasuresErrors {
		flags = flagRouterErrors
	}
	b = binary.BigEndian.AppendUint16(append(b, flags), r.RLOC16)
	b = binary.BigEndian.AppendUint16(append(b, r.Ext[:]...), r.Version)
	return r.Link.append(appendSeconds(b, r.Connected))
}

func decodeRouterNeighbor(b []byte) RouterNeighbor {
	r := RouterNeighbor{RLOC16: binary.BigEndian.Uint16(b[1:]), Ext: ieee802154.ExtAddr(b[3:11]),
		Version: binary.BigEndian.Uint16(b[11:]), Connected: seconds(b[13:]), Link: decodeLink(b[17:])}
	r.Link.MeasuresErrors = b[0]&flagRouterErrors != 0
	return r
}
