package joining

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// Specification constant.
const entrustDelay = 50 * time.Millisecond // Thread 1.4, DELAY_JOIN_ENT

// Implementation constants.
const (
	maxEntrusts     = 8                       // joiners that wait to be entrusted
	maxUsedKEKs     = 32                      // that are remembered, not to be used again
	entrustLimit    = 6 * time.Second         // a joiner waits 4 s and then has given up
	entrustRepeat   = time.Second             // before the KEK's coming again means something
	entrustPatience = 1500 * time.Millisecond // the same when another joiner waits
)

// KEKs is where the key of a joiner session is put for the link layer, which
// uses it for frames with link.JoinerKEK.
type KEKs interface {
	SetKEK(key [16]byte)
	ClearKEK()
}

// RouterConfig is what a JoinerRouter needs.
type RouterConfig struct {
	Clock *alarm.Clock
	TMF   *tmf.Agent
	IP    *ip.Stack
	Keys  KEKs
	// Data is the present network data.
	Data func() *netdata.Data
	// Serving reports whether the node is attached as a full Thread device.
	Serving func() bool
	// RLOC16 is the node's own.
	RLOC16 func() uint16
	// Address is the mesh-local address of an RLOC16.
	Address func(rloc16 uint16) netip.Addr
	// Active is the active dataset, nil if there is none; KeySequence the
	// present one. Both go to joiners.
	Active      func() *meshcop.Dataset
	KeySequence func() uint32
	// Entrusted, which may be nil, is called when a joiner has answered
	// JOIN_ENT, or has not.
	Entrusted func(iid [8]byte, err error)
}

// JoinerRouter is the node a joiner talks to. Update must be called when the
// role or the network data changed.
type JoinerRouter struct {
	cfg   RouterConfig
	port  uint16 // open, 0 if none
	own   uint16 // configured, 0 if none
	timer *alarm.Timer

	waiting []entrust
	current *entrust // sent, not answered yet
	sent    *tmf.Exchange
	ends    time.Time     // of waiting for the answer
	again   bool          // at ends it is sent again
	used    []meshcop.Key // oldest first

	Counters RouterCounters
}

// RouterCounters count what a JoinerRouter did.
type RouterCounters struct {
	Received    uint32 // datagrams of joiners that went to the commissioner
	Transmitted uint32 // and back
	Entrusted   uint32 // joiners that acknowledged the network's credentials
	Failed      uint32 // and those that did not
	Dropped     uint32 // relayed messages that made no sense or were repeated
}

// entrust is a joiner that is to get the network's credentials.
type entrust struct {
	iid [8]byte
	kek meshcop.Key
	at  time.Time // not before
}

// NewJoinerRouter returns a JoinerRouter that serves nobody before Update.
func NewJoinerRouter(cfg RouterConfig) *JoinerRouter {
	j := &JoinerRouter{cfg: cfg}
	j.timer = cfg.Clock.NewTimer(j.next)
	cfg.TMF.Handle(tmf.RelayTransmit, j.relayed)
	return j
}

func (j *JoinerRouter) info() Info { return Info{j.cfg.Data} }

// Port is the UDP port that is open to joiners, 0 if none.
func (j *JoinerRouter) Port() uint16 { return j.port }

// JoinerPort is the UDP port that joiners are told: the configured one, or that
// of the commissioner, or Thread's default.
func (j *JoinerRouter) JoinerPort() uint16 {
	if j.own != 0 {
		return j.own
	}
	return j.info().JoinerPort()
}

// SetJoinerPort configures the port; 0 leaves it to the commissioner.
func (j *JoinerRouter) SetJoinerPort(port uint16) {
	j.own = port
	j.Update()
}

// Update opens the joiner port while somebody may join, and closes it after.
func (j *JoinerRouter) Update() {
	var port uint16
	if c := j.info().Commissioning(); c.JoiningAllowed() && j.cfg.Serving() {
		port = j.JoinerPort()
	}
	if port == j.port {
		return
	}
	if j.port != 0 {
		j.cfg.IP.HandleUDP(j.port, nil)
		j.cfg.IP.DenyUnsecure(j.port)
	}
	if j.port = port; port != 0 {
		j.cfg.IP.HandleUDP(port, j.received)
		j.cfg.IP.AllowUnsecure(port)
	}
}

// received passes a joiner's datagram on (RLY_RX.ntf).
func (j *JoinerRouter) received(d *ip.Datagram) {
	to, _, ok := j.info().Commissioner()
	if !ok || d.Info.FromHost || !d.Src.Addr().IsLinkLocalUnicast() || len(d.Payload) == 0 {
		j.Counters.Dropped++
		return
	}
	m := meshcop.RelayRx{JoinerPort: d.Src.Port(), JoinerIID: iidOf(d.Src.Addr()),
		RouterLocator: j.cfg.RLOC16(), Encapsulation: d.Payload}
	j.Counters.Received++
	j.cfg.TMF.Send(tmf.RelayReceive, j.cfg.Address(to), m.Append(nil), tmf.Options{
		NonConfirmable: true, Priority: link.Net, Source: j.cfg.Address(j.cfg.RLOC16())}, nil)
}

// relayed takes the commissioner's answer (RLY_TX.ntf).
func (j *JoinerRouter) relayed(r *tmf.Request) {
	r.NoResponse()
	m, err := meshcop.DecodeRelayTx(r.Payload)
	if err != nil || r.Type != coap.NonConfirmable || !j.cfg.Serving() {
		j.Counters.Dropped++
		return
	}
	j.Counters.Transmitted++
	_ = j.cfg.IP.SendUDP(ip.Datagram{
		Src:     netip.AddrPortFrom(netip.Addr{}, j.sourcePort()),
		Dst:     netip.AddrPortFrom(linkLocal(m.JoinerIID), m.JoinerPort),
		Payload: m.Encapsulation,
	}, link.Options{Security: link.Unsecured, Priority: link.Net})
	if m.KEK != nil {
		j.entrust(entrust{iid: m.JoinerIID, kek: *m.KEK, at: j.cfg.Clock.Now().Add(entrustDelay)})
	}
}

// sourcePort is the port joiners know us by.
func (j *JoinerRouter) sourcePort() uint16 {
	if j.port != 0 {
		return j.port
	}
	return j.JoinerPort()
}
