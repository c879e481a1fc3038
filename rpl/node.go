package rpl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

// NodeConfig is what a Node needs. Clock, Rand, Send and LinkLocal must be
// set.
type NodeConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	Send  func(Send) // must not call the node, nor must the others but Prefixes
	// NextHop returns the neighbour that has a global address, and whether
	// there is one. Nil takes every address for a neighbour's own.
	NextHop func(netip.Addr) (netip.Addr, bool)
	// Accept says whether to consider a DODAG. Nil accepts all.
	Accept func(DIO) bool
	// Changed is called when the node's state, parent or rank has changed;
	// Prefixes with what the DODAG's root announces, when that has changed; it
	// may call SetAddresses. Both may be nil.
	Changed  func()
	Prefixes func([]PrefixInformation)

	LinkLocal netip.Addr
	Leaf      bool // does not route for others (RFC 6550 Section 8.5)

	MaxNeighbors int // 0 is 32
	MaxRoutes    int // in storing mode; 0 is 512
	// ProbeInterval is how long a silent parent is trusted; 0 is one minute,
	// negative for ever.
	ProbeInterval time.Duration
	// OmitOption leaves the RPL option out of what the node sends.
	OmitOption bool
}

const (
	defaultMaxNeighbors  = 32
	defaultMaxRoutes     = 512
	defaultProbeInterval = time.Minute
	maxProbes            = 3

	// Searching: the first DIS comes soon, the next ones ever later.
	firstSolicit = time.Second
	maxSolicit   = time.Minute

	// maxFailures is how many datagrams in a row a neighbour may miss.
	maxFailures = 4
	// A neighbour that failed is not used again for this long, doubled each
	// time.
	firstBlock = 15 * time.Second
	maxBlock   = 10 * time.Minute

	// poisons is how many DIOs say that there is no way by this node.
	poisons = 3
	// forgetAfter is how long a node without a parent is bound by the version
	// and the ranks it had; a restarted one is not bound at all.
	forgetAfter = 30 * time.Second

	maxAddresses = 8
	maxExternals = 64
	maxPrefixes  = 4 // prefixes and routes remembered of one DIO, each
)

// State is how far a Node is.
type State uint8

const (
	Stopped   State = iota
	Searching       // has no parent and asks around
	Joined
	Poisoning // has lost its parents and tells its children so
)

func (s State) String() string {
	return [...]string{"stopped", "searching", "joined", "poisoning"}[s&3]
}

// Node is a router or leaf of a DODAG.
type Node struct {
	cfg       NodeConfig
	state     State
	neighbors map[netip.Addr]*neighbor
	addrs     []netip.Addr // global ones of our own
	externals []External   // behind us, not speaking RPL

	// The DODAG version the node is in, or was in last.
	dodag     dodag
	version   uint8
	parent    *neighbor
	rank      uint16
	lowest    uint16 // L of RFC 6550 Section 8.2.2.4: our lowest rank in this version
	dtsn      uint8
	conf      DODAGConfig
	objective objective
	leaf      bool // configured, or because the DODAG asks for what we cannot do
	prefixes  []PrefixInformation
	infos     []RouteInformation
	lostAt    time.Time

	trickle    *trickle
	advertised uint16 // rank in our last DIO
	solicit    *alarm.Timer
	wait       time.Duration // until the next DIS
	poison     *alarm.Timer
	poisonLeft int
	probe      *alarm.Timer

	routes  routes
	sweeper *alarm.Timer
	dao     announcer
}

// dodag is what identifies a DODAG and does not change while it lives.
type dodag struct {
	instance   uint8
	id         netip.Addr
	mop        MOP
	grounded   bool
	preference uint8
}

// NewNode checks the configuration and returns a node that has not started.
func NewNode(cfg NodeConfig) (*Node, error) {
	if cfg.Clock == nil || cfg.Rand == nil || cfg.Send == nil {
		return nil, errors.New("rpl: node: clock, randomness or output is missing")
	}
	if !cfg.LinkLocal.IsLinkLocalUnicast() {
		return nil, fmt.Errorf("rpl: node: %v is not a link-local address", cfg.LinkLocal)
	}
	if cfg.MaxNeighbors == 0 {
		cfg.MaxNeighbors = defaultMaxNeighbors
	}
	if cfg.MaxRoutes == 0 {
		cfg.MaxRoutes = defaultMaxRoutes
	}
	if cfg.ProbeInterval == 0 {
		cfg.ProbeInterval = defaultProbeInterval
	}
	n := &Node{
		cfg: cfg, neighbors: make(map[netip.Addr]*neighbor), routes: newRoutes(cfg.MaxRoutes),
		rank: InfiniteRank, lowest: InfiniteRank, dtsn: randomSequence(cfg.Rand), objective: of0{},
	}
	n.trickle = newTrickle(cfg.Clock, cfg.Rand, func() { n.sendDIO(AllNodes) })
	n.solicit = cfg.Clock.NewTimer(n.search)
	n.poison = cfg.Clock.NewTimer(n.poisonMore)
	n.probe = cfg.Clock.NewTimer(n.probeParent)
	n.sweeper = cfg.Clock.NewTimer(n.sweep)
	n.dao.init(n)
	return n, nil
}

// Start begins to look for a DODAG.
func (n *Node) Start() {
	if n.state != Stopped {
		return
	}
	n.sweeper.Start(sweepInterval)
	n.beginSearch()
}

// Stop leaves the DODAG: children are told by a poisoning DIO, those who have
// routes to us by a No-Path DAO.
func (n *Node) Stop() {
	if n.state == Stopped {
		return
	}
	if n.state == Joined {
		n.dao.leave()
		n.rank = InfiniteRank
		n.sendPoison()
	}
	n.state = Stopped
	for _, t := range []*alarm.Timer{n.solicit, n.poison, n.probe, n.sweeper} {
		t.Stop()
	}
	n.trickle.stop()
	n.dao.stop()
	n.parent, n.rank, n.lowest, n.dodag = nil, InfiniteRank, InfiniteRank, dodag{}
	n.prefixes, n.infos = nil, nil
	clear(n.neighbors)
	n.routes.clear()
	n.changed()
}

// SetAddresses says which global addresses the node has, at most eight: they
// are what it announces. The first within a prefix of the DODAG names the node
// as a parent.
func (n *Node) SetAddresses(addrs ...netip.Addr) {
	addrs = slices.Clone(addrs[:min(len(addrs), maxAddresses)])
	if slices.Equal(addrs, n.addrs) {
		return
	}
	for _, a := range n.addrs {
		if !slices.Contains(addrs, a) {
			n.dao.withdraw(netip.PrefixFrom(a, 128))
		}
	}
	n.addrs = addrs
	if n.state == Joined {
		n.trickle.reset()
		n.dao.announceOwn()
	}
}

// External is a host or a prefix that does not speak RPL.
type External struct {
	Prefix netip.Prefix
	// Sequence, if it is Counted, is the path sequence to announce it with: the
	// transaction id of its registration, so that of two routers that have it the
	// one it went to last is believed (RFC 9010 Section 9). Otherwise it is the
	// node's own.
	Sequence uint8
	Counted  bool
}

// SetExternal says which hosts and prefixes that do not speak RPL are reached
// by this node, at most 64 (RFC 6550 Section 6.7.8, the E flag).
func (n *Node) SetExternal(targets ...External) {
	targets = slices.Clone(targets[:min(len(targets), maxExternals)])
	if slices.Equal(targets, n.externals) {
		return
	}
	old := n.externals
	n.externals = targets
	for _, e := range old {
		if !n.isExternal(e.Prefix) {
			n.dao.withdrawExternal(e)
		}
	}
	if n.state == Joined {
		n.dao.announceOwn()
	}
}

func (n *Node) isExternal(p netip.Prefix) bool {
	return slices.ContainsFunc(n.externals, func(e External) bool { return e.Prefix == p })
}

// counted reports whether a target behind us has a count of its own.
func (n *Node) counted(p netip.Prefix) bool {
	return slices.ContainsFunc(n.externals, func(e External) bool { return e.Prefix == p && e.Counted })
}

// Receive takes the body of an RPL message whose ICMPv6 checksum was right.
// The error says what was wrong with it, for the log; nothing need be done.
func (n *Node) Receive(src, dst netip.Addr, code uint8, body []byte) error {
	if n.state == Stopped || src == n.cfg.LinkLocal {
		return nil
	}
	m, err := Decode(code, body)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case DIS:
		n.receiveDIS(m, src, dst)
	case DIO:
		if !src.IsLinkLocalUnicast() {
			return fmt.Errorf("rpl: DIO from %v: %w", src, ErrAddress)
		}
		return n.receiveDIO(src, m)
	case DAO:
		if !src.IsLinkLocalUnicast() {
			return fmt.Errorf("rpl: DAO from %v to a router: %w", src, ErrAddress)
		}
		n.receiveDAO(src, m)
	case DAOAck:
		n.dao.acknowledged(src, m)
	}
	return nil
}

func (n *Node) receiveDIS(m DIS, src, dst netip.Addr) {
	if n.state != Joined || n.leaf && dst.IsMulticast() {
		return // a leaf only answers who asks it (RFC 6550 Section 8.5)
	}
	answerDIS(m, src, dst, n.dio(), n.trickle, n.sendDIO)
}

// dio is our DIO: what the root says, and our place (RFC 6550 Section 8.3).
func (n *Node) dio() DIO {
	m := DIO{
		Instance: n.dodag.instance, Version: n.version, Rank: n.rank, Grounded: n.dodag.grounded,
		MOP: n.dodag.mop, Preference: n.dodag.preference, DTSN: n.dtsn, DODAGID: n.dodag.id,
		Options: []Option{n.conf},
	}
	if n.leaf {
		m.Rank = InfiniteRank
	}
	self, _ := n.ownAddr()
	for _, p := range n.prefixes {
		m.Options = append(m.Options, withRouter(p, self, n.dodag.mop))
	}
	for _, o := range n.infos {
		m.Options = append(m.Options, o)
	}
	return m
}

func (n *Node) sendDIO(to netip.Addr) {
	if to.IsMulticast() {
		n.advertised = n.rank
	}
	n.cfg.Send(message(n.cfg.LinkLocal, to, CodeDIO, n.dio().Append(nil)))
}

// ownAddr is the global address by which the node is known in the DODAG.
func (n *Node) ownAddr() (netip.Addr, bool) {
	for _, a := range n.addrs {
		if n.inside(a) {
			return a, true
		}
	}
	if len(n.addrs) > 0 {
		return n.addrs[0], true
	}
	return netip.Addr{}, false
}

// inside reports whether an address is one of the DODAG's, as far as its
// prefixes tell.
func (n *Node) inside(a netip.Addr) bool {
	return a == n.dodag.id || slices.ContainsFunc(n.prefixes, func(p PrefixInformation) bool {
		return p.Net().Contains(a)
	})
}

func (n *Node) own(a netip.Addr) bool { return a == n.cfg.LinkLocal || slices.Contains(n.addrs, a) }

func (n *Node) changed() {
	if n.cfg.Changed != nil {
		n.cfg.Changed()
	}
}

// LinkSent tells how a unicast frame to a neighbour went: whether it was
// acknowledged, and how many transmissions it took.
func (n *Node) LinkSent(addr netip.Addr, ok bool, transmissions int) {
	b := n.neighbors[addr]
	if b == nil {
		if !ok {
			n.childFailed(addr)
		}
		return
	}
	now := n.cfg.Clock.Now()
	b.etx = measureETX(b.etx, ok, transmissions)
	if ok {
		b.failures, b.probes, b.alive = 0, 0, now
	} else {
		b.failures++
	}
	if b.failures >= maxFailures {
		n.NeighborLost(addr)
		return
	}
	if b.etx > maxLinkMetric {
		b.block(now)
	}
	if n.state == Joined {
		n.evaluate()
	}
}

// NeighborLost tells that a neighbour cannot be reached: by neighbour
// unreachability detection, say (RFC 6550 Section 8.2.1).
func (n *Node) NeighborLost(addr netip.Addr) {
	if b := n.neighbors[addr]; b != nil {
		b.block(n.cfg.Clock.Now())
	}
	if len(n.routes.m) > 0 {
		had := len(n.routes.m)
		if n.dropVia(addr); len(n.routes.m) != had {
			n.askChildren()
		}
	}
	if n.state == Joined {
		n.evaluate()
	}
}

// childFailed counts a failure of one that is known by its DAOs only: its
// routes go after as many in a row as of a candidate parent, which a child
// becomes here.
func (n *Node) childFailed(addr netip.Addr) {
	for _, r := range n.routes.m {
		if r.next == addr {
			if b := n.room(addr, InfiniteRank); b != nil {
				b.failures = 1
			} else {
				n.dropVia(addr)
			}
			return
		}
	}
}

// dropVia removes the downward routes by a neighbour and tells our parent.
func (n *Node) dropVia(addr netip.Addr) {
	n.routes.removeVia(addr, func(p netip.Prefix, r *route) { n.dao.withdrawRoute(p, r.seq, r.external) })
}

// askChildren makes the children announce their routes again (RFC 6550 Section
// 9.6): one of ours was lost, and whoever it leads to may not know.
func (n *Node) askChildren() {
	n.dtsn = NextSequence(n.dtsn)
	n.trickle.reset()
}

func (n *Node) sweep() {
	n.sweeper.Start(sweepInterval)
	n.routes.sweep(n.cfg.Clock.Now())
}

// beginSearch asks neighbours for DIOs (RFC 6550 Section 8.2.1).
func (n *Node) beginSearch() {
	n.state = Searching
	n.wait = firstSolicit
	n.solicit.Start(n.jitter(firstSolicit))
}

func (n *Node) search() {
	now := n.cfg.Clock.Now()
	if !n.lostAt.IsZero() && now.Sub(n.lostAt) >= forgetAfter {
		n.dodag, n.lowest = dodag{}, InfiniteRank
	}
	n.cfg.Send(message(n.cfg.LinkLocal, AllNodes, CodeDIS, DIS{}.Append(nil)))
	n.wait = min(2*n.wait, maxSolicit)
	n.solicit.Start(n.wait/2 + n.jitter(n.wait/2))
}

// jitter is a random part of d.
func (n *Node) jitter(d time.Duration) time.Duration {
	return time.Duration(n.cfg.Rand.Int64N(int64(max(d, 1))))
}

// probeParent asks a parent of which nothing was heard for its DIO, and gives
// it up when it says nothing.
func (n *Node) probeParent() {
	if n.state != Joined || n.cfg.ProbeInterval < 0 {
		return
	}
	n.probe.Start(n.cfg.ProbeInterval)
	b := n.parent
	if n.cfg.Clock.Now().Sub(b.alive) < n.cfg.ProbeInterval {
		return
	}
	if b.probes >= maxProbes {
		n.NeighborLost(b.addr)
		return
	}
	b.probes++
	n.probe.Start(n.cfg.ProbeInterval / 8)
	n.cfg.Send(message(n.cfg.LinkLocal, b.addr, CodeDIS, DIS{}.Append(nil)))
}

// receiveDAO takes a child's routes (RFC 6550 Section 9.8). Only a storing
// router keeps any.
func (n *Node) receiveDAO(src netip.Addr, m DAO) {
	if n.state != Joined || n.leaf || n.dodag.mop != Storing || m.Instance != n.dodag.instance ||
		m.DODAGID.IsValid() && m.DODAGID != n.dodag.id {
		return
	}
	now := n.cfg.Clock.Now()
	worst := learned
	if src == n.parent.addr {
		worst = full // it is not below us: refused
	} else {
		for _, p := range pathsOf(m.Options) {
			for _, t := range p.targets {
				worst = max(worst, n.learn(now, src, t, p.transits[0]))
			}
		}
	}
	if m.WantAck {
		a := DAOAck{Instance: m.Instance, Sequence: m.Sequence, Status: worst.status(), DODAGID: m.DODAGID}
		n.cfg.Send(message(n.cfg.LinkLocal, src, CodeDAOAck, a.Append(nil)))
	}
}

func (n *Node) learn(now time.Time, src netip.Addr, t netip.Prefix, tr Transit) outcome {
	if n.isExternal(t) || t.IsSingleIP() && n.own(t.Addr()) {
		return ignored // ours: what it says went in a circle
	}
	o := n.routes.learn(now, n.conf, src, t, tr)
	switch o {
	case learned, refreshed:
		delete(n.dao.gone, t)
		n.dao.schedule()
	case withdrawn:
		n.dao.withdrawRoute(t, tr.PathSequence, tr.External)
	}
	return o
}

// isLinkLocal reports whether a datagram stays on the link.
func isLinkLocal(a netip.Addr) bool {
	return a.IsLinkLocalUnicast() || a.IsMulticast() && ipv6.Scope(a) <= ipv6.ScopeLink
}
