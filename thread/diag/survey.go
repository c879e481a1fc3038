package diag

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

const (
	// silence without any answer ends a survey.
	silence = 5 * time.Second
	// maxSurveys bounds those under way at a time.
	maxSurveys = 4
)

// Survey asks the mesh something that takes several answers.
type Survey struct {
	a     *Agent
	over  bool
	done  func(error)
	query *Query // of a table

	timer     *alarm.Timer // of a topology, as what follows
	waiting   []uint8      // router ids not asked yet
	exchanges map[uint8]*tmf.Exchange
	missing   bool
}

func (a *Agent) newSurvey(done func(error)) (*Survey, error) {
	switch {
	case !a.cfg.MLE.Attached():
		return nil, ErrState
	case a.surveys >= maxSurveys:
		return nil, ErrBusy
	}
	return &Survey{a: a, done: done}, nil
}

// Stop ends the survey; done is not called.
func (s *Survey) Stop() {
	if s.over {
		return
	}
	s.over = true
	s.a.surveys--
	if s.query != nil {
		s.query.Stop()
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	for _, x := range s.exchanges {
		x.Cancel()
	}
}

func (s *Survey) finish(err error) {
	if !s.over {
		s.Stop()
		s.done(err)
	}
}

// ChildTable asks a router for its children. each is called for every one of
// them, then done: with ErrTimeout if not all were told.
func (a *Agent) ChildTable(router uint16, each func(Child), done func(error)) (*Survey, error) {
	return table(a, router, TypeChild, each, done)
}

// ChildAddresses asks a router for the addresses of its minimal children.
func (a *Agent) ChildAddresses(router uint16, each func(ChildAddresses), done func(error)) (*Survey, error) {
	return table(a, router, TypeChildAddresses, each, done)
}

// RouterNeighbors asks a router for the routers that it has links with.
func (a *Agent) RouterNeighbors(router uint16, each func(RouterNeighbor), done func(error)) (*Survey, error) {
	return table(a, router, TypeRouterNeighbor, each, done)
}

// table queries a router for a list.
func table[V Value](a *Agent, router uint16, t Type, each func(V), done func(error)) (*Survey, error) {
	s, err := a.newSurvey(done)
	if err != nil {
		return nil, err
	}
	// A minimal device does not know the routers.
	if !neighbor.IsRouterRLOC16(router) ||
		a.cfg.Table.ActiveRouters() > 0 && a.cfg.Table.Router(neighbor.RouterID(router)) == nil {
		return nil, ErrNoRouter
	}
	from, index := a.cfg.MLE.Locator(router), uint8(0)
	s.query, err = a.Query(from, []Type{t}, silence, func(r Report) {
		n, ok := Find[Answer](r.Values)
		if !ok || r.From != from {
			return
		}
		if n.Index != index { // one was lost
			s.finish(ErrTimeout)
			return
		}
		index = (index + 1) & 0x7f
		s.query.Extend()
		for _, v := range r.Values {
			switch v := v.(type) {
			case V:
				each(v)
			case End:
				if v.Of == t {
					s.finish(nil)
				}
			}
			if s.over {
				return
			}
		}
		if n.Last || r.Err != nil { // without the end of the list
			s.finish(ErrTimeout)
		}
	}, func() { s.finish(ErrTimeout) })
	if err != nil {
		return nil, err
	}
	a.surveys++
	return s, nil
}
