package netdata

import (
	"errors"
	"fmt"
)

// Rules of a registration (Thread 1.4 Section 5.15.6).
var (
	errForeign   = errors.New("entry of another locator than the sender's")
	errTwice     = errors.New("appears twice")
	errNoEntry   = errors.New("has no entry")
	errManyEntry = errors.New("has more than one entry of a kind")
)

// check applies the rules for what a server registers: each prefix and service
// once, one stable and one temporary entry of a kind at most, all of them the
// sender's.
func check(d *Data, rloc16 uint16) error {
	for i, p := range d.Prefixes {
		if d.FindPrefix(p.Prefix) != &d.Prefixes[i] {
			return fmt.Errorf("prefix %v %w", p.Prefix, errTwice)
		}
		if err := p.check(rloc16); err != nil {
			return fmt.Errorf("prefix %v %w", p.Prefix, err)
		}
	}
	for i, s := range d.Services {
		if d.FindService(s.Enterprise, s.Data) != &d.Services[i] {
			return fmt.Errorf("service %d %x %w", s.Enterprise, s.Data, errTwice)
		}
		switch {
		case len(s.Servers) == 0:
			return fmt.Errorf("service %d %x %w", s.Enterprise, s.Data, errNoEntry)
		case len(s.Servers) > 1:
			return fmt.Errorf("service %d %x %w", s.Enterprise, s.Data, errManyEntry)
		case s.Servers[0].RLOC16 != rloc16:
			return fmt.Errorf("service %d %x: %w", s.Enterprise, s.Data, errForeign)
		}
	}
	return nil
}

func (p *Prefix) check(rloc16 uint16) error {
	var routers, routes [2]int
	for _, e := range p.BorderRouters {
		routers[b2i(e.Stable)]++
		if e.RLOC16 != rloc16 {
			return errForeign
		}
	}
	for _, e := range p.HasRoutes {
		routes[b2i(e.Stable)]++
		if e.RLOC16 != rloc16 {
			return errForeign
		}
	}
	// A TLV without entries leaves its mark in the layout only.
	for _, r := range p.layout {
		if r.n == 0 {
			return errNoEntry
		}
	}
	switch {
	case routers[0] > 1 || routers[1] > 1 || routes[0] > 1 || routes[1] > 1:
		return errManyEntry
	case len(p.BorderRouters)+len(p.HasRoutes) == 0:
		return errNoEntry
	}
	return nil
}
