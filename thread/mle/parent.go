package mle

import (
	"time"

	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

const (
	answerRouters   = 500 * time.Millisecond // within which routers answer a Parent Request
	answerAll       = time.Second            // and those that may become one
	parentTries     = 2                      // how often a Parent Response is sent, until it arrives
	sharedTries     = 16                     // of a frame, by all that answer one request together
	repeatedRequest = 700 * time.Millisecond // sooner is the same request again
	childIDTimeout  = 5 * time.Second        // from Parent Response to Child ID Request
	maxRequested    = 6                      // TLVs a child may ask for
	oldSupervision  = 129 * time.Second      // of children before Thread 1.4 that say nothing
	version13       = 4
	sedBuffer       = 1280 // bytes kept for a sleepy child, as advertised
	sedDatagrams    = 1
)

// parentRequestReceived offers to be a parent. It stays silent where the
// specification forbids to answer (Thread 1.4 Section 4.7.2.1).
func (m *MLE) parentRequestReceived(x *rx) {
	version, mask := x.version(), x.uint8(TypeScanMask)
	challenge := x.challenge(TypeChallenge)
	mode, hasMode := x.optMode()
	if m.malformed(x) {
		return
	}
	why := ""
	switch {
	case !m.RouterEligible():
		why = "not eligible"
	case !m.Attached() || m.attach.busy():
		why = "not attached"
	case m.leaderAge() >= m.Tuning.LeaderTimeout || m.PathCost(m.LeaderRLOC16()) >= neighbor.InfiniteCost:
		why = "leader out of reach"
	case m.role == Child && (mask&scanREEDs == 0 || m.cfg.Table.ActiveRouters() >= maxRouters),
		m.Router() && mask&scanRouters == 0:
		return // others were asked
	}
	if why != "" {
		m.refuse(x, RefusedState, why)
		return
	}
	now := m.cfg.Clock.Now()
	c := m.cfg.Table.ChildByExt(x.ext)
	if c == nil {
		if len(m.cfg.Table.Children) >= m.cfg.MaxChildren && !m.evictApplicant() {
			m.refuse(x, RefusedFull, "")
			return
		}
		c = &neighbor.Child{Neighbor: m.newNeighbor(x, neighbor.ParentRequested)}
		c.Version = version
		if hasMode {
			c.Mode = mode
		}
		m.cfg.Table.Children = append(m.cfg.Table.Children, c)
		m.runTicker()
	} else if now.Sub(c.LastHeard) < repeatedRequest {
		return
	}
	if !c.Usable() {
		c.LastHeard, c.Timeout = now, childIDTimeout
	}
	x.class = peer
	m.adoptSequence(x)
	o := offer{to: c, response: challenge, version: version, tries: parentTries, until: now.Add(routersWait)}
	delay := answerRouters
	if mask&scanREEDs != 0 {
		delay, o.until = answerAll, now.Add(reedsWait)
	}
	m.offerIn(m.jitter(delay), o)
}

// offer is a Parent Response on its way.
type offer struct {
	to       *neighbor.Child
	response Challenge
	version  uint16
	tries    int       // left
	again    bool      // it was sent before, and may have arrived
	until    time.Time // when the child has ceased to wait
}

// offerIn sends a Parent Response in d. Where many answer they are in each
// other's way, and what is lost is lost again if it is repeated at once, as the
// MAC would: so one that does not arrive is sent again at another moment, if
// the link is one that makes a parent.
func (m *MLE) offerIn(d time.Duration, o offer) {
	k := delayKey{ParentResponse, o.to.Ext}
	m.later(k, d, func() {
		o.tries--
		m.sendParentResponse(o, func(ok bool) {
			left := o.until.Sub(m.cfg.Clock.Now())
			o.again = true
			if !ok && o.tries > 0 && left > 0 && o.to.Quality.In() >= 2 && !m.waits(k) {
				m.offerIn(m.jitter(left), o)
			}
		})
	})
}

// shareOfTries is how often a frame may be sent that others like us send at the
// same time, to the same device.
func (m *MLE) shareOfTries() uint8 {
	n := m.cfg.Table.ActiveRouters() // among whom a child has not so many links
	if m.Router() {
		n = 1
		for _, r := range m.cfg.Table.Routers {
			if r != nil && r.State == neighbor.Valid && r.RLOC16 != m.rloc16 {
				n++
			}
		}
	}
	return uint8(max(1, sharedTries/max(n, 1)))
}

// evictApplicant makes room in the child table by dropping whoever asked for a
// parent longest ago and did not come back.
func (m *MLE) evictApplicant() bool {
	var oldest *neighbor.Child
	for _, c := range m.cfg.Table.Children {
		if c.State == neighbor.ParentRequested && (oldest == nil || c.LastHeard.Before(oldest.LastHeard)) {
			oldest = c
		}
	}
	if oldest == nil || m.cfg.Clock.Now().Sub(oldest.LastHeard) < childIDTimeout/2 {
		return false
	}
	m.removeChild(oldest)
	return true
}

func (m *MLE) sendParentResponse(o offer, done func(ok bool)) {
	c := o.to
	if c.State == neighbor.Invalid || o.again && len(c.Challenge) == 0 || !m.Attached() {
		return
	}
	if c.State != neighbor.Restored && !o.again {
		c.Challenge = m.newChallenge()
	}
	b := m.build()
	b.source()
	b.leaderData()
	b.counters()
	b.response(o.response)
	b.challenge(c.Challenge)
	if o.version >= version12 && !c.Mode.RxOnWhenIdle() {
		b.cslAccuracy()
	}
	b.linkMargin(marginOf(&c.Neighbor))
	conn := m.connectivity()
	b.add(TypeConnectivity, conn.Append(nil)...)
	b.version()
	m.send(ParentResponse, b.TLVs, linkLocal(c.Ext), link.Options{Security: link.Unsecured, SecureIfCut: true, Direct: true,
		Tries: m.shareOfTries(), Done: done})
}

func marginOf(n *neighbor.Neighbor) uint8 { return uint8(min(n.Quality.Margin(), 255)) }

// Connectivity is how the device recommends itself as parent.
func (m *MLE) Connectivity() Connectivity { return m.connectivity() }

// connectivity is how we recommend ourselves as parent.
func (m *MLE) connectivity() Connectivity {
	c := Connectivity{
		Priority: m.Tuning.ParentPriority, IDSequence: m.routing.sequence,
		ActiveRouters: uint8(m.cfg.Table.ActiveRouters()),
		LeaderCost:    min(m.PathCost(m.LeaderRLOC16()), neighbor.InfiniteCost),
		SED:           true, SEDBuffer: sedBuffer, SEDDatagrams: sedDatagrams,
	}
	if c.Priority == PriorityAuto {
		c.Priority = PriorityMedium
		if free := m.cfg.MaxChildren - m.countChildren(); free < m.cfg.MaxChildren/3 {
			c.Priority = PriorityLow
		}
	}
	if m.role == Child {
		c.LinkQuality[m.cfg.Table.Parent.Quality.In()]++
	}
	for _, r := range m.cfg.Table.Routers {
		if r != nil && r.State == neighbor.Valid && r.RLOC16 != m.rloc16 {
			c.LinkQuality[twoWay(r)]++
		}
	}
	return c
}

// childIDRequestReceived takes a device as child, or first becomes a router to
// do so.
func (m *MLE) childIDRequestReceived(x *rx) {
	version, response := x.version(), x.challenge(TypeResponse)
	linkCounter, mleCounter := x.counters()
	mode, timeout := x.mode(), x.uint32(TypeTimeout)
	requested := x.requested()
	supervision, hasSupervision := x.optUint16(TypeSupervision)
	active, hasActive := x.optTimestamp(TypeActiveTimestamp)
	pending, hasPending := x.optTimestamp(TypePendingTimestamp)
	addresses, hasAddresses := x.addresses()
	if x.err == nil && !mode.FullThread() && !hasAddresses {
		x.fail(TypeAddresses, ErrMissing)
	}
	if hasSupervision {
		requested.add(TypeSupervision)
	}
	m.addDatasets(&requested, hasActive, active, hasPending, pending)
	if len(requested) > maxRequested {
		x.fail(TypeRequest, ErrInvalid)
	}
	if m.malformed(x) {
		return
	}
	if !m.RouterEligible() || !m.Attached() {
		m.refuse(x, RefusedState, "")
		return
	}
	c := m.cfg.Table.ChildByExt(x.ext)
	if c == nil {
		m.refuse(x, RefusedUnknown, "")
		return
	}
	if !matches(response, c.Challenge) {
		m.refuse(x, RefusedChallenge, "")
		return
	}
	if r := m.cfg.Table.RouterByExt(x.ext); r != nil {
		m.removeRouterLink(r)
	}
	if c.Usable() {
		// It was our child before and starts anew.
		rloc16 := c.RLOC16
		m.removeChild(c)
		n := &neighbor.Child{Neighbor: m.newNeighbor(x, neighbor.ChildIDRequested)}
		if neighbor.RouterID(rloc16) == neighbor.RouterID(m.rloc16) {
			n.RLOC16 = rloc16
		}
		m.cfg.Table.Children = append(m.cfg.Table.Children, n)
		m.runTicker()
		c = n
	}
	c.State, c.Mode, c.Version = neighbor.ChildIDRequested, mode, version
	c.Links.ForgetTags()
	c.LastHeard = m.cfg.Clock.Now()
	c.StartCounters(linkCounter)
	c.MLECounter, c.KeySequence = mleCounter, x.sequence
	c.Timeout = time.Duration(timeout) * time.Second
	c.Supervision = supervisionOf(supervision, hasSupervision, version)
	c.Challenge = nil // answered
	c.Requested = c.Requested[:0]
	for _, t := range requested {
		c.Requested = append(c.Requested, byte(t))
	}
	if !mode.FullThread() {
		m.register(c, addresses)
	}
	x.class, x.n = authoritative, &c.Neighbor
	m.adoptSequence(x)
	if m.role == Child {
		_ = m.BecomeRouter(HaveChildIDRequest)
		return
	}
	m.sendChildIDResponse(c)
}

// supervisionOf is the interval at which a sleepy child is told that its
// parent is there.
func supervisionOf(interval uint16, told bool, version uint16) time.Duration {
	switch {
	case told:
		return time.Duration(interval) * time.Second
	case version <= version13:
		return oldSupervision
	}
	return 0
}

func (m *MLE) sendChildIDResponse(c *neighbor.Child) {
	if neighbor.RouterID(c.RLOC16) != neighbor.RouterID(m.rloc16) || neighbor.ChildID(c.RLOC16) == 0 {
		rloc16, ok := m.freeChildID()
		if !ok {
			m.log("MLE-0007", "no child id left")
			return
		}
		c.RLOC16 = rloc16
	}
	b := m.build()
	b.source()
	b.leaderData()
	b.timestamps()
	b.uint16(TypeAddress16, c.RLOC16)
	for _, t := range c.Requested {
		switch t := Type(t); t {
		case TypeNetworkData:
			b.netData(c.Mode.FullNetworkData())
		case TypeRoute:
			b.route()
		case TypeActiveDataset, TypePendingDataset:
			b.dataset(t)
		case TypeSupervision:
			b.uint16(t, uint16(seconds(c.Supervision)))
		}
	}
	if !c.Mode.FullThread() {
		b.childAddresses(c)
	}
	m.childValid(c)
	c.NetData, c.Partition = m.versionFor(c), m.partition.Partition
	if !c.Mode.RxOnWhenIdle() {
		m.cfg.Mesh.ChildAddressed(c, false)
	}
	m.send(ChildIDResponse, b.TLVs, linkLocal(c.Ext), link.Options{Security: link.Unsecured, SecureIfCut: true})
}

// freeChildID picks the next child id that nobody has, upwards and around.
func (m *MLE) freeChildID() (uint16, bool) {
	for range neighbor.MaxChildID {
		if m.nextChild++; m.nextChild > neighbor.MaxChildID {
			m.nextChild = 1
		}
		if rloc16 := m.rloc16 | m.nextChild; m.cfg.Table.ChildByRLOC16(rloc16) == nil {
			return rloc16, true
		}
	}
	return 0, false
}
