package mesh

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/thread/link"
	"gatewayd/thread/mac"
	"gatewayd/thread/neighbor"
)

// FrameReceived implements mac.Handler.
func (f *Forwarder) FrameReceived(r *mac.Received) {
	b := r.Frame.Payload
	switch {
	case len(b) == 0: // a keep-alive
	case lowpan.IsMesh(b):
		f.receiveMesh(b, r)
	default:
		f.receiveLowpan(b, r.Info)
	}
}

// receiveLowpan takes what follows the MAC header or the mesh header.
func (f *Forwarder) receiveLowpan(b []byte, info link.Info) {
	ctx := f.cfg.Routes.Contexts()
	if lowpan.IsFrag(b) {
		if f.repeated(b, info) {
			f.Counters.Repeated++
			return
		}
		now := f.cfg.Clock.Now()
		p, done, err := f.frags.Add(now, lowpan.Link{Src: info.Src, Dst: info.Dst, Secure: info.Secured}, ctx, b)
		if at := f.frags.Deadline(); !at.IsZero() {
			f.expire.StartAt(at)
		}
		switch {
		case err != nil:
			f.Counters.Malformed++
		case done:
			f.up(slices.Clone(p), info)
		}
		return
	}
	p, err := lowpan.DecompressPacket(make([]byte, 0, 256), b, info.Src, info.Dst, ctx)
	if err != nil {
		f.Counters.Malformed++
		return
	}
	f.up(p, info)
}

// repeated reports whether a datagram's first fragment has come before, by
// another link, of a neighbour that can be reached by two.
func (f *Forwarder) repeated(b []byte, info link.Info) bool {
	if !f.cfg.MAC.Overlaid() || !info.Secured || !lowpan.IsFrag1(b) {
		return false
	}
	h, _, err := lowpan.DecodeFrag(b)
	n := f.cfg.Table.Find(info.Src)
	if err != nil || n == nil {
		return false
	}
	return n.Links.Repeated(h.Tag, f.cfg.Clock.Now()) && n.Links.Known() == link.AllRadios
}

func (f *Forwarder) up(packet []byte, info link.Info) {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil { // longer, by its own word, than its fragments were
		f.Counters.Malformed++
		return
	}
	if info.Secured && info.Src.Mode == ieee802154.AddrShort && !h.Dst.IsMulticast() && !h.Src.IsLinkLocalUnicast() {
		if info.Dst.Mode == ieee802154.AddrShort && !info.Dst.IsBroadcast() {
			f.cfg.Routes.Heard(h.Src, info.Src.Short, info.Dst.Short)
		}
		f.checkPlace(info, h, packet)
	}
	f.cfg.Handler.Receive(packet, info)
}

// checkPlace tells who believes a datagram's destination to be here that it is
// not. A minimal child believes nothing: all it sends goes by its parent.
func (f *Forwarder) checkPlace(info link.Info, h ipv6.Header, packet []byte) {
	if info.Dst.Mode != ieee802154.AddrShort || info.Dst.IsBroadcast() || h.Dst.IsLinkLocalUnicast() {
		return
	}
	if c := f.cfg.Table.ChildByRLOC16(info.Src.Short); c != nil && !c.Mode.FullThread() {
		return
	}
	if !f.cfg.Routes.Reachable(info.Dst.Short, h.Dst) {
		f.cfg.Routes.Unreachable(info.Src.Short, packet)
	}
}

func (f *Forwarder) expireFragments() {
	f.frags.Expire(f.cfg.Clock.Now())
	if at := f.frags.Deadline(); !at.IsZero() {
		f.expire.StartAt(at)
	}
}

// receiveMesh takes a frame with a mesh header: for us, for a child that we
// reassemble for, or to be sent on.
func (f *Forwarder) receiveMesh(b []byte, r *mac.Received) {
	if !r.Info.Secured || r.Info.KeyIDMode != 1 || r.Frame.Src.Mode != ieee802154.AddrShort {
		f.Counters.NotForwarded++
		return
	}
	h, rest, err := lowpan.DecodeMesh(b)
	if err != nil {
		f.Counters.Malformed++
		return
	}
	if h.Dst == f.cfg.MAC.Short() || f.forMinimalChild(h.Dst) {
		info := r.Info
		info.Src, info.Dst = ieee802154.ShortAddr(h.Src), ieee802154.ShortAddr(h.Dst)
		f.receiveLowpan(rest, info)
		return
	}
	if !f.cfg.Routes.Router() || h.HopsLeft == 0 {
		f.Counters.NotForwarded++
		return
	}
	h.HopsLeft--
	hop, ok := f.cfg.Routes.NextHop(h.Dst)
	if ok && hop == r.Frame.Src.Short { // back where it came from
		f.cfg.Routes.Unroutable(h.Dst)
		ok = false
	}
	if head, known := f.head(h, rest); known {
		f.cfg.Routes.Heard(srcOf(head), h.Src, h.Dst)
		if !ok || !f.cfg.Routes.Reachable(h.Dst, dstOf(head)) {
			f.cfg.Routes.Unreachable(h.Src, head)
			ok = false
		}
	}
	if !ok {
		f.Counters.NotForwarded++
		return
	}
	f.Counters.Forwarded++
	_ = f.enqueue(&message{forward: true, mesh: h, packet: rest,
		opts: link.Options{Priority: f.forwardPriority(h, rest)}})
}

// head is the beginning of an IPv6 datagram, header included: what its first
// fragment has of it, or all. It is valid until the next call.
func (f *Forwarder) head(h lowpan.MeshHeader, b []byte) ([]byte, bool) {
	size := 0
	if lowpan.IsFrag(b) {
		fh, rest, err := lowpan.DecodeFrag(b)
		if err != nil || !lowpan.IsFrag1(b) {
			return nil, false
		}
		b, size = rest, int(fh.Size)
	}
	out, n, err := lowpan.Decompress(f.scratch[:0], b, ieee802154.ShortAddr(h.Src), ieee802154.ShortAddr(h.Dst),
		f.cfg.Routes.Contexts(), size)
	if err != nil || len(out) < ipv6.HeaderLen {
		return nil, false
	}
	f.scratch = append(out, b[n:]...)
	return f.scratch, true
}

// srcOf is the source in an IPv6 header, dstOf the destination.
func srcOf(packet []byte) netip.Addr { return netip.AddrFrom16([16]byte(packet[8:])) }
func dstOf(packet []byte) netip.Addr { return netip.AddrFrom16([16]byte(packet[24:])) }

// forMinimalChild reports whether an RLOC16 is that of a child of ours that is
// no full Thread device: its datagrams pass through our IPv6 layer.
func (f *Forwarder) forMinimalChild(rloc16 uint16) bool {
	c := f.cfg.Table.ChildByRLOC16(rloc16)
	return c != nil && c.State == neighbor.Valid && !c.Mode.FullThread()
}

// meshTag names a fragmented datagram that is being forwarded.
type meshTag struct {
	src uint16
	tag uint16
}

type meshTagState struct {
	priority link.Priority
	until    time.Time
}

const (
	meshTagEntries  = 16
	meshTagLifetime = 240 * time.Second
)

// forwardPriority is the priority of a forwarded frame: of its datagram's
// traffic class, remembered from the first fragment for the others.
func (f *Forwarder) forwardPriority(h lowpan.MeshHeader, b []byte) link.Priority {
	now := f.cfg.Clock.Now()
	if !lowpan.IsFrag(b) {
		return f.classOf(h, b)
	}
	fh, rest, err := lowpan.DecodeFrag(b)
	if err != nil {
		return link.Normal
	}
	key := meshTag{h.Src, fh.Tag}
	if !lowpan.IsFrag1(b) {
		if s, ok := f.meshTags[key]; ok && now.Before(s.until) {
			return s.priority
		}
		return link.Normal
	}
	p := f.classOf(h, rest)
	if len(f.meshTags) >= meshTagEntries {
		for k, s := range f.meshTags {
			if !now.Before(s.until) {
				delete(f.meshTags, k)
			}
		}
	}
	if len(f.meshTags) < meshTagEntries {
		f.meshTags[key] = meshTagState{p, now.Add(meshTagLifetime)}
	}
	return p
}

func (f *Forwarder) classOf(h lowpan.MeshHeader, b []byte) link.Priority {
	out, known := f.head(h, b)
	if !known {
		return link.Normal
	}
	switch (out[0]<<4 | out[1]>>4) >> 5 {
	case 1, 2:
		return link.Low
	case 0, 3:
		return link.Normal
	}
	return link.High
}
