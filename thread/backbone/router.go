package backbone

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// Limits of a Backbone Router's settings (Thread 1.4 Section 5.21.3.3).
const (
	MinTimeout = 300 * time.Second
	MaxTimeout = 2147483 * time.Second // in milliseconds, 31 bits
)

// Implementation constants, OpenThread's.
const (
	defaultDelay   = 5 * time.Second
	defaultTimeout = 3600 * time.Second
	defaultJitter  = 5 * time.Second
	firstWait      = time.Second
)

// Errors of a Backbone Router.
var (
	ErrDisabled = errors.New("backbone: the Backbone Router is disabled, or part of no network")
	ErrSettings = errors.New("backbone: settings out of range")
)

// State of a Backbone Router.
type State uint8

// The states.
const (
	Disabled State = iota
	Secondary
	Primary
)

func (s State) String() string { return [...]string{"Disabled", "Secondary", "Primary"}[s] }

// Settings are what a Backbone Router tells of itself in the network data.
type Settings struct {
	// Sequence is another one whenever what was registered must be registered
	// again.
	Sequence uint8
	// Delay, in whole seconds, is the time in which clients register again.
	Delay time.Duration
	// Timeout, in whole seconds, is how long a registration of a listener lasts.
	Timeout time.Duration
}

func (s Settings) valid() bool {
	return s.Timeout >= MinTimeout && s.Timeout <= MaxTimeout && s.Delay >= time.Second && s.Delay < 1<<16*time.Second && 2*s.Delay < s.Timeout
}

func settingsOf(b netdata.BackboneRouter) Settings {
	return Settings{b.Sequence, time.Duration(b.ReregistrationDelay) * time.Second, time.Duration(b.MLRTimeout) * time.Second}
}

func (s Settings) data() []byte {
	return netdata.BackboneRouter{Sequence: s.Sequence, ReregistrationDelay: uint16(s.Delay / time.Second),
		MLRTimeout: uint32(s.Timeout / time.Second)}.ServerData()
}

// RouterConfig is what a Router needs. Changed, Listening and Proxying may be nil.
type RouterConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	TMF   *tmf.Agent
	// Local is what the node serves, Data what all serve.
	Local *netdata.Local
	Data  func() *netdata.Data
	// Register tells the leader that Local has changed.
	Register func()
	// Attached reports whether the node is part of a network.
	Attached func() bool
	// RLOC16 is the node's own, LeaderRLOC16 the leader's.
	RLOC16, LeaderRLOC16 func() uint16
	// Becoming reports whether the node is about to become a router, or to end
	// being one, and so to get another RLOC16.
	Becoming func() bool
	// Session is the session of the network's commissioner; false if there is
	// none.
	Session func() (id uint16, ok bool)
	// Changed is told when the state is another.
	Changed func(State)
	// Listening is told when a group gets its first listener, or has no more.
	Listening func(group netip.Addr, on bool)
	// Proxying is told when the backbone is to hear that a domain unicast address
	// is reached here, or is not any more.
	Proxying func(dua netip.Addr, on bool)

	// MeshLocal is the network's prefix, NetworkName its name.
	MeshLocal   func() netip.Prefix
	NetworkName func() string
	// Locator is the address of an RLOC16, SourceRLOC16 the other way round.
	Locator      func(rloc16 uint16) netip.Addr
	SourceRLOC16 func(netip.Addr) (uint16, bool)
	// ToBackbone sends a datagram from TMF's port to TMF's port on the backbone
	// link: to a link-local address whose zone is the link, or to a group on all
	// links. Nil: there is no backbone link.
	ToBackbone func(to netip.Addr, datagram []byte)
	// AddressNotify answers the Address Query of a device for an address that is
	// beyond the backbone. AddressError tells a device, or with no address all,
	// that an address is that of the device with mleid.
	AddressNotify func(target netip.Addr, mleid [8]byte, last time.Duration, for16 uint16)
	AddressError  func(target netip.Addr, mleid [8]byte, to netip.Addr)
}

// Router is a Backbone Router. Update must be called when the role or the
// network data changed.
type Router struct {
	cfg      RouterConfig
	state    State
	settings Settings
	serving  bool // in Local
	timer    *alarm.Timer

	listeners []Listener
	expiry    *alarm.Timer

	backbone backboneEnd
	domain   netip.Prefix // that the proxies are of
	proxies  []Proxy
	dad      *alarm.Timer
	abroad   map[netip.Addr]time.Time // addresses in other meshes, and until when that is believed

	// Jitter is the most that a node other than the leader waits, beside a
	// second, before it makes itself the primary of a network that has none.
	Jitter time.Duration
}

// NewRouter returns a Router that is disabled.
func NewRouter(cfg RouterConfig) *Router {
	r := &Router{cfg: cfg, Jitter: defaultJitter,
		settings: Settings{Sequence: uint8(cfg.Rand.IntN(127)), Delay: defaultDelay, Timeout: defaultTimeout}}
	r.timer = cfg.Clock.NewTimer(r.due)
	r.expiry = cfg.Clock.NewTimer(r.expire)
	r.dad = cfg.Clock.NewTimer(r.lookForDuplicates)
	r.backbone.init(r)
	cfg.TMF.Handle(tmf.MulticastListener, r.received)
	cfg.TMF.Handle(tmf.DUARegister, r.duaReceived)
	return r
}

// State is what the Router is.
func (r *Router) State() State { return r.state }

// Settings are what it tells, or would tell, of itself.
func (r *Router) Settings() Settings { return r.settings }

// Primary is the network's primary Backbone Router, whoever that is.
func (r *Router) Primary() (netdata.BackboneRouter, bool) {
	if !r.cfg.Attached() {
		return netdata.BackboneRouter{}, false
	}
	return r.cfg.Data().PrimaryBackboneRouter(r.cfg.LeaderRLOC16())
}

// SetEnabled begins or ends being a Backbone Router.
func (r *Router) SetEnabled(on bool) {
	switch {
	case on == (r.state != Disabled):
	case on:
		r.backbone.open()
		r.setState(Secondary)
		r.serve()
		r.Update()
	default:
		r.timer.Stop()
		r.withdraw()
		r.setState(Disabled)
		r.clear()
		r.followDomain()
		r.backbone.close()
	}
}

// SetSettings changes the settings. While another is primary, nothing is told
// of them.
func (r *Router) SetSettings(s Settings) error {
	if !s.valid() {
		return ErrSettings
	}
	if s != r.settings {
		r.settings = s
		r.serve()
	}
	return nil
}

// Register puts the Router into the network data, whoever is primary: which of
// them counts is decided by what they tell.
func (r *Router) Register() error {
	if r.state == Disabled || !r.cfg.Attached() {
		return ErrDisabled
	}
	return r.publish()
}

// serve publishes the Router if no other is primary.
func (r *Router) serve() {
	if r.state == Disabled {
		return
	}
	if p, ok := r.Primary(); r.cfg.Attached() && (!ok || p.RLOC16 == r.cfg.RLOC16()) {
		_ = r.publish() // without room, when the network data changes
	}
}

func (r *Router) publish() error {
	if err := r.cfg.Local.SetService(netdata.ThreadEnterprise, netdata.BackboneRouterService(), r.settings.data(), true); err != nil {
		return err
	}
	r.serving = true
	r.cfg.Register()
	return nil
}

func (r *Router) withdraw() {
	if r.cfg.Local.RemoveService(netdata.ThreadEnterprise, netdata.BackboneRouterService()) {
		r.cfg.Register()
	}
	r.serving = false
}

// Update follows the network data.
func (r *Router) Update() {
	r.followPrimary()
	r.followDomain()
}

func (r *Router) followPrimary() {
	if r.state == Disabled || !r.cfg.Attached() {
		return
	}
	switch p, ok := r.Primary(); {
	case !ok:
		if !r.timer.Running() {
			wait := firstWait
			if r.cfg.RLOC16() != r.cfg.LeaderRLOC16() {
				wait += time.Duration(r.cfg.Rand.Int64N(int64(r.Jitter + time.Second)))
			}
			r.timer.Start(wait)
		}
	case p.RLOC16 != r.cfg.RLOC16():
		r.lose()
	case !r.serving:
		// It is this node's, of before it was restarted. What was registered
		// then must be registered again.
		if s := settingsOf(p); s.valid() {
			r.settings = s
		}
		r.settings.next()
		_ = r.publish()
	default:
		r.timer.Stop()
		r.setState(Primary)
	}
}

// due makes the Router the primary if there is none yet. It waits while the
// node is about to get another locator.
func (r *Router) due() {
	if r.cfg.Becoming() {
		r.timer.Start(firstWait)
		return
	}
	r.serve()
}

// lose gives way to another primary.
func (r *Router) lose() {
	r.timer.Stop()
	r.withdraw()
	if r.state == Primary {
		r.settings.next()
		r.setState(Secondary)
	}
}

// next is the next sequence number. Those below 128 and the others are two
// rings, of which the last numbers are not used (Thread 1.4 Section 5.21.2).
func (s *Settings) next() {
	switch s.Sequence {
	case 126, 127:
		s.Sequence = 0
	case 254, 255:
		s.Sequence = 128
	default:
		s.Sequence++
	}
}

func (r *Router) setState(s State) {
	if s == r.state {
		return
	}
	r.state = s
	if r.cfg.Changed != nil {
		r.cfg.Changed(s)
	}
}
