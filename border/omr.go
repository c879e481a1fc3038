package border

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/netdata"
)

// How long an OMR prefix that was replaced remains for old connections: as
// long as it was there, but not if that is hardly at all, and at most as long
// as hosts believe an advertisement.
const (
	leastHold = time.Minute
	mostHold  = advertLifetime
)

// favored is the OMR prefix that the mesh has agreed on.
type favored struct {
	prefix     netip.Prefix // zero: none
	preference netdata.Preference
	domain     bool // it is the Thread domain prefix
}

// infrastructureDerived reports whether hosts elsewhere can reach it.
func (f favored) infrastructureDerived() bool {
	return f.prefix.IsValid() && f.preference >= netdata.Medium
}

// An omr decides on the OMR prefix.
type omr struct {
	m          *Manager
	favored    favored
	local      netip.Prefix // ours, if one is wanted
	preference netdata.Preference
	added      bool
	since      time.Time // added
	valid      time.Time // until when addresses are; zero for ever
	held       []heldOMR
	timer      *alarm.Timer
}

// heldOMR is a prefix of ours that was replaced.
type heldOMR struct {
	prefix     netip.Prefix
	preference netdata.Preference
	until      time.Time
}

func (o *omr) init(m *Manager) {
	o.m = m
	o.timer = m.timer(o.release)
	o.local, o.preference = subnet(m.ula, omrSubnet, 64), netdata.Low
}

// start decides at once if the mesh has addresses of our prefix already, as
// after a restart, or if nobody knows more of it than we do.
func (o *omr) start() {
	if o.choose(); o.m.mesh.Leader || o.m.inData(o.local) {
		o.evaluate()
	} else {
		o.favored = o.find()
	}
}

func (o *omr) stop() {
	o.added, o.held, o.favored = false, nil, favored{}
	o.timer.Stop()
}

// find returns the prefix that all nodes favor: of those for new addresses,
// with the highest preference, the smallest. Entries of ours that are to go
// do not count.
func (o *omr) find() (f favored) {
	for _, e := range o.m.data.Prefixes {
		for _, b := range e.BorderRouters {
			if !isOMR(e.Prefix, b) || !b.Flags.Has(netdata.FlagPreferred) ||
				b.RLOC16 == o.m.mesh.RLOC16 && e.Prefix != o.local {
				continue
			}
			p := b.Flags.Preference()
			if !f.prefix.IsValid() || p > f.preference || p == f.preference && e.Prefix.Addr().Less(f.prefix.Addr()) {
				f = favored{e.Prefix, p, b.Flags.Has(netdata.FlagDomain)}
			}
		}
	}
	return f
}

// choose takes the delegated prefix for ours, or else that of the ULA.
func (o *omr) choose() {
	p, preference := o.m.pd.prefix(), netdata.Medium
	if !p.IsValid() {
		p, preference = subnet(o.m.ula, omrSubnet, 64), netdata.Low
	}
	if until, ok := o.m.pd.valid(o.local); ok {
		o.valid = until // the last we hear of it
	}
	if p == o.local {
		return
	}
	o.remove()
	o.local, o.preference = p, preference
	o.valid, _ = o.m.pd.valid(p)
}

// evaluate decides whether our prefix is published.
func (o *omr) evaluate() {
	if !o.m.running {
		return
	}
	o.m.pd.review(o.find())
	o.choose()
	old := o.favored
	o.favored = o.find()
	switch {
	case !o.favored.prefix.IsValid() || o.favored.preference < o.preference:
		o.add()
		o.favored = favored{prefix: o.local, preference: o.preference}
	case o.favored.prefix == o.local:
		o.add()
	default:
		o.remove()
	}
	if o.favored != old {
		o.m.log(Event{ID: "BORDER-OMR", Text: "the OMR prefix of the mesh changes", Prefix: o.favored.prefix})
		o.m.scheduleAll(evaluationDelay)
	}
}

func (o *omr) add() {
	if !o.added {
		o.added, o.since = true, o.m.now()
		o.held = slices.DeleteFunc(o.held, func(h heldOMR) bool { return h.prefix == o.local })
	}
}

// remove takes our prefix back. If devices have addresses of it, only for new
// ones.
func (o *omr) remove() {
	if !o.added {
		return
	}
	o.added = false
	now := o.m.now()
	used := now.Sub(o.since)
	if used < leastHold {
		return
	}
	until := now.Add(min(used, mostHold))
	if !o.valid.IsZero() && o.valid.Before(until) {
		until = o.valid
	}
	if least := now.Add(leastHold); until.Before(least) {
		until = least
	}
	o.held = append(o.held, heldOMR{o.local, o.preference, until})
	if len(o.held) > maxOld {
		o.held = slices.Delete(o.held, 0, 1)
	}
	o.arm()
}

// release ends what was held long enough.
func (o *omr) release() {
	now := o.m.now()
	o.held = slices.DeleteFunc(o.held, func(h heldOMR) bool { return !h.until.After(now) })
	o.arm()
	o.m.changed = true
}

func (o *omr) arm() {
	var e earliest
	for _, h := range o.held {
		e.add(h.until)
	}
	e.arm(o.timer)
}

// holds reports whether a prefix of ours stays for old connections.
func (o *omr) holds(p netip.Prefix) bool {
	return slices.ContainsFunc(o.held, func(h heldOMR) bool { return h.prefix == p })
}

// mine reports whether a prefix is or was one of ours.
func (o *omr) mine(p netip.Prefix) bool {
	return p == o.local || o.holds(p)
}

// publish returns the prefixes that belong into the network data.
func (o *omr) publish(defaultRoute bool) (all []OnMeshPrefix) {
	flags := netdata.FlagOnMesh | netdata.FlagSLAAC
	if defaultRoute {
		flags |= netdata.FlagDefault
	}
	if o.added {
		all = append(all, OnMeshPrefix{o.local, (flags | netdata.FlagPreferred).With(o.preference)})
	}
	for _, h := range o.held {
		all = append(all, OnMeshPrefix{h.prefix, flags.With(h.preference)})
	}
	return all
}
