package gateway

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/host/firewall"
	"gatewayd/ipv6"
)

// What becomes of traffic between the mesh and elsewhere without a packet
// filter: all of it passes, or none.
const (
	failOpen   = "open"
	failClosed = "closed"
)

// filter is the packet filter between the mesh and the host's networks. Only the
// goroutine that owns the stack uses it.
type filter struct {
	g       *Gateway
	table   *firewall.Table // nil: what the kernel cannot filter is as configured
	why     error           // there is no table
	policy  firewall.Policy // in force; without a table it is the translator's only
	named   map[firewall.EUI64]bool
	refused uint64 // packets, while nothing passes
	looking *alarm.Timer
}

// lookAfter is how often the table is looked after, or tried again.
const lookAfter = 10 * time.Second

// buildFilter makes the packet filter. Without one the gateway goes on as it is
// configured, and tries again.
func (g *Gateway) buildFilter() {
	f := &filter{g: g, named: g.cfg.namesEUI64()}
	f.looking = g.stack.Clock().NewTimer(f.look)
	g.filter = f
	if f.named != nil && g.node != nil {
		g.node.Inventory().SetEnabled(true)
	}
	f.open()
	f.looking.Start(lookAfter)
}

// open makes the table, with the policy of now.
func (f *filter) open() {
	t, err := firewall.Open(firewall.Options{})
	if err == nil {
		f.policy = f.want()
		if err = t.Apply(f.policy); err == nil {
			f.table, f.why = t, nil
			return
		}
		// An empty table lets everything pass.
		err = errors.Join(err, t.Close())
	}
	if f.why == nil || f.why.Error() != err.Error() {
		passes := "everything passes"
		if f.g.cfg.NoFirewall == failClosed {
			passes = "nothing passes"
		}
		f.g.log.Error("there is no packet filter between the mesh and the host's networks, and "+passes, "id", "FIREWALL", "err", err)
	}
	f.why = err
}

// look sees that the table is there, which others can remove before Linux 5.12,
// and tries what could not be done before: a module may have been loaded.
func (f *filter) look() {
	f.looking.Start(lookAfter)
	if f.table != nil {
		if ok, err := f.table.Intact(); ok || err != nil {
			return
		}
		f.g.log.Error("somebody removed the packet filter's table", "id", "FIREWALL")
		_ = f.table.Close() // it is gone
		f.table = nil
	}
	f.open()
	if f.table != nil {
		f.g.log.Info("the packet filter is in force", "id", "FIREWALL")
	}
	f.g.infra.enable()
}

// closed reports whether nothing passes for want of a packet filter.
func (f *filter) closed() bool { return f.table == nil && f.g.cfg.NoFirewall == failClosed }

// want is the policy for the mesh and the links as they are.
func (f *filter) want() firewall.Policy {
	i := f.g.infra
	p := f.g.cfg.policy()
	if f.g.nat64 != nil {
		p.NAT64 = f.g.nat64.masquerade()
	}
	p.Prefixes, p.Private = i.mesh.prefixes()
	p.Shared = i.g.shared()
	for _, l := range i.links {
		p.Local = append(p.Local, l.Prefixes()...)
	}
	p.OtherRouters = len(i.manager.Status().Peers) > 0
	if f.named != nil {
		p.Addresses = map[firewall.EUI64][]netip.Addr{}
		i.mesh.devices(func(id firewall.EUI64, a netip.Addr) {
			if f.named[id] && !slices.Contains(p.Addresses[id], a) && (inAny(p.Prefixes, a) || inAny(p.Shared, a)) {
				p.Addresses[id] = append(p.Addresses[id], a)
			}
		})
	}
	return p
}

func inAny(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// update puts the policy of now in force, if it is another than before.
func (f *filter) update() {
	p := f.want()
	if reflect.DeepEqual(p, f.policy) {
		return
	}
	if f.table != nil {
		if err := f.table.Apply(p); err != nil {
			if !f.g.repeats.pass("FIREWALL", f.g.stack.Clock().Now()) {
				return
			}
			f.g.log.Error("the packet filter could not be changed, what it was is in force", "id", "FIREWALL", "err", err)
			return
		}
	}
	f.policy = p
}

// out reports whether a packet of the mesh may go to the host, as far as that is
// decided here, and notices by which address a device speaks.
func (f *filter) out(packet []byte) bool {
	if f.named == nil && !f.closed() {
		return true
	}
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return true // the kernel's affair
	}
	if f.named != nil && f.g.node != nil && (inAny(f.policy.Prefixes, h.Src) || inAny(f.policy.Shared, h.Src)) {
		f.g.node.Inventory().Seen(h.Src)
	}
	return f.pass(h.Dst)
}

// in reports whether a packet of the host may go to the mesh, as far as that is
// decided here.
func (f *filter) in(packet []byte) bool {
	if !f.closed() {
		return true
	}
	h, _, err := ipv6.DecodeHeader(packet)
	return err == nil && f.pass(h.Src)
}

// pass reports whether the other end of a device's packet may be talked to: with
// all closed, only the host by its addresses on the mesh, and groups of that.
func (f *filter) pass(other netip.Addr) bool {
	if !f.closed() || other.IsLinkLocalUnicast() || f.g.own(other) {
		return true
	}
	if b := other.As16(); b[0] == 0xff && b[1]&0xf <= realmLocal {
		return true
	}
	f.refused++
	return false
}

// realmLocal is the scope of a mesh (RFC 7346).
const realmLocal = 3

// own reports whether an address is the mesh's interface's.
func (g *Gateway) own(a netip.Addr) bool {
	for _, x := range g.hostHas.Addrs {
		if x.Prefix.Addr() == a {
			return true
		}
	}
	return false
}

// close removes the table.
func (f *filter) close() {
	if f.table == nil {
		return
	}
	if err := f.table.Close(); err != nil {
		f.g.log.Warn("the packet filter's table is left", "id", "FIREWALL", "err", err)
	}
}

// A Filter is how the packet filter is.
type Filter struct {
	InForce bool
	Why     error // it is not
	Closed  bool  // nothing passes for that reason
	Refused uint64
	Policy  firewall.Policy
	// Dropped are packets that the table did not let pass; nil: it does not say.
	Dropped *firewall.Counters
}

// Filter is the packet filter; false without infrastructure links, or without an
// interface on the host. Only a function that Do or DoLowpan runs may call it.
func (g *Gateway) Filter() (Filter, bool) {
	f := g.filter
	if f == nil {
		return Filter{}, false
	}
	out := Filter{InForce: f.table != nil, Why: f.why, Closed: f.closed(), Refused: f.refused, Policy: f.policy}
	if f.table != nil {
		if c, err := f.table.Counters(); err == nil {
			out.Dropped = &c
		}
	}
	return out, true
}
