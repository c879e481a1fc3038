package thread

import (
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// Intervals at which a server looks after its registration.
const (
	registerCheck = 300 * time.Second
	registerRetry = time.Second
)

// serverData registers what this node serves (prefixes, routes, services) with
// the leader and keeps it registered, by SVR_DATA.ntf (Thread 1.4 Section
// 5.15.6).
type serverData struct {
	n       *Node
	local   netdata.Local
	rloc16  uint16 // it was last registered under
	pending bool
	again   bool      // something changed while it was pending
	kept    time.Time // until when what was served before a restart is; zero: not seen yet
	timer   *alarm.Timer
}

func (s *serverData) init(n *Node) {
	s.n, s.rloc16 = n, noRLOC16
	s.timer = n.clock.NewTimer(s.check)
}

// check registers if the network data does not hold what it should.
func (s *serverData) check() {
	if s.pending {
		s.again = true
		return
	}
	if !s.n.mle.Attached() || !s.n.mle.NetDataKnown() {
		return
	}
	rloc16 := s.n.mle.RLOC16()
	stale := s.rloc16 != noRLOC16 && s.rloc16 != rloc16
	if s.local.Registered(s.n.mle.NetData(), rloc16) && !stale {
		return
	}
	if left := s.keep(rloc16); left > 0 {
		s.timer.Start(left)
		return
	}
	entries := s.local.Data(rloc16)
	t := tmf.TLVs(nil).Append(tmf.NetworkData, entries.Append(nil)...)
	if stale {
		t = t.AppendUint16(tmf.RLOC16, s.rloc16)
	}
	s.pending, s.again = true, false
	s.n.tmf.Send(tmf.ServerData, s.n.mle.Locator(alocLeader), t, tmf.Options{Source: s.n.RLOC()}, func(_ tmf.Response, err error) {
		s.pending = false
		if err == nil {
			s.rloc16 = rloc16
		}
		if err != nil || s.again {
			s.timer.Start(registerRetry) // by then the leader's network data are here
			return
		}
		s.timer.Start(registerCheck)
	})
}

// keep is for how long the entries of before a restart are not touched.
func (s *serverData) keep(rloc16 uint16) time.Duration {
	if s.rloc16 != noRLOC16 || s.n.cfg.KeepServed == 0 || !slices.Contains(s.n.mle.NetData().RLOC16s(), rloc16) {
		return 0
	}
	now := s.n.clock.Now()
	if s.kept.IsZero() {
		s.kept = now.Add(s.n.cfg.KeepServed)
	}
	return s.kept.Sub(now)
}

// received is the leader's side: SVR_DATA.ntf from a server.
func (s *serverData) received(r *tmf.Request) {
	n := s.n
	from, ok := n.sourceRLOC16(r.From.Remote.Addr())
	leader := n.mle.Leader()
	if !ok || leader == nil {
		r.Respond(coap.Forbidden, nil)
		return
	}
	t := tmf.TLVs(r.Payload)
	var former []uint16
	if old, err := t.Uint16(tmf.RLOC16); err == nil && old != from {
		former = []uint16{old}
	}
	b, err := t.Find(tmf.NetworkData, 0)
	if err != nil {
		for _, old := range former {
			n.mle.NetDataUpdated(leader.RemoveRLOC16(n.clock.Now(), old))
		}
		r.Respond(coap.Changed, nil)
		return
	}
	d, err := netdata.Decode(b)
	if err != nil {
		r.Respond(coap.BadRequest, nil)
		return
	}
	c, err := leader.Register(n.clock.Now(), from, d, former...)
	if err != nil {
		n.log(Event{ID: "NETDATA-REGISTER", Text: "registration of network data not taken whole", RLOC16: from, Err: err})
	}
	n.mle.NetDataUpdated(c)
	r.Respond(coap.Changed, nil)
}

// purge asks the leader to forget what a node that is gone has served.
func (s *serverData) purge(rloc16 uint16) {
	if leader := s.n.mle.Leader(); leader != nil {
		s.n.mle.NetDataUpdated(leader.RemoveRLOC16(s.n.clock.Now(), rloc16))
		return
	}
	s.n.tmf.Send(tmf.ServerData, s.n.mle.Locator(alocLeader), tmf.TLVs(nil).AppendUint16(tmf.RLOC16, rloc16),
		tmf.Options{Source: s.n.RLOC()}, nil)
}
