package border

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ndp"
	"gatewayd/thread/netdata"
)

// MaxLinks is how many infrastructure links a Manager works on.
const MaxLinks = 8

// ErrNoLink is the error of a message from a link that was not set.
var ErrNoLink = errors.New("border: no such infrastructure link")

// Store keeps named values over restarts.
type Store interface {
	// Load returns a stored value; false if there is none. lost is how many
	// newer ones were damaged.
	Load(name string) (value []byte, lost int, ok bool)
	// Save stores a value durably before it returns.
	Save(name string, value []byte) error
	Delete(name string) error
}

// Event is something an operator may want to know.
type Event struct {
	ID     string // stable, as "BORDER-OMR"
	Text   string
	Link   string       // empty: the mesh
	Prefix netip.Prefix // zero if it is about none
	Addr   netip.Addr   // of a router, or zero
	Err    error
}

// Config is what a Manager needs. Clock, Rand, Store and Send are required; the
// Clock must have been set.
type Config struct {
	Clock *alarm.Clock
	// Rand spreads messages in time, and makes the ULA prefix of the border
	// router when there is none in Store: it must be seeded well.
	Rand  *rand.Rand
	Store Store

	// Send transmits an ICMPv6 message on a link. An error is that of this
	// message: it is tried again later. Send must not call the Manager.
	Send func(link string, o ndp.Out) error

	// Publish is told what belongs into the network data, all of it, when that
	// changes.
	Publish func(Publication)
	// Host is told which prefixes of ours the host itself is to have addresses
	// of on a link, all of them, when that changes.
	Host func(link string, p []HostPrefix)
	// Changed is called when Status may return something new.
	Changed func()
	// Log is told of decisions.
	Log func(Event)
}

// Mesh is the state of the mesh.
type Mesh struct {
	Attached bool
	Router   bool // or leader
	// Leader is who has the network data itself: it needs not wait for what the
	// mesh may know already.
	Leader bool
	// ParentQuality is the quality of the link to the parent, both ways, 0 to
	// 3; it counts only if not Router.
	ParentQuality uint8
	RLOC16        uint16
	ExtPANID      [8]byte
	MeshLocal     netip.Prefix // which is never taken for that of a link
	// Data is the leader's network data. The Manager keeps no reference to it.
	Data *netdata.Data
}

// LinkState is the state of an infrastructure link.
type LinkState struct {
	Up bool // and running
	// LinkLocal is the address that messages are sent from. Without one the
	// link is of no use.
	LinkLocal netip.Addr
	Others    []netip.Addr // further link-local addresses of the interface
	LinkAddr  ndp.LinkAddr // told to hosts; none: it is not
}

// HostPrefix is an on-link prefix of ours.
type HostPrefix struct {
	Prefix netip.Prefix
	// Deprecated is a prefix for old connections only, which ends at Until.
	Deprecated bool
	Until      time.Time
}

// A Manager is the machine. Its methods must not be called concurrently. It
// calls Publish, Host and Changed after all else is done: they may call it.
type Manager struct {
	cfg     Config
	enabled bool
	running bool // on some link
	ula     netip.Prefix
	mesh    Mesh
	data    netdata.Data
	links   []*link
	peers   []Peer

	omr   omr
	pd    delegation
	route route
	nat64 nat64
	split split
	rioPreference
	extra []ndp.Option

	left      []OnMeshPrefix // by Retire
	published Publication    // as last told
	changed   bool
	flushing  bool
}

// New returns a Manager that is disabled. It panics if something required is
// missing.
func New(cfg Config) *Manager {
	if cfg.Clock == nil || cfg.Rand == nil || cfg.Store == nil || cfg.Send == nil {
		panic("border: Config needs Clock, Rand, Store and Send")
	}
	if cfg.Publish == nil {
		cfg.Publish = func(Publication) {}
	}
	if cfg.Host == nil {
		cfg.Host = func(string, []HostPrefix) {}
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if cfg.Log == nil {
		cfg.Log = func(Event) {}
	}
	m := &Manager{cfg: cfg}
	m.ula = m.loadULA()
	m.omr.init(m)
	m.pd.init(m)
	m.route.init(m)
	m.nat64.init(m)
	m.split.init(m)
	m.rioPreference.m = m
	return m
}

// SetEnabled lets the Manager work, or has it stop in order: prefixes are
// deprecated, routes withdrawn and nothing is published anymore.
func (m *Manager) SetEnabled(on bool) {
	m.enabled = on
	m.update()
	m.flush()
}

// Retire is Stop for a border router that may come back soon, or leave devices to
// another: the prefixes that they have addresses of stay in the network data, so
// that connections go on. New addresses are those of the others, if there are
// any, and nothing is to go out by this border router any more.
func (m *Manager) Retire() {
	var left []OnMeshPrefix
	for _, p := range m.publication().OnMesh {
		p.Flags &^= netdata.FlagDefault
		if len(m.peers) > 0 {
			p.Flags &^= netdata.FlagPreferred
		}
		left = append(left, p)
	}
	m.left = left
	m.Stop()
}

// Stop ends the work in order, and all timers. Repeat the last advertisement
// with Withdraw if there is time.
func (m *Manager) Stop() {
	m.SetEnabled(false)
	for _, l := range m.links {
		l.onLink.timer.Stop()
	}
	m.pd.timer.Stop()
	m.route.timer.Stop()
	m.split.timer.Stop()
}

// Withdraw sends the last advertisement of links that stopped again; RFC 4861
// Section 6.2.5 allows three of them.
func (m *Manager) Withdraw() {
	for _, l := range m.links {
		if l.final != nil && !l.running && l.state.Up {
			l.send(*l.final)
		}
	}
}

// SetMesh tells the state of the mesh, whenever it or the network data changed.
func (m *Manager) SetMesh(mesh Mesh) {
	old := m.mesh
	var data netdata.Data
	if mesh.Data != nil {
		data = mesh.Data.Clone()
	}
	mesh.Data = nil
	// The quality of the link to the parent changes often, and is of no
	// interest to hosts.
	quiet := mesh
	quiet.ParentQuality = old.ParentQuality
	news := quiet != old || !bytes.Equal(data.Append(nil), m.data.Append(nil))
	if !news && mesh == old {
		return
	}
	m.mesh, m.data = mesh, data
	m.changed = true
	m.route.meshChanged(old)
	m.rioPreference.meshChanged()
	if old.ExtPANID != mesh.ExtPANID {
		for _, l := range m.links {
			l.onLink.deriveLocal()
		}
	}
	m.trackPeers()
	m.update()
	for _, l := range m.links {
		if l.running {
			l.review()
			l.onLink.routesChanged()
			if news {
				l.schedule(evaluationDelay)
			}
		}
	}
	m.flush()
}

// SetLink adds a link or tells its new state. The name is one for the Manager
// to keep: that of an interface may change meanwhile.
func (m *Manager) SetLink(name string, s LinkState) error {
	l := m.link(name)
	if l == nil {
		if len(m.links) == MaxLinks {
			return errors.New("border: too many infrastructure links")
		}
		l = newLink(m, name, m.freeSlot())
		m.links = append(m.links, l)
		slices.SortFunc(m.links, func(a, b *link) int { return a.slot - b.slot })
	}
	s.Others = slices.Clone(s.Others)
	moved := l.running && (s.LinkLocal != l.state.LinkLocal || s.LinkAddr != l.state.LinkAddr)
	l.state = s
	m.update()
	if moved && l.running {
		l.sentCount = 0
		l.schedule(atOnce)
	}
	m.changed = true
	m.flush()
	return nil
}

// RemoveLink stops work on a link in order and forgets it.
func (m *Manager) RemoveLink(name string) {
	l := m.link(name)
	if l == nil {
		return
	}
	if l.running {
		l.stop(l.state.Up)
	}
	l.deafen()
	l.onLink.timer.Stop()
	m.links = slices.DeleteFunc(m.links, func(x *link) bool { return x == l })
	if len(l.hosted) > 0 {
		m.cfg.Host(name, nil)
	}
	m.update()
	m.changed = true
	m.flush()
}

// Receive takes an ICMPv6 message of a link; those that are no neighbour
// discovery are ignored, and so is what comes while the link does not run. The
// error says why a message was dropped: it is ErrNoLink, ErrTooMany, or one of
// package ndp.
func (m *Manager) Receive(link string, in ndp.In) error {
	l := m.link(link)
	if l == nil {
		return ErrNoLink
	}
	if !l.hears {
		return ndp.ErrIgnored
	}
	err := l.receive(in)
	m.flush()
	return err
}

func (m *Manager) link(name string) *link {
	i := slices.IndexFunc(m.links, func(l *link) bool { return l.name == name })
	if i < 0 {
		return nil
	}
	return m.links[i]
}

// freeSlot is the smallest number no link has.
func (m *Manager) freeSlot() int {
	slot := 0
	for slices.ContainsFunc(m.links, func(l *link) bool { return l.slot == slot }) {
		slot++
	}
	return slot
}

// update starts and stops links as their state and that of the mesh is. They
// listen before the mesh is attached, which takes a while.
func (m *Manager) update() {
	for _, l := range m.links {
		usable := l.state.Up && l.state.LinkLocal.IsValid()
		hears := m.enabled && usable
		if hears && !l.hears {
			l.listen()
		}
		switch on := hears && m.mesh.Attached; {
		case on && !l.running:
			l.start()
		case !on && l.running:
			l.stop(usable)
		}
		if !hears && l.hears {
			l.deafen()
		}
	}
	running := slices.ContainsFunc(m.links, func(l *link) bool { return l.running })
	switch {
	case running && !m.running:
		m.running, m.left = true, nil
		if m.omr.start(); m.omr.favored.prefix.IsValid() {
			m.scheduleAll(answerDelay) // hosts may have been waiting
		}
	case !running && m.running:
		m.running = false
		m.omr.stop()
		m.nat64.stop()
		m.route.stop()
	case running:
		m.route.evaluate() // a link may have gone
	}
	m.split.review()
	m.changed = true
}

// evaluate looks at all that concerns the mesh.
func (m *Manager) evaluate() {
	m.omr.evaluate()
	m.route.evaluate()
	m.nat64.evaluate()
	m.changed = true
}

// scheduleAll has all links evaluated and advertised on.
func (m *Manager) scheduleAll(when delay) {
	for _, l := range m.links {
		if l.running {
			l.schedule(when)
		}
	}
}

// timer returns a stopped timer after which the outputs are flushed.
func (m *Manager) timer(fire func()) *alarm.Timer {
	return m.cfg.Clock.NewTimer(func() {
		fire()
		m.flush()
	})
}

// flush tells what has changed. What it calls may call the Manager, whose
// changes are told then in the next round.
func (m *Manager) flush() {
	if m.flushing {
		return
	}
	m.flushing = true
	defer func() { m.flushing = false }()
	for {
		again := false
		if p := m.publication(); !p.equal(m.published) {
			m.published = p
			m.changed = true
			again = true
			m.cfg.Publish(p)
		}
		for _, l := range slices.Clone(m.links) {
			if p := l.onLink.hosted(); !slices.Equal(p, l.hosted) {
				l.hosted = p
				m.changed = true
				again = true
				m.cfg.Host(l.name, p)
			}
		}
		if m.changed {
			m.changed = false
			again = true
			m.cfg.Changed()
		}
		if !again {
			return
		}
	}
}

func (m *Manager) now() time.Time { return m.cfg.Clock.Now() }

func (m *Manager) log(e Event) { m.cfg.Log(e) }
