package mac

import (
	"gatewayd/ieee802154"
	"gatewayd/thread/keys"
	"gatewayd/thread/link"
	"gatewayd/thread/trel"
)

// maxPSDU is aMaxPHYPacketSize, with the FCS.
const (
	maxPSDU = 127
	fcsLen  = 2
	micLen  = 4 // of security level 5
)

// Frame is a frame to send, as the layer above fills it in.
type Frame struct {
	Dst, Src ieee802154.Addr
	Security link.Security
	Pending  bool
	// PANID replaces the network's PAN id as destination when OverridePAN is
	// set, and Channel the network's channel when it is not 0.
	OverridePAN bool
	PANID       uint16
	Channel     uint8
	Command     uint8 // MAC command id, 0 for a data frame
	Tries       uint8 // of a direct one until it is acknowledged; 0: as many as usual
	Payload     []byte

	// By what it goes, as Choose decided; none is the radio alone. A probe goes
	// over TREL only to see whether that works again.
	radios link.Radios
	probe  bool
	large  bool // it may be as long as TREL's frames

	// What must stay the same when the frame is sent again.
	chosen   bool // version and csl are
	version  ieee802154.Version
	csl      bool // it tells the parent when we listen
	prepared bool
	seq      uint8
	header   bool // keyIndex and counter are set
	keyIndex uint8
	counter  uint32
}

// wire lays the frame out. Security is in the header, counters not yet.
func (m *MAC) wire(f *Frame) ieee802154.Frame {
	m.choose(f)
	w := ieee802154.Frame{
		Type: ieee802154.FrameData, Version: f.version,
		Pending: f.Pending, Seq: f.seq,
		Dst: f.Dst, Src: f.Src,
		DstPAN: m.want.PANID, SrcPAN: m.want.PANID,
		Payload: f.Payload,
	}
	if f.OverridePAN {
		w.DstPAN = f.PANID
	}
	if f.Command != 0 {
		w.Type, w.Command = ieee802154.FrameCommand, f.Command
	}
	w.AckRequest = f.Dst.Mode != ieee802154.AddrNone && !f.Dst.IsBroadcast()
	w.CompressPAN()
	if f.csl {
		w.HeaderIEs = []ieee802154.IE{ieee802154.CSL{}.IE()} // the radio fills it in
	}
	if f.Security == link.Unsecured {
		return w
	}
	w.Secured = true
	w.Security.Level = ieee802154.LevelEncMIC32
	switch f.Security {
	case link.Secured:
		w.Security.KeyIDMode = 1
	case link.JoinerKEK:
		w.Security.KeyIDMode = 0
	case link.WellKnown:
		w.Security.KeyIDMode = 2
		w.Security.KeyIndex = keys.WellKnownIndex
		for i := range 4 {
			w.Security.KeySource[i] = keys.WellKnownSource & 0xff
		}
	}
	return w
}

// room stands for whatever payload there will be.
var room [1]byte

// Room is how many bytes of payload fit into the frame as it is addressed and
// secured.
func (m *MAC) Room(f *Frame) int {
	w := m.wire(f)
	w.Payload = room[:] // a list of elements ends in another way without
	n := len(w.AppendHeader(m.scratch[:0]))
	if w.Secured {
		n += micLen
	}
	if f.large {
		return trel.MaxFrame - n
	}
	return maxPSDU - fcsLen - n
}
