// Package registrar is a Thread node's SRP server (RFC 9665): package
// dnssd/srp on a port of the node, which the network data tell of by a unicast
// or an anycast service (Thread 1.4 Section 14.3), as OpenThread's does.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package registrar

import (
	"errors"
	"net/netip"

	"gatewayd/dnssd/srp"
	"gatewayd/thread/addr"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/publish"
)

// State is what a Registrar does.
type State uint8

// The states.
const (
	Disabled State = iota
	Running
	Stopped // it waits for a network
)

// String names the state.
func (s State) String() string { return [...]string{"disabled", "running", "stopped"}[s] }

// Mode is how clients find it.
type Mode uint8

// The modes.
const (
	Unicast Mode = iota // by its mesh-local EID and port
	Anycast             // by an anycast locator and AnycastPort
)

// String names the mode.
func (m Mode) String() string { return [...]string{"unicast", "anycast"}[m] }

// AnycastPort is that of DNS.
const AnycastPort = 53

// ErrRunning is the error of a change that takes a disabled Registrar.
var ErrRunning = errors.New("registrar: not while it is enabled")

// Config is what a Registrar needs.
type Config struct {
	Server    *srp.Server
	IP        *ip.Stack
	Publisher *publish.Publisher
	Attached  func() bool
	Port      uint16 // where updates come to, beside AnycastPort
	// Addresses is the node's address resolution, which learns where the
	// addresses of hosts are that register.
	Addresses *addr.Resolver
	// Resolver says that somebody else has AnycastPort, and passes updates on.
	Resolver bool
}

// A Registrar is the machine. It is disabled at first.
type Registrar struct {
	cfg      Config
	enabled  bool
	mode     Mode
	sequence uint8
}

// New returns a Registrar.
func New(cfg Config) *Registrar {
	r := &Registrar{cfg: cfg}
	cfg.Server.Subscribe(r.registered)
	return r
}

// registered notes that the addresses of a host are where its update came from,
// of those that were not known: the first datagram to it need not wait.
func (r *Registrar) registered(e srp.Event) {
	if e.Kind != srp.HostUpdated && e.Kind != srp.HostRenewed {
		return
	}
	rloc16, ok := r.cfg.Addresses.Lookup(e.From.Addr())
	if !ok {
		return
	}
	for _, a := range e.Host.Addrs {
		if _, known := r.cfg.Addresses.Lookup(a); !known {
			r.cfg.Addresses.Heard(a, rloc16, true)
		}
	}
}

// Server keeps what is registered.
func (r *Registrar) Server() *srp.Server { return r.cfg.Server }

// Port is where updates come to.
func (r *Registrar) Port() uint16 { return r.cfg.Port }

// State tells what it does.
func (r *Registrar) State() State {
	switch {
	case !r.enabled:
		return Disabled
	case r.cfg.Attached():
		return Running
	}
	return Stopped
}

// SetEnabled has it take updates and be told of, or neither. What is registered
// stays until its leases end.
func (r *Registrar) SetEnabled(on bool) {
	if on == r.enabled {
		return
	}
	r.enabled = on
	if !on {
		r.cfg.IP.HandleUDP(r.cfg.Port, nil)
		if !r.cfg.Resolver {
			r.cfg.IP.HandleUDP(AnycastPort, nil)
		}
		r.cfg.Publisher.UnpublishService()
		return
	}
	r.listen(r.cfg.Port)
	if !r.cfg.Resolver && !r.cfg.IP.UDPInUse(AnycastPort) {
		r.listen(AnycastPort)
	}
	r.Update()
}

func (r *Registrar) listen(port uint16) {
	r.cfg.IP.HandleUDP(port, func(d *ip.Datagram) {
		if reply := r.cfg.Server.Receive(d.Src, d.Payload); reply != nil {
			_ = r.cfg.IP.SendUDP(ip.Datagram{Src: netip.AddrPortFrom(d.Dst.Addr(), port), Dst: d.Src, Payload: reply}, link.Options{})
		}
	})
}

// Update has the network told of it as soon as there is one. It is to be called
// when the node's role changes.
func (r *Registrar) Update() {
	if r.enabled && r.cfg.Attached() && !r.cfg.Publisher.Service() {
		r.publish()
	}
}

func (r *Registrar) publish() {
	if r.mode == Anycast {
		r.cfg.Publisher.Anycast(r.sequence, 0)
		return
	}
	r.cfg.Publisher.Unicast(netip.AddrPortFrom(netip.Addr{}, r.cfg.Port), 0)
}

// Mode is how clients find it.
func (r *Registrar) Mode() Mode { return r.mode }

// SetMode changes that; the error is ErrRunning while it is enabled.
func (r *Registrar) SetMode(m Mode) error {
	if r.enabled {
		return ErrRunning
	}
	r.mode = m
	return nil
}

// Sequence is the number of the anycast service: clients that see another
// register anew.
func (r *Registrar) Sequence() uint8 { return r.sequence }

// SetSequence changes that; the error is ErrRunning while it is enabled.
func (r *Registrar) SetSequence(n uint8) error {
	if r.enabled {
		return ErrRunning
	}
	r.sequence = n
	return nil
}
