package mle

import (
	"net/netip"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

const (
	responseDelay    = time.Second            // within which a Data Request follows an announcement
	moreDelay        = 10 * time.Millisecond  // before asking for the rest of an incomplete answer
	spreadDelay      = 500 * time.Millisecond // within which a router passes news on
	fastPollsForData = 8
)

// netData reads a Network Data TLV. The result is the reader's own.
func (r *reader) netData() (netdata.Data, bool) {
	v, ok := r.opt(TypeNetworkData, 0)
	if !ok {
		return netdata.Data{}, false
	}
	d, err := netdata.Decode(v)
	if err != nil {
		r.fail(TypeNetworkData, err)
		return netdata.Data{}, false
	}
	return d.Clone(), true
}

// setPartition takes which partition the device is in, and who leads it.
func (m *MLE) setPartition(d LeaderData) {
	changed := m.first || d.Partition != m.partition.Partition
	if d.Partition != m.partition.Partition {
		m.counters.PartitionChanges++ // also for the first one, as OpenThread counts
	}
	if changed {
		if !m.first {
			m.routing.rememberPartition(m)
		}
		m.clearRouters()
	}
	m.first = false
	m.partition = d
	if changed {
		m.log("MLE-0006", "partition", Attr{"id", d.Partition}, Attr{"leader", d.LeaderID}, Attr{"weight", d.Weight})
		if m.cfg.Events.PartitionChanged != nil {
			m.cfg.Events.PartitionChanged()
		}
	}
}

// setNetData takes the network data as a node that is not the leader. What was
// sent to all has more than a device needs that wants the stable part only.
func (m *MLE) setNetData(d netdata.Data, l LeaderData) {
	if !m.mode.FullNetworkData() && !m.Router() {
		d = d.StableSubset()
	}
	m.data, m.version, m.stable = d, l.DataVersion, l.StableVersion
	m.netDataChanged()
}

// NetDataUpdated tells that Leader's data changed; it is spread at once.
func (m *MLE) NetDataUpdated(c netdata.Change) {
	if m.leader == nil {
		return
	}
	m.armLeaderData()
	if c.Data {
		m.netDataChanged()
		m.save()
	}
}

// netDataChanged spreads network data that is new to us.
func (m *MLE) netDataChanged() {
	m.contexts = nil
	if m.cfg.Events.NetDataChanged != nil {
		m.cfg.Events.NetDataChanged()
	}
	switch m.role {
	case Leader:
		m.spreadData()
	case Router:
		m.later(delayKey{c: DataResponse}, m.jitter(spreadDelay), m.spreadData)
	default:
		// The contexts may be others, which a parent was just told when the
		// data came with the attachment.
		if m.child.attachedAt.Before(m.cfg.Clock.Now()) {
			m.addressesSoon()
		}
		return
	}
	m.syncChildren()
}

func (m *MLE) spreadData() {
	m.sendDataResponse(allNodes, typeList{TypeNetworkData}, true, nil)
}

// armLeaderData waits for what the leader's data do by themselves.
func (m *MLE) armLeaderData() {
	if at := m.leader.Deadline(); at.IsZero() {
		m.leaderTimer.Stop()
	} else {
		m.leaderTimer.StartAt(at)
	}
}

func (m *MLE) leaderDataDue() {
	if m.leader != nil {
		m.NetDataUpdated(m.leader.Advance(m.cfg.Clock.Now()))
	}
}

// fullData reports whether a neighbour wants all of the network data. Nodes
// that are no neighbours get it too.
func fullData(n *neighbor.Neighbor) bool { return n == nil || n.Mode.FullNetworkData() }

// ownVersion is the version of the part of the network data that we keep.
func (m *MLE) ownVersion() uint8 {
	if m.mode.FullNetworkData() || m.Router() {
		return m.DataVersion()
	}
	return m.StableVersion()
}

func (m *MLE) versionOf(d LeaderData) uint8 {
	if m.mode.FullNetworkData() || m.Router() {
		return d.DataVersion
	}
	return d.StableVersion
}

// newer compares serial numbers of eight bits (RFC 1982).
func newer(a, b uint8) bool { return int8(a-b) > 0 }

// dataIsNewer reports whether leader data tell of network data that we do not
// have.
func (m *MLE) dataIsNewer(d LeaderData) bool { return newer(m.versionOf(d), m.ownVersion()) }

// takeLeaderData takes leader data with whatever network data and datasets the
// message has, and asks for the rest.
func (m *MLE) takeLeaderData(x *rx, d LeaderData) bool {
	if d.Partition != m.partition.Partition || d.Weight != m.partition.Weight || d.LeaderID != m.partition.LeaderID {
		if m.role != Child {
			m.refuse(x, RefusedPartition, "")
			return false
		}
		m.setPartition(d)
		m.fetch = true
	} else if !m.fetch && !m.dataIsNewer(d) {
		m.dataAnswered()
		return true
	}
	active, hasActive := x.optTimestamp(TypeActiveTimestamp)
	pending, hasPending := x.optTimestamp(TypePendingTimestamp)
	data, hasData := x.netData()
	if m.malformed(x) {
		return false
	}
	activeSet, hasActiveSet := x.opt(TypeActiveDataset, 0)
	pendingSet, hasPendingSet := x.opt(TypePendingDataset, 0)
	takeActive := hasActive && m.role != Leader && active != m.known.active
	stale := m.cfg.Datasets.Stale()
	takePending := hasPending && (m.role != Leader && pending != m.known.pending || stale && hasPendingSet && pending == m.known.pending)
	if takeActive && !hasActiveSet || takePending && !hasPendingSet || !hasData {
		d := moreDelay
		if x.multicast {
			d = m.jitter(responseDelay)
		}
		m.requestDataIn(d, x.ext)
		return true
	}
	m.fetch = false
	m.dataAnswered()
	// First the datasets: the network data are passed on at once, with the
	// timestamps there are then.
	if takeActive {
		m.cfg.Datasets.AdoptActive(active, meshcop.TLVs(activeSet))
	}
	switch {
	case takePending:
		m.cfg.Datasets.AdoptPending(pending, meshcop.TLVs(pendingSet))
	case stale && !hasPending && m.role != Leader:
		m.cfg.Datasets.ClearPending()
	}
	if m.role == Leader {
		// What a router kept for us while we were away.
		m.recoverLeaderData(data, d)
		return true
	}
	m.setNetData(data, d)
	return true
}

// dataAnswered ends the wait for a Data Response.
func (m *MLE) dataAnswered() {
	m.child.waitsData, m.child.dataRequests = false, 0
	if !m.mode.RxOnWhenIdle() && m.role == Child {
		m.poll.answered(m)
	}
}

func (m *MLE) requestDataIn(d time.Duration, from ieee802154.ExtAddr) {
	k := delayKey{DataRequest, from}
	if !m.waits(k) {
		m.later(k, d, func() { m.sendDataRequest(from) })
	}
}

func (m *MLE) sendDataRequest(to ieee802154.ExtAddr) {
	if !m.Attached() {
		return
	}
	b := m.build()
	if m.child.fetchRoute {
		b.request(TypeNetworkData, TypeRoute)
	} else {
		b.request(TypeNetworkData)
	}
	b.known()
	m.sendTo(DataRequest, b, to)
	if m.role == Child && !m.mode.RxOnWhenIdle() {
		m.child.waitsData = true
		if !m.child.waitsUpdate {
			m.child.rearm(m)
		}
		m.RequestFastPolls(fastPollsForData)
	}
}

func (m *MLE) dataRequestReceived(x *rx) {
	requested := x.requested()
	active, hasActive := x.optTimestamp(TypeActiveTimestamp)
	pending, hasPending := x.optTimestamp(TypePendingTimestamp)
	if m.malformed(x) {
		return
	}
	if !x.valid() || !m.Attached() {
		m.refuse(x, RefusedUnknown, "")
		return
	}
	var report []byte
	if requested.has(TypeMetricsReport) {
		if report = m.metricsReport(x); report == nil && x.err == nil {
			x.fail(TypeMetricsQuery, ErrMissing)
		}
		if m.malformed(x) {
			return
		}
	}
	x.class = peer
	m.adoptSequence(x)
	if onlyMetrics(requested) {
		m.sendMetricsReport(x.from, report)
		return
	}
	m.addDatasets(&requested, hasActive, active, hasPending, pending)
	m.sendDataResponse(x.from, requested, fullData(x.n), report)
}

// addDatasets adds to what was asked for the datasets that the asker does not
// have, by the timestamps it told.
func (m *MLE) addDatasets(l *typeList, hasActive bool, active meshcop.Timestamp, hasPending bool, pending meshcop.Timestamp) {
	if !hasActive || active != m.known.active {
		l.add(TypeActiveDataset)
	}
	if !hasPending || pending != m.known.pending {
		l.add(TypePendingDataset)
	}
}

func (m *MLE) sendDataResponse(to netip.Addr, types typeList, full bool, report []byte) {
	if !m.Attached() || m.fetch {
		return // what we would tell is old
	}
	b := m.build()
	b.source()
	b.leaderData()
	b.timestamps()
	for _, t := range types {
		switch t {
		case TypeNetworkData:
			b.netData(full)
		case TypeActiveDataset, TypePendingDataset:
			b.dataset(t)
		case TypeMetricsReport:
			b.add(t, report...)
		case TypeRoute:
			if m.mode.FullThread() {
				b.route()
			}
		}
	}
	m.send(DataResponse, b.TLVs, to, link.Options{Security: link.Unsecured, SecureIfCut: true})
}

func (m *MLE) dataResponseReceived(x *rx) {
	leader := x.leaderData()
	route, hasRoute := x.optRoute()
	if m.malformed(x) {
		return
	}
	if !x.valid() || !m.Attached() {
		m.refuse(x, RefusedUnknown, "")
		return
	}
	if hasRoute && m.role == Child && m.mode.FullThread() && x.n == &m.cfg.Table.Parent.Neighbor {
		m.takeIDs(route)
		m.parentRoutes(route, neighbor.RouterID(x.n.RLOC16))
		m.child.fetchRoute = false
	}
	m.metricsReportReceived(x)
	if m.takeLeaderData(x, leader) {
		x.class = peer
	}
}
