package ndp

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
)

// How long a 6LR tries to reach the 6LBR: the entry it holds meanwhile is
// tentative (TENTATIVE_NCE_LIFETIME is 20 s, RFC 6775 Section 9).
const (
	checkTries   = 3
	checkTimeout = 3 * time.Second // then twice that, and again
)

// checking is a registration that waits for the 6LBR's word.
type checking struct {
	request
	border netip.Addr
	eda    bool
	tries  int
	timer  *alarm.Timer
}

// register handles the request of a neighbour.
func (r *Router) register(q request) error {
	if r.own(q.addr) {
		r.answer(q, StatusDuplicate)
		return nil
	}
	now := r.cfg.Clock.Now()
	old, known := r.reg.get(q.addr)
	if known = known && old.Expires.After(now); known {
		if !old.sameOwner(q.aro.ROVR, q.aro.Extended) {
			r.answer(q, StatusDuplicate)
			return nil
		}
		if old.staleFor(q.aro.TID, q.aro.Extended) {
			r.answer(q, StatusMoved)
			return nil
		}
	}
	if !known && q.aro.Lifetime > 0 && r.reg.len()+r.tentative() >= r.cfg.MaxNeighbors && r.pending[q.addr] == nil {
		r.answer(q, StatusCacheFull)
		return nil
	}
	if q.addr.IsLinkLocalUnicast() {
		r.conclude(q, StatusSuccess) // of no interest beyond the link
		return nil
	}
	return r.check(q)
}

// tentative is the number of new neighbours that wait for the 6LBR's word.
func (r *Router) tentative() (n int) {
	for a := range r.pending {
		if _, known := r.reg.byAddr[a]; !known {
			n++
		}
	}
	return n
}

// check asks the 6LBR. Renewals too: it has to know that the address is still
// in use.
func (r *Router) check(q request) error {
	if len(r.networks) == 0 || !r.cfg.Addr().IsValid() {
		return ErrNoBorder
	}
	i := 0
	for ; i < len(r.networks) && !r.networks[i].contains(q.addr); i++ {
	}
	if i == len(r.networks) {
		r.answer(q, StatusTopology)
		return nil
	}
	c := r.pending[q.addr]
	switch {
	case c != nil && !c.registration().sameOwner(q.aro.ROVR, q.aro.Extended):
		// Who came first is not known to be the owner yet, nor that he is not.
		// The other will ask again.
		return ErrBusy
	case c != nil:
		// Heard again, perhaps because the 6LBR takes its time: asked again
		// only if the request is a new one.
		again := c.aro == q.aro
		c.request = q
		if again {
			return nil
		}
		c.tries = 0
	case len(r.pending) >= r.cfg.MaxPending:
		return ErrBusy
	default:
		c = &checking{request: q}
		c.timer = r.cfg.Clock.NewTimer(func() { r.ask(c) })
		r.pending[q.addr] = c
	}
	c.border, c.eda = r.networks[i].border, r.networks[i].eda
	r.ask(c)
	return nil
}

func (r *Router) ask(c *checking) {
	self := r.cfg.Addr()
	if c.tries == checkTries || !self.IsValid() {
		r.drop(c.addr) // without an answer: the host tries again, or elsewhere
		return
	}
	timeout := checkTimeout << c.tries
	c.timer.Start(randDuration(r.cfg.Rand, timeout*9/10, timeout))
	c.tries++
	m := Duplicate{Lifetime: c.aro.Lifetime, ROVR: c.aro.ROVR, Addr: c.addr}
	if c.eda && c.aro.Extended {
		m.Extended, m.TID = true, c.aro.TID
	}
	r.cfg.Send(outgoing(self, c.border, multihopHopLimit, LinkAddr{}, m))
}

func (r *Router) drop(a netip.Addr) {
	if c := r.pending[a]; c != nil {
		c.timer.Stop()
		delete(r.pending, a)
	}
}

// confirmed handles the answer of the 6LBR, or its notice that an address is
// not behind this router anymore.
func (r *Router) confirmed(m Duplicate) error {
	if c := r.pending[m.Addr]; c != nil && c.registration().sameOwner(m.ROVR, m.Extended) &&
		(!m.Extended || m.TID == c.aro.TID) {
		r.drop(m.Addr)
		r.conclude(c.request, m.Status)
		return nil
	}
	old, known := r.reg.get(m.Addr)
	if !known || !m.Extended || m.Status != StatusMoved && m.Status != StatusRemoved ||
		!old.sameOwner(m.ROVR, true) || old.staleFor(m.TID, true) {
		return ErrNoMatch
	}
	r.reg.remove(m.Addr)
	r.cfg.Changed(old, false)
	r.cfg.Send(notice(r.linkLocal, old, m.Status))
	return nil
}

// conclude enters or removes what the request was about, and answers it.
func (r *Router) conclude(q request, status Status) {
	old, known := r.reg.get(q.addr)
	switch {
	case status == StatusSuccess && q.aro.Lifetime > 0:
		g := q.registration()
		g.Expires = r.cfg.Clock.Now().Add(q.aro.Lifetime)
		r.reg.put(g)
		r.cfg.Changed(g, true)
	case known:
		// Ended by its owner; or the border knows better than we do.
		r.reg.remove(q.addr)
		r.cfg.Changed(old, false)
	}
	r.answer(q, status)
}

func (r *Router) answer(q request, status Status) {
	self := r.linkLocal
	if r.own(q.target) && q.target != q.addr {
		self = q.target
	}
	r.cfg.Send(q.answer(self, status))
}
