package thread_test

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"gatewayd/coap"
	"gatewayd/ieee802154"
	"gatewayd/internal/capture"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/thread/keys"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/tmf"
)

// A message is one MLE or TMF message as one transmission carried it.
type message struct {
	kind     string // of an answer, with what it answers
	src, dst netip.Addr
	ports    [2]uint16
	header   ipv6.Header // of packet
	packet   []byte      // with the headers that are around the datagram
	link     lowpan.Link

	isMLE bool
	mle   mle.Message
	env   mle.Header
	key   *ieee802154.CCM // nil if unsecured
	ext   ieee802154.ExtAddr

	coap coap.Message

	frames []frame // that carried it
	at     time.Time
	taken  bool // by a recorded one
}

// response is the challenge that an MLE message answers, "" if none.
func (m *message) response() string {
	if !m.isMLE {
		return ""
	}
	v, _ := m.mle.TLVs.Find(mle.TypeResponse)
	return string(v)
}

// A frame is one that carried a part of a message.
type frame struct {
	frame ieee802154.Frame // opened
	psdu  []byte           // as it was sent
	key   *ieee802154.CCM
	ext   ieee802154.ExtAddr
	mesh  int // bytes of the mesh header
}

type hop struct{ src, dst ieee802154.Addr }

// A reader makes messages of frames.
type reader struct {
	c            *capture.Capture
	reassemblers map[hop]*lowpan.Reassembler
	frames       map[hop][]frame
	paths        map[string]string // of requests, by asker and token
}

func newReader(c *capture.Capture) *reader {
	return &reader{c: c, reassemblers: map[hop]*lowpan.Reassembler{}, frames: map[hop][]frame{}, paths: map[string]string{}}
}

// read takes one opened frame. more reports whether it is a fragment that others
// follow; the message is nil if it is of no protocol that is looked at.
func (r *reader) read(now time.Time, f frame) (m *message, frames []frame, more bool) {
	link := lowpan.Link{Src: f.frame.Src, Dst: f.frame.Dst, Secure: f.frame.Secured}
	rest := f.frame.Payload
	if lowpan.IsMesh(rest) {
		h, after, err := lowpan.DecodeMesh(rest)
		if err != nil {
			return nil, []frame{f}, false
		}
		f.mesh = len(rest) - len(after)
		link.Src, link.Dst = ieee802154.ShortAddr(h.Src), ieee802154.ShortAddr(h.Dst)
		rest = after
	}
	h := hop{f.frame.Src, f.frame.Dst}
	var packet []byte
	var err error
	if !lowpan.IsFrag(rest) {
		frames = []frame{f}
		packet, err = lowpan.DecompressPacket(nil, rest, link.Src, link.Dst, r.c.Contexts)
	} else {
		if r.reassemblers[h] == nil {
			r.reassemblers[h] = lowpan.NewReassembler(lowpan.ReassemblerConfig{})
		}
		if lowpan.IsFrag1(rest) {
			r.frames[h] = nil
		}
		r.frames[h] = append(r.frames[h], f)
		var done bool
		packet, done, err = r.reassemblers[h].Add(now, link, r.c.Contexts, rest)
		if !done && err == nil {
			return nil, nil, true
		}
		frames, r.frames[h] = r.frames[h], nil
	}
	if err != nil {
		return nil, frames, false
	}
	m = r.packet(slices.Clone(packet), f.ext)
	if m != nil {
		m.link, m.frames = link, frames
	}
	return m, frames, false
}

func (r *reader) packet(packet []byte, ext ieee802154.ExtAddr) *message {
	h, payload, err := ipv6.DecodeHeader(packet)
	proto := h.NextHeader
	if _, found, _ := ipv6.FindMPL(packet); found && err == nil {
		var e ipv6.Ext
		if e, payload, err = ipv6.DecodeExt(proto, payload); err == nil {
			proto = e.Next
		}
	}
	if err != nil {
		return nil
	}
	if proto == ipv6.ProtoIPv6 {
		return r.packet(payload, ext)
	}
	if proto != ipv6.ProtoUDP {
		return nil
	}
	u, data, err := ipv6.DecodeUDP(payload)
	if err != nil {
		return nil
	}
	m := &message{src: h.Src, dst: h.Dst, ports: [2]uint16{u.SrcPort, u.DstPort}, header: h, packet: packet, ext: ext}
	switch {
	case u.DstPort == mle.Port && r.readMLE(m, data), u.DstPort == tmf.Port && r.readCoAP(m, data):
		return m
	}
	return nil
}

func (r *reader) readMLE(m *message, data []byte) bool {
	m.isMLE = true
	p, err := mle.DecodePacket(slices.Clone(data))
	if err != nil {
		return false
	}
	if p.Suite == mle.SuiteUnsecured {
		m.mle, m.kind = p.Plain, p.Plain.Command.String()
		return true
	}
	a := m.src.As16()
	m.ext = ieee802154.ExtAddrFromIID([8]byte(a[8:]))
	for _, network := range r.c.NetworkKeys {
		k, _ := keys.Derive(network, p.Header.Sequence)
		m.key, m.env = ieee802154.NewCCM(k), p.Header
		if m.mle, err = p.Open(m.key, m.ext, m.src, m.dst); err == nil {
			m.kind = m.mle.Command.String()
			return true
		}
	}
	return false
}

func (r *reader) readCoAP(m *message, data []byte) bool {
	var err error
	m.coap, err = coap.Decode(data)
	if err != nil {
		return false
	}
	switch {
	case m.coap.Code == coap.Empty:
		m.kind = "empty"
	case m.coap.Code.IsRequest():
		m.kind = m.coap.Path()
		r.paths[m.src.String()+string(m.coap.Token)] = m.kind
	default:
		m.kind = r.paths[m.dst.String()+string(m.coap.Token)] + " answer"
	}
	return true
}

// A situation is what a recorded message must be like for our node to take it:
// with the challenges and tokens of its own.
type situation struct {
	challenges map[string]string // ours by the recorded one
	requests   map[string]coap.Message
	sessions   map[string]string // of commissioners
	wishes     map[string]uint16 // RLOC16 by a solicit's asker and token
}

// adapt changes a message to the situation; false if it is right as it is.
func (s *situation) adapt(m *message) bool {
	if m.isMLE {
		var out mle.TLVs
		changed := false
		for t := range m.mle.TLVs.All() {
			if ours, ok := s.challenges[string(t.Value)]; ok && t.Type == mle.TypeResponse {
				t.Value, changed = []byte(ours), true
			}
			out = out.Append(t.Type, t.Value...)
		}
		if changed {
			m.mle.TLVs = out
		}
		return changed
	}
	if ours, ok := s.requests[string(m.coap.Token)]; ok && m.coap.Code.IsResponse() {
		m.coap.Token = ours.Token
		if m.coap.Type == coap.Acknowledgement {
			m.coap.MessageID = ours.MessageID
		}
		return true
	}
	if rloc16, ok := s.wishes[m.src.String()+string(m.coap.Token)]; ok && m.kind == tmf.AddressSolicit && m.coap.Code.IsRequest() {
		if _, err := tmf.TLVs(m.coap.Payload).Uint16(tmf.RLOC16); err != nil {
			m.coap.Payload = tmf.TLVs(slices.Clone(m.coap.Payload)).AppendUint16(tmf.RLOC16, rloc16)
			return true
		}
	}
	if was, ok := meshcop.TLVs(m.coap.Payload).Find(meshcop.TypeCommissionerSessionID); ok && m.coap.Code.IsRequest() {
		if ours, ok := s.sessions[string(was)]; ok {
			m.coap.Payload = bytes.Replace(m.coap.Payload, append([]byte{byte(meshcop.TypeCommissionerSessionID), 2}, was...),
				append([]byte{byte(meshcop.TypeCommissionerSessionID), 2}, ours...), 1)
			return true
		}
	}
	return false
}

// seal makes the frames of an adapted message: headers, counters and keys are
// those of the recorded frames.
func (m *message) seal(contexts lowpan.Contexts) [][]byte {
	var data []byte
	switch {
	case !m.isMLE:
		data = m.coap.Append(nil)
	case m.key == nil:
		data = m.mle.AppendUnsecured(nil)
	default:
		data = m.mle.Seal(nil, m.key, m.env, m.ext, m.src, m.dst)
	}
	packet := ipv6.AppendUDPPacket(nil, m.header, m.ports[0], m.ports[1], data)
	var out [][]byte
	next := 0
	tag := uint16(m.env.Counter + uint32(m.coap.MessageID))
	for i := 0; i == 0 || next < len(packet); i++ {
		f := m.frames[min(i, len(m.frames)-1)]
		g := f.frame
		g.Seq += uint8(max(0, i-len(m.frames)+1))
		g.Security.Counter += uint32(max(0, i-len(m.frames)+1))
		head := slices.Clone(g.Payload[:f.mesh])
		room := ieee802154.MaxPSDU - ieee802154.FCSLen - (len(f.psdu) - len(g.Payload)) - f.mesh
		var err error
		if i == 0 {
			g.Payload, next, err = lowpan.AppendFirst(head, packet, m.link.Src, m.link.Dst, contexts, room, tag, false)
		} else {
			g.Payload, next, err = lowpan.AppendNext(head, packet, next, room, tag)
		}
		if err != nil {
			return nil
		}
		if f.key == nil {
			out = append(out, g.Append(nil))
		} else {
			out = append(out, g.Seal(f.key, f.ext, nil))
		}
	}
	return out
}
