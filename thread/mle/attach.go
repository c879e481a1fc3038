package mle

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
)

// Specification and implementation constants of attaching, OpenThread's.
const (
	routersWait      = 750 * time.Millisecond  // for answers of routers
	reedsWait        = 1250 * time.Millisecond // of routers and those that may become one
	childIDWait      = 1250 * time.Millisecond
	firstRequests    = 6 // of the first cycle, of which to routers only:
	firstToRouters   = 2
	laterRequests    = 2
	laterToRouters   = 1
	startJitter      = 50 * time.Millisecond
	backoffMin       = 251 * time.Millisecond
	backoffMax       = 1200 * time.Second
	backoffJitter    = 2 * time.Second
	announceTime     = 1400 * time.Millisecond // for announcing on all channels
	minAnnounceDelay = 80 * time.Millisecond
	resetCyclesAfter = 20 * time.Second // attached that long, the next attempt is a first one
)

// Scan mask bits of a Parent Request.
const (
	scanRouters = 0x80
	scanREEDs   = 0x40
)

// attachMode is what kind of parent is looked for.
type attachMode uint8

const (
	anyPartition attachMode = iota
	samePartition
	betterPartition
	downgrade
	betterParent
	selectedParent
)

func (a attachMode) String() string {
	return [...]string{"any partition", "same partition", "better partition", "downgrade", "better parent", "selected parent"}[a]
}

type attachState uint8

const (
	attachIdle     attachState = iota
	attachMove                 // to where an Announce said
	attachStart                // waits to begin
	attachRequest              // Parent Requests
	attachAnnounce             // Announces on all channels
	attachChildID              // Child ID Request
)

// attacher is the search for a parent.
type attacher struct {
	state     attachState
	mode      attachMode
	timer     *alarm.Timer
	cycles    int // attempts since the device was last attached, the present one included
	requests  int // of this cycle
	challenge Challenge

	candidate candidate
	heardOld  bool // the present parent answered, too

	announceDelay time.Duration
	announceMask  uint32 // channels left

	// Where to move, or where the device was before it moved.
	alternateChannel uint8
	alternatePAN     uint16 // BroadcastPAN for none
	alternateTime    uint64 // seconds of the Announce's timestamp
	moved            bool
}

// candidate is what decides between parents.
type candidate struct {
	challenge    Challenge
	connectivity Connectivity
	leader       LeaderData
	margin       uint8 // two-way
}

func (a *attacher) stop() {
	a.state = attachIdle
	a.timer.Stop()
}

// busy reports whether a search is under way.
func (a *attacher) busy() bool { return a.state >= attachStart }

// Attaching reports whether the device looks for a parent.
func (m *MLE) Attaching() bool { return m.attach.busy() }

// startAttach begins a search, if none is under way.
func (m *MLE) startAttach(mode attachMode) {
	a := &m.attach
	if m.role == Disabled || a.busy() {
		return
	}
	if m.role != Detached {
		a.cycles = 0
	}
	m.dropCandidate()
	a.state, a.mode = attachStart, mode
	switch mode {
	case betterPartition:
		m.counters.BetterPartitionAttempts++
	case betterParent, selectedParent:
	default:
		m.advert.stop()
	}
	a.timer.Start(m.attachDelay())
	if m.role == Detached {
		a.cycles++
		m.counters.AttachAttempts++
		if !m.mode.RxOnWhenIdle() {
			m.cfg.MAC.SetRxOnWhenIdle(false) // asleep until it begins
		}
	}
}

// attachDelay is the back-off before an attempt.
func (m *MLE) attachDelay() time.Duration {
	a := &m.attach
	if m.role != Detached {
		return time.Millisecond
	}
	if a.cycles == 0 {
		return m.jitter(routersWait)
	}
	d := backoffMax
	if n := a.cycles - 1; n < 13 {
		d = min(d, backoffMin<<n)
	}
	if d == backoffMax {
		d = m.between(backoffMax-backoffJitter, backoffMax+backoffJitter)
	}
	return d + m.between(0, startJitter)
}

// nextRequest says whom the next Parent Request of the cycle goes to; false
// when there have been enough.
func (a *attacher) nextRequest() (mask uint8, ok bool) {
	if a.mode == selectedParent {
		return scanRouters, a.requests <= 1
	}
	total, routers := laterRequests, laterToRouters
	if a.cycles <= 1 && a.mode != betterParent {
		total, routers = firstRequests, firstToRouters
		if a.mode == samePartition {
			routers = 0
		}
	}
	if a.requests > total {
		return 0, false
	}
	if a.requests <= routers {
		return scanRouters, true
	}
	return scanRouters | scanREEDs, true
}

// acceptable reports whether the best candidate so far is good enough to stop
// the search.
func (m *MLE) acceptable() bool {
	a, c := &m.attach, &m.cfg.Table.Candidate
	if c.State != neighbor.ParentResponded {
		return false
	}
	switch a.state {
	case attachRequest:
		mask, _ := a.nextRequest()
		if mask == scanRouters && a.mode != selectedParent && neighbor.QualityOf(int(a.candidate.margin)) < 3 {
			return false // a REED may be better
		}
	case attachAnnounce:
		if a.announceMask != 0 {
			return false
		}
	default:
		return false
	}
	return m.role != Child || a.mode == betterPartition || a.heardOld
}

// attachTimer is the next step of the search.
func (m *MLE) attachTimer() {
	a := &m.attach
	if m.role == Detached && m.restoring.active {
		m.restoreTimer()
		return
	}
	if m.acceptable() && m.sendChildIDRequest() {
		a.state = attachChildID
		a.timer.Start(childIDWait)
		return
	}
	switch a.state {
	case attachIdle:
		a.cycles = 0
	case attachMove:
		m.move()
	case attachStart:
		m.log("MLE-0003", "looking for a parent", Attr{"mode", a.mode.String()}, Attr{"attempt", a.cycles})
		m.dropCandidate()
		a.state, a.heardOld, a.requests = attachRequest, false, 0
		m.poll.stop(m)
		m.cfg.MAC.SetRxOnWhenIdle(true)
		m.requestParents()
	case attachRequest:
		m.requestParents()
	case attachAnnounce:
		m.announceNext()
	case attachChildID:
		m.attachFailed()
	}
}

func (m *MLE) requestParents() {
	a := &m.attach
	a.requests++
	if mask, ok := a.nextRequest(); ok {
		m.sendParentRequest(mask)
		if mask == scanRouters {
			a.timer.Start(routersWait)
		} else {
			a.timer.Start(reedsWait)
		}
		return
	}
	if !m.mayAnnounce() {
		m.attachFailed()
		return
	}
	// Perhaps the network is on another channel: ask there to be told.
	a.announceMask = m.channelMask()
	n := 0
	for c := a.announceMask; c != 0; c &= c - 1 {
		n++
	}
	a.announceDelay = max(announceTime/time.Duration(n+1), minAnnounceDelay)
	a.state = attachAnnounce
	m.sendParentRequest(scanRouters | scanREEDs)
	a.timer.Start(a.announceDelay)
}

// mayAnnounce reports whether the device may be on the wrong channel: it knows
// its network only in part.
func (m *MLE) mayAnnounce() bool {
	return m.role != Child && (len(m.active().MissingActive()) > 0 || !m.mode.FullThread())
}

// channelMask are the channels the network may be on.
func (m *MLE) channelMask() uint32 {
	mask := m.active().ChannelMask.Bits()
	if mask == 0 {
		mask = meshcop.AllChannels().Bits()
	}
	if c := m.cfg.MAC.Info().Channels; c != 0 {
		mask &= c
	}
	return mask
}

func (m *MLE) announceNext() {
	a := &m.attach
	for c := uint8(0); c < 32; c++ {
		if a.announceMask>>c&1 == 0 {
			continue
		}
		a.announceMask &^= 1 << c
		m.sendAnnounce(c, allNodes, meshcop.OrphanTimestamp)
		a.timer.Start(a.announceDelay)
		return
	}
	m.attachFailed()
}

// attachFailed ends a cycle that found no parent.
func (m *MLE) attachFailed() {
	a := &m.attach
	a.stop()
	m.dropCandidate()
	switch a.mode {
	case samePartition, downgrade:
		m.startAttach(anyPartition)
		return
	case betterPartition:
		return
	}
	if m.role == Child {
		m.followMode()
		return
	}
	if m.cfg.Datasets.TryPending() {
		// Perhaps the network moved while the device was off.
		a.cycles = 0
		_ = m.BecomeDetached()
		return
	}
	m.cfg.Datasets.EndTry(false)
	if a.alternatePAN != ieee802154.BroadcastPAN && a.moved {
		// Nobody where the Announce sent us: back.
		m.cfg.MAC.SetChannel(a.alternateChannel)
		m.cfg.MAC.SetPANID(a.alternatePAN)
		a.alternatePAN, a.moved = ieee802154.BroadcastPAN, false
		_ = m.BecomeDetached()
		return
	}
	if m.mode.FullThread() && m.form() == nil {
		return
	}
	_ = m.BecomeDetached()
}

func (m *MLE) dropCandidate() {
	m.cfg.Table.Candidate = neighbor.Parent{}
	m.attach.candidate = candidate{}
}

func (m *MLE) sendParentRequest(mask uint8) {
	if m.attach.mode == selectedParent {
		m.askSelected(mask)
		return
	}
	m.attach.challenge = m.newChallenge()
	m.send(ParentRequest, m.parentRequest(mask).TLVs, allRouters, link.Options{Security: link.Unsecured})
}

// parentRequest is a Parent Request with the challenge of this attempt.
func (m *MLE) parentRequest(mask uint8) *builder {
	b := m.build()
	b.mode()
	b.challenge(m.attach.challenge)
	b.add(TypeScanMask, mask)
	b.version()
	return b
}

// parentResponseReceived weighs a possible parent.
func (m *MLE) parentResponseReceived(x *rx) {
	a := &m.attach
	source, version := x.uint16(TypeSource), x.version()
	response, leader := x.challenge(TypeResponse), x.leaderData()
	out, conn := x.uint8(TypeLinkMargin), x.connectivity()
	linkCounter, mleCounter := x.counters()
	challenge := x.challenge(TypeChallenge)
	accuracy, uncertain, _ := x.optAccuracy()
	if m.malformed(x) {
		return
	}
	if a.state != attachRequest && a.state != attachAnnounce {
		m.refuse(x, RefusedState, "")
		return
	}
	if !matches(response, a.challenge) {
		m.refuse(x, RefusedChallenge, "")
		return
	}
	if m.role == Child && m.cfg.Table.Parent.Ext == x.ext {
		a.heardOld = true
	}
	x.class = authoritative
	if !m.wanted(&conn, leader) {
		m.refuse(x, RefusedPartition, "")
		return
	}
	c := &m.cfg.Table.Candidate
	margin := min(x.margin, out)
	if c.State == neighbor.ParentResponded && c.Ext != x.ext {
		better := 0
		if m.mode.FullThread() {
			better = comparePartitions(conn.Singleton(), leader, a.candidate.connectivity.Singleton(), a.candidate.leader)
		}
		if better < 0 || better == 0 && !m.betterParent(source, margin, &conn, version, m.cslMetric(accuracy, uncertain)) {
			return
		}
	}
	a.candidate = candidate{challenge: challenge, connectivity: conn, leader: leader, margin: margin}
	*c = neighbor.Parent{
		Neighbor:   m.newNeighbor(x, neighbor.ParentResponded),
		QualityOut: neighbor.QualityOf(int(out)), LeaderCost: conn.LeaderCost,
	}
	c.RLOC16, c.Version, c.Mode = source, version, routerMode
	c.StartCounters(linkCounter)
	c.MLECounter, c.KeySequence = mleCounter, x.sequence
	c.CSLAccuracy, c.CSLUncert = accuracy, uncertain
}

// routerMode is the mode of every router.
const routerMode = neighbor.ModeRxOnWhenIdle | neighbor.ModeSecureDataReq | neighbor.ModeFullThread | neighbor.ModeFullNetworkData

// newNeighbor is the record of the sender of a message.
func (m *MLE) newNeighbor(x *rx, s neighbor.State) neighbor.Neighbor {
	n := neighbor.Neighbor{State: s, Ext: x.ext, RLOC16: neighbor.InvalidRLOC16, LastHeard: m.cfg.Clock.Now()}
	n.Quality.Heard(x.info.RSSI, m.cfg.MAC.Info().RxSensitivity)
	return n
}

// wanted reports whether a parent's partition is one that this search is for.
// A device without a role takes any.
func (m *MLE) wanted(c *Connectivity, l LeaderData) bool {
	if !m.mode.FullThread() || m.role == Detached {
		return true
	}
	same := l.Partition == m.partition.Partition
	age := int8(c.IDSequence - m.routing.sequence)
	switch m.attach.mode {
	case anyPartition:
		return !same || age > 0
	case samePartition:
		return same && age > 0
	case downgrade:
		return same && age >= 0
	case betterParent, selectedParent:
		return true
	default:
		return !same && comparePartitions(c.Singleton(), l, m.Singleton(), m.partition) > 0
	}
}

// betterParent compares a parent with the candidate in Thread's order (Thread
// 1.4 Section 4.7.2); the first difference decides.
func (m *MLE) betterParent(rloc16 uint16, margin uint8, c *Connectivity, version uint16, csl uint64) bool {
	old, oc := &m.cfg.Table.Candidate, &m.attach.candidate
	for _, d := range [...]int{
		int(neighbor.QualityOf(int(margin))) - int(neighbor.QualityOf(int(oc.margin))),
		b2i(neighbor.IsRouterRLOC16(rloc16)) - b2i(neighbor.IsRouterRLOC16(old.RLOC16)),
		int(c.Priority) - int(oc.connectivity.Priority),
		int(c.LinkQuality[3]) - int(oc.connectivity.LinkQuality[3]),
		int(version) - int(old.Version),
		int(c.SEDBuffer) - int(oc.connectivity.SEDBuffer),
		int(c.SEDDatagrams) - int(oc.connectivity.SEDDatagrams),
		int(c.LinkQuality[2]) - int(oc.connectivity.LinkQuality[2]),
		int(c.LinkQuality[1]) - int(oc.connectivity.LinkQuality[1]),
	} {
		if d != 0 {
			return d > 0
		}
	}
	if was := m.cslMetric(old.CSLAccuracy, old.CSLUncert); m.Tuning.CSL.Period > 0 && !m.mode.RxOnWhenIdle() && csl != was {
		return csl < was
	}
	return margin > oc.margin
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// comparePartitions is positive if a is better than b: by weight, then not
// being alone, then id.
func comparePartitions(aSingle bool, a LeaderData, bSingle bool, b LeaderData) int {
	switch {
	case a.Weight != b.Weight:
		return int(a.Weight) - int(b.Weight)
	case aSingle != bSingle:
		return b2i(bSingle) - b2i(aSingle)
	case a.Partition > b.Partition:
		return 1
	case a.Partition < b.Partition:
		return -1
	}
	return 0
}
