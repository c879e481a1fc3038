package pcap

import (
	"errors"
	"fmt"
	"time"
)

// A LinkType says what a packet of a file starts with (the IANA registry
// "PCAP LINKTYPE List").
type LinkType uint16

// Link types of IEEE 802.15.4 frames.
const (
	LinkWithFCS LinkType = 195 // PSDU with its frame check sequence
	LinkNoFCS   LinkType = 230 // PSDU without
	LinkTAP     LinkType = 283 // TAP pseudo-header, then the PSDU
)

// Direction is the way of a packet, as seen from who captured it.
type Direction uint8

const (
	DirectionUnknown Direction = iota
	Inbound
	Outbound
)

// A Packet is one frame of a capture.
type Packet struct {
	Time time.Time // not before 1970; the zero Time for a block without one

	Channel   uint8 // 0 when not known
	HasRSSI   bool
	RSSI      int8 // dBm
	HasLQI    bool
	LQI       uint8
	Direction Direction // pcapng only
	Comment   string    // pcapng only

	PSDU   []byte // without the frame check sequence; nil for other link types
	HasFCS bool
	FCS    uint16 // as captured, not verified

	// What follows is set by a Reader and ignored by a Writer.

	LinkType  LinkType
	Data      []byte // all of the captured bytes, whatever the link type
	Truncated bool   // the capture holds the start of the packet only
}

// Reasons for a file to be refused.
var (
	ErrFormat = errors.New("neither pcap nor pcapng")
	ErrShort  = errors.New("input too short")
	ErrLength = errors.New("impossible length")
)

// A DecodeError says where a file stopped making sense.
type DecodeError struct {
	What   string // the element being read, "packet record"
	Offset int64  // byte offset into the file
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("pcap: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// setData fills in what the captured bytes say. Bytes that do not fit the link
// type leave PSDU nil: one odd packet does not end the reading of a file.
func (p *Packet) setData(link LinkType, data []byte, truncated bool) {
	p.LinkType, p.Data, p.Truncated = link, data, truncated
	switch link {
	case LinkWithFCS:
		p.setPSDU(data, fcs16)
	case LinkNoFCS:
		p.setPSDU(data, fcsNone)
	case LinkTAP:
		p.decodeTAP(data)
	}
}

// setPSDU takes the frame check sequence off psdu. Of a truncated packet it is
// not there.
func (p *Packet) setPSDU(psdu []byte, fcs uint8) {
	n := len(psdu)
	if !p.Truncated {
		switch fcs {
		case fcs16:
			if n < 2 {
				return
			}
			n -= 2
			p.HasFCS, p.FCS = true, uint16(psdu[n])|uint16(psdu[n+1])<<8
		case fcs32:
			if n < 4 {
				return
			}
			n -= 4
		}
	}
	p.PSDU = psdu[:n:n]
}
