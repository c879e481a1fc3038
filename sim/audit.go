package sim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/radio/medium"
)

// Audit watches the air for what must never be there: a frame counter used
// twice with the same key by the same extended address, by the link layer or
// by MLE. The very same bytes again are a retransmission.
type Audit struct {
	// Secured counts the frames and messages looked at.
	Secured int
	// Faults describes what was found.
	Faults []string

	w    *World
	used map[page]*[pageLen]uint32
}

// page is a run of counters that a device may use once each with a key.
type page struct {
	mle     bool
	network [16]byte
	index   uint8
	ext     ieee802154.ExtAddr
	number  uint32 // of the first one, by pageLen
}

// pageLen is a compromise: most devices use few counters, some use millions.
const pageLen = 256

// Audit begins one.
func (w *World) Audit() *Audit {
	a := &Audit{w: w, used: map[page]*[pageLen]uint32{}}
	w.Tap(a.see)
	return a
}

func (a *Audit) see(s medium.Sighting) {
	n := a.w.NodeAt(s.From)
	if n == nil || len(s.PSDU) < ieee802154.FCSLen {
		return
	}
	psdu := s.PSDU[:len(s.PSDU)-ieee802154.FCSLen]
	f, err := ieee802154.Decode(psdu)
	if err != nil {
		return
	}
	// A kept address is what goes into the nonce; in an acknowledgment and
	// behind a short address it is not in the frame.
	x := page{network: n.Keys().NetworkKey(), ext: n.MAC().Ext()}
	if f.Src.Mode == ieee802154.AddrExtended {
		x.ext = f.Src.Ext
	}
	switch {
	case f.Secured && f.Security.KeyIDMode == ieee802154.KeyIDIndex:
		x.index = f.Security.KeyIndex
		a.note(n, x, f.Security.Counter, withoutPhase(psdu, &f))
	case !f.Secured && f.Type == ieee802154.FrameData:
		if m, ok := mleMessage(&f); ok {
			x.mle, x.index = true, m[mleIndex]
			a.note(n, x, binary.LittleEndian.Uint32(m[mleCounter:]), m)
		}
	}
}

// withoutPhase is a frame without what its retransmission has anew: the content
// of its CSL element, which tells the time from each transmission on, and with
// that the code over the whole. What is encrypted is the same.
func withoutPhase(psdu []byte, f *ieee802154.Frame) []byte {
	if _, ok := f.CSL(); !ok {
		return psdu
	}
	copied := *f
	copied.HeaderIEs = slices.DeleteFunc(slices.Clone(f.HeaderIEs), func(e ieee802154.IE) bool { return e.ID == ieee802154.HeaderIECSL })
	return copied.Append(nil)[:copied.HeaderLen()+len(f.Payload)]
}

// Offsets in a secured MLE message: suite, security control, counter, key
// source, key index (Thread 1.4 Section 4.5.1).
const (
	mleCounter = 2
	mleIndex   = 10
	mleHeader  = 11
)

// mleMessage is the MLE message in a frame without link security.
func mleMessage(f *ieee802154.Frame) ([]byte, bool) {
	const port = 19788
	packet, err := lowpan.DecompressPacket(nil, f.Payload, f.Src, f.Dst, nil)
	if err != nil {
		return nil, false
	}
	_, body, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return nil, false
	}
	u, m, err := ipv6.DecodeUDP(body)
	if err != nil || u.DstPort != port || len(m) < mleHeader || m[0] != 0 {
		return nil, false
	}
	return m, true
}

// note takes that bytes were sent under a counter. What was is remembered by its
// checksum, in which two messages are hardly ever alike.
func (a *Audit) note(n *Node, x page, counter uint32, bytes []byte) {
	a.Secured++
	x.number = counter / pageLen
	p := a.used[x]
	if p == nil {
		p = new([pageLen]uint32)
		a.used[x] = p
	}
	sum := max(crc32.Checksum(bytes, castagnoli), 1) // 0: not used
	if was := p[counter%pageLen]; was != 0 && was != sum {
		layer := "link"
		if x.mle {
			layer = "MLE"
		}
		a.Faults = append(a.Faults, fmt.Sprintf("%v: node %s used %s counter %d of key %d as %v twice",
			a.w.Now().Sub(Began), n.Name, layer, counter, x.index, x.ext))
	}
	p[counter%pageLen] = sum
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
