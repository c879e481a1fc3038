package mesh

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/radio"
	"gatewayd/thread/link"
	"gatewayd/thread/mac"
	"gatewayd/thread/neighbor"
)

// Verdict is what is known of the place of an IPv6 address.
type Verdict uint8

// The verdicts.
const (
	Unreachable Verdict = iota
	Found
	Pending // asked for; Resolved will tell
)

// Routes is how the forwarder finds its way.
type Routes interface {
	// Locate finds the RLOC16 where a unicast destination is, or leaves the
	// mesh. Link-local addresses are not asked for.
	Locate(src, dst netip.Addr) (rloc16 uint16, v Verdict)
	// NextHop is the neighbour on the way to an RLOC16.
	NextHop(rloc16 uint16) (uint16, bool)
	// Router reports whether the node routes: if not, all goes by the parent.
	Router() bool
	// EveryGroup are the groups that every Thread device listens to, also
	// asleep.
	EveryGroup(g netip.Addr) bool
	// Contexts are the 6LoWPAN contexts of the network.
	Contexts() lowpan.Contexts
	// Unroutable is told of a frame that could not be forwarded to dst: its
	// next hop would have been where it came from.
	Unroutable(dst uint16)
	// Reachable reports whether a datagram for dst that goes to a mesh node is
	// right there: the node is one that can be reached and, if it is this one,
	// has the address or a neighbour with it.
	Reachable(rloc16 uint16, dst netip.Addr) bool
	// Unreachable tells the mesh node src that its datagram, of which packet
	// is the beginning, went to a place where it is not reachable.
	Unreachable(src uint16, packet []byte)
	// Heard is told of a secured unicast datagram the mesh addresses that it
	// came from and goes to, which may be another node.
	Heard(src netip.Addr, rloc16, at uint16)
}

// Handler takes what was received.
type Handler interface {
	Receive(packet []byte, info link.Info)
}

// Config is what a Forwarder needs.
type Config struct {
	Clock   *alarm.Clock
	Rand    *rand.Rand
	MAC     *mac.MAC
	Table   *neighbor.Table
	Routes  Routes
	Handler Handler
	// Events of the MAC that are not the forwarder's.
	Polled     func(c *neighbor.Child)
	LinkFailed func(n *neighbor.Neighbor)
	PollSent   func(ok, pending bool)
	RadioUp    func(i radio.Info)
	RadioDown  func()
}

// Errors of sending.
var (
	ErrUnreachable = errors.New("mesh: no route to the destination")
	ErrFull        = errors.New("mesh: send queue is full")
)

// Implementation constants.
const (
	maxDirect    = 128                  // datagrams and forwarded frames waiting
	maxIndirect  = 256                  // datagrams waiting for all sleepy children
	maxPerChild  = 32                   // for one of them
	maxPolls     = 4                    // a frame is offered so often to a sleepy child
	forwardPause = 8 * time.Millisecond // after a frame that the neighbour must send on
	meshHops     = 19                   // hops left in a mesh header of ours
)

// Counters count what the forwarder dropped.
type Counters struct {
	Full, Unreachable, Malformed, Forwarded, NotForwarded uint32
	Repeated                                              uint32 // by another link
	// Sent and Unsent are datagrams by what became of them in the end.
	Sent, Unsent uint32
}

// Forwarder is the machine. It implements mac.Source and mac.Handler.
type Forwarder struct {
	cfg      Config
	queue    [link.Net + 1][]*message // direct, by priority
	queued   int
	indirect map[*neighbor.Child][]*parcel
	held     int
	peak     int // most that were queued at a time
	current  *message
	pause    *alarm.Timer
	tag      uint16
	frags    *lowpan.Reassembler
	expire   *alarm.Timer
	meshTags map[meshTag]meshTagState
	scratch  []byte

	Counters Counters
}

// message is one datagram, or one frame to forward, on its way out.
type message struct {
	packet   []byte
	src      netip.Addr
	dst      netip.Addr
	opts     link.Options
	offset   int    // of packet, where the next frame goes on
	tag      uint16 // of its fragments
	waiting  bool   // for the address to be resolved
	finished bool   // counted

	forward bool // packet is a mesh frame's payload behind the mesh header
	mesh    lowpan.MeshHeader
}

// New returns a Forwarder.
func New(cfg Config) *Forwarder {
	f := &Forwarder{
		cfg: cfg, indirect: map[*neighbor.Child][]*parcel{},
		tag:      uint16(cfg.Rand.Uint32()),
		frags:    lowpan.NewReassembler(lowpan.ReassemblerConfig{}),
		meshTags: map[meshTag]meshTagState{},
	}
	f.pause = cfg.Clock.NewTimer(func() { f.cfg.MAC.Kick() })
	f.expire = cfg.Clock.NewTimer(f.expireFragments)
	return f
}

func (f *Forwarder) nextTag() uint16 {
	f.tag++
	if f.tag == 0 {
		f.tag = 1
	}
	return f.tag
}

// Send implements ip.Mesh: it takes a whole IPv6 datagram for the mesh.
func (f *Forwarder) Send(packet []byte, o link.Options) error {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return err
	}
	m := &message{packet: packet, src: h.Src, dst: h.Dst, opts: o}
	if h.Dst.IsMulticast() {
		f.toSleepyChildren(m)
		if ipv6.Scope(h.Dst) > ipv6.ScopeRealm {
			return nil // a copy for sleepy children only
		}
		return f.enqueue(m)
	}
	return f.dispatch(m)
}

// dispatch puts a unicast datagram where it has to wait: for the air, for a
// sleepy child, or for its destination to be found.
func (f *Forwarder) dispatch(m *message) error {
	if c := f.sleepyChild(m.dst); c != nil && !m.opts.Direct {
		return f.enqueueIndirect(c, m)
	}
	if !m.dst.IsLinkLocalUnicast() {
		switch rloc16, v := f.cfg.Routes.Locate(m.src, m.dst); v {
		case Unreachable:
			f.Counters.Unreachable++
			f.done(m, false)
			return ErrUnreachable
		case Pending:
			m.waiting = true
		case Found:
			if c := f.cfg.Table.ChildByRLOC16(rloc16); c != nil && c.State == neighbor.Valid && !c.Mode.RxOnWhenIdle() {
				return f.enqueueIndirect(c, m)
			}
		}
	}
	return f.enqueue(m)
}

// sleepyChild is the sleepy child that an address belongs to: by its link-local
// address, its locator or an address it registered.
func (f *Forwarder) sleepyChild(dst netip.Addr) *neighbor.Child {
	var c *neighbor.Child
	if dst.IsLinkLocalUnicast() {
		switch a := linkAddress(dst); a.Mode {
		case ieee802154.AddrShort:
			c = f.cfg.Table.ChildByRLOC16(a.Short)
		default:
			c = f.cfg.Table.ChildByExt(a.Ext)
		}
	} else {
		c = f.cfg.Table.ChildByAddress(dst)
	}
	if c == nil || c.Mode.RxOnWhenIdle() || c.State == neighbor.ParentRequested {
		return nil // not yet a child: it listens while it attaches
	}
	return c
}

// linkAddress is the MAC address that a link-local address is made from.
func linkAddress(a netip.Addr) ieee802154.Addr {
	b := a.As16()
	if [6]byte(b[8:14]) == [6]byte{0, 0, 0, 0xff, 0xfe, 0} {
		return ieee802154.ShortAddr(uint16(b[14])<<8 | uint16(b[15]))
	}
	return ieee802154.ExtendedAddr(ieee802154.ExtAddrFromIID([8]byte(b[8:])))
}

func (f *Forwarder) enqueue(m *message) error {
	if f.queued >= maxDirect && !f.evict(m.opts.Priority) {
		f.Counters.Full++
		f.done(m, false)
		return ErrFull
	}
	p := min(m.opts.Priority, link.Net)
	f.queue[p] = append(f.queue[p], m)
	f.queued++
	f.peak = max(f.peak, f.Queued())
	f.cfg.MAC.Kick()
	return nil
}

// evict makes room by dropping the newest datagram of the lowest priority below p.
func (f *Forwarder) evict(p link.Priority) bool {
	for low := link.Low; low < p; low++ {
		q := f.queue[low]
		for i := len(q) - 1; i >= 0; i-- {
			if q[i] != f.current && q[i].offset == 0 {
				m := q[i]
				f.remove(m)
				f.Counters.Full++
				f.done(m, false)
				return true
			}
		}
	}
	return false
}

func (f *Forwarder) remove(m *message) {
	p := min(m.opts.Priority, link.Net)
	for i, x := range f.queue[p] {
		if x == m {
			f.queue[p] = append(f.queue[p][:i], f.queue[p][i+1:]...)
			f.queued--
			return
		}
	}
}

func (f *Forwarder) done(m *message, ok bool) {
	if !m.finished && !m.forward {
		if ok {
			f.Counters.Sent++
		} else {
			f.Counters.Unsent++
		}
	}
	m.finished = true
	if m.opts.Done != nil {
		done := m.opts.Done
		m.opts.Done = nil
		done(ok)
	}
}

// Resolved tells that an address that was Pending has been found, or not. What
// waited for it starts again: it may turn out to be a sleepy child's.
func (f *Forwarder) Resolved(dst netip.Addr, ok bool) {
	var waited []*message
	for _, q := range f.queue {
		for _, m := range q {
			if m.waiting && m.dst == dst {
				waited = append(waited, m)
			}
		}
	}
	for _, m := range waited {
		f.remove(m)
		if ok {
			m.waiting = false
			_ = f.dispatch(m)
			continue
		}
		f.Counters.Unreachable++
		f.done(m, false)
	}
}

// Reset drops everything that waits to be sent and every fragment received.
func (f *Forwarder) Reset() {
	for p := range f.queue {
		for _, m := range f.queue[p] {
			f.done(m, false)
		}
		f.queue[p] = nil
	}
	f.queued, f.current = 0, nil
	for c := range f.indirect {
		f.DropChild(c)
	}
	f.frags.Reset()
	clear(f.meshTags)
}

// Load is how busy a Forwarder is, in datagrams.
type Load struct {
	Queued, Peak, Capacity int
	Bytes                  int // of those queued
}

// Load is the present one.
func (f *Forwarder) Load() Load {
	l := Load{Queued: f.Queued(), Peak: f.peak, Capacity: maxDirect + maxIndirect}
	for _, q := range f.queue {
		for _, m := range q {
			l.Bytes += len(m.packet)
		}
	}
	for _, q := range f.indirect {
		for _, p := range q {
			l.Bytes += len(p.packet)
		}
	}
	return l
}

// Queued is how many datagrams wait for the air.
func (f *Forwarder) Queued() int { return f.queued + f.held }

// RadioUp implements mac.Handler.
func (f *Forwarder) RadioUp(i radio.Info) { f.cfg.RadioUp(i) }

// RadioDown implements mac.Handler.
func (f *Forwarder) RadioDown() { f.cfg.RadioDown() }

// LinkFailed implements mac.Handler.
func (f *Forwarder) LinkFailed(n *neighbor.Neighbor) { f.cfg.LinkFailed(n) }

// PollSent implements mac.Handler.
func (f *Forwarder) PollSent(ok, pending bool) { f.cfg.PollSent(ok, pending) }

// Polled implements mac.Handler. A child that polls under its short address has
// its Child ID Response, even if the acknowledgement of that was lost.
func (f *Forwarder) Polled(c *neighbor.Child, short bool) {
	if short && c.State == neighbor.Valid {
		f.ChildAddressed(c, true)
	}
	f.cfg.Polled(c)
}
