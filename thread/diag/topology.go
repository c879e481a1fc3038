package diag

import (
	"net/netip"
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

// atOnce is how many routers are asked at a time, so that their answers do not
// meet in the air.
const atOnce = 8

// TopologyOptions say what is asked beyond the routers and their links.
type TopologyOptions struct {
	Addresses, Children bool
}

// Router is a router as it describes itself.
type Router struct {
	ID      uint8
	RLOC16  uint16
	Ext     ieee802154.ExtAddr
	Version uint16 // 0 if it does not tell
	// Links has its links to the other routers: entries with a link quality.
	Links mle.Route

	Self, Leader bool
	Parent       bool // of this node
	BorderRouter bool // to other networks

	Addresses []netip.Addr  // nil if not told
	Children  []RouterChild // nil if not told
}

// RouterChild is a child as its parent describes it.
type RouterChild struct {
	RLOC16       uint16
	Quality      uint8
	Mode         neighbor.Mode
	Self         bool
	BorderRouter bool
}

// Topology asks all routers of the mesh, this node included if it is one. found
// is called for each that answers, then done: with ErrTimeout if some did not.
func (a *Agent) Topology(o TopologyOptions, found func(Router), done func(error)) (*Survey, error) {
	s, err := a.newSurvey(done)
	if err != nil {
		return nil, err
	}
	for _, r := range a.cfg.Table.Routers {
		if r != nil {
			s.waiting = append(s.waiting, r.ID)
		}
	}
	if len(s.waiting) == 0 {
		return nil, ErrNotCapable
	}
	types := []Type{TypeAddress16, TypeExtAddress, TypeRoute, TypeVersion}
	if o.Addresses {
		types = append(types, TypeAddresses)
	}
	if o.Children {
		types = append(types, TypeChildTable)
	}
	a.surveys++
	s.exchanges = map[uint8]*tmf.Exchange{}
	s.timer = a.cfg.Clock.NewTimer(func() { s.finish(ErrTimeout) })
	s.timer.Start(silence)
	s.ask(types, found)
	return s, nil
}

// ask asks the next routers. At the end it only ends the survey if that was
// begun before: done is not called from within Topology.
func (s *Survey) ask(types []Type, found func(Router)) {
	for len(s.waiting) > 0 && len(s.exchanges) < atOnce {
		id := s.waiting[0]
		to := s.a.cfg.MLE.Locator(neighbor.RouterRLOC16(id))
		x, err := s.a.Get(to, types, func(r Report, err error) {
			if s.over {
				return
			}
			delete(s.exchanges, id)
			router, ok := s.a.describe(r)
			switch {
			case err != nil || !ok || router.ID != id:
				s.missing = true
			default:
				s.timer.Start(silence)
				found(router)
			}
			if s.over {
				return
			}
			s.ask(types, found)
			if len(s.exchanges) == 0 {
				s.end()
			}
		})
		if err != nil {
			break // no room for requests: later, or never if none is under way
		}
		s.waiting = s.waiting[1:]
		s.exchanges[id] = x
	}
}

func (s *Survey) end() {
	if s.missing || len(s.waiting) > 0 {
		s.finish(ErrTimeout)
		return
	}
	s.finish(nil)
}

// describe makes a Router of its report.
func (a *Agent) describe(r Report) (out Router, ok bool) {
	rloc16, ok16 := Find[Address16](r.Values)
	ext, okExt := Find[ExtAddress](r.Values)
	route, okRoute := Find[Route](r.Values)
	if !ok16 || !okExt || !okRoute {
		return out, false
	}
	version, _ := Find[Version](r.Values)
	m := a.cfg.MLE
	borders := m.NetData().BorderRouters()
	out = Router{
		ID: neighbor.RouterID(uint16(rloc16)), RLOC16: uint16(rloc16), Ext: ieee802154.ExtAddr(ext),
		Version: uint16(version), Links: route.Route,
	}
	out.Self, out.Leader = out.RLOC16 == m.RLOC16(), out.ID == m.LeaderID()
	out.Parent = m.Role() == mle.Child && a.cfg.Table.Parent.RLOC16 == out.RLOC16
	out.BorderRouter = slices.Contains(borders, out.RLOC16)
	if all, ok := Find[Addresses](r.Values); ok {
		out.Addresses = all
	}
	if t, ok := Find[ChildTable](r.Values); ok {
		out.Children = make([]RouterChild, 0, len(t))
		for _, c := range t {
			x := RouterChild{RLOC16: out.RLOC16 | c.ID, Quality: c.Quality, Mode: c.Mode}
			x.Self, x.BorderRouter = x.RLOC16 == m.RLOC16(), slices.Contains(borders, x.RLOC16)
			out.Children = append(out.Children, x)
		}
	}
	return out, true
}
