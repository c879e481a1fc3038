package tmf

import (
	"math/rand/v2"
	"net/netip"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
)

// Port is TMF's UDP port.
const Port = 61631

// The URIs.
const (
	AddressSolicit      = "a/as"
	AddressRelease      = "a/ar"
	AddressQuery        = "a/aq"
	AddressNotify       = "a/an"
	AddressError        = "a/ae"
	ServerData          = "a/sd"
	AnycastLocate       = "a/yl"
	LeaderPetition      = "c/lp"
	LeaderKeepAlive     = "c/la"
	CommissionerGet     = "c/cg"
	CommissionerSet     = "c/cs"
	ActiveGet           = "c/ag"
	ActiveSet           = "c/as"
	ActiveReplace       = "c/ar"
	PendingGet          = "c/pg"
	PendingSet          = "c/ps"
	DatasetChanged      = "c/dc"
	RelayReceive        = "c/rx"
	RelayTransmit       = "c/tx"
	JoinerEntrust       = "c/je"
	JoinerFinalize      = "c/jf"
	AnnounceBegin       = "c/ab"
	EnergyScan          = "c/es"
	EnergyReport        = "c/er"
	PANIDQuery          = "c/pq"
	PANIDConflict       = "c/pc"
	DiagnosticGet       = "d/dg"
	DiagnosticGetQuery  = "d/dq"
	DiagnosticGetAnswer = "d/da"
	DiagnosticReset     = "d/dr"
	MulticastListener   = "n/mr"
	DUARegister         = "n/dr"
	DUANotify           = "n/dn"
	BackboneQuery       = "b/bq"
	BackboneAnswer      = "b/ba"
	BackboneListeners   = "b/bmr"
)

// DSCP values by which TMF messages tell their priority.
const (
	dscpNet    = 0x07
	dscpNormal = 0x0f
	dscpLow    = 0x17
)

// Peer is the other end of an exchange and how it is reached.
type Peer struct {
	Remote   netip.AddrPort
	Local    netip.Addr
	Security link.Security
	Priority link.Priority
}

// Request is a request that came in.
type Request = coap.Request[Peer]

// Response is an answer that came in.
type Response = coap.Response[Peer]

// Exchange is a request under way.
type Exchange = coap.Exchange[Peer]

// Config is what an Agent needs.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	IP    *ip.Stack
	// MeshLocal reports whether an address has the mesh-local prefix.
	MeshLocal func(netip.Addr) bool
}

// Agent is a node's end of TMF.
type Agent struct {
	cfg   Config
	end   *coap.Endpoint[Peer]
	timer *alarm.Timer

	// Refused counts messages from those who may not speak to it.
	Refused uint32
}

// New returns an Agent that listens on the TMF port.
func New(cfg Config) *Agent {
	a := &Agent{cfg: cfg}
	a.end = coap.New(coap.Config[Peer]{
		Rand: cfg.Rand, Send: a.send, SamePeer: samePeer,
		Multicast: func(p Peer) bool { return p.Local.IsMulticast() },
	})
	a.timer = cfg.Clock.NewTimer(func() {
		a.end.Advance(cfg.Clock.Now())
		a.rearm()
	})
	cfg.IP.HandleUDP(Port, a.receive)
	return a
}

// samePeer matches an answer to its request: a request to an anycast locator
// or a group is answered from the node's own address.
func samePeer(sent, got Peer) bool {
	if sent.Remote.Port() != got.Remote.Port() || sent.Security != got.Security {
		return false
	}
	to := sent.Remote.Addr()
	return to == got.Remote.Addr() || to.IsMulticast() || IsAnycast(to)
}

// IsAnycast reports whether an address has the form of an anycast locator.
func IsAnycast(a netip.Addr) bool {
	b := a.As16()
	return [6]byte(b[8:14]) == [6]byte{0, 0, 0, 0xff, 0xfe, 0} && b[14] >= 0xfc
}

func (a *Agent) rearm() {
	if at := a.end.Deadline(); at.IsZero() {
		a.timer.Stop()
	} else {
		a.timer.StartAt(at)
	}
}

// Handle gives requests for a path to h.
func (a *Agent) Handle(path string, h func(*Request)) { a.end.Handle(path, h) }

// Options say how a request is sent; the zero value is a confirmable POST of
// normal priority from an address that fits.
type Options struct {
	NonConfirmable bool
	Source         netip.Addr
	Security       link.Security
	Priority       link.Priority
	Get            bool
}

// Send sends a request with a TLV payload. done may be nil; it is called once
// with the answer, or the error that there was none.
func (a *Agent) Send(path string, to netip.Addr, payload []byte, o Options, done func(Response, error)) *Exchange {
	m := coap.Message{Type: coap.Confirmable, Code: coap.POST, Payload: payload}
	if o.NonConfirmable {
		m.Type = coap.NonConfirmable
	}
	if o.Get {
		m.Code = coap.GET
	}
	m.SetPath(path)
	src := o.Source
	if !src.IsValid() {
		src, _ = a.cfg.IP.SourceFor(to)
	}
	p := Peer{Remote: netip.AddrPortFrom(to, Port), Local: src, Security: o.Security, Priority: max(o.Priority, link.Normal)}
	x, err := a.end.Request(a.cfg.Clock.Now(), p, m, coap.RequestOptions{}, done)
	a.rearm()
	if err != nil && done != nil {
		done(Response{}, err)
	}
	return x
}

// Cancel gives up all requests under way.
func (a *Agent) Cancel() { a.end.CancelAll(); a.rearm() }

func (a *Agent) send(to Peer, datagram []byte) {
	dscp := uint8(dscpNormal)
	switch to.Priority {
	case link.Net:
		dscp = dscpNet
	case link.Low:
		dscp = dscpLow
	}
	src := to.Local
	if src.IsMulticast() || !src.IsValid() {
		src, _ = a.cfg.IP.SourceFor(to.Remote.Addr())
	}
	_ = a.cfg.IP.SendUDP(ip.Datagram{
		Src: netip.AddrPortFrom(src, Port), Dst: to.Remote, TrafficClass: dscp << 2, Payload: datagram,
	}, link.Options{Security: to.Security, Priority: to.Priority})
}

func (a *Agent) receive(d *ip.Datagram) {
	if !a.allowed(d) {
		a.Refused++
		return
	}
	p := Peer{Remote: d.Src, Local: d.Dst.Addr(), Priority: priorityOf(d.TrafficClass)}
	if d.Info.Secured && d.Info.KeyIDMode == 0 && !d.Info.FromHost {
		p.Security = link.JoinerKEK
	}
	a.end.Receive(a.cfg.Clock.Now(), p, d.Payload)
	a.rearm()
}

// allowed is TMF's source check: link-local to link-local and to groups of the
// link, or mesh-local to mesh-local and to groups of the link or the realm.
func (a *Agent) allowed(d *ip.Datagram) bool {
	src, dst := d.Src.Addr(), d.Dst.Addr()
	if src.IsLinkLocalUnicast() {
		return dst.IsLinkLocalUnicast() || dst.IsLinkLocalMulticast()
	}
	if !a.cfg.MeshLocal(src) {
		return false
	}
	if dst.IsMulticast() {
		s := ipv6.Scope(dst)
		return s == ipv6.ScopeLink || s == ipv6.ScopeRealm
	}
	return a.cfg.MeshLocal(dst)
}

func priorityOf(class uint8) link.Priority {
	switch class >> 2 {
	case dscpNormal:
		return link.Normal
	case dscpLow:
		return link.Low
	default:
		return link.Net
	}
}

// Idle reports whether no request waits for an answer.
func (a *Agent) Idle() bool { return a.end.Pending() == 0 }
