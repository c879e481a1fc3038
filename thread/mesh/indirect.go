package mesh

import (
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/mac"
	"gatewayd/thread/neighbor"
)

// parcel is a datagram that waits for one sleepy child. Copies of a multicast
// datagram share the packet.
type parcel struct {
	message
	before int // offset at the start of the frame under way
	polls  int // how often that frame was offered
	empty  bool
}

// toSleepyChildren leaves copies of a multicast datagram for the sleepy
// children that listen to its group.
func (f *Forwarder) toSleepyChildren(m *message) {
	if m.opts.Repeat {
		return
	}
	every := f.cfg.Routes.EveryGroup(m.dst)
	for _, c := range f.cfg.Table.Children {
		if c.Mode.RxOnWhenIdle() || c.State != neighbor.Valid && c.State != neighbor.Restored && c.State != neighbor.ChildUpdateRequest {
			continue
		}
		if every || slices.Contains(c.Addresses, m.dst) {
			copy := *m
			copy.opts.Done = nil
			_ = f.enqueueIndirect(c, &copy)
		}
	}
}

func (f *Forwarder) enqueueIndirect(c *neighbor.Child, m *message) error {
	q := f.indirect[c]
	if len(q) >= maxPerChild || f.held >= maxIndirect {
		f.Counters.Full++
		f.done(m, false)
		return ErrFull
	}
	p := &parcel{message: *m}
	if len(q) > 0 && q[0].empty && q[0].before == q[0].offset {
		q[0], q = p, q[:1] // real data makes the empty frame unnecessary
	} else {
		i := len(q)
		for i > 1 && q[i-1].opts.Priority < p.opts.Priority {
			i--
		}
		q = slices.Insert(q, i, p)
		f.held++
		f.peak = max(f.peak, f.Queued())
	}
	f.indirect[c] = q
	c.Indirect.Queued = len(q)
	f.updateSourceMatch()
	return nil
}

// SendEmpty leaves an empty secured frame for a sleepy child, so that it sees
// its parent is there (child supervision), unless something waits already.
func (f *Forwarder) SendEmpty(c *neighbor.Child) {
	if len(f.indirect[c]) > 0 {
		return
	}
	f.indirect[c] = []*parcel{{message: message{opts: link.Options{Priority: link.Normal}}, empty: true}}
	f.held++
	c.Indirect.Queued = 1
	f.updateSourceMatch()
}

// DropChild drops what waits for a child.
func (f *Forwarder) DropChild(c *neighbor.Child) {
	q := f.indirect[c]
	delete(f.indirect, c)
	f.held -= len(q)
	c.Indirect.Queued = 0
	f.cfg.MAC.ForgetChild(c)
	for _, p := range q {
		f.done(&p.message, false)
	}
	f.updateSourceMatch()
}

// ChildAddressed says which address a sleepy child polls with from now on: its
// extended one until the first frame after its Child ID Response has arrived.
func (f *Forwarder) ChildAddressed(c *neighbor.Child, short bool) {
	if c.UseShort != short {
		c.UseShort = short
		f.updateSourceMatch()
	}
}

func (f *Forwarder) updateSourceMatch() {
	var short []uint16
	var ext []ieee802154.ExtAddr
	for _, c := range f.cfg.Table.Children { // in the table's order: the same each time
		if len(f.indirect[c]) == 0 {
			continue
		}
		if c.UseShort {
			short = append(short, c.RLOC16)
		} else {
			ext = append(ext, c.Ext)
		}
	}
	f.cfg.MAC.SetSourceMatch(short, ext)
}

// NextIndirect implements mac.Source.
func (f *Forwarder) NextIndirect(c *neighbor.Child, out *mac.Frame) bool {
	for len(f.indirect[c]) > 0 {
		p := f.indirect[c][0]
		p.before = p.offset
		if f.fillIndirect(c, p, out) {
			out.Pending = out.Pending || len(f.indirect[c]) > 1
			return true
		}
		f.finishParcel(c, false)
	}
	return false
}

func (f *Forwarder) fillIndirect(c *neighbor.Child, p *parcel, out *mac.Frame) bool {
	*out = mac.Frame{Security: p.opts.Security, Dst: c.Address()}
	p.opts.Radios = link.Only(c.Links.Polled) // by which it listens
	if p.empty {
		f.cfg.MAC.Choose(out, p.opts.Radios)
		out.Src = ieee802154.ShortAddr(f.cfg.MAC.Short())
		return true
	}
	out.Src = f.sourceAddress(&p.message)
	switch {
	case p.dst.IsLinkLocalUnicast():
		out.Dst = linkAddress(p.dst)
	case !c.UseShort:
		out.Dst = ieee802154.ExtendedAddr(c.Ext)
	}
	return f.cut(&p.message, out, nil, out.Src, out.Dst)
}

// IndirectSent implements mac.Source.
func (f *Forwarder) IndirectSent(c *neighbor.Child, _ *mac.Frame, ok bool) bool {
	q := f.indirect[c]
	if len(q) == 0 {
		return false
	}
	p := q[0]
	if !ok {
		if p.polls++; p.polls < maxPolls {
			return true
		}
		f.finishParcel(c, false)
		return false
	}
	p.polls, c.LastSent = 0, f.cfg.Clock.Now()
	if p.offset < len(p.packet) {
		return false
	}
	f.finishParcel(c, true)
	if c.State == neighbor.Valid {
		f.ChildAddressed(c, true)
	}
	return false
}

func (f *Forwarder) finishParcel(c *neighbor.Child, ok bool) {
	q := f.indirect[c]
	p := q[0]
	f.held--
	if len(q) == 1 {
		delete(f.indirect, c)
	} else {
		f.indirect[c] = q[1:]
	}
	c.Indirect.Queued = len(q) - 1
	c.MessageErrors.Add(ok)
	f.updateSourceMatch()
	f.done(&p.message, ok)
}
