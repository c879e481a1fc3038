// Package inventory tells which addresses the devices of a Thread network have
// by their EUI-64s, which a network does not use otherwise: extended addresses
// are random.
//
// It asks each device by Diagnostic Get for its EUI-64 and IPv6 Address List TLVs
// (Thread 1.4 Section 10.11.4): the routers that the node knows, and the
// children that they tell of, a few at a time and seldom; and soon those around
// an address that was not heard of before. What a device says of itself is
// believed, as all in a mesh is whose members share one key; an address is that
// device's that claimed it last.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package inventory

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/diag"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

// Implementation constants.
const (
	walkPeriod = 10 * time.Minute
	firstWalk  = 10 * time.Second // after the node attached, or SetEnabled
	strangeFor = time.Minute      // for which an address that nobody claims is not asked for again
	lookAgain  = 2 * time.Second  // until address resolution may know more
	forgetIn   = 6 * walkPeriod   // a device that says nothing any more

	atOnce       = 2 // questions under way
	maxDevices   = 1024
	maxAddresses = 16 // of a device
	maxStrange   = 256
	maxQueue     = 2048 // questions
)

// A Device is what is known of a device.
type Device struct {
	EUI64     ieee802154.ExtAddr
	RLOC16    uint16
	Addresses []netip.Addr // sorted; without link-local ones and locators
	Heard     time.Time    // its last answer
}

// Config is what an Inventory needs.
type Config struct {
	Clock *alarm.Clock
	Diag  *diag.Agent
	MLE   *mle.MLE
	Table *neighbor.Table
	// Lookup is what address resolution knows without asking: the RLOC16 of the
	// node that has an address, or of its parent.
	Lookup func(netip.Addr) (uint16, bool)
	// Changed is called when a device has other addresses than before.
	Changed func()
}

// An Inventory is the machine. It asks nothing until it is enabled.
type Inventory struct {
	cfg     Config
	enabled bool
	devices map[ieee802154.ExtAddr]*Device
	owners  map[netip.Addr]*Device
	strange map[netip.Addr]time.Time // nobody's: until when they are not asked for
	queue   []uint16
	asking  map[uint16]*tmf.Exchange
	walking *alarm.Timer
	looking *alarm.Timer // for strange addresses
}

// New returns an Inventory of no devices.
func New(cfg Config) *Inventory {
	v := &Inventory{cfg: cfg, devices: map[ieee802154.ExtAddr]*Device{}, owners: map[netip.Addr]*Device{},
		strange: map[netip.Addr]time.Time{}, asking: map[uint16]*tmf.Exchange{}}
	v.walking = cfg.Clock.NewTimer(v.walk)
	v.looking = cfg.Clock.NewTimer(v.look)
	return v
}

// SetEnabled has it ask, or forget everything.
func (v *Inventory) SetEnabled(on bool) {
	if on == v.enabled {
		return
	}
	v.enabled = on
	if on {
		v.walking.Start(firstWalk)
		return
	}
	v.walking.Stop()
	v.looking.Stop()
	v.queue = nil
	asking := v.asking
	v.asking = map[uint16]*tmf.Exchange{}
	for _, x := range asking {
		x.Cancel()
	}
	clear(v.strange)
	clear(v.owners)
	clear(v.devices)
}

// Devices are those that are known, in the order of their EUI-64s.
func (v *Inventory) Devices() []Device {
	out := make([]Device, 0, len(v.devices))
	for _, d := range v.devices {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b Device) int { return slices.Compare(a.EUI64[:], b.EUI64[:]) })
	return out
}

// Seen takes an address that somebody in the mesh uses.
func (v *Inventory) Seen(a netip.Addr) {
	if !v.enabled || v.owners[a] != nil || !counts(a) {
		return
	}
	now := v.cfg.Clock.Now()
	if len(v.strange) >= maxStrange {
		v.forgetStrange(now)
	}
	if until, ok := v.strange[a]; ok && now.Before(until) || !ok && len(v.strange) >= maxStrange {
		return
	}
	v.strange[a] = now.Add(strangeFor)
	// The datagram that brought it may tell address resolution where it is, a
	// little later.
	if !v.askAround(a) {
		v.looking.StartEarlier(lookAgain)
	}
}

// counts reports whether an address is one to know of.
func counts(a netip.Addr) bool {
	if !a.Is6() || a.Is4In6() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsLoopback() || a.IsUnspecified() {
		return false
	}
	b := a.As16()
	return [6]byte(b[8:14]) != [6]byte{0, 0, 0, 0xff, 0xfe, 0} // not a locator
}

// look asks for the strange addresses whose place was not known.
func (v *Inventory) look() {
	v.forgetStrange(v.cfg.Clock.Now())
	for a := range v.strange {
		v.askAround(a)
	}
}

func (v *Inventory) forgetStrange(now time.Time) {
	for a, until := range v.strange {
		if !now.Before(until) {
			delete(v.strange, a)
		}
	}
}

// askAround asks those who may have an address; false if its place is unknown.
func (v *Inventory) askAround(a netip.Addr) bool {
	for _, c := range v.cfg.Table.Children {
		if c.State == neighbor.Valid && slices.Contains(c.Addresses, a) {
			v.ask(c.RLOC16)
			return true
		}
	}
	rloc16, ok := v.cfg.Lookup(a)
	if !ok {
		return false
	}
	if rloc16 == v.cfg.MLE.RLOC16() {
		for _, c := range v.cfg.Table.Children { // which did not register it
			if c.State == neighbor.Valid {
				v.ask(c.RLOC16)
			}
		}
		return true
	}
	v.ask(rloc16)
	return true
}

// walk asks everybody.
func (v *Inventory) walk() {
	now := v.cfg.Clock.Now()
	if !v.cfg.MLE.Attached() {
		v.walking.Start(firstWalk)
		return
	}
	v.walking.Start(walkPeriod)
	v.forgetStrange(now)
	changed := false
	for _, d := range v.devices {
		if now.Sub(d.Heard) > forgetIn {
			v.drop(d)
			changed = true
		}
	}
	for _, r := range v.cfg.Table.Routers {
		if r != nil {
			v.ask(neighbor.RouterRLOC16(r.ID))
		}
	}
	if v.cfg.MLE.Role() == mle.Child {
		v.ask(v.cfg.Table.Parent.RLOC16)
	}
	for _, c := range v.cfg.Table.Children {
		if c.State == neighbor.Valid {
			v.ask(c.RLOC16)
		}
	}
	if changed {
		v.cfg.Changed()
	}
}

func (v *Inventory) drop(d *Device) {
	delete(v.devices, d.EUI64)
	for _, a := range d.Addresses {
		if v.owners[a] == d {
			delete(v.owners, a)
		}
	}
}

// ask asks the node at an RLOC16, as soon as it is its turn.
func (v *Inventory) ask(rloc16 uint16) {
	if rloc16 == v.cfg.MLE.RLOC16() || slices.Contains(v.queue, rloc16) || v.asking[rloc16] != nil || len(v.queue) >= maxQueue {
		return
	}
	v.queue = append(v.queue, rloc16)
	v.next()
}

var questions = []diag.Type{diag.TypeEUI64, diag.TypeAddresses, diag.TypeChildTable}

// next asks the next ones.
func (v *Inventory) next() {
	for len(v.queue) > 0 && len(v.asking) < atOnce {
		rloc16 := v.queue[0]
		x, err := v.cfg.Diag.Get(v.cfg.MLE.Locator(rloc16), questions, func(r diag.Report, err error) {
			if _, ok := v.asking[rloc16]; !ok {
				return // it was disabled since
			}
			delete(v.asking, rloc16)
			if err == nil {
				v.answered(rloc16, r)
			}
			v.next()
		})
		if err != nil {
			if len(v.asking) == 0 {
				v.queue = nil // nobody can be asked now: the next walk will
			}
			return
		}
		v.queue = v.queue[1:]
		v.asking[rloc16] = x
	}
}

// answered takes what a device says of itself.
func (v *Inventory) answered(rloc16 uint16, r diag.Report) {
	if children, ok := diag.Find[diag.ChildTable](r.Values); ok {
		for _, c := range children {
			v.ask(neighbor.RouterRLOC16(neighbor.RouterID(rloc16)) | c.ID)
		}
	}
	id, ok := diag.Find[diag.EUI64](r.Values)
	list, okList := diag.Find[diag.Addresses](r.Values)
	if !ok || !okList {
		return // a device before Thread 1.4 may not tell
	}
	d := v.devices[ieee802154.ExtAddr(id)]
	if d == nil {
		if len(v.devices) >= maxDevices {
			return
		}
		d = &Device{EUI64: ieee802154.ExtAddr(id)}
		v.devices[d.EUI64] = d
	}
	d.RLOC16, d.Heard = rloc16, v.cfg.Clock.Now()
	var addrs []netip.Addr
	for _, a := range list {
		if counts(a) && len(addrs) < maxAddresses {
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	if slices.Equal(addrs, d.Addresses) {
		return
	}
	for _, a := range d.Addresses {
		delete(v.owners, a)
	}
	d.Addresses = addrs
	for _, a := range addrs {
		if o := v.owners[a]; o != nil {
			// Not in place: what Devices returned has the old list.
			o.Addresses = slices.DeleteFunc(slices.Clone(o.Addresses), func(x netip.Addr) bool { return x == a })
		}
		v.owners[a] = d
		delete(v.strange, a)
	}
	v.cfg.Changed()
}
