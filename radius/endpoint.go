package radius

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// endpoint is one port of a server: its identifiers, and whether it answers.
type endpoint struct {
	c       *Client
	name    string
	service string
	addr    netip.AddrPort
	secret  Secret

	// slots are the outstanding exchanges, by socket<<8|identifier. A socket
	// comes into use when those before it are full.
	slots   []*exchange
	perSock []int   // slots used of each socket
	next    []uint8 // the identifier to try next on each socket
	used    int
	waiting []*exchange // for a free slot

	dead      bool
	deadUntil time.Time
	lastHeard time.Time
	probe     *alarm.Timer
}

func (c *Client) newEndpoint(u Upstream, addr netip.AddrPort, service string) (*endpoint, error) {
	addr = unmap(addr)
	if c.byAddr[addr] != nil {
		return nil, fmt.Errorf("%w: two servers at %v", ErrConfig, addr)
	}
	if addr.Port() == 0 {
		return nil, fmt.Errorf("%w: server at %v without a port", ErrConfig, addr.Addr())
	}
	e := &endpoint{c: c, name: u.Name, service: service, addr: addr, secret: u.Secret,
		slots: make([]*exchange, c.cfg.Sockets<<8), perSock: make([]int, c.cfg.Sockets), next: make([]uint8, c.cfg.Sockets)}
	if e.name == "" {
		e.name = addr.String()
	}
	e.probe = c.cfg.Clock.NewTimer(e.probeDue)
	c.byAddr[addr] = e
	return e, nil
}

// take gives x a slot, or reports that there is none. Identifiers of a socket
// are used in turn, so that one is not used again soon.
func (e *endpoint) take(x *exchange) bool {
	for s, n := range e.perSock {
		if n == 256 {
			continue
		}
		for e.slots[s<<8|int(e.next[s])] != nil {
			e.next[s]++
		}
		x.slot = s<<8 | int(e.next[s])
		e.slots[x.slot] = x
		e.next[s]++
		e.perSock[s]++
		e.used++
		return true
	}
	return false
}

// release frees x's slot for the one that waits longest.
func (e *endpoint) release(x *exchange) {
	e.slots[x.slot] = nil
	e.perSock[x.slot>>8]--
	e.used--
	if len(e.waiting) > 0 {
		next := e.waiting[0]
		e.waiting = slices.Delete(e.waiting, 0, 1)
		next.queued = false
		next.begin()
	}
}

// heard notes an answer that verified.
func (e *endpoint) heard() {
	e.lastHeard = e.c.cfg.Clock.Now()
	e.setDead(false)
}

// gaveUp notes that a request first sent at began was not answered.
func (e *endpoint) gaveUp(began time.Time) {
	if e.lastHeard.After(began) {
		return // it answers others: it does not like this one
	}
	e.deadUntil = e.c.cfg.Clock.Now().Add(e.c.cfg.DeadTime)
	e.setDead(true)
}

func (e *endpoint) setDead(dead bool) {
	if e.dead == dead {
		return
	}
	e.dead = dead
	if dead {
		e.scheduleProbe()
		e.sendAway()
	} else {
		e.probe.Stop()
	}
	if f := e.c.cfg.ServerChanged; f != nil {
		f(e.name, e.service, !dead)
	}
}

// sendAway has those that wait for a free slot ask another server, if one
// lives that they may ask.
func (e *endpoint) sendAway() {
	waiting := e.waiting
	e.waiting = nil
	for _, x := range waiting {
		next := x.pick()
		if next == nil || next.dead {
			e.waiting = append(e.waiting, x)
			continue
		}
		x.queued = false
		e.c.Counters.Failovers++
		x.ask(next)
	}
}

// scheduleProbe plans the next Status-Server, or the end of the dead-time,
// whichever comes first.
func (e *endpoint) scheduleProbe() {
	e.probe.StartAt(e.deadUntil)
	if d := e.c.cfg.ProbeInterval; d > 0 {
		e.probe.StartEarlier(e.c.jitter(d))
	}
}

// probeDue asks a dead server whether it is back. Status-Server is not
// retransmitted, each is a new packet (RFC 5997 Section 4.2).
func (e *endpoint) probeDue() {
	if !e.c.cfg.Clock.Now().Before(e.deadUntil) {
		e.setDead(false) // on trial: the next request shows
		return
	}
	e.scheduleProbe()
	e.askStatus(func(*exchange, Packet, error) {})
}

func (e *endpoint) askStatus(done func(*exchange, Packet, error)) {
	var as Attributes
	e.c.nas(&as)
	e.c.Counters.Probes++
	x := &exchange{c: e.c, code: StatusServer, attrs: as, only: e, tries: 1, done: done}
	x.start()
}

func (e *endpoint) state() ServerState {
	return ServerState{Name: e.name, Service: e.service, Addr: e.addr, Alive: !e.dead, Outstanding: e.used}
}
