package wpan

import (
	"errors"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/ieee802154"
	"gatewayd/pana"
)

// portClient is the port of a device's own PANA client: its relay element has
// the well-known one.
const portClient = 61617

// eapMTU keeps an EAP packet within a few frames of the air.
const eapMTU = 512

// activationDelay is how long a new network key is on its way to everybody
// before it is used, and activationPace how much longer for each session.
const (
	activationDelay = 30 * time.Second
	activationPace  = 20 * time.Millisecond
)

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
	joins      joins
	activate   *alarm.Timer // running: the next key is on its way to everybody
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
		Send:      func(to netip.AddrPort, b []byte) { a.send(portPANA, to, b, false) },
		Event:     a.sessionEvent,
		Dropped:   a.dropped,
		Authorize: n.authorize,
		Deliver:   n.keyAVPs,
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
		if !d.Link.FromHost { // a host is no node of the network, wherever it says it is
			a.paa.Receive(pana.Datagram{From: d.Src, HopLimit: d.HopLimit, Payload: d.Payload})
		}
	})
	if n.hasNext() {
		a.activate.Start(activationDelay) // a change that a restart interrupted
	}
}

// ErrNotPermitted is why a device is refused that is new while none may join.
var ErrNotPermitted = errors.New("wpan: new devices may not join now")

// authorize decides about a device that has authenticated. One that was in the
// network before may come back while others may not join.
func (n *Node) authorize(i pana.Info, r eap.Result) error {
	if !n.permit && !n.knows(linkAddress(i.PaC.Addr()).Ext) {
		return ErrNotPermitted
	}
	if n.cfg.Authorize == nil {
		return nil
	}
	return n.cfg.Authorize(i, r)
}

// knows reports a device with a registered address or a session.
func (n *Node) knows(ext ieee802154.ExtAddr) bool {
	if _, ok := n.border.Lookup(inPrefix(n.network.Prefix, ext)); ok {
		return true
	}
	for _, s := range n.auth.paa.Sessions() {
		if s.KeyID != 0 && linkAddress(s.PaC.Addr()).Ext == ext {
			return true
		}
	}
	return false
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
func (n *Node) keyAVPs(s pana.Info) []pana.AVP {
	ks := []Key{n.network.Key}
	if n.hasNext() {
		ks = append(ks, n.network.Other)
	}
	var as []pana.AVP
	for _, k := range ks {
		count, ok := n.auth.joins.count(n, s, k)
		if !ok {
			return nil
		}
		nk := pana.NetworkKey{Key: k.Value, Index: k.Index, AuthCounter: count}
		as = append(as, nk.AVP())
	}
	if n.auth.joins.worn(n.network.Key) {
		n.clock.After(0, func() { n.RotateKey() })
	}
	return as
}

// RotateKey makes a new network key, tells it to every session and puts it into
// use a while later. It returns the index; false while a change is under way,
// without a network, and if the key cannot be stored.
func (n *Node) RotateKey() (uint8, bool) {
	if n.auth.paa == nil || n.hasNext() {
		return 0, false
	}
	k, err := n.newKey(n.network.Key.next())
	if err != nil || !n.learnKey(k) {
		return 0, false
	}
	if n.saveNetwork() != nil {
		n.mac.DropKey(k.Index)
		n.network.Other = Key{}
		return 0, false
	}
	nk := pana.NetworkKey{Key: k.Value, Index: k.Index}
	sessions := n.auth.paa.PushAll([]pana.AVP{nk.AVP()})
	n.auth.activate.Start(activationDelay + time.Duration(sessions)*activationPace)
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
	if to.Addr().IsLinkLocalUnicast() && a.n.isJoiner(linkAddress(to.Addr())) {
		unsecured = true
	}
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
	a.activate.Stop()
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
