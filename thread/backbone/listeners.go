package backbone

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/tmf"
)

// MaxListeners is how many groups have listeners at most.
const MaxListeners = 75

// A Listener is a group that nodes of the mesh listen to.
type Listener struct {
	Group   netip.Addr
	Expires time.Time

	hearsay bool // the primary said so, no device
}

// Listeners are the groups with listeners, in the order in which they came. The
// slice must not be changed.
func (r *Router) Listeners() []Listener { return r.listeners }

// Listens reports whether somebody in the mesh has registered for a group.
func (r *Router) Listens(g netip.Addr) bool { return r.find(g) >= 0 }

func (r *Router) find(g netip.Addr) int {
	return slices.IndexFunc(r.listeners, func(l Listener) bool { return l.Group == g })
}

// add registers a group.
func (r *Router) add(g netip.Addr, lasts time.Duration) Status {
	l := Listener{Group: g, Expires: r.cfg.Clock.Now().Add(lasts)}
	switch i := r.find(g); {
	case !Wide(g):
		return Invalid
	case i >= 0:
		r.listeners = slices.Clone(r.listeners)
		r.listeners[i] = l
	case !r.room():
		return NoResources
	default:
		r.listeners = append(slices.Clip(r.listeners), l)
		r.listening(g, true)
	}
	r.arm()
	return Success
}

// room makes room for one more group, at the cost of one that is known from
// hearsay only.
func (r *Router) room() bool {
	if len(r.listeners) < MaxListeners {
		return true
	}
	i := slices.IndexFunc(r.listeners, func(l Listener) bool { return l.hearsay })
	if i >= 0 {
		r.remove(r.listeners[i].Group)
	}
	return i >= 0
}

// hear takes a group that the primary Backbone Router has, to know it when this
// one becomes the primary.
func (r *Router) hear(g netip.Addr, lasts time.Duration) {
	if i := r.find(g); i >= 0 && !r.listeners[i].hearsay || i < 0 && len(r.listeners) >= MaxListeners {
		return
	}
	if r.add(g, lasts) == Success {
		r.listeners[r.find(g)].hearsay = true
	}
}

// remove ends a registration.
func (r *Router) remove(g netip.Addr) {
	r.drop(func(l Listener) bool { return l.Group == g })
}

func (r *Router) clear() { r.drop(func(Listener) bool { return true }) }

func (r *Router) expire() {
	now := r.cfg.Clock.Now()
	r.drop(func(l Listener) bool { return !now.Before(l.Expires) })
}

// drop ends the registrations that gone is true of.
func (r *Router) drop(gone func(Listener) bool) {
	had := r.listeners
	r.listeners = nil
	for _, l := range had {
		if !gone(l) {
			r.listeners = append(r.listeners, l)
		}
	}
	for _, l := range had {
		if gone(l) {
			r.listening(l.Group, false)
		}
	}
	r.arm()
}

func (r *Router) listening(g netip.Addr, on bool) {
	if r.cfg.Listening != nil {
		r.cfg.Listening(g, on)
	}
}

func (r *Router) arm() {
	r.expiry.Stop()
	for _, l := range r.listeners {
		if !r.expiry.Running() || l.Expires.Before(r.expiry.At()) {
			r.expiry.StartAt(l.Expires)
		}
	}
}

// received is MLR.req (Thread 1.4 Section 5.24.2.3).
func (r *Router) received(q *tmf.Request) {
	if r.state == Disabled {
		q.Respond(coap.NotFound, nil)
		return
	}
	m, err := DecodeRegistration(q.Payload)
	if _, missing := err.(*tmf.MissingError); missing || q.Code != coap.POST || q.Type != coap.Confirmable {
		q.Respond(coap.BadRequest, nil)
		return
	}
	q.Respond(coap.Changed, r.register(m, err).Append(nil))
}

// register does what m asks for; bad is what is wrong with its groups, or nil.
func (r *Router) register(m Registration, bad error) (a Answer) {
	if r.state != Primary {
		return Answer{Status: NotPrimary}
	}
	lasts := r.settings.Timeout
	if m.Session != nil {
		if id, ok := r.cfg.Session(); !ok || id != *m.Session {
			return Answer{Status: GeneralFailure}
		}
		// Only the commissioner has a say in how long.
		if m.Timeout != nil {
			if *m.Timeout == Forever && bad == nil {
				return Answer{Status: NoPersistent}
			}
			lasts = min(time.Duration(*m.Timeout)*time.Second, MaxTimeout)
		}
	}
	if bad != nil {
		return Answer{Status: GeneralFailure}
	}
	var done []netip.Addr
	for _, g := range m.Groups {
		if lasts == 0 {
			r.remove(g)
		} else if s := r.add(g, lasts); s != Success {
			a.Failed = append(a.Failed, g)
			if a.Status == Success {
				a.Status = s // of the first
			}
			continue
		}
		done = append(done, g)
	}
	r.report(done, lasts)
	return a
}
