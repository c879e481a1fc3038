package wpan

import (
	"net/netip"
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/wpan/mac"
)

// Implementation constants.
const (
	maxQueued = 128 // datagrams waiting for the air
	maxPerHop = 48  // of these, to one neighbour, urgent ones and others each
	// maxUnsecured of these go to devices without a key.
	maxUnsecured = 16
	maxInParts   = 32 // datagrams being put together
	// maxOnAir is the largest datagram between two nodes: one of the MTU
	// within a tunnel, and the headers of RPL.
	maxOnAir = ipv6.MinMTU + 512
)

// datagram is one on its way out.
type datagram struct {
	packet    []byte
	hop       ieee802154.Addr
	unsecured bool
	urgent    bool // the network's own: before what it carries
	turn      int  // how many to the same neighbour were before it
	offset    int  // where the next frame goes on
	tag       uint16
	done      func(ok bool)
}

// adaptation is the 6LoWPAN layer: datagrams into frames for a neighbour and
// back (RFC 4944, RFC 6282). Each hop puts a datagram together again.
type adaptation struct {
	n       *Node
	queue   []*datagram
	current *datagram
	frags   *lowpan.Reassembler
	tag     uint16
}

func (a *adaptation) init(n *Node) {
	a.n = n
	a.frags = lowpan.NewReassembler(lowpan.ReassemblerConfig{MaxDatagrams: maxInParts, MaxSize: maxOnAir})
	a.tag = uint16(n.rand.Uint32())
}

// send queues a datagram for a neighbour; it belongs to the queue then.
func (a *adaptation) send(d *datagram) bool {
	if !a.room(d) {
		a.n.Counters.QueueFull++
		d.finish(false)
		return false
	}
	at := len(a.queue)
	for at > 0 && a.precedes(d, a.queue[at-1]) {
		at--
	}
	a.queue = slices.Insert(a.queue, at, d)
	a.n.mac.Kick()
	return true
}

// precedes reports whether d goes before q: what is urgent before what is not,
// and neighbours by turns, so that one that is slow to answer does not keep
// those behind it waiting for all that it is to get.
func (a *adaptation) precedes(d, q *datagram) bool {
	switch {
	case q == a.current || q.offset > 0:
		return false
	case d.urgent != q.urgent:
		return d.urgent
	}
	return d.turn < q.turn
}

// room makes sure that there is some: one neighbour that does not answer must
// not take all of it, and what is urgent displaces the last that is not.
func (a *adaptation) room(d *datagram) bool {
	d.turn = 0
	for _, q := range a.queue {
		if q.hop == d.hop && q.urgent == d.urgent {
			d.turn++
		}
	}
	if d.turn >= maxPerHop || d.unsecured && a.unsecured() >= maxUnsecured {
		return false
	}
	if len(a.queue) < maxQueued {
		return true
	}
	if !d.urgent {
		return false
	}
	for i := len(a.queue) - 1; i >= 0; i-- {
		if q := a.queue[i]; !q.urgent && q != a.current && q.offset == 0 {
			a.remove(q)
			a.n.Counters.QueueFull++
			q.finish(false)
			return true
		}
	}
	return false
}

// unsecured is how many datagrams wait that go to devices without a key.
func (a *adaptation) unsecured() (k int) {
	for _, q := range a.queue {
		if q.unsecured {
			k++
		}
	}
	return k
}

// flush empties the queue.
func (a *adaptation) flush() {
	queue := a.queue
	a.queue, a.current = nil, nil
	for _, d := range queue {
		d.finish(false)
	}
}

func (d *datagram) finish(ok bool) {
	if done := d.done; done != nil {
		d.done = nil
		done(ok)
	}
}

func (a *adaptation) remove(d *datagram) {
	for i, q := range a.queue {
		if q == d {
			a.queue = append(a.queue[:i], a.queue[i+1:]...)
			return
		}
	}
}

// NextFrame implements mac.Upper.
func (n *Node) NextFrame(f *mac.Frame) bool {
	a := &n.adapt
	for len(a.queue) > 0 {
		d := a.queue[0]
		if a.fill(d, f) {
			a.current = d
			return true
		}
		a.remove(d)
		n.Counters.Undelivered++
		d.finish(false)
	}
	return false
}

// fill puts the next piece of a datagram into a frame; false if it cannot be
// sent.
func (a *adaptation) fill(d *datagram, f *mac.Frame) bool {
	if a.n.secured() && !d.unsecured && a.n.mac.ActiveKey() == 0 {
		return false // nothing leaves a secured network in the clear unless it is meant to
	}
	*f = mac.Frame{Dst: d.hop, Unsecured: d.unsecured}
	room := a.n.mac.Room(f)
	buf := make([]byte, 0, ieee802154.MaxPSDU)
	src := ieee802154.ExtendedAddr(a.n.mac.Ext())
	var next int
	var err error
	if d.offset == 0 {
		if d.tag == 0 {
			a.tag++
			d.tag = max(a.tag, 1)
		}
		buf, next, err = lowpan.AppendFirst(buf, d.packet, src, d.hop, a.n.contexts, room, d.tag, false)
	} else {
		buf, next, err = lowpan.AppendNext(buf, d.packet, d.offset, room, d.tag)
	}
	if err != nil {
		return false
	}
	d.offset = next
	f.Payload, f.Pending = buf, next < len(d.packet) && !d.hop.IsBroadcast()
	return true
}

// FrameSent implements mac.Upper.
func (n *Node) FrameSent(f *mac.Frame, ok bool, transmissions int) {
	a := &n.adapt
	d := a.current
	a.current = nil
	if d == nil {
		return // the queue was emptied meanwhile
	}
	if f.Dst.Mode == ieee802154.AddrExtended {
		n.linkSent(f.Dst.Ext, ok, transmissions)
	}
	if ok && d.offset < len(d.packet) {
		return
	}
	if d.unsecured && n.attached() {
		n.joinerAnswered(d.hop, ok)
	}
	a.remove(d)
	if !ok {
		n.Counters.Undelivered++
	}
	d.finish(ok)
}

// FrameReceived implements mac.Upper.
func (n *Node) FrameReceived(r mac.Received) {
	a := &n.adapt
	b := r.Payload
	info := Link{Src: r.Src, Secured: r.Secured, Broadcast: r.Dst.IsBroadcast(), RSSI: r.RSSI, LQI: r.LQI}
	switch {
	case lowpan.IsFrag(b):
		packet, done, err := a.frags.Add(n.clock.Now(), lowpan.Link{Src: r.Src, Dst: r.Dst, Secure: r.Secured}, n.contexts, b)
		if err != nil {
			n.Counters.Malformed++
		}
		n.awaitFragments()
		if done {
			n.receive(append([]byte(nil), packet...), info)
		}
	case lowpan.IsIPHC(b), lowpan.IsIPv6(b):
		packet, err := lowpan.DecompressPacket(make([]byte, 0, len(b)+64), b, r.Src, r.Dst, n.contexts)
		if err != nil {
			n.Counters.Malformed++
			return
		}
		n.receive(packet, info)
	default:
		n.Counters.Malformed++
	}
}

func (n *Node) expireFragments() {
	n.adapt.frags.Expire(n.clock.Now())
	n.awaitFragments()
}

// awaitFragments waits for the end of what is being put together.
func (n *Node) awaitFragments() {
	if at := n.adapt.frags.Deadline(); !at.IsZero() {
		n.expire.StartAt(at)
	}
}

// linkAddress is the link-layer address that a link-local address is made of.
func linkAddress(a netip.Addr) ieee802154.Addr {
	b := a.As16()
	if [6]byte(b[8:14]) == [6]byte{0, 0, 0, 0xff, 0xfe, 0} {
		return ieee802154.ShortAddr(uint16(b[14])<<8 | uint16(b[15]))
	}
	return ieee802154.ExtendedAddr(ieee802154.ExtAddrFromIID([8]byte(b[8:])))
}

// linkLocal is the link-local address made of an extended address.
func linkLocal(ext ieee802154.ExtAddr) netip.Addr { return inPrefix(linkLocalPrefix, ext) }

var linkLocalPrefix = netip.MustParsePrefix("fe80::/64")

// inPrefix is the address that an extended address makes in a /64.
func inPrefix(p netip.Prefix, ext ieee802154.ExtAddr) netip.Addr {
	b := p.Addr().As16()
	iid := ext.IID()
	copy(b[8:], iid[:])
	return netip.AddrFrom16(b)
}

// transport is a datagram's header, and where what it carries begins.
func transport(packet []byte) (ipv6.Header, uint8, int, error) {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return h, 0, 0, err
	}
	proto, off, err := ipv6.Transport(packet)
	return h, proto, off, err
}
