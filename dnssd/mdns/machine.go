package mdns

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
)

// Port is multicast DNS's (RFC 6762 Section 3).
const Port = 5353

// Groups of multicast DNS (RFC 6762 Section 3).
var (
	Group4 = netip.MustParseAddr("224.0.0.251")
	Group6 = netip.MustParseAddr("ff02::fb")
)

// Implementation constants.
const (
	defaultMTU   = 1500
	minMTU       = 576
	defaultCache = 16384
	// loopTime is how long a packet of ours may take to come back to us.
	loopTime = 2 * time.Second
	maxLoops = 4096 // packets of ours that are remembered
)

// Config is a Machine's. Clock, Rand and Send are required.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	// Send sends a datagram from port 5353 out of an interface, with a hop
	// limit of 255. The bytes are the machine's again when it returns.
	Send func(iface int, to netip.AddrPort, b []byte)
	// Exclusive says that no other process of the host has port 5353, so that
	// unicast answers reach the machine and may be asked for.
	Exclusive bool
	// CacheLimit is the number of records of others that are kept, over all
	// links; 0 stands for 16384.
	CacheLimit int
}

// An Interface is a link, as the host has it.
type Interface struct {
	Index int
	Name  string         // for people
	Addrs []netip.Prefix // the interface's addresses, with the lengths of their on-link prefixes
	MTU   int            // bytes of an IP packet; 0 stands for 1500
	// V4 and V6 say over which families to multicast; neither: those of which
	// the interface has addresses.
	V4, V6 bool
}

// A Machine is responder and browser. All its methods and the advancing of
// its clock belong to one goroutine. Callbacks may call the machine, except
// where they say otherwise; they run when it has done what it was called for.
type Machine struct {
	cfg   Config
	links []*link
	own   map[netip.Addr]bool // addresses of the interfaces
	loops loops
	w     writer

	regs    map[string]*Registration
	claims  map[string]*claim // by the key of their name
	records map[string][]*rr  // likewise
	types   map[string]*rr    // records of the enumeration of types

	topics map[topicKey]*topic
	cache  cache

	storm    storm
	counters Counters

	depth   int      // of calls into the machine
	dirty   []func() // to be done at the end of the outermost
	stopped bool
}

// New makes a machine without links.
func New(cfg Config) *Machine {
	if cfg.CacheLimit <= 0 {
		cfg.CacheLimit = defaultCache
	}
	m := &Machine{
		cfg:     cfg,
		own:     map[netip.Addr]bool{},
		regs:    map[string]*Registration{},
		claims:  map[string]*claim{},
		records: map[string][]*rr{},
		types:   map[string]*rr{},
		topics:  map[topicKey]*topic{},
	}
	m.loops.sent = map[loopKey]*loop{}
	m.cache.init(m)
	return m
}

// Counters count what happened since New.
type Counters struct {
	Received  uint64 // packets of others
	Looped    uint64 // own packets that came back
	Malformed uint64 // packets that could not be read
	OffLink   uint64 // packets from elsewhere than the link
	Ignored   uint64 // packets that RFC 6762 Section 18 says to ignore
	Sent      uint64 // packets; to both families count twice
	Legacy    uint64 // answers to queriers that are not on port 5353

	KnownAnswers uint64 // answers not given because the querier had them
	Duplicates   uint64 // answers and questions not sent because others did
	Limited      uint64 // answers put off or left out by the limit of one a second

	Probed     uint64 // names that became ours
	Deferred   uint64 // simultaneous probes that were lost
	Conflicts  uint64
	Evicted    uint64 // records that left a full cache
	Overloaded uint64 // queries that found the queues full
}

// Counters are the current ones.
func (m *Machine) Counters() Counters { return m.counters }

// enter begins a call into the machine, and what it returns ends it.
//
//	defer m.enter()()
func (m *Machine) enter() func() {
	m.depth++
	return m.leave
}

// leave sends and calls back what the outermost call has led to.
func (m *Machine) leave() {
	if m.depth > 1 {
		m.depth--
		return
	}
	for {
		for len(m.dirty) > 0 {
			dirty := m.dirty
			m.dirty = nil
			for _, f := range dirty {
				f()
			}
		}
		for _, l := range m.links {
			l.sendGoodbyes()
			l.flushDue()
			l.askDue()
		}
		if len(m.dirty) == 0 {
			break
		}
	}
	m.depth--
}

// later has f called when the machine has done what it was called for.
func (m *Machine) later(f func()) { m.dirty = append(m.dirty, f) }

// timer returns a stopped timer that enters the machine.
func (m *Machine) timer(f func()) *alarm.Timer {
	return m.cfg.Clock.NewTimer(func() {
		defer m.enter()()
		f()
	})
}

func (m *Machine) now() time.Time { return m.cfg.Clock.Now() }

// random is a duration of at least lo and less than hi.
func (m *Machine) random(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(m.cfg.Rand.Int64N(int64(hi-lo)))
}

// Stop says goodbye for everything on all links, at once, and ends all
// browsing. The machine does nothing from then on.
func (m *Machine) Stop() {
	if m.stopped {
		return
	}
	func() {
		defer m.enter()()
		for _, r := range m.sortedRegs() {
			r.retire()
		}
	}()
	m.topics = map[topicKey]*topic{}
	m.SetInterfaces(nil)
	m.stopped = true
}

// loops remembers what was sent, to tell it from what others on the same host
// send from the same address and port.
type loops struct {
	sent  map[loopKey]*loop
	order []loopKey
}

type loopKey struct {
	sum uint64
	v6  bool
}

type loop struct {
	iface int
	at    time.Time
	n     int // copies that have not come back
}

// sum is the FNV-1a hash.
func sum(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (o *loops) add(now time.Time, iface int, v6 bool, b []byte) {
	for len(o.order) > 0 {
		k := o.order[0]
		if l := o.sent[k]; l != nil && len(o.order) < maxLoops && now.Sub(l.at) < loopTime {
			break
		}
		delete(o.sent, k)
		o.order = o.order[1:]
	}
	k := loopKey{sum(b) ^ uint64(iface), v6}
	l := o.sent[k]
	if l == nil {
		l = &loop{iface: iface}
		o.sent[k] = l
		o.order = append(o.order, k)
	}
	if now.Sub(l.at) >= loopTime {
		l.n = 0
	}
	l.at = now
	l.n++
}

// heard reports whether b is one of ours, and whether it came back to the
// interface it was sent from. Links that are one deliver it to the others too.
func (o *loops) heard(now time.Time, links []*link, iface int, v6 bool, b []byte) (ours, here bool) {
	s := sum(b)
	if l := o.sent[loopKey{s ^ uint64(iface), v6}]; l != nil && l.n > 0 && now.Sub(l.at) < loopTime {
		l.n--
		return true, true
	}
	for _, other := range links {
		if other.Index == iface {
			continue
		}
		if l := o.sent[loopKey{s ^ uint64(other.Index), v6}]; l != nil && now.Sub(l.at) < loopTime {
			return true, false
		}
	}
	return false, false
}
