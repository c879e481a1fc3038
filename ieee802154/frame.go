package ieee802154

import "fmt"

// Sizes in octets.
const (
	MaxPSDU = 127 // aMaxPhyPacketSize, including the frame check sequence
	FCSLen  = 2
)

// FrameType is the kind of a frame (IEEE 802.15.4-2015 Table 7-1).
type FrameType uint8

const (
	FrameBeacon FrameType = iota
	FrameData
	FrameAck
	FrameCommand
)

func (t FrameType) String() string {
	switch t {
	case FrameBeacon:
		return "beacon"
	case FrameData:
		return "data"
	case FrameAck:
		return "ack"
	case FrameCommand:
		return "command"
	}
	return fmt.Sprintf("frame type %d", uint8(t))
}

// Version is the edition of the standard that a frame follows (IEEE
// 802.15.4-2015 Table 7-4).
type Version uint8

const (
	Version2003 Version = iota
	Version2006
	Version2015
)

func (v Version) String() string {
	switch v {
	case Version2003:
		return "2003"
	case Version2006:
		return "2006"
	case Version2015:
		return "2015"
	}
	return fmt.Sprintf("version %d", uint8(v))
}

// Command identifiers (IEEE 802.15.4-2015 Table 7-49).
const (
	CommandAssociationRequest  = 1
	CommandAssociationResponse = 2
	CommandDisassociation      = 3
	CommandDataRequest         = 4
	CommandPANIDConflict       = 5
	CommandOrphan              = 6
	CommandBeaconRequest       = 7
	CommandRealignment         = 8
	CommandGTSRequest          = 9
)

// A Frame is a MAC frame without its frame check sequence.
//
// The zero value is an empty beacon of version 2003.
type Frame struct {
	Type    FrameType
	Version Version

	Pending       bool // the sender holds more for the destination
	AckRequest    bool
	PANCompressed bool // the bit on the air; CompressPAN sets it
	SeqSuppressed bool // version 2015: no Seq on the air
	Seq           uint8

	// The PAN IDs. When the frame carries only one of them for two addresses,
	// both fields hold it; a field for which the frame says nothing is zero
	// (see PANsPresent).
	DstPAN, SrcPAN uint16
	Dst, Src       Addr

	Secured  bool
	Security Security // when Secured

	// Information elements, version 2015 only. The elements that end a list
	// are not in it where the rest of the frame calls for them: Append writes
	// them, and Decode removes them.
	HeaderIEs  []IE
	PayloadIEs []IE

	// Command is the command identifier when Type is FrameCommand, and zero
	// while a frame of version 2015 is Encrypted.
	Command uint8

	// Payload is what follows the information elements and the command
	// identifier. Of a beacon of version 2003 or 2006 it starts with the
	// superframe specification; see DecodeBeacon.
	Payload []byte

	// Encrypted says that Payload is ciphertext. In version 2015 that takes in
	// the payload information elements and the command identifier.
	Encrypted bool

	// MIC is the message integrity code. When Append finds none of the right
	// length, it leaves room for it: zeros.
	MIC []byte
}

// PANsPresent reports which of the two PAN IDs the frame carries (IEEE
// 802.15.4-2015 Section 7.2.2.6 and Table 7-2). When it carries only one for
// two addresses, the other one equals it.
func (f *Frame) PANsPresent() (dst, src bool) {
	hasDst, hasSrc := f.Dst.Mode != AddrNone, f.Src.Mode != AddrNone
	if f.Version < Version2015 {
		return hasDst, hasSrc && !f.PANCompressed
	}
	switch {
	case hasDst && hasSrc:
		if f.Dst.Mode == AddrExtended && f.Src.Mode == AddrExtended {
			return !f.PANCompressed, false
		}
		return true, !f.PANCompressed
	case hasDst:
		return !f.PANCompressed, false
	case hasSrc:
		return false, !f.PANCompressed
	}
	return f.PANCompressed, false
}

// CompressPAN sets PANCompressed so that the frame carries as few PAN IDs as
// tell DstPAN, and SrcPAN where it differs. Version 2015 cannot express two
// extended addresses in different PANs.
func (f *Frame) CompressPAN() {
	f.PANCompressed = f.Dst.Mode != AddrNone && f.Src.Mode != AddrNone && f.DstPAN == f.SrcPAN
	if f.Version == Version2015 && f.Dst.Mode == AddrExtended && f.Src.Mode == AddrExtended {
		f.PANCompressed = false // here the bit would remove both
	}
}

// Frame control field (IEEE 802.15.4-2015 Figure 7-2).
const (
	fcfTypeMask      = 0x0007
	fcfSecured       = 1 << 3
	fcfPending       = 1 << 4
	fcfAckRequest    = 1 << 5
	fcfPANCompressed = 1 << 6
	fcfSeqSuppressed = 1 << 8 // version 2015
	fcfIEPresent     = 1 << 9 // version 2015
	fcfDstModeShift  = 10
	fcfVersionShift  = 12
	fcfSrcModeShift  = 14
)

func bit(set bool, mask uint16) uint16 {
	if set {
		return mask
	}
	return 0
}

// Append appends the frame as Payload and MIC stand: a frame that was decoded
// and not opened goes out as it came, and one that is Secured but in the clear
// has the room that EncryptInPlace needs.
func (f *Frame) Append(b []byte) []byte {
	b = f.AppendHeader(b)
	b = f.appendBody(b)
	if !f.Secured {
		return b
	}
	if n := f.Security.Level.MICLen(); len(f.MIC) != n {
		return append(b, make([]byte, n)...)
	}
	return append(b, f.MIC...)
}

// AppendHeader appends the MAC header (MHR): everything before the payload
// information elements and the command identifier.
func (f *Frame) AppendHeader(b []byte) []byte {
	v2015 := f.Version == Version2015
	fcf := uint16(f.Type)&fcfTypeMask | bit(f.Secured, fcfSecured) | bit(f.Pending, fcfPending) |
		bit(f.AckRequest, fcfAckRequest) | bit(f.PANCompressed, fcfPANCompressed) |
		bit(v2015 && f.SeqSuppressed, fcfSeqSuppressed) | bit(f.iePresent(), fcfIEPresent) |
		uint16(f.Dst.Mode)<<fcfDstModeShift | uint16(f.Version)<<fcfVersionShift | uint16(f.Src.Mode)<<fcfSrcModeShift
	b = append(b, byte(fcf), byte(fcf>>8))
	if !v2015 || !f.SeqSuppressed {
		b = append(b, f.Seq)
	}
	dstPAN, srcPAN := f.PANsPresent()
	if dstPAN {
		b = append(b, byte(f.DstPAN), byte(f.DstPAN>>8))
	}
	b = f.Dst.append(b)
	if srcPAN {
		b = append(b, byte(f.SrcPAN), byte(f.SrcPAN>>8))
	}
	b = f.Src.append(b)
	if f.Secured {
		b = f.Security.append(b, v2015)
	}
	if f.iePresent() {
		b = f.appendHeaderIEs(b)
	}
	return b
}

// appendBody appends what lies between the MAC header and the MIC.
func (f *Frame) appendBody(b []byte) []byte {
	if f.Version == Version2015 && !f.Encrypted {
		b = f.appendPayloadIEs(b)
	}
	if f.Type == FrameCommand && (f.Version != Version2015 || !f.Encrypted) {
		b = append(b, f.Command)
	}
	return append(b, f.Payload...)
}
