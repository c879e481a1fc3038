package srp

import (
	"cmp"
	"container/heap"
	"net/netip"
	"slices"
	"time"

	"gatewayd/dnssd"
)

// host is a registered name with what it has. A host whose lease ended is kept
// without addresses and services, for its name, until the key's lease ends.
type host struct {
	name      string
	key       key
	addrs     []netip.Addr
	ttl       time.Duration
	services  []*service
	from      netip.AddrPort // who registered it last
	lease     lease          // as it was granted last
	expires   time.Time      // zero: only the name is left
	keyExpiry time.Time
	due       time.Time // when the next of its leases ends
	index     int       // in the heap
}

func (h *host) live() bool { return !h.expires.IsZero() }

// service is an instance on a host; like a host, perhaps only its name.
type service struct {
	dnssd.Service
	host      *host
	expires   time.Time
	keyExpiry time.Time
}

func (s *service) live() bool { return !s.expires.IsZero() }

// retire takes all from a service but its name.
func (s *service) retire() {
	s.Service = dnssd.Service{Instance: s.Instance, Type: s.Type}
	s.expires = time.Time{}
}

// nextDue is when the first of a host's leases ends.
func (h *host) nextDue() time.Time {
	due := earlier(h.keyExpiry, h.expires)
	for _, s := range h.services {
		due = earlier(due, earlier(s.keyExpiry, s.expires))
	}
	return due
}

// earlier is the earlier of two times; b is none if it is zero.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// snapshot is a host as others see it, times to live as they were granted.
func (h *host) snapshot() dnssd.Host {
	v := dnssd.Host{Name: h.name, Addrs: slices.Clone(h.addrs), TTL: h.ttl}
	for _, s := range h.services {
		if s.live() {
			v.Services = append(v.Services, s.Service)
		}
	}
	return v
}

// registry is all hosts, found by their names, by those of their services, by
// types of services and by when leases end.
type registry struct {
	hosts     map[string]*host    // by folded name
	instances map[string]*service // by instanceKey; live and retired
	types     map[string]*kind    // by folded type
	sources   map[netip.Addr]int  // names that were registered from an address
	due       dueHeap
}

// kind is the live instances of a type, in the order of their folded names.
type kind struct {
	typ       string
	instances []*service
}

func newRegistry() registry {
	return registry{hosts: map[string]*host{}, instances: map[string]*service{}, types: map[string]*kind{}, sources: map[netip.Addr]int{}}
}

func instanceKey(instance, typ string) string {
	return dnssd.Fold(instance) + "\x00" + dnssd.Fold(typ)
}

// add puts in a host that is not in yet, with its services.
func (r *registry) add(h *host) {
	r.hosts[dnssd.Fold(h.name)] = h
	r.source(h, 1+len(h.services))
	h.due = h.nextDue()
	heap.Push(&r.due, h)
	for _, s := range h.services {
		r.instances[instanceKey(s.Instance, s.Type)] = s
		r.list(s)
	}
}

// remove takes out a host with its services.
func (r *registry) remove(h *host) {
	delete(r.hosts, dnssd.Fold(h.name))
	r.source(h, -1-len(h.services))
	heap.Remove(&r.due, h.index)
	for _, s := range h.services {
		r.unlist(s)
		delete(r.instances, instanceKey(s.Instance, s.Type))
	}
	h.services = nil
}

// addService puts a service on its host, whose services are in the order of
// their keys.
func (r *registry) addService(s *service) {
	h, k := s.host, instanceKey(s.Instance, s.Type)
	i, _ := slices.BinarySearchFunc(h.services, k, func(x *service, k string) int {
		return cmp.Compare(instanceKey(x.Instance, x.Type), k)
	})
	h.services = slices.Insert(h.services, i, s)
	r.source(h, 1)
	r.instances[k] = s
	r.list(s)
}

// removeService takes a service off its host.
func (r *registry) removeService(s *service) {
	r.unlist(s)
	r.source(s.host, -1)
	delete(r.instances, instanceKey(s.Instance, s.Type))
	s.host.services = slices.DeleteFunc(s.host.services, func(x *service) bool { return x == s })
}

// source counts more or fewer names of where a host is registered from.
func (r *registry) source(h *host, more int) {
	a := h.from.Addr()
	if r.sources[a] += more; r.sources[a] == 0 {
		delete(r.sources, a)
	}
}

// moved notes where a host is registered from.
func (r *registry) moved(h *host, from netip.AddrPort) {
	r.source(h, -1-len(h.services))
	h.from = from
	r.source(h, 1+len(h.services))
}

// changed notes that a host's leases have.
func (r *registry) changed(h *host) {
	h.due = h.nextDue()
	heap.Fix(&r.due, h.index)
}

// list makes a live service one of its type's.
func (r *registry) list(s *service) {
	if !s.live() {
		return
	}
	t := dnssd.Fold(s.Type)
	k := r.types[t]
	if k == nil {
		k = &kind{typ: s.Type}
		r.types[t] = k
	}
	i, found := k.find(s.Instance)
	if !found {
		k.instances = slices.Insert(k.instances, i, s)
	}
}

// unlist is the opposite of list.
func (r *registry) unlist(s *service) {
	t := dnssd.Fold(s.Type)
	k := r.types[t]
	if k == nil {
		return
	}
	if i, found := k.find(s.Instance); found {
		k.instances = slices.Delete(k.instances, i, i+1)
	}
	if len(k.instances) == 0 {
		delete(r.types, t)
	}
}

func (k *kind) find(instance string) (int, bool) {
	return slices.BinarySearchFunc(k.instances, dnssd.Fold(instance), func(s *service, name string) int {
		return cmp.Compare(dnssd.Fold(s.Instance), name)
	})
}

// retire takes all from a host but its name and those of its services.
func (r *registry) retire(h *host) {
	h.addrs, h.ttl, h.expires = nil, 0, time.Time{}
	for _, s := range h.services {
		r.unlist(s)
		s.retire()
	}
}

// dueHeap is the hosts, first the one of which a lease ends first.
type dueHeap []*host

func (d dueHeap) Len() int           { return len(d) }
func (d dueHeap) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d dueHeap) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}
func (d *dueHeap) Push(x any) {
	h := x.(*host)
	h.index = len(*d)
	*d = append(*d, h)
}
func (d *dueHeap) Pop() any {
	old := *d
	h := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return h
}
