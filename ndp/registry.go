package ndp

import (
	"cmp"
	"container/heap"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// A Registration is an address somebody registered, until it expires.
type Registration struct {
	Addr     netip.Addr
	ROVR     ROVR
	TID      TID
	Extended bool // TID counts: it was registered by RFC 8505
	// Route is the R flag: the node wants its router to make the address
	// reachable, because it does not do so itself (RFC 9010 Section 9.2.1).
	Route   bool       `json:",omitzero"`
	Router  netip.Addr `json:",omitzero"` // 6LR it is attached to; none: it is a neighbour
	Link    LinkAddr   // of a neighbour
	Expires time.Time
}

// Neighbor reports whether the address is that of a neighbour, not of a device
// behind a 6LR.
func (r Registration) Neighbor() bool { return !r.Router.IsValid() }

// sameOwner reports whether rovr, which came with a message of RFC 6775 unless
// extended, is the registration's. Such a message carries 64 bits of it.
func (r Registration) sameOwner(rovr ROVR, extended bool) bool {
	if extended && r.Extended {
		return r.ROVR == rovr
	}
	return r.ROVR.first64() == rovr.first64()
}

// staleFor reports whether there is a more recent registration than one with
// this transaction id. Ids that cannot be compared are those of a node that
// has lost count: it has the last word (RFC 6550 Section 7.2).
func (r Registration) staleFor(tid TID, extended bool) bool {
	if !extended || !r.Extended {
		return false
	}
	order, ok := tid.Compare(r.TID)
	return ok && order < 0
}

// A registry holds registrations by address and lets go of them in time. All
// of them together take one timer.
type registry struct {
	timer     *alarm.Timer
	byAddr    map[netip.Addr]*registered
	expiry    expiryHeap
	neighbors int
	expired   func(Registration)
}

type registered struct {
	Registration
	index int // in the heap
}

func newRegistry(clock *alarm.Clock, expired func(Registration)) *registry {
	g := &registry{byAddr: make(map[netip.Addr]*registered), expired: expired}
	g.timer = clock.NewTimer(func() { g.expire(clock.Now()) })
	return g
}

func (g *registry) len() int { return len(g.byAddr) }

func (g *registry) get(a netip.Addr) (Registration, bool) {
	if e, ok := g.byAddr[a]; ok {
		return e.Registration, true
	}
	return Registration{}, false
}

// put adds or replaces the registration of r.Addr.
func (g *registry) put(r Registration) {
	e, ok := g.byAddr[r.Addr]
	if ok {
		g.count(e.Registration, -1)
		e.Registration = r
		heap.Fix(&g.expiry, e.index)
	} else {
		e = &registered{Registration: r}
		g.byAddr[r.Addr] = e
		heap.Push(&g.expiry, e)
	}
	g.count(r, 1)
	g.schedule()
}

func (g *registry) remove(a netip.Addr) {
	e, ok := g.byAddr[a]
	if !ok {
		return
	}
	delete(g.byAddr, a)
	heap.Remove(&g.expiry, e.index)
	g.count(e.Registration, -1)
	g.schedule()
}

func (g *registry) count(r Registration, n int) {
	if r.Neighbor() {
		g.neighbors += n
	}
}

func (g *registry) schedule() {
	if len(g.expiry) == 0 {
		g.timer.Stop()
	} else if at := g.expiry[0].Expires; !g.timer.Running() || !g.timer.At().Equal(at) {
		g.timer.StartAt(at)
	}
}

func (g *registry) expire(now time.Time) {
	for len(g.expiry) > 0 && !g.expiry[0].Expires.After(now) {
		r := g.expiry[0].Registration
		g.remove(r.Addr)
		g.expired(r)
	}
	g.schedule()
}

// table returns all registrations in order of address.
func (g *registry) table() []Registration {
	all := make([]Registration, 0, len(g.expiry))
	for _, e := range g.expiry {
		all = append(all, e.Registration)
	}
	slices.SortFunc(all, func(a, b Registration) int {
		return cmp.Or(a.Addr.Compare(b.Addr), a.Expires.Compare(b.Expires))
	})
	return all
}

// resolve returns the link-layer address of a neighbour: the registered one,
// or that which a link-local address was made of, for which RFC 6775 Section
// 5.7 asks no one.
func (g *registry) resolve(a netip.Addr) (LinkAddr, bool) {
	if e, ok := g.byAddr[a]; ok {
		return e.Link, e.Link.IsValid()
	}
	if a.IsLinkLocalUnicast() {
		return iidLinkAddr(a), true
	}
	return LinkAddr{}, false
}

// expiryHeap is a heap by the end of the registrations.
type expiryHeap []*registered

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *expiryHeap) Push(x any) {
	e := x.(*registered)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *expiryHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
