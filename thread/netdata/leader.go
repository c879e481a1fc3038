package netdata

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gatewayd/thread/meshcop"
)

// DefaultReuseDelay is how long a context id stays in the network data, for
// decompression only, after the last border router of its prefix left (Thread
// 1.4 Section 5.18.3, CONTEXT_ID_REUSE_DELAY).
const DefaultReuseDelay = 300 * time.Second

// What a registration or commissioning data can fail on.
var (
	ErrFull    = errors.New("netdata: network data is full")
	ErrRefused = errors.New("netdata: registration refused")
)

// A Change says what an operation on the leader's network data changed.
type Change struct {
	Data   bool // anything: the data version grew
	Stable bool // stable entries, too: the stable version grew
}

// A Leader holds the network data of a partition and merges into it what the
// servers register (Thread 1.4 Section 5.15). It is not safe for concurrent
// use.
type Leader struct {
	// ReuseDelay of context ids.
	ReuseDelay time.Duration

	data     Data
	version  uint8
	stable   uint8
	contexts contexts
}

// NewLeader returns the leader's network data of a new partition: empty, with
// random versions.
func NewLeader(rnd *rand.Rand) *Leader {
	return &Leader{
		ReuseDelay: DefaultReuseDelay,
		version:    uint8(rnd.Uint32()),
		stable:     uint8(rnd.Uint32()),
	}
}

// RestoreLeader returns the leader's network data of a partition whose leader
// comes back after a restart, as another router reports it. Entries of routers
// that allocated does not know are dropped. Contexts no longer in use stay for
// a full reuse delay. The commissioner is the caller's to resign.
func RestoreLeader(now time.Time, d Data, version, stable uint8, allocated func(routerID uint8) bool) *Leader {
	l := &Leader{ReuseDelay: DefaultReuseDelay, data: d.Clone(), version: version, stable: stable}
	for _, p := range l.data.Prefixes {
		if c := p.Context; c != nil {
			l.contexts.use(c.ID)
			if !c.Compress {
				l.contexts.retire(c.ID, now.Add(l.ReuseDelay))
			}
		}
	}
	for _, rloc16 := range l.data.RLOC16s() {
		if id := routerID(rloc16); !allocated(id) {
			l.RemoveRouter(now, id)
		}
	}
	return l
}

func routerID(rloc16 uint16) uint8 { return uint8(rloc16 >> routerIDShift) }

// Data returns the network data. The caller must not change it, nor keep it
// over the next call that changes it.
func (l *Leader) Data() *Data { return &l.data }

// Version returns the data version.
func (l *Leader) Version() uint8 { return l.version }

// StableVersion returns the stable data version.
func (l *Leader) StableVersion() uint8 { return l.stable }

// Bump counts a change of something else that nodes learn together with the
// network data, such as an operational dataset.
func (l *Leader) Bump(c Change) Change {
	if c.Stable {
		c.Data = true
		l.stable++
	}
	if c.Data {
		l.version++
	}
	return c
}

// note records the change of one entry.
func (c *Change) note(stable bool) {
	c.Data = true
	c.Stable = c.Stable || stable
}

// Register replaces the set of entries of the server at rloc16 by entries, the
// content of its SVR_DATA.ntf (Thread 1.4 Section 5.15.6), and drops those of
// the locators it had before: in one change, so that no node ever sees network
// data with neither. Whether the server's router id is allocated is the
// caller's to check. An error that is ErrRefused means that entries are
// malformed and nothing changed; ErrFull, that there was no room for some of
// them and those before were merged.
func (l *Leader) Register(now time.Time, rloc16 uint16, entries Data, former ...uint16) (Change, error) {
	if err := check(&entries, rloc16); err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var c Change
	l.remove(now, func(r uint16) bool { return r == rloc16 || slices.Contains(former, r) }, &entries, &c)
	err := l.merge(&entries, &c)
	return l.Bump(c), err
}

// RemoveRLOC16 drops the entries of the server at rloc16.
func (l *Leader) RemoveRLOC16(now time.Time, rloc16 uint16) Change {
	var c Change
	l.remove(now, func(r uint16) bool { return r == rloc16 }, &Data{}, &c)
	return l.Bump(c)
}

// RemoveRouter drops the entries of a router whose id is released and of its
// children.
func (l *Leader) RemoveRouter(now time.Time, id uint8) Change {
	var c Change
	l.remove(now, func(r uint16) bool { return routerID(r) == id }, &Data{}, &c)
	return l.Bump(c)
}

// SetCommissioning replaces the commissioning data, the encoded form of a
// meshcop.CommissioningData. Of the versions only the data version grows.
func (l *Leader) SetCommissioning(d meshcop.TLVs) (Change, error) {
	old := l.data.Commissioning
	l.data.Commissioning = &Commissioning{TLVs: slices.Clone(d)}
	if l.data.Len() > MaxSize {
		l.data.Commissioning = old
		return Change{}, ErrFull
	}
	return l.Bump(Change{Data: true}), nil
}

// Deadline returns when Advance has something to do, or the zero time.
func (l *Leader) Deadline() time.Time { return l.contexts.deadline() }

// Advance removes the contexts whose reuse delay is over.
func (l *Leader) Advance(now time.Time) Change {
	var c Change
	for id := l.contexts.expired(now); id != 0; id = l.contexts.expired(now) {
		l.contexts.free(id)
		for i := range l.data.Prefixes {
			if p := &l.data.Prefixes[i]; p.Context != nil && p.Context.ID == id {
				p.Context = nil
				c.note(true)
			}
		}
	}
	l.dropEmpty()
	return l.Bump(c)
}

// remove drops the entries whose server matches, but those that are also in
// keep.
func (l *Leader) remove(now time.Time, match func(rloc16 uint16) bool, keep *Data, c *Change) {
	for i := range l.data.Prefixes {
		p := &l.data.Prefixes[i]
		k := keep.FindPrefix(p.Prefix)
		if k == nil {
			k = &Prefix{}
		}
		p.BorderRouters = slices.DeleteFunc(p.BorderRouters, func(e BorderRouter) bool {
			gone := match(e.RLOC16) && !slices.Contains(k.BorderRouters, e)
			if gone {
				c.note(e.Stable)
			}
			return gone
		})
		p.HasRoutes = slices.DeleteFunc(p.HasRoutes, func(e HasRoute) bool {
			gone := match(e.RLOC16) && !slices.Contains(k.HasRoutes, e)
			if gone {
				c.note(e.Stable)
			}
			return gone
		})
		if p.Context != nil && p.Context.Compress && len(p.BorderRouters) == 0 {
			p.Context.Compress = false
			l.contexts.retire(p.Context.ID, now.Add(l.ReuseDelay))
		}
	}
	for i := range l.data.Services {
		s := &l.data.Services[i]
		k := keep.FindService(s.Enterprise, s.Data)
		if k == nil {
			k = &Service{}
		}
		s.Servers = slices.DeleteFunc(s.Servers, func(e Server) bool {
			gone := match(e.RLOC16) && !slices.ContainsFunc(k.Servers, e.equal)
			if gone {
				c.note(e.Stable)
			}
			return gone
		})
	}
	l.dropEmpty()
}

func (e Server) equal(f Server) bool {
	return e.RLOC16 == f.RLOC16 && e.Stable == f.Stable && bytes.Equal(e.Data, f.Data)
}

// dropEmpty drops prefixes and services with nothing left to say.
func (l *Leader) dropEmpty() {
	l.data.Prefixes = slices.DeleteFunc(l.data.Prefixes, func(p Prefix) bool {
		return len(p.BorderRouters) == 0 && len(p.HasRoutes) == 0 && p.Context == nil && len(p.Unknown) == 0
	})
	l.data.Services = slices.DeleteFunc(l.data.Services, func(s Service) bool {
		return len(s.Servers) == 0 && len(s.Unknown) == 0
	})
}

// merge adds the entries that are not there yet, until one does not fit.
func (l *Leader) merge(entries *Data, c *Change) error {
	for _, p := range entries.Prefixes {
		for _, e := range p.HasRoutes {
			if err := l.addHasRoute(&p, e, c); err != nil {
				return err
			}
		}
		for _, e := range p.BorderRouters {
			if err := l.addBorderRouter(&p, e, c); err != nil {
				return err
			}
		}
	}
	for _, s := range entries.Services {
		for _, e := range s.Servers {
			if err := l.addServer(&s, e, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// try makes a change to a copy of the network data, which becomes the network
// data if the change succeeds and fits.
func (l *Leader) try(change func(d *Data) error) error {
	d := l.data.Clone()
	if err := change(&d); err != nil {
		return err
	}
	if d.Len() > MaxSize {
		return ErrFull
	}
	l.data = d
	return nil
}

// prefix returns the entry of a prefix, made when there is none.
func (d *Data) prefix(p *Prefix) *Prefix {
	if have := d.FindPrefix(p.Prefix); have != nil {
		return have
	}
	d.Prefixes = append(d.Prefixes, Prefix{Domain: p.Domain, Prefix: p.Prefix})
	return &d.Prefixes[len(d.Prefixes)-1]
}

func (l *Leader) addHasRoute(p *Prefix, e HasRoute, c *Change) error {
	if have := l.data.FindPrefix(p.Prefix); have != nil && slices.Contains(have.HasRoutes, e) {
		return nil
	}
	err := l.try(func(d *Data) error {
		q := d.prefix(p)
		q.HasRoutes = append(q.HasRoutes, e)
		return nil
	})
	if err == nil {
		c.note(e.Stable)
	}
	return err
}

func (l *Leader) addBorderRouter(p *Prefix, e BorderRouter, c *Change) error {
	if have := l.data.FindPrefix(p.Prefix); have != nil && slices.Contains(have.BorderRouters, e) {
		return nil
	}
	var context uint8
	err := l.try(func(d *Data) error {
		q := d.prefix(p)
		if q.Context == nil {
			id := l.contexts.lowestFree()
			if id == 0 {
				return fmt.Errorf("%w: no context id left for %v", ErrFull, p.Prefix)
			}
			q.Context = &Context{ID: id, Bits: uint8(p.Prefix.Bits())}
		}
		q.Context.Compress = true
		q.Context.Stable = q.Context.Stable || e.Stable
		q.BorderRouters = append(q.BorderRouters, e)
		context = q.Context.ID
		return nil
	})
	if err == nil {
		l.contexts.use(context)
		c.note(e.Stable)
	}
	return err
}

func (l *Leader) addServer(s *Service, e Server, c *Change) error {
	have := l.data.FindService(s.Enterprise, s.Data)
	if have != nil && slices.ContainsFunc(have.Servers, e.equal) {
		return nil
	}
	err := l.try(func(d *Data) error {
		q := d.FindService(s.Enterprise, s.Data)
		if q == nil {
			id, ok := d.freeServiceID()
			if !ok {
				return fmt.Errorf("%w: no service id left", ErrFull)
			}
			d.Services = append(d.Services, Service{ID: id, Enterprise: s.Enterprise, Data: bytes.Clone(s.Data)})
			q = &d.Services[len(d.Services)-1]
		}
		e.Data = bytes.Clone(e.Data)
		q.Servers = append(q.Servers, e)
		return nil
	})
	if err == nil {
		c.note(e.Stable)
	}
	return err
}

// freeServiceID returns the lowest service id that is not in use.
func (d *Data) freeServiceID() (id uint8, ok bool) {
	var used [serviceID + 1]bool
	for _, s := range d.Services {
		used[s.ID] = true
	}
	i := slices.Index(used[:], false)
	return uint8(i), i >= 0
}
