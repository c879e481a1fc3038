package border

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/netdata"
)

// isOMR reports whether a border router serves an entry of the network data
// that devices take off-mesh routable addresses of.
func isOMR(p netip.Prefix, b netdata.BorderRouter) bool {
	return usable64(p) && b.Stable && b.Flags.Has(netdata.FlagOnMesh|netdata.FlagSLAAC)
}

// inData reports whether the network data has an OMR prefix.
func (m *Manager) inData(p netip.Prefix) bool {
	e := m.data.FindPrefix(p)
	return e != nil && slices.ContainsFunc(e.BorderRouters, func(b netdata.BorderRouter) bool { return isOMR(p, b) })
}

// routed reports whether the mesh has a stable route to a prefix.
func (m *Manager) routed(p netip.Prefix) bool {
	return slices.ContainsFunc(m.data.Prefixes, func(e netdata.Prefix) bool {
		return e.Prefix.Bits() <= p.Bits() && e.Prefix.Contains(p.Addr()) &&
			slices.ContainsFunc(e.HasRoutes, func(r netdata.HasRoute) bool { return r.Stable && !r.Flags.Has(netdata.RouteNAT64) })
	})
}

// A Peer is another border router in the network data.
type Peer struct {
	RLOC16 uint16
	Since  time.Time
}

// trackPeers follows who else connects the mesh to other networks.
func (m *Manager) trackPeers() {
	var peers []Peer
	for _, rloc16 := range m.data.BorderRouters() {
		if rloc16 == m.mesh.RLOC16 {
			continue
		}
		p := Peer{rloc16, m.now()}
		if i := slices.IndexFunc(m.peers, func(p Peer) bool { return p.RLOC16 == rloc16 }); i >= 0 {
			p = m.peers[i]
		}
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(a, b Peer) int { return int(a.RLOC16) - int(b.RLOC16) })
	m.peers = peers
}

const (
	splitAfter  = 10 * time.Minute
	joinedAfter = time.Minute
)

// A split is when border routers of the mesh are on none of our links: the
// links they advertise on are other ones, and hosts there may not be reached
// from here.
type split struct {
	m        *Manager
	detected bool
	timer    *alarm.Timer // the opposite has been so for a while
}

func (s *split) init(m *Manager) {
	s.m = m
	s.timer = m.timer(s.changed)
}

// review compares the border routers in the network data with those heard.
func (s *split) review() {
	heard := 0
	for _, l := range s.m.links {
		for _, r := range l.routers {
			if r.reachable() && !r.local && slices.ContainsFunc(r.routes, func(p heardPrefix) bool { return l.ofMesh(p.prefix) }) {
				heard++
			}
		}
	}
	missing := s.m.running && len(s.m.peers) > heard
	switch {
	case missing == s.detected:
		s.timer.Stop()
	case s.timer.Running():
	case missing:
		s.timer.Start(splitAfter)
	default:
		s.timer.Start(joinedAfter)
	}
}

func (s *split) changed() {
	s.detected = !s.detected
	s.m.changed = true
	text := "the border routers of the mesh are all on our links again"
	if s.detected {
		text = "there are border routers of the mesh which are on none of our infrastructure links"
	}
	s.m.log(Event{ID: "BORDER-SPLIT", Text: text})
}
