package mdns

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatewayd/dnssd"
)

// Kind is what happened to something that is watched.
type Kind uint8

// Kinds of events.
const (
	Added Kind = iota
	Changed
	Removed
)

func (k Kind) String() string { return [...]string{"added", "changed", "removed"}[k] }

// An Event is that something came, changed or went on a link. What is on two
// links comes twice.
type Event struct {
	Kind  Kind
	Iface int
	Own   bool // published by this machine
	// Service has, of a Browse, Instance, Type and TTL; else all but Subtypes.
	// Of a ResolveHost it is empty.
	Service dnssd.Service
	Host    Name         // where the service is; empty of a Browse
	Addrs   []netip.Addr // in order; empty of a Browse. Link-local ones have no zone.
}

// A Watch is a subscription; Stop ends it.
type Watch struct {
	m      *Machine
	subs   []*sub
	done   bool
	onStop func()
}

// Stop ends the watch: no more events come.
func (w *Watch) Stop() {
	if w.done {
		return
	}
	w.done = true
	defer w.m.enter()()
	for _, s := range w.subs {
		w.m.unsubscribe(s)
	}
	if w.onStop != nil {
		w.onStop()
	}
}

// Browse watches for the instances of a type of service, "_hap._udp", or of a
// subtype, "_printer._sub._http._tcp". An instance is Added and Removed.
func (m *Machine) Browse(service string, f func(Event)) (*Watch, error) {
	name, typ, err := splitType(service)
	if err != nil {
		return nil, err
	}
	of, err := serviceType(typ, "")
	if err != nil {
		return nil, err
	}
	return m.browse(name, f, func(target Name) (dnssd.Service, bool) {
		instance, rest := target.first()
		return dnssd.Service{Instance: instance, Type: typ}, instance != "" && rest.Equal(of)
	}), nil
}

// BrowseTypes watches for the types of services that there are (RFC 6763
// Section 9). Of a Service, Type and TTL are set.
func (m *Machine) BrowseTypes(f func(Event)) *Watch {
	return m.browse(enumeration, f, func(target Name) (dnssd.Service, bool) {
		labels := target.Labels()
		if len(labels) != 3 || fold(labels[2]) != "local" {
			return dnssd.Service{}, false
		}
		typ := labels[0] + "." + labels[1]
		_, err := serviceType(typ, "")
		return dnssd.Service{Type: typ}, err == nil
	})
}

// browse watches what the PTR records of a name lead to.
func (m *Machine) browse(name Name, f func(Event), read func(target Name) (dnssd.Service, bool)) *Watch {
	w := &Watch{m: m}
	tell := func(ev Event) {
		if !w.done { // by an earlier of these
			f(ev)
		}
	}
	known := map[int]map[string]Event{} // by interface and the target's key
	w.watch([]topicKey{{string(name), TypePTR}}, func(l *link) {
		now, old := map[string]Event{}, known[l.Index]
		for _, r := range l.known(name.key(), TypePTR) {
			k := r.Target().key()
			if ev, ok := old[k]; ok { // by the name that was told
				now[k] = ev
			} else if s, ok := read(r.Target()); ok {
				s.TTL = r.TTL
				now[k] = Event{Kind: Added, Iface: l.Index, Own: r.own, Service: s}
			}
		}
		if known[l.Index] = now; len(now) == 0 {
			delete(known, l.Index)
		}
		for _, k := range slices.Sorted(maps.Keys(old)) {
			if _, ok := now[k]; !ok {
				gone := old[k]
				gone.Kind = Removed
				tell(gone)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(now)) {
			if _, ok := old[k]; !ok {
				tell(now[k])
			}
		}
	})
	return w
}

// splitType reads a type or a subtype; typ is the type.
func splitType(service string) (name Name, typ string, err error) {
	sub, typ, ok := strings.Cut(service, "._sub.")
	if !ok {
		sub, typ = "", service
	}
	name, err = serviceType(typ, sub)
	return name, typ, err
}

// watch subscribes to topics, whose names are as they are to be asked for, and
// has update called once for each link and change, and at once for what is
// known.
func (w *Watch) watch(topics []topicKey, update func(*link)) {
	m := w.m
	defer m.enter()()
	dirty := map[*link]bool{}
	mark := func(l *link) {
		if dirty[l] {
			return
		}
		dirty[l] = true
		m.later(func() {
			delete(dirty, l)
			if !w.done {
				update(l)
			}
		})
	}
	for _, t := range topics {
		w.subs = append(w.subs, m.subscribe(Name(t.name), t.typ, mark))
	}
	for _, l := range m.links {
		mark(l)
	}
}

// Resolve watches an instance of a service: where it is and what its TXT
// says. It is Added when SRV, TXT and an address are known.
func (m *Machine) Resolve(instance, service string, f func(Event)) (*Watch, error) {
	return m.resolve(instance, service, true, f)
}

// resolve is Resolve, or, if not whole, is content without an address.
func (m *Machine) resolve(instance, service string, whole bool, f func(Event)) (*Watch, error) {
	if _, err := serviceType(service, ""); err != nil {
		return nil, err
	}
	name, err := instanceName(instance, service)
	if err != nil {
		return nil, err
	}
	w := &Watch{m: m}
	known := map[int]*Event{}
	hosts := map[string][]*sub{} // those of the SRV records
	var update func(l *link)
	dirty := map[*link]bool{}
	mark := func(l *link) {
		if !dirty[l] {
			dirty[l] = true
			m.later(func() {
				delete(dirty, l)
				if !w.done {
					update(l)
				}
			})
		}
	}
	update = func(l *link) {
		defer m.enter()()
		targets := map[string]Name{}
		for _, l := range m.links {
			for _, r := range l.known(name.key(), TypeSRV) {
				targets[r.Target().key()] = r.Target()
			}
		}
		for _, k := range slices.Sorted(maps.Keys(targets)) {
			if hosts[k] == nil {
				hosts[k] = []*sub{m.subscribe(targets[k], TypeAAAA, mark), m.subscribe(targets[k], TypeA, mark)}
			}
		}
		for _, k := range slices.Sorted(maps.Keys(hosts)) {
			if _, ok := targets[k]; !ok {
				for _, s := range hosts[k] {
					m.unsubscribe(s)
				}
				delete(hosts, k)
			}
		}
		now := l.found(name, instance, service)
		if now != nil && whole && len(now.Addrs) == 0 {
			now = nil
		}
		tell(known, l.Index, now, f)
	}
	w.onStop = func() {
		for _, k := range slices.Sorted(maps.Keys(hosts)) {
			for _, s := range hosts[k] {
				m.unsubscribe(s)
			}
		}
	}
	w.watch([]topicKey{{string(name), TypeSRV}, {string(name), TypeTXT}}, update)
	return w, nil
}

// found is what is known of an instance on a link; nil if SRV or TXT is not.
func (l *link) found(name Name, instance, service string) *Event {
	srvs, txts := l.known(name.key(), TypeSRV), l.known(name.key(), TypeTXT)
	if len(srvs) == 0 || len(txts) == 0 {
		return nil
	}
	// There is one, unless it is just being replaced: then the newer.
	srv, txt := newest(srvs), newest(txts)
	p, wt, port, target := srv.SRV()
	ev := &Event{Iface: l.Index, Own: srv.own, Host: target, Service: dnssd.Service{
		Instance: instance, Type: service, Priority: p, Weight: wt, Port: port, TXT: []byte(txt.Data), TTL: srv.TTL,
	}}
	ev.Addrs, _ = l.addrs(target)
	return ev
}

// knownRecord is a record on the link, of ours or of others.
type knownRecord struct {
	Record
	own   bool
	heard time.Time
}

// known are the records of a name and type on the link.
func (l *link) known(name string, typ uint16) (rs []knownRecord) {
	if l.gone() {
		return nil
	}
	seen := map[id]bool{}
	for _, r := range l.m.records[name] {
		if r.Type == typ && r.live(l) {
			seen[r.id()] = true
			rs = append(rs, knownRecord{r.Record, true, l.m.now()})
		}
	}
	for _, e := range l.said(name, typ) {
		if !seen[e.key] {
			rs = append(rs, knownRecord{e.Record, false, e.heard})
		}
	}
	return rs
}

func newest(rs []knownRecord) knownRecord {
	return slices.MaxFunc(rs, func(a, b knownRecord) int { return a.heard.Compare(b.heard) })
}

// addrs are a host's addresses, in order, and whether it is ours.
func (l *link) addrs(host Name) (as []netip.Addr, own bool) {
	for _, typ := range []uint16{TypeAAAA, TypeA} {
		for _, r := range l.known(host.key(), typ) {
			as = append(as, r.Addr())
			own = own || r.own
		}
	}
	slices.SortFunc(as, netip.Addr.Compare)
	return as, own
}

// tell says what is different of what is known on a link.
func tell(known map[int]*Event, iface int, now *Event, f func(Event)) {
	old := known[iface]
	switch {
	case now == nil && old == nil:
		return
	case now == nil:
		delete(known, iface)
		gone := *old
		gone.Kind = Removed
		f(gone)
		return
	case old == nil:
		now.Kind = Added
	case same(old, now):
		return
	default:
		now.Kind = Changed
	}
	known[iface] = now
	f(*now)
}

func same(a, b *Event) bool {
	s, t := &a.Service, &b.Service
	return a.Own == b.Own && a.Host.Equal(b.Host) && slices.Equal(a.Addrs, b.Addrs) && s.Priority == t.Priority && s.Weight == t.Weight &&
		s.Port == t.Port && string(s.TXT) == string(t.TXT)
}

// ResolveHost watches a host's addresses; the name is one label.
func (m *Machine) ResolveHost(host string, f func(Event)) (*Watch, error) {
	name, err := MakeName(host, "local")
	if err != nil {
		return nil, err
	}
	w := &Watch{m: m}
	known := map[int]*Event{}
	w.watch([]topicKey{{string(name), TypeAAAA}, {string(name), TypeA}}, func(l *link) {
		var now *Event
		if as, own := l.addrs(name); len(as) > 0 {
			now = &Event{Iface: l.Index, Own: own, Host: name, Addrs: as}
		}
		tell(known, l.Index, now, f)
	})
	return w, nil
}

// Discover is Browse and, of each instance, Resolve: events come of instances
// that are resolved.
func (m *Machine) Discover(service string, f func(Event)) (*Watch, error) {
	_, typ, err := splitType(service)
	if err != nil {
		return nil, err
	}
	type found struct {
		watch *Watch
		on    map[int]bool   // where it is listed
		have  map[int]*Event // where it is resolved
		told  map[int]*Event // where both, and told
	}
	all := map[string]*found{} // by folded instance
	sync := func(fd *found, iface int) {
		var now *Event
		if ev := fd.have[iface]; ev != nil && fd.on[iface] {
			c := *ev
			now = &c
		}
		tell(fd.told, iface, now, f)
	}
	browse, err := m.Browse(service, func(ev Event) {
		k := fold(ev.Service.Instance)
		fd := all[k]
		switch {
		case ev.Kind == Removed && fd != nil:
			delete(fd.on, ev.Iface)
			if len(fd.on) == 0 {
				delete(all, k)
				fd.watch.Stop()
			}
			sync(fd, ev.Iface)
		case ev.Kind == Added && fd != nil:
			fd.on[ev.Iface] = true
			sync(fd, ev.Iface)
		case ev.Kind == Added:
			fd = &found{on: map[int]bool{ev.Iface: true}, have: map[int]*Event{}, told: map[int]*Event{}}
			w, err := m.Resolve(ev.Service.Instance, typ, func(ev Event) {
				if fd.have[ev.Iface] = &ev; ev.Kind == Removed {
					delete(fd.have, ev.Iface)
				}
				sync(fd, ev.Iface)
			})
			if err != nil {
				return
			}
			fd.watch = w
			all[k] = fd
		}
	})
	if err != nil {
		return nil, err
	}
	browse.onStop = func() {
		for _, i := range slices.SortedFunc(maps.Keys(all), cmp.Compare[string]) {
			all[i].watch.Stop()
		}
	}
	return browse, nil
}

// Instance is the label and type of a service's name, "Kitchen" and
// "_hap._udp".
func Instance(n Name) (instance, service string, err error) {
	labels := n.Labels()
	if len(labels) != 4 || fold(labels[3]) != "local" {
		return "", "", fmt.Errorf("mdns: %v is not a service's name", n)
	}
	return labels[0], labels[1] + "." + labels[2], nil
}
