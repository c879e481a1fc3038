package backbone

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// When domain unicast addresses are registered; OpenThread's.
const (
	newDUADelay    = time.Second      // after a node formed its own
	newRouterDelay = 3 * time.Second  // after it became a router: its links come first
	silentDelay    = 30 * time.Second // after no answer
)

// A Holder is a device with a domain unicast address that is to be registered.
type Holder struct {
	DUA   netip.Addr
	MLEID [8]byte // interface identifier of its mesh-local EID
	// Heard is when a child was last heard; zero for the node itself.
	Heard time.Time
}

func (h Holder) child() bool { return !h.Heard.IsZero() }

// RegistrarConfig is what a Registrar needs.
type RegistrarConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	TMF   *tmf.Agent
	// Registers reports whether the node registers by itself: it is a full
	// Thread device, or its parent does not do it.
	Registers func() bool
	// Becoming reports whether the node is about to become a router, or to end
	// being one.
	Becoming func() bool
	// Holders are the node itself and the children that it registers for, as far
	// as they have an address.
	Holders func() []Holder
	// Primary, Server and RLOC are those of a ClientConfig.
	Primary func() (netdata.BackboneRouter, bool)
	Server  func(netdata.BackboneRouter) netip.Addr
	RLOC    func() netip.Addr
	// Registered is called when the node's own address is known there.
	Registered func()
	// Refused is called when an address cannot be registered: it has to be
	// another one, or none. With DUANoResources and those after it the Registrar
	// tries again by itself.
	Refused func(Holder, DUAStatus)
}

// registration is what became of a holder's address.
type registration struct {
	dua     netip.Addr
	done    bool      // registered, or refused for good
	due     time.Time // else when it is tried
	stopped bool      // refused
}

// Registrar registers domain unicast addresses at the primary Backbone Router,
// one after the other (Thread 1.4 Section 5.23). Update must be called when the
// network data or the role changed, Changed when a holder's address did.
type Registrar struct {
	cfg     RegistrarConfig
	primary netdata.BackboneRouter
	has     bool // a primary
	all     map[[8]byte]*registration
	pending bool
	timer   *alarm.Timer
}

// NewRegistrar returns a Registrar that has registered nothing.
func NewRegistrar(cfg RegistrarConfig) *Registrar {
	r := &Registrar{cfg: cfg, all: map[[8]byte]*registration{}}
	r.timer = cfg.Clock.NewTimer(r.send)
	return r
}

// IsRegistered reports whether an address is known to the Backbone Router.
func (r *Registrar) IsRegistered(dua netip.Addr) bool {
	for _, x := range r.all {
		if x.dua == dua {
			return x.done && !x.stopped
		}
	}
	return false
}

// Update follows the network data. A new primary is to know all, in the time
// that it gives.
func (r *Registrar) Update() {
	p, ok := r.cfg.Primary()
	was, had := r.primary, r.has
	r.primary, r.has = p, ok
	if ok && (!had || was.RLOC16 != p.RLOC16 || was.Sequence != p.Sequence) {
		for _, x := range r.all {
			if !x.stopped {
				x.done, x.due = false, r.later()
			}
		}
	}
	r.follow()
}

// BecameRouter lets the node's links come first.
func (r *Registrar) BecameRouter() {
	for _, h := range r.cfg.Holders() {
		if x := r.all[h.MLEID]; x != nil && !h.child() {
			if at := r.cfg.Clock.Now().Add(newRouterDelay); x.due.Before(at) {
				x.due = at
			}
		}
	}
	r.follow()
}

// Changed says that a device's address may be another one, or is asked for
// anew. Those of more children are waited for.
func (r *Registrar) Changed(mleid [8]byte) {
	if x := r.all[mleid]; x != nil && x.stopped {
		delete(r.all, mleid)
	}
	r.follow()
}

// follow takes on who has another address, and forgets who has none.
func (r *Registrar) follow() {
	old := r.all
	r.all = map[[8]byte]*registration{}
	now := r.cfg.Clock.Now()
	for _, h := range r.cfg.Holders() {
		x := old[h.MLEID]
		if x == nil || x.dua != h.DUA {
			x = &registration{dua: h.DUA, due: now.Add(newDUADelay)}
			if h.child() {
				x.due = now.Add(time.Second + time.Duration(r.cfg.Rand.Int64N(int64(aggregateDelay-time.Second))))
			}
		}
		r.all[h.MLEID] = x
	}
	r.arm()
}

// later is a random time in which to register again.
func (r *Registrar) later() time.Time {
	most := max(time.Duration(r.primary.ReregistrationDelay)*time.Second, time.Second)
	return r.cfg.Clock.Now().Add(time.Second + time.Duration(r.cfg.Rand.Int64N(int64(most-time.Second+time.Millisecond))))
}

func (r *Registrar) arm() {
	r.timer.Stop()
	if r.pending || !r.has || !r.cfg.Registers() {
		return
	}
	var first time.Time
	for _, x := range r.all {
		if !x.done && (first.IsZero() || x.due.Before(first)) {
			first = x.due
		}
	}
	if !first.IsZero() {
		r.timer.StartAt(first)
	}
}

// send registers the first address that is due, the node's own before others.
func (r *Registrar) send() {
	if r.pending || !r.has || !r.cfg.Registers() {
		return
	}
	now := r.cfg.Clock.Now()
	for _, h := range r.cfg.Holders() {
		x := r.all[h.MLEID]
		if x == nil || x.dua != h.DUA || x.done || now.Before(x.due) {
			continue
		}
		if !h.child() && r.cfg.Becoming() {
			x.due = now.Add(newRouterDelay) // from the locator that it will have
			continue
		}
		r.request(h, x)
		return
	}
	r.arm()
}

func (r *Registrar) request(h Holder, x *registration) {
	m := DUARegistration{Target: h.DUA, MLEID: h.MLEID}
	if h.child() {
		last := uint32(r.cfg.Clock.Now().Sub(h.Heard) / time.Second)
		m.LastTransaction = &last
	}
	r.pending = true
	at := r.primary
	r.cfg.TMF.Send(tmf.DUARegister, r.cfg.Server(at), m.Append(nil), tmf.Options{Source: r.cfg.RLOC()}, func(p tmf.Response, err error) {
		r.pending = false
		if r.all[h.MLEID] == x && r.has && r.primary.RLOC16 == at.RLOC16 && r.primary.Sequence == at.Sequence {
			r.answered(h, x, p, err)
		}
		r.arm()
	})
}

func (r *Registrar) answered(h Holder, x *registration, p tmf.Response, err error) {
	if err != nil {
		x.due = r.cfg.Clock.Now().Add(silentDelay)
		return
	}
	a := DUAAnswer{Status: DUAGeneralFailure, Target: h.DUA}
	if p.Code == coap.Changed {
		if d, err := DecodeDUAAnswer(p.Payload); err == nil && d.Target == h.DUA {
			a = d
		}
	}
	r.settle(h, x, a.Status)
}

// Notified takes what a parent tells of the node's own address (DUA.ntf).
func (r *Registrar) Notified(a DUAAnswer) {
	for _, h := range r.cfg.Holders() {
		if x := r.all[h.MLEID]; x != nil && !h.child() && h.DUA == a.Target {
			r.settle(h, x, a.Status)
			r.arm()
		}
	}
}

// settle takes how a registration ended.
func (r *Registrar) settle(h Holder, x *registration, s DUAStatus) {
	switch s {
	case DUASuccess:
		x.done = true
		if !h.child() {
			r.cfg.Registered()
		}
		return
	case DUAReregister, DUAInvalid, DUADuplicate:
		x.done, x.stopped = true, true
	default:
		x.due = r.later()
	}
	r.cfg.Refused(h, s)
}
