package mesh

import (
	"gatewayd/ieee802154"
	"gatewayd/lowpan"
	"gatewayd/thread/link"
	"gatewayd/thread/mac"
	"gatewayd/thread/neighbor"
)

// NextDirect implements mac.Source.
func (f *Forwarder) NextDirect(out *mac.Frame) bool {
	if f.pause.Running() {
		return false
	}
	for p := int(link.Net); p >= 0; p-- {
		for i := 0; i < len(f.queue[p]); {
			m := f.queue[p][i]
			if m.waiting {
				i++
				continue
			}
			if f.fill(m, out) {
				f.current = m
				return true
			}
			f.remove(m)
			f.Counters.Unreachable++
			f.done(m, false)
		}
	}
	return false
}

// DirectSent implements mac.Source.
func (f *Forwarder) DirectSent(out *mac.Frame, ok bool) {
	m := f.current
	f.current = nil
	if m == nil {
		return // reset meanwhile
	}
	if ok && !out.ByTREL() && lowpan.IsMesh(out.Payload) && !out.Dst.IsBroadcast() {
		if h, _, err := lowpan.DecodeMesh(out.Payload); err == nil && h.Dst != out.Dst.Short {
			f.pause.Start(forwardPause) // let the neighbour send it on
		}
	}
	if ok && m.offset < len(m.packet) {
		return
	}
	if !out.Dst.IsBroadcast() {
		if n := f.cfg.Table.Find(out.Dst); n != nil {
			n.MessageErrors.Add(ok)
		}
	}
	f.remove(m)
	f.done(m, ok)
}

// fill makes the next frame of a message; false if there is no way for it.
func (f *Forwarder) fill(m *message, out *mac.Frame) bool {
	if m.forward {
		return f.fillForward(m, out)
	}
	*out = mac.Frame{Security: m.opts.Security, Tries: m.opts.Tries, OverridePAN: m.opts.OverridePAN, PANID: m.opts.PANID, Channel: m.opts.Channel}
	var head []byte
	csrc, cdst := ieee802154.Addr{}, ieee802154.Addr{}
	switch {
	case m.dst.IsMulticast():
		out.Src = f.sourceAddress(m)
		out.Dst = ieee802154.ShortAddr(ieee802154.BroadcastShort)
		if p := &f.cfg.Table.Parent; p.State == neighbor.Valid && !f.cfg.Routes.Router() && out.Security == link.Secured {
			out.Dst = ieee802154.ShortAddr(p.RLOC16) // the parent spreads it
		}
	case m.dst.IsLinkLocalUnicast():
		out.Src, out.Dst = f.sourceAddress(m), linkAddress(m.dst)
	default:
		rloc16, v := f.cfg.Routes.Locate(m.src, m.dst)
		if v != Found {
			return false
		}
		hop, ok := f.cfg.Routes.NextHop(rloc16)
		if !ok {
			return false
		}
		self := f.cfg.MAC.Short()
		out.Src, out.Dst = ieee802154.ShortAddr(self), ieee802154.ShortAddr(hop)
		if hop != rloc16 {
			head = lowpan.MeshHeader{HopsLeft: meshHops, Src: self, Dst: rloc16}.Append(nil)
			csrc, cdst = ieee802154.ShortAddr(self), ieee802154.ShortAddr(rloc16)
		}
	}
	if cdst.Mode == ieee802154.AddrNone {
		csrc, cdst = out.Src, out.Dst
	}
	return f.cut(m, out, head, csrc, cdst)
}

// cut puts the next piece of a datagram into a frame.
func (f *Forwarder) cut(m *message, out *mac.Frame, head []byte, src, dst ieee802154.Addr) bool {
	m.opts.Radios = f.cfg.MAC.Choose(out, m.opts.Radios)
	if head == nil {
		out.Enlarge()
	}
	room := f.cfg.MAC.Room(out) - len(head)
	// A datagram that goes by two links has a tag, to be known by.
	tagged := out.Doubled() && out.Security != link.Unsecured
	var next int
	var err error
	buf := append(make([]byte, 0, 127), head...)
	if m.offset == 0 {
		tag := m.tag
		if tag == 0 {
			tag = f.tag + 1
		}
		buf, next, err = lowpan.AppendFirst(buf, m.packet, src, dst, f.cfg.Routes.Contexts(), room, tag, tagged)
		if err == nil && (tagged || next < len(m.packet)) {
			if m.opts.SecureIfCut && out.Security == link.Unsecured {
				m.opts.Security, out.Security = link.Secured, link.Secured
				return f.cut(m, out, head, src, dst)
			}
			if m.tag == 0 {
				m.tag = f.nextTag()
				// The tag was the next one, unless that was skipped.
				buf, next, err = lowpan.AppendFirst(append(buf[:0], head...), m.packet, src, dst,
					f.cfg.Routes.Contexts(), room, m.tag, tagged)
			}
		}
	} else {
		buf, next, err = lowpan.AppendNext(buf, m.packet, m.offset, room, m.tag)
	}
	if err != nil {
		return false
	}
	m.offset = next
	out.Payload = buf
	out.Pending = next < len(m.packet)
	return true
}

// sourceAddress is the MAC source for a datagram: extended when its IPv6 source
// is made from that address or no short one is valid.
func (f *Forwarder) sourceAddress(m *message) ieee802154.Addr {
	short := f.cfg.MAC.Short()
	if short == ieee802154.InvalidShort || m.src.IsLinkLocalUnicast() && linkAddress(m.src).Mode == ieee802154.AddrExtended {
		return ieee802154.ExtendedAddr(f.cfg.MAC.Ext())
	}
	return ieee802154.ShortAddr(short)
}

// fillForward makes the frame that carries a mesh frame one hop on.
func (f *Forwarder) fillForward(m *message, out *mac.Frame) bool {
	hop, ok := f.cfg.Routes.NextHop(m.mesh.Dst)
	if !ok {
		return false
	}
	*out = mac.Frame{Src: ieee802154.ShortAddr(f.cfg.MAC.Short()), Dst: ieee802154.ShortAddr(hop)}
	m.opts.Radios = f.cfg.MAC.Choose(out, m.opts.Radios)
	out.Payload = append(m.mesh.Append(make([]byte, 0, 127)), m.packet...)
	m.offset = len(m.packet)
	return len(out.Payload) <= f.cfg.MAC.Room(out)
}
