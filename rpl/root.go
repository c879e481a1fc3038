package rpl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
)

// RootConfig is what a Root needs. Clock, Rand, Send, LinkLocal and Address
// must be set; MOP must be NonStoring, Storing or NoDownward.
type RootConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	Send  func(Send) // and the other functions must not call the root
	// NextHop returns the neighbour that has a global address, and whether
	// there is one. Nil takes every address for a neighbour's own.
	NextHop func(netip.Addr) (netip.Addr, bool)
	// Changed is called when routes have changed, VersionChanged with the
	// DODAG's version, to be kept for LastVersion. Both may be nil.
	Changed        func()
	VersionChanged func(uint8)

	LinkLocal netip.Addr // of the interface to the mesh
	Address   netip.Addr // global; it is the DODAGID

	Instance   uint8 // below 128 for a global instance (RFC 6550 Section 5.1)
	MOP        MOP
	Ungrounded bool  // the DODAG does not lead to where its nodes want
	Preference uint8 // 0 to 7
	Config     DODAGConfig
	Prefixes   []PrefixInformation
	Routes     []RouteInformation // what lies behind the root

	// LastVersion is the version last used. Nil: not known; then the root
	// listens for a while to learn it from nodes that remember.
	LastVersion *uint8
	// MaxTargets bounds the routing state; 0 is 16384.
	MaxTargets int
	// OmitOption leaves the RPL option out of what the root sends.
	OmitOption bool
}

const (
	defaultMaxTargets = 16384
	sweepInterval     = 10 * time.Second
	// repairInterval is the least time between versions that the root starts
	// because of what it hears: forged DIOs must not wind the counter on.
	repairInterval = 10 * time.Second
	maxListen      = 5 * time.Second
)

// Root is the root of a DODAG (RFC 6550 Sections 8.3 and 9).
type Root struct {
	cfg     RootConfig
	conf    DODAGConfig
	version uint8
	dtsn    uint8
	trickle *trickle

	sources sources // in non-storing mode
	routes  routes  // in storing mode

	running   bool
	listening *alarm.Timer
	heard     *uint8 // newest version heard of our own DODAG while listening
	repaired  time.Time
	sweeper   *alarm.Timer
}

// NewRoot checks the configuration and returns a root that has not started.
func NewRoot(cfg RootConfig) (*Root, error) {
	switch {
	case cfg.Clock == nil || cfg.Rand == nil || cfg.Send == nil:
		return nil, errors.New("rpl: root: clock, randomness or output is missing")
	case cfg.MOP > Storing:
		return nil, fmt.Errorf("rpl: root: mode of operation %d (%v) is not supported", cfg.MOP, cfg.MOP)
	case !cfg.Address.Is6() || cfg.Address.IsMulticast() || cfg.Address.IsLinkLocalUnicast() || cfg.Address.IsUnspecified():
		return nil, fmt.Errorf("rpl: root: %v cannot be a DODAGID", cfg.Address)
	case !cfg.LinkLocal.IsLinkLocalUnicast():
		return nil, fmt.Errorf("rpl: root: %v is not a link-local address", cfg.LinkLocal)
	}
	conf := cfg.Config.withDefaults()
	if _, ok := objectiveFor(conf.OCP); !ok {
		return nil, fmt.Errorf("rpl: root: objective function %d is not known", conf.OCP)
	}
	if cfg.MaxTargets == 0 {
		cfg.MaxTargets = defaultMaxTargets
	}
	r := &Root{
		cfg: cfg, conf: conf, dtsn: randomSequence(cfg.Rand),
		sources: newSources(cfg.MaxTargets),
		routes:  newRoutes(cfg.MaxTargets),
	}
	r.trickle = newTrickle(cfg.Clock, cfg.Rand, func() { r.sendDIO(AllNodes) })
	r.trickle.configure(conf)
	r.listening = cfg.Clock.NewTimer(r.listened)
	r.sweeper = cfg.Clock.NewTimer(r.sweep)
	return r, nil
}

// Start begins to announce the DODAG: at once with the version after
// LastVersion, or after having asked around.
func (r *Root) Start() {
	if r.running {
		return
	}
	r.running = true
	r.sweeper.Start(sweepInterval)
	if r.cfg.LastVersion != nil {
		r.begin(NextSequence(*r.cfg.LastVersion))
		return
	}
	r.heard = nil
	r.cfg.Send(message(r.cfg.LinkLocal, AllNodes, CodeDIS, DIS{}.Append(nil)))
	r.listening.Start(min(2*r.trickle.imin, maxListen))
}

// listened ends the time in which nodes could say which version they know.
func (r *Root) listened() {
	v := InitialSequence
	if r.heard != nil {
		v = NextSequence(*r.heard)
	}
	r.begin(v)
}

// begin starts a version of the DODAG.
func (r *Root) begin(version uint8) {
	r.version = version
	r.repaired = r.cfg.Clock.Now()
	if r.cfg.VersionChanged != nil {
		r.cfg.VersionChanged(version)
	}
	r.trickle.stop()
	r.trickle.start()
}

// Stop poisons the DODAG: its nodes look for another.
func (r *Root) Stop() {
	if !r.running {
		return
	}
	r.running = false
	r.listening.Stop()
	r.sweeper.Stop()
	if r.trickle.running() {
		r.trickle.stop()
		m := r.dio()
		m.Rank = InfiniteRank
		r.cfg.Send(message(r.cfg.LinkLocal, AllNodes, CodeDIO, m.Append(nil)))
	}
	r.sources.clear()
	r.routes.clear()
}

// GlobalRepair starts a new version of the DODAG, in which every node chooses
// its parents anew (RFC 6550 Section 3.2.2).
func (r *Root) GlobalRepair() {
	if r.announcing() {
		r.begin(NextSequence(r.version))
	}
}

// RefreshRoutes makes the nodes announce themselves again (RFC 6550 Section
// 9.6).
func (r *Root) RefreshRoutes() {
	if r.announcing() {
		r.dtsn = NextSequence(r.dtsn)
		r.trickle.reset()
	}
}

// SetPrefixes changes the prefixes that DIOs carry.
func (r *Root) SetPrefixes(p ...PrefixInformation) {
	r.cfg.Prefixes = p
	if r.announcing() {
		r.trickle.reset()
	}
}

func (r *Root) announcing() bool { return r.running && !r.listening.Running() }

// rank is ROOT_RANK (RFC 6550 Section 17).
func (r *Root) rank() uint16 { return r.conf.MinHopRankIncrease }

func (r *Root) dio() DIO {
	m := DIO{
		Instance: r.cfg.Instance, Version: r.version, Rank: r.rank(), Grounded: !r.cfg.Ungrounded,
		MOP: r.cfg.MOP, Preference: r.cfg.Preference, DTSN: r.dtsn, DODAGID: r.cfg.Address,
		Options: []Option{r.conf},
	}
	for _, p := range r.cfg.Prefixes {
		m.Options = append(m.Options, withRouter(p, r.cfg.Address, r.cfg.MOP))
	}
	for _, o := range r.cfg.Routes {
		m.Options = append(m.Options, o)
	}
	return m
}

// withRouter puts the sender's address into a prefix that it is of: in
// non-storing mode children name it as their parent (RFC 6550 Section
// 6.7.10).
func withRouter(p PrefixInformation, self netip.Addr, mop MOP) PrefixInformation {
	p.Prefix, p.Router = p.Net().Addr(), false
	if mop == NonStoring && self.IsValid() && p.Net().Contains(self) {
		p.Prefix, p.Router = self, true
	}
	return p
}

func (r *Root) sendDIO(to netip.Addr) {
	r.cfg.Send(message(r.cfg.LinkLocal, to, CodeDIO, r.dio().Append(nil)))
}

// Receive takes the body of an RPL message whose ICMPv6 checksum was right.
// The error says what was wrong with it, for the log; nothing need be done.
func (r *Root) Receive(src, dst netip.Addr, code uint8, body []byte) error {
	if !r.running {
		return nil
	}
	m, err := Decode(code, body)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case DIS:
		if r.announcing() {
			answerDIS(m, src, dst, r.dio(), r.trickle, r.sendDIO)
		}
	case DIO:
		r.receiveDIO(m)
	case DAO:
		return r.receiveDAO(src, m)
	}
	return nil
}

// answerDIS resets the trickle timer, or answers who asked (RFC 6550 Section
// 8.3): a node that is not meant does nothing.
func answerDIS(m DIS, src, dst netip.Addr, own DIO, t *trickle, send func(netip.Addr)) {
	solicited := false
	for _, o := range m.Options {
		if s, ok := o.(Solicited); ok {
			if !s.matches(own.Instance, own.Version, own.DODAGID) {
				return
			}
			solicited = true
		}
	}
	switch {
	case !dst.IsMulticast():
		if src.IsLinkLocalUnicast() {
			send(src)
		}
	case t.running():
		t.reset()
	case solicited:
		t.start()
	}
}

// receiveDIO looks at what nodes say about our own DODAG. One that knows a
// version we have not started remembers our life before a restart: we go
// beyond it, else it would never follow us.
func (r *Root) receiveDIO(m DIO) {
	if m.DODAGID != r.cfg.Address || m.Instance != r.cfg.Instance {
		return
	}
	if !r.announcing() {
		if r.heard == nil || CompareSequence(m.Version, *r.heard) == Newer {
			v := m.Version
			r.heard = &v
		}
		return
	}
	switch CompareSequence(m.Version, r.version) {
	case Newer, Incomparable:
		if r.cfg.Clock.Now().Sub(r.repaired) >= repairInterval {
			r.begin(NextSequence(m.Version))
		}
	case Older:
		r.trickle.reset()
	case Equal:
		r.trickle.consistent()
	}
}

// receiveDAO takes routes (RFC 6550 Sections 9.7 and 9.8).
func (r *Root) receiveDAO(src netip.Addr, m DAO) error {
	if m.Instance != r.cfg.Instance || m.DODAGID.IsValid() && m.DODAGID != r.cfg.Address ||
		r.cfg.MOP == NoDownward || !r.announcing() {
		return nil
	}
	if (r.cfg.MOP == Storing) != src.IsLinkLocalUnicast() || src.IsMulticast() || src.IsUnspecified() {
		return fmt.Errorf("rpl: DAO from %v in %v mode: %w", src, r.cfg.MOP, ErrAddress)
	}
	now := r.cfg.Clock.Now()
	worst, changed := learned, false
	for _, p := range pathsOf(m.Options) {
		for _, t := range p.targets {
			var o outcome
			if r.cfg.MOP == Storing {
				o = r.routes.learn(now, r.conf, src, t, p.transits[0])
			} else {
				o = r.sources.learn(now, r.conf, t, p.transits)
			}
			changed = changed || o == learned || o == withdrawn
			worst = max(worst, o)
		}
	}
	if m.WantAck {
		a := DAOAck{Instance: m.Instance, Sequence: m.Sequence, Status: worst.status(), DODAGID: m.DODAGID}
		from := r.cfg.Address
		if src.IsLinkLocalUnicast() {
			from = r.cfg.LinkLocal
		}
		r.cfg.Send(message(from, src, CodeDAOAck, a.Append(nil)))
	}
	if changed {
		r.changed()
	}
	return nil
}

func (r *Root) changed() {
	if r.cfg.Changed != nil {
		r.cfg.Changed()
	}
}

// sweep forgets what has expired.
func (r *Root) sweep() {
	r.sweeper.Start(sweepInterval)
	now := r.cfg.Clock.Now()
	if r.sources.sweep(now)+r.routes.sweep(now) > 0 {
		r.changed()
	}
}

// Route computes the way to an address. In non-storing mode it is all hops,
// the last of which is the address itself, or the router that announced it
// when the address is outside the DODAG. In storing mode it is the first hop.
func (r *Root) Route(dst netip.Addr) ([]netip.Addr, bool) {
	now := r.cfg.Clock.Now()
	if r.cfg.MOP == Storing {
		rt, _, ok := r.routes.find(now, dst)
		if !ok {
			return nil, false
		}
		return []netip.Addr{rt.next}, true
	}
	return r.sources.route(now, dst, r.own)
}

// own reports whether an address is the root's.
func (r *Root) own(a netip.Addr) bool { return a == r.cfg.Address || a == r.cfg.LinkLocal }

// NeighborLost tells that a neighbour, by its link-local or its global
// address, cannot be reached. In storing mode the routes by it are forgotten
// and the neighbours asked for theirs, in case it was a passing failure; in
// non-storing mode the hop to it is avoided for a while.
func (r *Root) NeighborLost(addr netip.Addr) {
	n := len(r.routes.m)
	r.routes.removeVia(addr, func(netip.Prefix, *route) {})
	if len(r.routes.m) != n {
		r.RefreshRoutes()
	}
	if r.sources.suspect(r.cfg.Clock.Now(), r.cfg.Address, addr) || len(r.routes.m) != n {
		r.changed()
	}
}
