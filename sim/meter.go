package sim

import (
	"bytes"
	"encoding/binary"
	"maps"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/radio/medium"
	"gatewayd/thread/mle"
)

// Class is what a frame is for.
type Class uint8

// The classes.
const (
	ClassMLE   Class = iota // mesh link establishment
	ClassTMF                // management: CoAP on its port
	ClassData               // all other datagrams
	ClassPoll               // data requests of sleepy children
	ClassAck                // acknowledgments
	ClassOther              // frames without a datagram, and those nobody can read

	// Classes is how many there are.
	Classes = int(ClassOther) + 1
)

func (c Class) String() string {
	return [...]string{"mle", "tmf", "data", "poll", "ack", "other"}[c]
}

// Ports by which datagrams are told apart (Thread 1.4 Sections 4.5 and 10.1).
const (
	mlePort = 19788
	tmfPort = 61631
)

// Tally counts frames.
type Tally struct {
	Frames  int
	Bytes   int           // of PSDUs, with FCS
	AirTime time.Duration // synchronization header included
}

// Meter counts the frames in the air by what they are for. It knows the keys
// of all nodes.
type Meter struct {
	ByClass [Classes]Tally
	// MLE are the frames of ClassMLE by message: InFragments are those of all
	// messages that did not fit one.
	MLE map[mle.Command]Tally

	w     *World
	begun map[fragments]begun
	last  mle.Command // of the frame that was classified last, if it is MLE
}

// fragments is a datagram that was sent in several frames: all hops have the
// originator's address and tag, or each hop its own.
type fragments struct {
	src ieee802154.Addr
	tag uint16
}

// begun is what the first fragment of a datagram was, when it was seen last.
type begun struct {
	class Class
	at    time.Time
}

// Datagrams that many others followed are forgotten after a while.
const (
	mostBegun  = 1000
	begunKnown = time.Minute
)

// Meter begins one.
func (w *World) Meter() *Meter {
	m := &Meter{w: w, MLE: map[mle.Command]Tally{}, begun: map[fragments]begun{}}
	w.Tap(m.see)
	return m
}

func (m *Meter) see(s medium.Sighting) {
	m.last = InFragments
	c := m.classify(s)
	m.ByClass[c] = m.ByClass[c].with(s)
	if c == ClassMLE {
		m.MLE[m.last] = m.MLE[m.last].with(s)
	}
}

func (t Tally) with(s medium.Sighting) Tally {
	return Tally{t.Frames + 1, t.Bytes + len(s.PSDU), t.AirTime + medium.Airtime(len(s.PSDU))}
}

// InFragments stands for the command of an MLE message that is sent in pieces.
const InFragments mle.Command = 254

func (m *Meter) classify(s medium.Sighting) Class {
	n := m.w.NodeAt(s.From)
	if n == nil || len(s.PSDU) < ieee802154.FCSLen {
		return ClassOther
	}
	psdu := s.PSDU[:len(s.PSDU)-ieee802154.FCSLen]
	f, err := ieee802154.Decode(psdu)
	switch {
	case err != nil:
		return ClassOther
	case f.Type == ieee802154.FrameAck:
		return ClassAck
	case f.Type == ieee802154.FrameCommand:
		return ClassPoll // the only command in Thread
	case f.Type != ieee802154.FrameData:
		return ClassOther
	}
	if f.Secured {
		psdu = bytes.Clone(psdu) // Open decrypts in place
		if f, err = ieee802154.Decode(psdu); err != nil || !open(n, &f, psdu) {
			return ClassOther
		}
	}
	return m.datagram(n, &f)
}

// open decrypts a frame that the node has sent.
func open(n *Node, f *ieee802154.Frame, psdu []byte) bool {
	if f.Security.KeyIDMode != ieee802154.KeyIDIndex {
		return false
	}
	seq, ok := n.Keys().SequenceOf(f.Security.KeyIndex)
	return ok && f.Open(psdu, n.Keys().MAC(seq), n.MAC().Ext()) == nil
}

// datagram classifies a frame by the ports in it, or by those in the first
// fragment of the same datagram.
func (m *Meter) datagram(n *Node, f *ieee802154.Frame) Class {
	b, src, dst := f.Payload, f.Src, f.Dst
	if lowpan.IsMesh(b) {
		h, rest, err := lowpan.DecodeMesh(b)
		if err != nil {
			return ClassOther
		}
		b, src, dst = rest, ieee802154.ShortAddr(h.Src), ieee802154.ShortAddr(h.Dst)
	}
	if lowpan.IsBC0(b) {
		_, rest, err := lowpan.DecodeBC0(b)
		if err != nil {
			return ClassOther
		}
		b = rest
	}
	if !lowpan.IsFrag(b) {
		return m.portClass(n, b, src, dst, 0)
	}
	h, rest, err := lowpan.DecodeFrag(b)
	if err != nil {
		return ClassOther
	}
	id := fragments{src, h.Tag}
	if lowpan.IsFrag1(b) {
		c := m.portClass(n, rest, src, dst, int(h.Size))
		m.note(id, c)
		return c
	}
	if c, ok := m.begun[id]; ok {
		return c.class
	}
	return ClassOther
}

// note remembers the first fragment of a datagram.
func (m *Meter) note(id fragments, c Class) {
	now := m.w.Now()
	m.begun[id] = begun{c, now}
	if len(m.begun) > mostBegun {
		maps.DeleteFunc(m.begun, func(_ fragments, b begun) bool { return now.Sub(b.at) > begunKnown })
	}
}

func (m *Meter) portClass(n *Node, b []byte, src, dst ieee802154.Addr, size int) Class {
	const udp, ipInIP = 17, 41
	packet, used, err := lowpan.Decompress(nil, b, src, dst, n.MLE().Contexts(), size)
	if err != nil {
		return ClassOther
	}
	packet = append(packet, b[used:]...)
	proto, off, err := ipv6.Transport(packet)
	if err == nil && proto == ipInIP {
		packet = packet[off:]
		proto, off, err = ipv6.Transport(packet)
	}
	if err != nil || proto != udp || len(packet) < off+4 {
		return ClassData
	}
	switch binary.BigEndian.Uint16(packet[off+2:]) {
	case mlePort:
		if size == 0 {
			m.last = mleCommand(n, packet)
		}
		return ClassMLE
	case tmfPort:
		return ClassTMF
	}
	return ClassData
}

// mleCommand is what the node's MLE message in a datagram is.
func mleCommand(n *Node, packet []byte) mle.Command {
	h, body, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return InFragments
	}
	_, payload, err := ipv6.DecodeUDP(body)
	if err != nil {
		return InFragments
	}
	p, err := mle.DecodePacket(payload)
	if err != nil {
		return InFragments
	}
	if p.Suite == mle.SuiteUnsecured {
		return p.Plain.Command
	}
	m, err := p.Open(n.Keys().MLE(p.Header.Sequence), n.MAC().Ext(), h.Src, h.Dst)
	if err != nil {
		return InFragments
	}
	return m.Command
}
