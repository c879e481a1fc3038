package wpan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/ieee802154"
	"gatewayd/lowpan"
	"gatewayd/ndp"
	"gatewayd/pana"
	"gatewayd/radio"
	"gatewayd/wpan/mac"
)

// Role is what a node is in its network.
type Role uint8

// The roles.
const (
	Host Role = iota
	Router
	Coordinator
)

func (r Role) String() string {
	return [...]string{"host", "router", "coordinator"}[min(r, Coordinator)]
}

// Event is something that happened, for a log.
type Event struct {
	ID    string // stable: "LOWPAN-JOINED"
	Text  string
	Attrs []Attr
	Err   error
}

// Attr is a detail of an Event.
type Attr struct {
	Key   string
	Value any
}

// Config is what a Node needs. Random and Store are required.
type Config struct {
	Role   Role
	Random io.Reader
	Store  Store

	// Network is what a Coordinator makes; of its keys only what is not stored
	// already. A device takes of it Open, the ID (zero: any), and, if Open,
	// Channel and PANID too.
	Network Network
	// Channels are those on which a device looks for a network; 0: all.
	Channels uint32
	// Profile of PANA, and how keys are carried.
	Profile pana.Profile
	// Storing is RPL's storing mode, for a Coordinator.
	Storing bool

	// Backend authenticates devices; of a Coordinator that is not Open.
	Backend eap.Backend
	// Authorize, if not nil, may refuse who has authenticated.
	Authorize func(pana.Info, eap.Result) error
	// SessionLifetime is how long an authentication holds.
	SessionLifetime time.Duration
	// Session is told what happens to PANA sessions; may be nil.
	Session func(pana.Event)
	// Peer makes the EAP peer of a device that is to authenticate.
	Peer func() (EAPPeer, error)

	// Others are options of the router advertisements beside prefix and
	// context: name servers and the like.
	Others []ndp.Option
	// Managed says in router advertisements that there is DHCPv6.
	Managed bool

	// Host takes datagrams for the host's own stack. When it is nil, the node
	// stands alone and answers echo requests by itself.
	Host func(packet []byte)
	// Log is told what happens, Changed when addresses or registrations are others; may be nil.
	Log     func(Event)
	Changed func()
}

// EAPPeer is the peer's side of EAP, an *eap.Peer.
type EAPPeer interface {
	Receive(request []byte) eap.Result
	Close()
}

// Counters count datagrams.
type Counters struct {
	Received, Forwarded, FromHost, ToHost                               uint64
	Refused, Malformed, Unroutable, QueueFull, Undelivered, PANADropped uint64
}

// Node is the machine.
type Node struct {
	cfg   Config
	clock alarm.Clock
	rand  *rand.Rand

	mac      *mac.MAC
	counter  *mac.Counter
	limits   keyLimits
	retire   *alarm.Timer // running: the key before is accepted still
	heralds  int          // that a key was changed, begun
	proclaim *alarm.Timer
	adapt    adaptation
	expire   *alarm.Timer

	network  Network
	ext      ieee802154.ExtAddr
	started  bool
	began    bool // the machines above the MAC run
	joined   bool // a device: has channel, PAN and, if secured, key
	contexts lowpan.Contexts
	addrs    []netip.Addr

	udp       map[uint16]func(Datagram)
	pings     map[uint16]*Ping
	nextPing  uint16
	nextError time.Time
	looped    [][]byte
	looper    *alarm.Timer
	nesting   int
	joiners   joiners
	permit    bool

	border  *ndp.Border
	router  *ndp.Router
	host    *ndp.Host
	routing routing
	auth    authentication
	saving  *alarm.Timer // of registrations
	saved   time.Time    // when they were last

	Counters Counters
}

// New returns a Node that is off. SetRadio and Start must follow.
func New(cfg Config, now time.Time) (*Node, error) {
	if cfg.Random == nil || cfg.Store == nil {
		return nil, errors.New("wpan: a node needs Random and Store")
	}
	if cfg.Role == Coordinator && !cfg.Network.Open && cfg.Backend == nil {
		return nil, errors.New("wpan: a coordinator of a secured network needs a Backend")
	}
	if cfg.Role != Coordinator && !cfg.Network.Open && cfg.Peer == nil {
		return nil, errors.New("wpan: a device needs a Peer to join a secured network")
	}
	var seed [32]byte
	if _, err := io.ReadFull(cfg.Random, seed[:]); err != nil {
		return nil, fmt.Errorf("wpan: randomness: %w", err)
	}
	n := &Node{cfg: cfg, rand: rand.New(rand.NewChaCha8(seed)), permit: true,
		udp: map[uint16]func(Datagram){}, pings: map[uint16]*Ping{}}
	n.clock.Set(now)
	n.joiners.heard = map[ieee802154.ExtAddr]*joiner{}
	n.nextPing = uint16(n.rand.Uint32())
	n.looper = n.clock.NewTimer(n.deliverLooped)
	n.expire = n.clock.NewTimer(n.expireFragments)
	n.saving = n.clock.NewTimer(n.saveRegistrations)
	n.retire = n.clock.NewTimer(n.retireKey)
	n.proclaim = n.clock.NewTimer(n.herald)
	n.adapt.init(n)
	n.auth.init(n)
	n.routing = &hostRouting{n: n}
	if err := n.loadOrMake(); err != nil {
		return nil, err
	}
	n.counter = mac.NewCounter(n.limits.limit(n.network.Key), n.reserveCounter)
	n.mac = mac.New(mac.Config{Clock: &n.clock, Rand: n.rand, Upper: n, Counter: n.counter})
	n.mac.BeaconReply = n.beacon
	n.useKeys()
	if n.network.Other.Index != 0 && !n.hasNext() {
		n.retire.Start(retireTime)
	}
	return n, nil
}

// loadOrMake takes the network that is stored. A coordinator makes what is
// missing; what its configuration says counts more than what was stored. A key
// whose frame counters are lost is not used again: a coordinator makes another,
// a device asks for one, and is told where to begin.
func (n *Node) loadOrMake() error {
	stored, known := n.loadNetwork()
	known = known && stored.Open == n.cfg.Network.Open
	if !n.loadLimits() {
		n.log(Event{ID: "LOWPAN-COUNTER", Text: "the network key is not used any more", Err: errNoCounters})
		stored.Key, stored.Other = Key{Index: stored.Key.Index}, Key{}
		if n.cfg.Role != Coordinator {
			stored.Key.Index = 0
		}
	}
	n.network = n.cfg.Network
	if n.cfg.Role != Coordinator {
		if known {
			n.network = stored
			if n.cfg.Network.Open && n.cfg.Network.Channel != 0 {
				n.network.Channel, n.network.PANID = n.cfg.Network.Channel, n.cfg.Network.PANID
			}
		}
		return nil
	}
	if known && !n.network.Open {
		n.network.Key, n.network.Other = stored.Key, stored.Other
	}
	if !n.network.Open && n.network.Key.Value == ([16]byte{}) {
		k, err := n.newKey(n.network.Key.next())
		if err != nil {
			return err
		}
		n.network.Key = k
	}
	n.saveNetwork()
	return nil
}

// newKey makes a network key.
func (n *Node) newKey(index uint8) (Key, error) {
	k := Key{Index: index}
	if _, err := io.ReadFull(n.cfg.Random, k.Value[:]); err != nil {
		return k, fmt.Errorf("wpan: network key: %w", err)
	}
	return k, nil
}

// Clock is the node's: the owner of its timers.
func (n *Node) Clock() *alarm.Clock { return &n.clock }

// Advance lets what is due happen.
func (n *Node) Advance(now time.Time) { n.clock.Advance(now) }

// Deadline is when Advance must be called next; the zero time for never.
func (n *Node) Deadline() time.Time { return n.clock.Deadline() }

// Radio is what the radio reports to.
func (n *Node) Radio() radio.Handler { return n.mac }

// SetRadio connects the radio.
func (n *Node) SetRadio(r radio.Radio) { n.mac.SetRadio(r) }

// MAC is the layer below, for its counters.
func (n *Node) MAC() *mac.MAC { return n.mac }

// Network is the network the node is in, or would be.
func (n *Node) Network() Network { return n.network }

// Role is what the node was made for.
func (n *Node) Role() Role { return n.cfg.Role }

// Ext is the node's link-layer address; zero until its radio told.
func (n *Node) Ext() ieee802154.ExtAddr { return n.ext }

// Attached reports whether the node is part of its network.
func (n *Node) Attached() bool { return n.attached() }

func (n *Node) attached() bool { return n.began }

// secured reports whether the network has link security.
func (n *Node) secured() bool { return !n.network.Open }

// Permit lets devices that are not in the network join it, or not.
func (n *Node) Permit(on bool) { n.permit = on }

// Permitted reports it.
func (n *Node) Permitted() bool { return n.permit }

func (n *Node) permits() bool { return n.permit && n.secured() }

// Start turns the node on: it makes its network or joins one, as soon as its
// radio is up.
func (n *Node) Start() {
	n.started = true
	n.mac.Enable(true)
	if n.mac.Up() && n.ext != (ieee802154.ExtAddr{}) {
		n.enter()
	}
}

// Leave ends the node's part in the network: a host and a router sign off, a
// coordinator withdraws. That is said on the air if Stop comes later.
func (n *Node) Leave() {
	if !n.started {
		return
	}
	n.started = false
	n.saveRegistrations()
	n.end()
}

// Stop turns the node off.
func (n *Node) Stop() {
	n.Leave()
	n.mac.Enable(false)
}

// RadioUp implements mac.Upper.
func (n *Node) RadioUp(i radio.Info) {
	if n.ext == (ieee802154.ExtAddr{}) {
		n.ext = i.EUI64
		n.mac.SetExt(n.ext)
		n.addrs = []netip.Addr{linkLocal(n.ext)}
	}
	if n.started && !n.began {
		n.enter()
	}
}

// RadioDown implements mac.Upper. Another radio may come, but the node stays
// who it is.
func (n *Node) RadioDown() {}

// enter begins in the network if that is known, else looks for one.
func (n *Node) enter() {
	if n.cfg.Role == Coordinator {
		n.mac.SetNetwork(n.network.Channel, n.network.PANID)
		n.begin()
		return
	}
	if n.network.Open && n.network.Channel != 0 {
		n.mac.SetNetwork(n.network.Channel, n.network.PANID)
		n.joined = true
		n.begin()
		return
	}
	n.auth.join()
}

// begin starts the machines above the MAC.
func (n *Node) begin() {
	if n.began {
		return
	}
	n.began = true
	n.beginDiscovery()
	n.beginRouting()
	n.auth.serve()
	n.changed()
}

// end stops them.
func (n *Node) end() {
	n.auth.stop()
	if !n.began {
		return
	}
	n.began, n.joined = false, false
	n.routing.stop()
	n.routing = &hostRouting{n: n}
	n.endDiscovery()
	n.addrs = n.addrs[:1]
	n.changed()
}

func (n *Node) changed() {
	if n.cfg.Changed != nil {
		n.cfg.Changed()
	}
}

func (n *Node) log(e Event) {
	if n.cfg.Log != nil {
		n.cfg.Log(e)
	}
}

// linkSent tells routing how a transmission went.
func (n *Node) linkSent(to ieee802154.ExtAddr, ok bool, transmissions int) {
	if n.began {
		n.routing.linkSent(linkLocal(to), ok, transmissions)
	}
}

// NewNetwork completes a network of which some things are not said: a random
// PAN id and a unique local prefix (RFC 4193 Section 3.2.2), subnet 1.
func NewNetwork(random io.Reader, nw Network, havePAN bool) (Network, error) {
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nw, fmt.Errorf("wpan: new network: %w", err)
	}
	if !havePAN {
		nw.PANID = binary.BigEndian.Uint16(b[:]) % 0xfffe
	}
	if !nw.Prefix.IsValid() {
		a := [16]byte{0: 0xfd, 7: 1}
		copy(a[1:6], b[2:7])
		nw.Prefix = netip.PrefixFrom(netip.AddrFrom16(a), 64)
	}
	return nw, nil
}
