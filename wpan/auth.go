package wpan

import (
	"net/netip"
	"time"

	"gatewayd/eap"
	"gatewayd/pana"
)

// portClient is the port of a device's own PANA client: its relay element has
// the well-known one.
const portClient = 61617

// eapMTU keeps an EAP packet within a few frames of the air.
const eapMTU = 512

// activationDelay is how long a new network key is on its way to everybody
// before it is used.
const activationDelay = 30 * time.Second

// authentication is the node's part in PANA: the agent's, a client's, a relay
// element's.
type authentication struct {
	n *Node

	paa      *pana.PAA // of a coordinator
	pac      *pana.PaC // of a device
	pre      *pana.PRE // of a router
	preAgent netip.AddrPort

	agent      netip.AddrPort // where the device's client looks for its agent
	recovering bool           // the device missed a key: it asks without one
	asked      time.Time
	search     search
	activate   func()
}

// serve begins what a node does in PANA once it is in the network.
func (a *authentication) serve() {
	n := a.n
	if n.network.Open {
		return
	}
	switch n.cfg.Role {
	case Coordinator:
		a.servePAA()
	case Router:
		n.HandleUDP(portPANA, a.relay)
	}
}

func (a *authentication) servePAA() {
	n := a.n
	var err error
	a.paa, err = pana.NewPAA(pana.PAAConfig{
		Clock: &n.clock, Random: n.cfg.Random, Backend: n.cfg.Backend,
		Send:    func(to netip.AddrPort, b []byte) { a.send(portPANA, to, b, false) },
		Event:   a.sessionEvent,
		Dropped: a.dropped,
		Authorize: func(i pana.Info, r eap.Result) error {
			if n.cfg.Authorize == nil {
				return nil
			}
			return n.cfg.Authorize(i, r)
		},
		Deliver: func(pana.Info) []pana.AVP { return n.keyAVPs() },
		// A relay element is a node of the network: what comes from one has
		// been under the network's key on every hop.
		Relay:    func(pre netip.AddrPort) bool { return n.network.Prefix.Contains(pre.Addr()) },
		Port:     func(pac, _ netip.AddrPort) eap.Port { return n.port(pac) },
		Profile:  n.cfg.Profile,
		Lifetime: n.cfg.SessionLifetime,
		Encrypt:  true,
	})
	if err != nil {
		n.log(Event{ID: "LOWPAN-PANA", Text: "there is no authentication agent", Err: err})
		return
	}
	n.HandleUDP(portPANA, func(d Datagram) {
		a.paa.Receive(pana.Datagram{From: d.Src, HopLimit: d.HopLimit, Payload: d.Payload})
	})
}

// port describes a client to the EAP server.
func (n *Node) port(pac netip.AddrPort) eap.Port {
	p := eap.Port{CalledStation: station(n.ext), MTU: eapMTU}
	if pac.Addr().Is6() {
		p.CallingStation = station(linkAddress(pac.Addr()).Ext)
	}
	return p
}

func station(a [8]byte) string {
	const digits = "0123456789ABCDEF"
	var b []byte
	for i, x := range a {
		if i > 0 {
			b = append(b, '-')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return string(b)
}

// keyAVPs are the network's keys as a device is given them, the one in use
// first.
func (n *Node) keyAVPs() []pana.AVP {
	ks := []Key{n.network.Key}
	if o := n.network.Other; o.Index != 0 && newer(o.Index, n.network.Key.Index) {
		ks = append(ks, o)
	}
	var as []pana.AVP
	for _, k := range ks {
		nk := pana.NetworkKey{Key: k.Value, Index: k.Index}
		as = append(as, nk.AVP())
	}
	return as
}

// RotateKey makes a new network key, tells it to every session and puts it into
// use a while later. It returns the index.
func (n *Node) RotateKey() (uint8, bool) {
	if n.auth.paa == nil || n.auth.activate != nil {
		return 0, false
	}
	k := Key{Index: n.network.Key.next()}
	if _, err := n.cfg.Random.Read(k.Value[:]); err != nil || !n.learnKey(k) {
		return 0, false
	}
	nk := pana.NetworkKey{Key: k.Value, Index: k.Index}
	n.auth.paa.PushAll([]pana.AVP{nk.AVP()})
	t := n.clock.After(activationDelay, func() {
		n.auth.activate = nil
		n.switchKey()
	})
	n.auth.activate = t.Stop
	return k.Index, true
}

// Sessions are the PANA sessions of a coordinator.
func (n *Node) Sessions() []pana.Info {
	if n.auth.paa == nil {
		return nil
	}
	return n.auth.paa.Sessions()
}

// PAA is a coordinator's agent; nil while there is none.
func (n *Node) PAA() *pana.PAA { return n.auth.paa }

func (a *authentication) sessionEvent(e pana.Event) {
	if a.n.cfg.Session != nil {
		a.n.cfg.Session(e)
	}
}

func (a *authentication) dropped(from netip.AddrPort, why error) {
	a.n.Counters.PANADropped++
	a.n.log(Event{ID: "PANA-DROPPED", Text: "a PANA message was discarded", Attrs: []Attr{{"from", from}}, Err: why})
}

// send sends a PANA message. To a client that has no key it goes without one.
func (a *authentication) send(from uint16, to netip.AddrPort, b []byte, unsecured bool) {
	a.n.sendUDP(Datagram{Src: netip.AddrPortFrom(netip.Addr{}, from), Dst: to, HopLimit: 255, Payload: b},
		sending{unsecured: unsecured, urgent: true})
}

// relay serves a router's port: its own relay element.
func (a *authentication) relay(d Datagram) {
	n := a.n
	agent := netip.AddrPortFrom(n.host.BorderRouter(), portPANA)
	if !agent.Addr().IsValid() || !n.global().IsValid() {
		return // not known yet where to
	}
	if a.pre == nil || a.preAgent != agent {
		pre, err := pana.NewPRE(pana.PREConfig{
			Clock: &n.clock, PAA: agent, Seed: n.rand.Uint64(), Dropped: a.dropped,
			Send: func(to netip.AddrPort, b []byte) { a.send(portPANA, to, b, false) },
		})
		if err != nil {
			n.log(Event{ID: "LOWPAN-PANA", Text: "there is no relay element", Err: err})
			return
		}
		a.pre, a.preAgent = pre, agent
	}
	a.pre.Receive(pana.Datagram{From: d.Src, HopLimit: d.HopLimit, Payload: d.Payload})
}

// stop ends what serve and join began.
func (a *authentication) stop() {
	a.search.timer.Stop()
	if a.activate != nil {
		a.activate()
		a.activate = nil
	}
	if a.paa != nil {
		a.paa.Close()
		a.paa = nil
	}
	if a.pac != nil {
		a.pac.Terminate()
	}
	a.pre = nil
	a.n.HandleUDP(portPANA, nil)
}

// awaitsPANA reports whether a neighbour is where this device's client expects
// its agent.
func (n *Node) awaitsPANA(src netip.Addr) bool {
	return n.auth.pac != nil && n.auth.agent.Addr() == src
}
