package mdns

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatewayd/dnssd"
)

// Options say how a host is published. The zero value serves.
type Options struct {
	// LinkAddrs gives the host, besides its own addresses, on each link those
	// of the interface.
	LinkAddrs bool
	// Interfaces is where to publish; nil is everywhere.
	Interfaces []int
	// Rename decides what to do about a name that somebody else has: the label
	// to try next, or false to give the name up. A host that gives up takes its
	// services with it. It must not call the machine. Nil: NextLabel.
	Rename func(Conflict) (label string, again bool)
	// Changed is told when a name has become ours, another one, or was given up.
	Changed func(*Registration)
}

// A Conflict is a name that somebody else has.
type Conflict struct {
	Owner     string
	Iface     int
	Type      string // of the service; "" for a host
	Requested string // the label that was asked for
	Current   string // the one that is taken
	Count     int    // conflicts of this name so far
}

// State is how far a name is.
type State uint8

// States of a name.
const (
	Probing     State = iota // not yet on all links
	Established              // ours, and answered for
	GivenUp                  // somebody else's
	Withdrawn                // unpublished
)

func (s State) String() string {
	return [...]string{"probing", "established", "given up", "withdrawn"}[s]
}

// Errors of Publish.
var (
	ErrNameInUse = errors.New("another registration here has the name")
	ErrBadHost   = errors.New("not a host that can be published")
	ErrStopped   = errors.New("mdns: has stopped")
)

// Specification constants (RFC 6762 Section 10).
const (
	hostTTL  = 120 * time.Second
	otherTTL = 75 * time.Minute
)

// maxTXT is what still fits a packet (RFC 6763 Section 6.1).
const maxTXT = 8192

// enumeration is the name of all types of services (RFC 6763 Section 9).
const enumeration = Name("\x09_services\x07_dns-sd\x04_udp") + local

// A Registration is a published host with its services.
type Registration struct {
	m     *Machine
	owner string
	opt   Options
	host  dnssd.Host

	label    string // the host's current one
	labels   map[string]string
	claims   map[string]*claim // by what was asked for: "", or a service's ask
	givenUp  map[string]bool
	attempts map[string]int
	gone     bool
}

// ask identifies a service in a registration, whatever its current name.
func ask(s *dnssd.Service) string { return fold(s.Type) + "\x00" + fold(s.Instance) }

// Publish publishes a host with its services. What the same owner published
// before is replaced, and only what is different is said on the links. Names
// are in "local". A TTL of zero stands for RFC 6762 Section 10's.
//
// Addresses of the host get reverse names too; those of Options.LinkAddrs do
// not.
func (m *Machine) Publish(owner string, h dnssd.Host, opt Options) (*Registration, error) {
	if m.stopped {
		return nil, ErrStopped
	}
	if err := validate(&h); err != nil {
		return nil, fmt.Errorf("mdns: publish %q: %w", h.Name, err)
	}
	r := m.regs[owner]
	if err := m.free(r, &h); err != nil {
		return nil, fmt.Errorf("mdns: publish %q: %w", h.Name, err)
	}
	defer m.enter()()
	if r == nil {
		r = &Registration{m: m, owner: owner, claims: map[string]*claim{}}
		m.regs[owner] = r
	}
	if r.label == "" || fold(r.host.Name) != fold(h.Name) {
		r.label = h.Name
	}
	// What was given up is tried again: its owner may have gone.
	r.givenUp, r.attempts = map[string]bool{}, map[string]int{}
	labels := map[string]string{}
	h.Services = slices.Clone(h.Services)
	h.Addrs = slices.Clone(h.Addrs)
	for i := range h.Services {
		s := &h.Services[i]
		s.TXT = slices.Clone(s.TXT)
		s.Subtypes = slices.Clone(s.Subtypes)
		a := ask(s)
		labels[a] = s.Instance
		if l, ok := r.labels[a]; ok && fold(l) != fold(s.Instance) {
			labels[a] = l
		}
	}
	r.host, r.opt, r.labels = h, opt, labels
	r.apply()
	return r, nil
}

// validate says what is wrong with a host by itself.
func validate(h *dnssd.Host) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrBadHost, fmt.Sprintf(format, args...))
	}
	if !goodLabel(h.Name) {
		return bad("name %q is not a label of 1 to 63 bytes of UTF-8", h.Name)
	}
	seen := map[string]bool{}
	for i := range h.Services {
		s := &h.Services[i]
		if _, err := serviceType(s.Type, ""); err != nil {
			return bad("%v", err)
		}
		for _, sub := range s.Subtypes {
			if _, err := serviceType(s.Type, sub); err != nil {
				return bad("%v", err)
			}
		}
		switch {
		case !goodLabel(s.Instance):
			return bad("instance %q of %s is not a label of 1 to 63 bytes of UTF-8", s.Instance, s.Type)
		case len(s.TXT) > maxTXT:
			return bad("TXT of %q has %d bytes, more than %d", s.Instance, len(s.TXT), maxTXT)
		case len(s.TXT) > 0 && !validTXT(s.TXT):
			return bad("TXT of %q is not strings with their lengths", s.Instance)
		case seen[ask(s)]:
			return bad("%q of %s is there twice", s.Instance, s.Type)
		}
		seen[ask(s)] = true
	}
	return nil
}

// goodLabel reports whether a label can be published: Net-Unicode without
// control characters (RFC 6763 Section 4.1.1).
func goodLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// serviceType is the name of a type, "_hap._udp", or of a subtype of it.
func serviceType(service, subtype string) (Name, error) {
	app, proto, ok := strings.Cut(service, ".")
	if !ok || len(app) < 2 || app[0] != '_' || fold(proto) != "_udp" && fold(proto) != "_tcp" {
		return "", fmt.Errorf("mdns: service type %q is not like %q", service, "_name._udp")
	}
	labels := []string{app, proto, "local"}
	if subtype != "" {
		labels = append([]string{subtype, "_sub"}, labels...)
	}
	return MakeName(labels...)
}

// instanceName is the name of a service.
func instanceName(instance, service string) (Name, error) {
	app, proto, _ := strings.Cut(service, ".")
	return MakeName(instance, app, proto, "local")
}

// free reports whether the names of h are not those of another registration.
func (m *Machine) free(r *Registration, h *dnssd.Host) error {
	taken := func(n Name) bool {
		c := m.claims[n.key()]
		return c != nil && c.reg != r
	}
	n, err := MakeName(h.Name, "local")
	if err != nil {
		return err
	}
	if taken(n) {
		return ErrNameInUse
	}
	for i := range h.Services {
		s := &h.Services[i]
		n, err := instanceName(s.Instance, s.Type)
		if err != nil {
			return err
		}
		if taken(n) {
			return fmt.Errorf("%q of %s: %w", s.Instance, s.Type, ErrNameInUse)
		}
	}
	return nil
}

// Unpublish withdraws what an owner published, with a goodbye.
func (m *Machine) Unpublish(owner string) {
	r := m.regs[owner]
	if r == nil {
		return
	}
	defer m.enter()()
	r.retire()
}

func (r *Registration) retire() {
	for _, a := range slices.Sorted(maps.Keys(r.claims)) {
		r.claims[a].retire()
	}
	r.claims = map[string]*claim{}
	r.gone = true
	delete(r.m.regs, r.owner)
}

// Unpublish withdraws the registration, with a goodbye.
func (r *Registration) Unpublish() {
	if !r.gone {
		r.m.Unpublish(r.owner)
	}
}

// Status is how a registration stands.
type Status struct {
	Owner    string
	Host     string // its current label
	State    State  // of the host's name
	Services []ServiceStatus
}

// ServiceStatus is how a service of a registration stands.
type ServiceStatus struct {
	Type      string
	Requested string // the instance's label
	Instance  string // its current one
	State     State
}

// Status is the current one.
func (r *Registration) Status() Status {
	st := Status{Owner: r.owner, Host: r.label, State: r.state("")}
	for i := range r.host.Services {
		s := &r.host.Services[i]
		a := ask(s)
		st.Services = append(st.Services, ServiceStatus{s.Type, s.Instance, r.labels[a], r.state(a)})
	}
	return st
}

func (r *Registration) state(a string) State {
	c := r.claims[a]
	switch {
	case r.gone:
		return Withdrawn
	case c == nil:
		return GivenUp
	case slices.ContainsFunc(c.on, func(p *presence) bool { return !p.live }):
		return Probing
	}
	return Established
}

// Registrations are how all stand, by owner.
func (m *Machine) Registrations() []Status {
	var all []Status
	for _, r := range m.sortedRegs() {
		all = append(all, r.Status())
	}
	return all
}

func (m *Machine) sortedRegs() []*Registration {
	return slices.SortedFunc(maps.Values(m.regs), func(a, b *Registration) int { return cmp.Compare(a.owner, b.owner) })
}

// on reports whether the registration is for a link.
func (r *Registration) on(l *link) bool {
	return r.opt.Interfaces == nil || slices.Contains(r.opt.Interfaces, l.Index)
}

// apply makes the claims what the registration asks for: host, services and
// the links' addresses.
func (r *Registration) apply() {
	want := map[string]bool{}
	var order []string
	if !r.givenUp[""] {
		want[""] = true
		order = append(order, "")
		for i := range r.host.Services {
			if a := ask(&r.host.Services[i]); !r.givenUp[a] {
				want[a] = true
				order = append(order, a)
			}
		}
	}
	for _, a := range slices.Sorted(maps.Keys(r.claims)) {
		if c := r.claims[a]; !want[a] || string(c.name) != string(r.name(a)) {
			c.retire()
			delete(r.claims, a)
		}
	}
	for _, a := range order {
		c := r.claims[a]
		if c == nil {
			c = &claim{m: r.m, reg: r, ask: a, name: r.name(a)}
			r.claims[a] = c
			r.m.claims[c.name.key()] = c
			c.listType()
		}
	}
	for _, a := range order {
		c := r.claims[a]
		c.replace(r.build(a))
		for _, l := range r.m.links {
			switch at := c.at(l); {
			case at == nil && r.on(l):
				c.join(l)
			case at != nil && !r.on(l):
				c.goodbye(l, c.records)
				c.leave(l)
			}
		}
	}
}

// name is the current name of what was asked for.
func (r *Registration) name(a string) Name {
	if a == "" {
		n, _ := MakeName(r.label, "local")
		return n
	}
	n, _ := instanceName(r.labels[a], r.service(a).Type)
	return n
}

func (r *Registration) service(a string) *dnssd.Service {
	for i := range r.host.Services {
		if s := &r.host.Services[i]; ask(s) == a {
			return s
		}
	}
	return nil
}

// build makes the records of what was asked for.
func (r *Registration) build(a string) []*rr {
	if a == "" {
		return r.buildHost()
	}
	s, name := r.service(a), r.name(a)
	ttl := wholeTTL(s.TTL, otherTTL)
	txt := string(s.TXT)
	if txt == "" {
		txt = "\x00"
	}
	typ, _ := serviceType(s.Type, "")
	srv := string([]byte{
		byte(s.Priority >> 8), byte(s.Priority), byte(s.Weight >> 8), byte(s.Weight), byte(s.Port >> 8), byte(s.Port),
	}) + string(r.name(""))
	rs := []*rr{
		{Record: Record{typ, TypePTR, ClassIN, false, ttl, string(name)}},
		{Record: Record{name, TypeSRV, ClassIN, true, wholeTTL(s.TTL, hostTTL), srv}},
		{Record: Record{name, TypeTXT, ClassIN, true, ttl, txt}},
	}
	for _, sub := range s.Subtypes {
		n, _ := serviceType(s.Type, sub)
		rs = append(rs, &rr{Record: Record{n, TypePTR, ClassIN, false, ttl, string(name)}})
	}
	return rs
}

func (r *Registration) buildHost() (rs []*rr) {
	name, ttl := r.name(""), wholeTTL(r.host.TTL, hostTTL)
	seen := map[netip.Addr]bool{}
	for _, a := range r.host.Addrs {
		if a = a.Unmap().WithZone(""); !a.IsValid() || seen[a] {
			continue
		}
		seen[a] = true
		typ, data := address(a)
		rs = append(rs,
			&rr{Record: Record{name, typ, ClassIN, true, ttl, data}},
			&rr{Record: Record{reverse(a), TypePTR, ClassIN, true, ttl, string(name)}})
	}
	if !r.opt.LinkAddrs {
		return rs
	}
	for _, l := range r.m.links {
		here := map[netip.Addr]bool{}
		for _, p := range l.Addrs {
			a := p.Addr().Unmap().WithZone("")
			if seen[a] || here[a] {
				continue
			}
			here[a] = true
			typ, data := address(a)
			rs = append(rs, &rr{Record: Record{name, typ, ClassIN, true, ttl, data}, only: l})
		}
	}
	return rs
}

// wholeTTL is ttl in whole seconds, or what stands for zero.
func wholeTTL(ttl, otherwise time.Duration) time.Duration {
	if ttl <= 0 {
		return otherwise
	}
	const most = 1<<31 - 1 // RFC 2181 Section 8
	return min(max(ttl/time.Second, 1), most) * time.Second
}
