package thread

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/radio"
	"gatewayd/thread/addr"
	"gatewayd/thread/backbone"
	"gatewayd/thread/dataset"
	"gatewayd/thread/dhcp"
	"gatewayd/thread/diag"
	"gatewayd/thread/inventory"
	"gatewayd/thread/ip"
	"gatewayd/thread/joining"
	"gatewayd/thread/keys"
	"gatewayd/thread/mac"
	"gatewayd/thread/mesh"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/publish"
	"gatewayd/thread/tmf"
	"gatewayd/thread/trel"
)

const noRLOC16 = neighbor.InvalidRLOC16

// Store keeps named values over restarts.
type Store interface {
	// Load returns a stored value; false if there is none. lost is how many
	// newer ones were damaged: how far behind it may be.
	Load(name string) (value []byte, lost int, ok bool)
	// Save stores a value durably before it returns.
	Save(name string, value []byte) error
	Delete(name string) error
}

// Event is something an operator may want to know.
type Event struct {
	ID     string // stable, as "NODE-0001"
	Text   string
	RLOC16 uint16 // of the node it is about, or 0
	Err    error
	Attrs  []mle.Attr
}

// Config is what a Node needs. Host, Log and Changed may be nil.
type Config struct {
	// Rand gives random bytes for keys, addresses and jitter.
	Rand  io.Reader
	Store Store
	// Host takes datagrams for the host's own IPv6 stack. Nil: the node stands
	// alone and answers echo requests itself.
	Host func(packet []byte)
	Log  func(Event)
	// JoinerChanged and CommissionerChanged pass on what the commissioner says;
	// both may be nil.
	JoinerChanged       func(joining.Entry)
	CommissionerChanged func(joining.CommissionerState, error)
	// KeepCommissioner lets the commissioner begin another session when it lost
	// one while there are joiners on its list.
	KeepCommissioner bool
	// KeepServed is how long after a restart the network data stay as they tell
	// that the node serves: what decides on prefixes, routes and services needs
	// a while to come to the same, and devices would renumber meanwhile.
	KeepServed time.Duration
	// Changed is called when addresses, role or network data are others than
	// before, as a hint to look again.
	Changed func()
	// TREL sends a datagram of TREL to a node on an infrastructure link; false if
	// it could not be sent. Nil: the node has no TREL.
	TREL func(to netip.AddrPort, b []byte) bool
	// Listening is told when the node is the primary Backbone Router and a group
	// gets its first listener in the mesh, or has no more. It may be nil.
	Listening func(group netip.Addr, on bool)
	// Proxying is told when the node is the primary Backbone Router and an
	// address of the Thread domain is registered with it or renewed, or is its to
	// answer for no more. It may be nil.
	Proxying func(addr netip.Addr, on bool)
	// ToBackbone sends a datagram of TMF on the backbone link: see
	// backbone.RouterConfig. Nil: there is none.
	ToBackbone func(to netip.Addr, datagram []byte)
	// Mode of the device; the zero value is a full Thread device that always
	// listens and takes the full network data.
	Mode *neighbor.Mode
	// MinimalOnly makes a device that can never be a full Thread device.
	MinimalOnly bool
	MaxChildren int
	// Addresses are the limits of address resolution.
	Addresses addr.Limits
	// Vendor and StackVersion are what the node tells in diagnostics.
	Vendor       diag.Vendor
	StackVersion string
}

// Node is a Thread device. It is not safe for concurrent use: one goroutine
// owns it, tells it the time with Advance and calls it for every input.
type Node struct {
	cfg   Config
	clock alarm.Clock
	rand  *rand.Rand
	table neighbor.Table

	keys     *keys.Manager
	mac      *mac.MAC
	mesh     *mesh.Forwarder
	trel     *trel.Link // nil if there is none
	ip       *ip.Stack
	tmf      *tmf.Agent
	addr     *addr.Resolver
	datasets *dataset.Manager
	mle      *mle.MLE
	slaac    slaac
	server   serverData
	publish  *publish.Publisher
	dhcp     *dhcp.Client
	agent    *dhcp.Agent
	anycast  []netip.Addr // locators of services that we serve
	identity identity

	rloc16      uint16 // that address queries were sent from
	largestData int    // network data, in bytes

	commissioning commissioning
	diag          *diag.Agent
	inventory     *inventory.Inventory
	backbone      *backbone.Router
	listening     *backbone.Client
	registrar     *backbone.Registrar
	dua           domainUnicast

	up bool // the interface
}

// New returns a Node with the state that is stored, its radio off. SetRadio
// must follow.
func New(cfg Config, now time.Time) *Node {
	n := &Node{cfg: cfg}
	n.clock.Set(now)
	// A generator seeded once, not the source itself: jitter is not worth a
	// system call each time.
	n.rand = rand.New(rand.NewChaCha8(seed(cfg.Rand)))
	n.identity.load(n)
	n.keys = keys.New(keys.Config{Clock: &n.clock, Save: n.saveKeys, Changed: func() { n.mac.KeysChanged() }})
	n.mac = mac.New(mac.Config{Clock: &n.clock, Rand: n.rand, Keys: n.keys, Table: &n.table,
		Source: macSide{n}, Handler: macSide{n}})
	n.buildTREL()
	n.mesh = mesh.New(mesh.Config{Clock: &n.clock, Rand: n.rand, MAC: n.mac, Table: &n.table,
		Routes: routes{n}, Handler: ipSide{n},
		Polled:     func(c *neighbor.Child) { n.mle.Polled(c) },
		LinkFailed: func(x *neighbor.Neighbor) { n.mle.LinkFailed(x) },
		PollSent:   func(ok, pending bool) { n.mle.PollSent(ok, pending) },
		RadioUp:    n.radioUp, RadioDown: n.radioDown})
	n.ip = ip.New(ip.Config{Clock: &n.clock, Rand: n.rand, Mesh: n.mesh, Host: cfg.Host,
		Router:  func() bool { return n.mle.Role() >= mle.Router },
		RLOC16:  func() uint16 { return n.mle.RLOC16() },
		Reaches: n.reaches, Exits: n.exits, WantsCopy: n.wantsCopy,
		Unreachable: func(dst netip.Addr) { n.addr.Forget(dst) }, Changed: n.addressesChanged})
	n.tmf = tmf.New(tmf.Config{Clock: &n.clock, Rand: n.rand, IP: n.ip, MeshLocal: n.meshLocal})
	n.addr = addr.New(addr.Config{Clock: &n.clock, TMF: n.tmf, IP: n.ip, Table: &n.table, Limits: cfg.Addresses,
		RLOC: n.RLOC, MLEID: n.MLEID, Router: func() bool { return n.mle.Role() >= mle.Router },
		Routable:           n.routable,
		Resolved:           n.mesh.Resolved,
		RemoveChildAddress: n.removeChildAddress,
		Duplicate:          n.duplicateAddress,
		Extend:             func(target netip.Addr, from uint16) { n.backbone.Extend(target, from) }})
	n.buildDatasets()
	mode := neighbor.ModeRxOnWhenIdle | neighbor.ModeFullThread | neighbor.ModeFullNetworkData
	if cfg.Mode != nil {
		mode = *cfg.Mode
	}
	n.mle = mle.New(mle.Config{Clock: &n.clock, Rand: n.rand, Keys: n.keys, MAC: n.mac, Mesh: n.mesh,
		IP: n.ip, Table: &n.table, Datasets: n.datasets, Store: mleStore{n}, Solicitor: solicitor{n},
		Joining: joiningInfo{n}, Events: n.mleEvents(), Mode: mode, MinimalOnly: cfg.MinimalOnly,
		IID: n.identity.MLIID, MaxChildren: cfg.MaxChildren})
	n.slaac = slaac{ip: n.ip, clock: &n.clock, enabled: true,
		secret: func() [32]byte { return n.identity.Secret }}
	n.slaac.timer = n.clock.NewTimer(n.slaac.expire)
	n.server.init(n)
	n.publish = publish.New(publish.Config{Clock: &n.clock, Rand: n.rand, Local: &n.server.local, Data: n.mle.NetData,
		Attached: n.mle.Attached, RLOC16: n.mle.RLOC16, Router: n.mle.Router, MLEID: n.MLEID, Register: n.RegisterLocalData})
	n.dhcp = dhcp.NewClient(dhcp.ClientConfig{Clock: &n.clock, Rand: n.rand, IP: n.ip, Data: n.mle.NetData,
		Attached: n.mle.Attached, RLOC: n.RLOC, Locator: n.mle.Locator, EUI64: n.EUI64})
	n.agent = dhcp.NewAgent(dhcp.AgentConfig{IP: n.ip, Data: n.mle.NetData, Attached: n.mle.Attached, RLOC16: n.mle.RLOC16,
		EUI64: n.EUI64})
	n.buildCommissioning()
	n.buildDiagnostics()
	n.buildBackbone()
	n.handle()
	n.restore()
	return n
}

func seed(r io.Reader) (s [32]byte) {
	if _, err := io.ReadFull(r, s[:]); err != nil {
		panic("thread: no random bytes: " + err.Error())
	}
	return s
}

// macSide passes the MAC's calls to the forwarder, which is made after it.
type macSide struct{ n *Node }

func (m macSide) NextDirect(f *mac.Frame) bool         { return m.n.mesh.NextDirect(f) }
func (m macSide) DirectSent(f *mac.Frame, ok bool)     { m.n.mesh.DirectSent(f, ok) }
func (m macSide) FrameReceived(r *mac.Received)        { m.n.mesh.FrameReceived(r) }
func (m macSide) Polled(c *neighbor.Child, short bool) { m.n.mesh.Polled(c, short) }
func (m macSide) LinkFailed(x *neighbor.Neighbor)      { m.n.mesh.LinkFailed(x) }
func (m macSide) PollSent(ok, pending bool)            { m.n.mesh.PollSent(ok, pending) }
func (m macSide) RadioUp(i radio.Info)                 { m.n.mesh.RadioUp(i) }
func (m macSide) RadioDown()                           { m.n.mesh.RadioDown() }
func (m macSide) NextIndirect(c *neighbor.Child, f *mac.Frame) bool {
	return m.n.mesh.NextIndirect(c, f)
}
func (m macSide) IndirectSent(c *neighbor.Child, f *mac.Frame, ok bool) bool {
	return m.n.mesh.IndirectSent(c, f, ok)
}

// SetRadio connects the radio. Its events go to Radio.
func (n *Node) SetRadio(r radio.Radio) { n.mac.SetRadio(r) }

// Radio is what the radio reports to. Its owner tells the node the time first.
func (n *Node) Radio() radio.Handler { return n.mac }

// Clock is the node's clock, which a radio machine of the same owner may share.
func (n *Node) Clock() *alarm.Clock { return &n.clock }

// Advance tells the time and does what has become due.
func (n *Node) Advance(now time.Time) { n.clock.Advance(now) }

// Deadline is when Advance must be called next; the zero time for never.
func (n *Node) Deadline() time.Time { return n.clock.Deadline() }

// The parts, for commands and diagnostics.
func (n *Node) MLE() *mle.MLE              { return n.mle }
func (n *Node) MAC() *mac.MAC              { return n.mac }
func (n *Node) IP() *ip.Stack              { return n.ip }
func (n *Node) Mesh() *mesh.Forwarder      { return n.mesh }
func (n *Node) TMF() *tmf.Agent            { return n.tmf }
func (n *Node) Keys() *keys.Manager        { return n.keys }
func (n *Node) Addr() *addr.Resolver       { return n.addr }
func (n *Node) Datasets() *dataset.Manager { return n.datasets }
func (n *Node) Table() *neighbor.Table     { return &n.table }
func (n *Node) Rand() *rand.Rand           { return n.rand }

// FromHost takes a datagram that the host wants on the mesh.
func (n *Node) FromHost(packet []byte) error {
	if h, _, err := ipv6.DecodeHeader(packet); err == nil && !n.ip.Has(h.Src) {
		n.backbone.FromBeyond(h.Src)
	}
	return n.ip.FromHost(packet)
}

// InterfaceUp turns the radio on, so that the node can scan, be joined, or
// attach; InterfaceDown turns it off and ends what it was part of.
func (n *Node) InterfaceUp() {
	n.up = true
	n.mac.Enable(true)
}

// InterfaceDown is the end of InterfaceUp.
func (n *Node) InterfaceDown() {
	n.Stop()
	n.up = false
	n.mac.Enable(false)
}

// Up reports whether the interface is up.
func (n *Node) Up() bool { return n.up }

// Start attaches to the network of the active dataset, or forms it. The
// interface must be up.
func (n *Node) Start() error {
	if !n.up {
		return ErrDown
	}
	n.keys.Start()
	return n.mle.Start()
}

// Stop leaves the network.
func (n *Node) Stop() {
	n.keys.Stop()
	n.mle.Stop()
	n.tmf.Cancel()
	n.mesh.Reset()
	n.addr.Clear()
	n.datasets.Stopped()
}

func (n *Node) log(e Event) {
	if n.cfg.Log != nil {
		n.cfg.Log(e)
	}
}

func (n *Node) changed() {
	if n.cfg.Changed != nil {
		n.cfg.Changed()
	}
}

func (n *Node) radioUp(i radio.Info) {
	n.identity.radioUp(i.EUI64)
	n.changed()
}

func (n *Node) radioDown() { n.changed() }

// EUI64 is the radio's, fixed address; the extended address is a random one.
func (n *Node) EUI64() ieee802154.ExtAddr { return n.identity.EUI64 }
