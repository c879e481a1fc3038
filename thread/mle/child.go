package mle

import (
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
)

const (
	retryDelay  = time.Second // of unicast requests
	maxTries    = 4
	updateDelay = 100 * time.Millisecond // collects changes for one Child Update Request
	// shortRequest is how many bytes of TLVs fit one frame without MAC
	// security. A parent cannot take more before it knows the child.
	shortRequest = 79
)

// childState is what a child keeps about its parent, beside the table's record.
type childState struct {
	retry        *alarm.Timer // repeats requests, and keeps the link alive
	waitsUpdate  bool         // for a Child Update Response
	updates      int          // requests in vain
	waitsData    bool         // for a Data Response, when sleepy
	dataRequests int
	challenge    Challenge // of the last Child Update Request with one
	asSleepy     bool      // attached as a sleepy device
	attachedAt   time.Time
	supervision  *alarm.Timer
	silences     uint16             // of the parent that were too long
	previous     ieee802154.ExtAddr // parent
	previousAt   uint16
	hadParent    bool
	fetchRoute   bool // of the parent, after a restart
	registered   []AddressEntry
}

func (c *childState) reset() {
	c.retry.Stop()
	c.supervision.Stop()
	c.waitsUpdate, c.waitsData, c.updates, c.dataRequests = false, false, 0, 0
}

// rearm starts the timer for what is waited for first: an answer, or the time
// to tell the parent that we are there. A sleepy child's polls tell it.
func (c *childState) rearm(m *MLE) {
	switch {
	case c.waitsUpdate:
		c.retry.Start(m.updateRetry())
	case c.waitsData:
		c.retry.Start(retryDelay)
	case m.role == Child && m.mode.RxOnWhenIdle():
		c.retry.Start(max(m.Tuning.ChildTimeout-maxTries*retryDelay, retryDelay))
	default:
		c.retry.Stop()
	}
}

// childTimer repeats what was not answered, or keeps the link alive.
func (m *MLE) childTimer() {
	c := &m.child
	switch {
	case c.waitsData && !c.waitsUpdate:
		if c.dataRequests >= maxTries {
			_ = m.BecomeDetached()
			return
		}
		c.dataRequests++
		m.sendDataRequest(m.cfg.Table.Parent.Ext)
	case c.waitsUpdate || m.role == Child && m.mode.RxOnWhenIdle():
		if c.updates >= maxTries {
			m.log("MLE-0004", "parent does not answer", Attr{"parent", m.cfg.Table.Parent.Ext})
			_ = m.BecomeDetached()
			return
		}
		c.updates++
		m.updateParent(updateNormal)
	}
}

// sendChildIDRequest asks the candidate to become the parent; false if it is
// the parent already.
func (m *MLE) sendChildIDRequest() bool {
	t := m.cfg.Table
	if t.Parent.Ext == t.Candidate.Ext {
		if m.role == Child {
			return false
		}
		t.Parent.State = neighbor.Invalid // only the candidate is to be found by that address
	}
	b := m.childIDRequest(false)
	if len(b.TLVs) > shortRequest {
		b = m.childIDRequest(true)
	}
	t.Candidate.State = neighbor.Valid
	sleepy := !m.mode.RxOnWhenIdle()
	to := t.Candidate.Ext
	return m.send(ChildIDRequest, b.TLVs, linkLocal(to), link.Options{
		Security: link.Unsecured, SecureIfCut: true,
		Done: func(ok bool) {
			// The answer to a sleepy child waits to be polled for.
			if ok && sleepy && m.attach.state == attachChildID && t.Candidate.Ext == to {
				m.cfg.MAC.SetRxOnWhenIdle(false)
				m.poll.attaching(m, true)
			}
		},
	})
}

func (m *MLE) childIDRequest(short bool) *builder {
	b := m.build()
	b.response(m.attach.candidate.challenge)
	b.counters()
	b.mode()
	b.uint32(TypeTimeout, seconds(m.Tuning.ChildTimeout))
	b.version()
	if !m.mode.RxOnWhenIdle() {
		b.uint16(TypeSupervision, uint16(seconds(m.Tuning.SupervisionInterval)))
	}
	if m.mode.FullThread() {
		b.request(TypeAddress16, TypeNetworkData, TypeRoute)
	} else {
		b.registration(short)
		b.request(TypeAddress16, TypeNetworkData)
	}
	b.known()
	return b
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// childIDResponseReceived makes the candidate the parent.
func (m *MLE) childIDResponseReceived(x *rx) {
	t := m.cfg.Table
	source, own, leader := x.uint16(TypeSource), x.uint16(TypeAddress16), x.leaderData()
	data, hasData := x.netData()
	active, hasActive := x.optTimestamp(TypeActiveTimestamp)
	pending, hasPending := x.optTimestamp(TypePendingTimestamp)
	route, hasRoute := x.optRoute()
	if !hasData {
		x.fail(TypeNetworkData, ErrMissing)
	}
	if m.malformed(x) {
		return
	}
	if m.attach.state != attachChildID || x.n != &t.Candidate.Neighbor || !x.valid() {
		m.refuse(x, RefusedState, "")
		return
	}
	if neighbor.RouterID(source) != neighbor.RouterID(own) || neighbor.ChildID(own) == 0 || !neighbor.IsRouterRLOC16(source) {
		m.refuse(x, RefusedMalformed, "short addresses of parent and child do not go together")
		return
	}
	m.cfg.Datasets.EndTry(true)
	if v, ok := x.opt(TypeActiveDataset, 0); hasActive && ok {
		m.cfg.Datasets.AdoptActive(active, meshcop.TLVs(v))
	}
	if v, ok := x.opt(TypePendingDataset, 0); hasPending && ok {
		m.cfg.Datasets.AdoptPending(pending, meshcop.TLVs(v))
	} else if !hasPending {
		m.cfg.Datasets.ClearPending()
	}
	m.becomeDetached()
	m.setPartition(leader)
	if hasRoute && m.mode.FullThread() {
		m.takeIDs(route)
		m.parentRoutes(route, neighbor.RouterID(source))
	}
	t.Parent = t.Candidate
	t.Parent.RLOC16, t.Parent.State, t.Parent.ConnectedAt = source, neighbor.Valid, m.cfg.Clock.Now()
	m.dropCandidate()
	x.n = &t.Parent.Neighbor
	m.fetch = false
	m.child.asSleepy = !m.mode.RxOnWhenIdle()
	x.class = peer
	m.becomeChild(own)
	m.setNetData(data, leader)
	m.followMode()
}

// updateKind is what a Child Update Request is for.
type updateKind uint8

const (
	updateNormal    updateKind = iota
	updateChallenge            // the parent is to prove itself
	updateLeaving              // timeout 0
)

// updateParent sends a Child Update Request: to keep the link alive, to tell
// of changes, to be taken back after a restart.
func (m *MLE) updateParent(kind updateKind) {
	p := &m.cfg.Table.Parent
	if p.State != neighbor.Valid && p.State != neighbor.Restored || m.Router() {
		_ = m.BecomeDetached()
		return
	}
	if kind != updateLeaving {
		m.child.waitsUpdate = true
		m.forget(delayKey{c: ChildUpdateRequest})
		m.child.rearm(m)
	}
	b := m.build()
	b.mode()
	if kind == updateChallenge || m.role == Detached {
		m.child.challenge = m.newChallenge()
		b.challenge(m.child.challenge)
	}
	if m.role == Child {
		b.source()
		b.leaderData()
		if kind == updateLeaving {
			b.uint32(TypeTimeout, 0)
		} else {
			b.uint32(TypeTimeout, seconds(m.Tuning.ChildTimeout))
		}
		if !m.mode.RxOnWhenIdle() {
			b.uint16(TypeSupervision, uint16(seconds(m.Tuning.SupervisionInterval)))
		}
		if m.listening() {
			b.csl()
		}
	}
	if !m.mode.FullThread() {
		b.registration(m.role == Detached)
	}
	m.sendTo(ChildUpdateRequest, b, p.Ext)
	if m.mode.RxOnWhenIdle() {
		m.poll.stop(m)
		m.cfg.MAC.SetRxOnWhenIdle(true)
		return
	}
	m.cfg.MAC.SetRxOnWhenIdle(false)
	m.poll.attaching(m, !m.listening())
}

// addressesSoon registers changed addresses with the parent, together with
// other changes of the next moment.
func (m *MLE) addressesSoon() {
	if m.role == Child && !m.mode.FullThread() {
		k := delayKey{c: ChildUpdateRequest}
		if !m.waits(k) {
			m.later(k, updateDelay, func() { m.updateParent(updateNormal) })
		}
	}
}

// AddressesChanged tells that the node's addresses or groups are others. A
// minimal device registers them with its parent.
func (m *MLE) AddressesChanged() {
	if m.role == Child && !m.mode.FullThread() && !slices.Equal(m.ownAddresses(false), m.child.registered) {
		m.addressesSoon()
	}
}

// parentAnswered takes a Child Update Response of the parent.
func (m *MLE) parentAnswered(x *rx) {
	p := &m.cfg.Table.Parent
	response, hasResponse := x.optChallenge(TypeResponse)
	if m.malformed(x) {
		return
	}
	switch {
	case m.role == Detached && !(p.State == neighbor.Restored && p.Ext == x.ext && matches(response, m.child.challenge)):
		m.refuse(x, RefusedChallenge, "")
		return
	case m.role == Child && (x.n != &p.Neighbor || !x.valid()):
		m.refuse(x, RefusedUnknown, "")
		return
	case m.role == Child && hasResponse && !matches(response, m.child.challenge):
		m.refuse(x, RefusedChallenge, "")
		return
	}
	if x.Has(TypeStatus) {
		m.log("MLE-0005", "parent does not know us", Attr{"parent", x.ext})
		_ = m.BecomeDetached()
		return
	}
	mode, source, leader := x.mode(), x.uint16(TypeSource), x.leaderData()
	timeout, hasTimeout := x.optUint32(TypeTimeout)
	margin, hasMargin := x.optUint8(TypeLinkMargin)
	accuracy, uncertain, hasAccuracy := x.optAccuracy()
	var linkCounter, mleCounter uint32
	if hasResponse {
		linkCounter, mleCounter = x.counters()
	}
	if m.malformed(x) {
		return
	}
	if mode != m.mode {
		m.refuse(x, RefusedState, "answers another mode")
		return
	}
	if hasResponse {
		p.StartCounters(linkCounter)
		p.MLECounter = mleCounter
		p.KeySequence, p.LastHeard = x.sequence, m.cfg.Clock.Now()
	}
	if m.role == Detached {
		p.State, p.ConnectedAt = neighbor.Valid, m.cfg.Clock.Now()
		m.setPartition(leader)
		m.becomeChild(m.rloc16)
		m.child.asSleepy = !m.mode.RxOnWhenIdle()
		m.fetch, m.child.fetchRoute = true, m.mode.FullThread()
	}
	if neighbor.RouterID(source) != neighbor.RouterID(m.rloc16) {
		_ = m.BecomeDetached()
		return
	}
	if hasMargin {
		p.QualityOut = neighbor.QualityOf(int(margin))
	}
	if hasTimeout && timeout > 0 {
		m.Tuning.ChildTimeout = time.Duration(timeout) * time.Second
	}
	if hasAccuracy {
		p.CSLAccuracy, p.CSLUncert = accuracy, uncertain
	}
	x.class = peer
	if hasResponse {
		x.class = authoritative
	}
	if m.child.waitsUpdate {
		m.child.waitsUpdate, m.child.updates = false, 0
		m.child.rearm(m)
	}
	m.armSupervision()
	m.poll.attaching(m, false)
	m.followMode()
	m.takeLeaderData(x, leader)
}

// parentAsked answers a Child Update Request as a child.
func (m *MLE) parentAsked(x *rx) {
	p := &m.cfg.Table.Parent
	source := x.uint16(TypeSource)
	challenge, hasChallenge := x.optChallenge(TypeChallenge)
	requested, _ := x.optRequested()
	status, hasStatus := x.optUint8(TypeStatus)
	margin, hasMargin := x.optUint8(TypeLinkMargin)
	if m.malformed(x) {
		return
	}
	if x.Has(TypeCSLAccuracy) {
		requested.add(TypeCSLTimeout)
	}
	fromParent := x.n != nil && x.n == &p.Neighbor
	if !m.Attached() {
		m.refuse(x, RefusedState, "")
		return
	}
	if fromParent {
		if hasStatus && status == statusError || p.RLOC16 != source {
			_ = m.BecomeDetached()
			return
		}
		leader := x.leaderData()
		if m.malformed(x) {
			return
		}
		m.takeLeaderData(x, leader)
		if hasMargin {
			p.QualityOut = neighbor.QualityOf(int(margin))
		}
	}
	x.class = peer
	m.adoptSequence(x) // the answer is already sealed with the new key
	b := m.build()
	b.source()
	b.leaderData()
	if hasChallenge {
		m.cfg.Table.Parent.Links.ForgetTags()
		b.response(challenge)
		b.mleCounter()
		b.linkCounter()
	}
	if !fromParent {
		b.status()
	}
	unregistered := false
	for _, t := range requested {
		switch t {
		case TypeTimeout:
			b.uint32(t, seconds(m.Tuning.ChildTimeout))
		case TypeAddresses:
			if !m.mode.FullThread() {
				b.registration(true)
				unregistered = len(m.ownAddresses(false)) > 1
			}
		case TypeSupervision:
			if !m.mode.RxOnWhenIdle() {
				b.uint16(t, uint16(seconds(m.Tuning.SupervisionInterval)))
			}
		case TypeCSLTimeout:
			if m.listening() {
				b.uint32(t, seconds(m.cslTimeout()))
			}
		}
	}
	m.sendTo(ChildUpdateResponse, b, x.ext)
	if fromParent && unregistered {
		m.addressesSoon()
	}
}

// armSupervision starts to watch whether the parent is heard from.
func (m *MLE) armSupervision() {
	if m.role == Child && !m.mode.RxOnWhenIdle() && m.Tuning.SupervisionCheck > 0 {
		m.child.supervision.Start(m.Tuning.SupervisionCheck)
	} else {
		m.child.supervision.Stop()
	}
}

// SetSupervisionCheck sets how long the parent may be silent.
func (m *MLE) SetSupervisionCheck(d time.Duration) {
	m.Tuning.SupervisionCheck = d
	m.armSupervision()
}

// supervise asks a parent that has been silent for too long.
func (m *MLE) supervise() {
	if m.role != Child {
		return
	}
	if left := m.Tuning.SupervisionCheck - m.cfg.Clock.Now().Sub(m.cfg.Table.Parent.LastHeard); left > 0 {
		m.child.supervision.Start(left)
		return
	}
	m.child.silences++
	m.updateParent(updateNormal)
	m.armSupervision()
}

// Silences is how often the parent was silent for too long, since the node
// began or ResetSilences.
func (m *MLE) Silences() uint16 { return m.child.silences }

// ResetSilences sets it to 0.
func (m *MLE) ResetSilences() { m.child.silences = 0 }
