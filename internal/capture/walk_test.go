package capture

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
)

// A layer is one step of a frame's way up.
type layer int

const (
	frameLayer layer = iota
	securityLayer
	lowpanLayer
	ipLayer
	udpLayer
	icmpLayer
	mleLayer
	mleTLVLayer
	coapLayer
	bodyLayer
	dtlsLayer
	layers
)

var layerNames = [layers]string{
	"frames", "secured", "6LoWPAN", "IPv6", "UDP", "ICMPv6", "MLE", "MLE TLVs", "CoAP", "bodies", "DTLS",
}

var (
	errUnlike = errors.New("is encoded in other bytes")
	errOpaque = errors.New("of a kind no package of ours decodes")
)

// A score counts what a layer saw and how much of it came out as it went in.
type score struct{ seen, same int }

// walker takes the frames of one recording up through every layer and, where a
// layer has decoded something, encodes it again.
type walker struct {
	*Capture
	scores [layers]score
	misses []miss
	frame  int // number of the present one, from 1

	reassemblers map[hop]*lowpan.Reassembler
	heard        map[hop]*sent
	requests     map[request]string
	sessions     map[[8]byte]*session
}

// A miss is something a layer did not decode, or encoded otherwise.
type miss struct {
	frame int
	layer layer
	err   error
}

// hop is one transmission's sender and receiver: a datagram that is forwarded
// is heard once for each.
type hop struct{ src, dst ieee802154.Addr }

// sent is what was heard of a datagram, a payload a frame, and the room that
// each frame had.
type sent struct {
	payloads [][]byte
	rooms    []int
}

func newWalker(c *Capture) *walker {
	return &walker{
		Capture:      c,
		reassemblers: make(map[hop]*lowpan.Reassembler),
		heard:        make(map[hop]*sent),
		requests:     make(map[request]string),
		sessions:     make(map[[8]byte]*session),
	}
}

// saw counts something that layer l decoded with err and encoded as again.
func (w *walker) saw(l layer, was, again []byte, err error) bool {
	w.scores[l].seen++
	if err == nil && !bytes.Equal(was, again) {
		err = fmt.Errorf("%w: %x, was %x", errUnlike, again, was)
	}
	if err != nil {
		w.misses = append(w.misses, miss{w.frame, l, err})
		return false
	}
	w.scores[l].same++
	return true
}

func (w *walker) walk() {
	for i, p := range w.Packets {
		w.frame = i + 1
		f, err := ieee802154.Decode(p.PSDU)
		if err == nil && ieee802154.FCS(p.PSDU) != p.FCS {
			err = errors.New("frame check sequence")
		}
		if !w.saw(frameLayer, p.PSDU, f.Append(nil), err) {
			continue
		}
		if f.Secured {
			clear, key, ext, err := w.Open(i)
			var again []byte
			if err == nil {
				again = clear.Seal(key, ext, nil)
			}
			if !w.saw(securityLayer, p.PSDU, again, err) {
				continue
			}
			f = clear
		}
		switch {
		case f.Type == ieee802154.FrameBeacon:
			b, err := ieee802154.DecodeBeacon(f.Payload)
			if len(f.Payload) > 0 || err != nil {
				w.saw(frameLayer, f.Payload, b.Append(nil), err)
			}
		case f.Type == ieee802154.FrameData && len(f.Payload) > 0: // else child supervision
			w.lowpan(i, &f)
		}
	}
}

// lowpan takes the payload of a data frame: mesh header, fragments, headers.
func (w *walker) lowpan(i int, f *ieee802154.Frame) {
	p := w.Packets[i]
	room := ieee802154.MaxPSDU - ieee802154.FCSLen - (len(p.PSDU) - len(f.Payload))
	link := lowpan.Link{Src: f.Src, Dst: f.Dst, Secure: f.Secured}
	rest := f.Payload
	if lowpan.IsMesh(rest) {
		m, after, err := lowpan.DecodeMesh(rest)
		if !w.saw(lowpanLayer, rest[:len(rest)-len(after)], m.Append(nil), err) {
			return
		}
		link.Src, link.Dst = ieee802154.ShortAddr(m.Src), ieee802154.ShortAddr(m.Dst)
		room -= len(rest) - len(after)
		rest = after
	}
	if !lowpan.IsFrag(rest) {
		packet, err := lowpan.DecompressPacket(nil, rest, link.Src, link.Dst, w.Contexts)
		w.datagram(packet, link, &sent{[][]byte{rest}, []int{room}}, err)
		return
	}

	h := hop{f.Src, f.Dst}
	if w.reassemblers[h] == nil {
		w.reassemblers[h] = lowpan.NewReassembler(lowpan.ReassemblerConfig{})
	}
	if lowpan.IsFrag1(rest) || w.heard[h] == nil {
		w.heard[h] = &sent{}
	}
	w.heard[h].payloads = append(w.heard[h].payloads, rest)
	w.heard[h].rooms = append(w.heard[h].rooms, room)
	packet, done, err := w.reassemblers[h].Add(p.Time, link, w.Contexts, rest)
	if done || err != nil {
		w.datagram(packet, link, w.heard[h], err)
	}
}

// datagram takes a whole IPv6 packet and the frames it came in, which must be
// what we would have sent.
func (w *walker) datagram(packet []byte, link lowpan.Link, want *sent, err error) {
	var again [][]byte
	if err == nil {
		again = w.send(packet, link, want)
	}
	if !slices.EqualFunc(again, want.payloads, bytes.Equal) || err != nil {
		w.saw(lowpanLayer, bytes.Join(want.payloads, nil), bytes.Join(again, nil), err)
		return
	}
	w.scores[lowpanLayer].seen += len(again)
	w.scores[lowpanLayer].same += len(again)
	w.ip(packet)
}

// send makes the frames of a packet with the room each had when recorded.
func (w *walker) send(packet []byte, link lowpan.Link, like *sent) (got [][]byte) {
	fragment := lowpan.IsFrag(like.payloads[0])
	var tag uint16
	if fragment {
		h, _, err := lowpan.DecodeFrag(like.payloads[0])
		if err != nil {
			return nil
		}
		tag = h.Tag
	}
	b, next, err := lowpan.AppendFirst(nil, packet, link.Src, link.Dst, w.Contexts, like.rooms[0], tag, false)
	for i := 1; err == nil; i++ {
		got = append(got, b)
		if next == len(packet) || i == len(like.rooms) {
			break
		}
		b, next, err = lowpan.AppendNext(nil, packet, next, like.rooms[i], tag)
	}
	return got
}

// ip takes an IPv6 packet, with another one inside it perhaps.
func (w *walker) ip(packet []byte) {
	h, payload, err := ipv6.DecodeHeader(packet)
	again := h.Append(nil)
	proto := h.NextHeader
	if m, found, mplErr := ipv6.FindMPL(packet); found && err == nil {
		var e ipv6.Ext
		if e, payload, err = ipv6.DecodeExt(proto, payload); err == nil {
			proto, err = e.Next, mplErr
			again = ipv6.AppendMPLHeader(again, proto, m)
		}
	}
	if !w.saw(ipLayer, packet, append(again, payload...), err) {
		return
	}
	switch proto {
	case ipv6.ProtoIPv6:
		w.ip(payload)
	case ipv6.ProtoUDP:
		u, data, err := ipv6.DecodeUDP(payload)
		if w.saw(udpLayer, payload, ipv6.AppendUDP(nil, h.Src, h.Dst, u.SrcPort, u.DstPort, data), err) {
			w.udp(netip.AddrPortFrom(h.Src, u.SrcPort), netip.AddrPortFrom(h.Dst, u.DstPort), data)
		}
	case ipv6.ProtoICMPv6:
		w.icmp(h, payload)
	case ipv6.ProtoNoNext: // a child tells its previous parent that it has moved
	default:
		w.saw(ipLayer, payload, nil, fmt.Errorf("protocol %d: %w", proto, errOpaque))
	}
}

func (w *walker) icmp(h ipv6.Header, payload []byte) {
	m, err := ipv6.DecodeICMP(payload)
	body := m.Body
	if err == nil {
		switch {
		case m.Type == ipv6.ICMPEchoRequest || m.Type == ipv6.ICMPEchoReply:
			var e ipv6.Echo
			e, err = ipv6.DecodeEcho(m.Body)
			body = e.Append(nil)
		case m.IsError():
			var e ipv6.ErrorBody
			e, err = ipv6.DecodeErrorBody(m.Body)
			body = e.Append(nil)
		default:
			err = fmt.Errorf("type %d: %w", m.Type, errOpaque)
		}
	}
	w.saw(icmpLayer, payload, ipv6.AppendICMP(nil, h.Src, h.Dst, m.Type, m.Code, body), err)
}
