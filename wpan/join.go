package wpan

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/ieee802154"
	"gatewayd/pana"
	"gatewayd/wpan/mac"
)

// Implementation constants.
const (
	scanDwell    = 120 * time.Millisecond // on each channel
	firstSearch  = 2 * time.Second        // until the next search, doubled each time
	lastSearch   = 2 * time.Minute
	allChannels  = 0x07fff800 // 11 to 26
	keyAskPeriod = 10 * time.Second
)

// search is a device's way into a network: scan, try what answered, best
// first, scan again later.
type search struct {
	timer *alarm.Timer
	wait  time.Duration
	found []mac.Beacon
}

func (a *authentication) init(n *Node) {
	a.n = n
	a.search.timer = n.clock.NewTimer(a.scan)
	a.activate = n.clock.NewTimer(n.switchKey)
}

// join looks for a network.
func (a *authentication) join() {
	a.search.wait = firstSearch
	a.search.timer.Start(0)
}

func (a *authentication) scan() {
	if !a.searching() {
		return
	}
	channels := a.n.cfg.Channels
	if channels == 0 {
		channels = allChannels
	}
	if !a.n.mac.Up() || !a.n.mac.Scan(channels, scanDwell, a.scanned) {
		a.later()
	}
}

// searching reports whether the device has yet to find its way in.
func (a *authentication) searching() bool { return a.n.started && !a.n.joined }

// later searches again after a while.
func (a *authentication) later() {
	wait := a.search.wait
	a.search.wait = min(2*wait, lastSearch)
	a.search.timer.Start(wait/2 + time.Duration(a.n.rand.Int64N(int64(wait))))
}

func (a *authentication) scanned(found []mac.Beacon) {
	if !a.searching() {
		return // the node was turned off meanwhile
	}
	want := a.n.cfg.Network.ID
	a.search.found = slices.DeleteFunc(found, func(b mac.Beacon) bool {
		p, ok := decodeBeaconPayload(b.Payload)
		return !ok || want != (NetworkID{}) && p.network != want || a.n.secured() && !p.allowJoin && !a.member(b, p)
	})
	slices.SortStableFunc(a.search.found, func(x, y mac.Beacon) int { return cmp.Compare(y.RSSI, x.RSSI) })
	a.try()
}

// member reports a beacon of the network that this device was in: it may come
// back while new devices may not join.
func (a *authentication) member(b mac.Beacon, p beaconPayload) bool {
	nw := &a.n.network
	return nw.Key.Index != 0 && nw.PANID == b.PANID && nw.ID == p.network
}

// try tries the next candidate.
func (a *authentication) try() {
	n := a.n
	if !a.searching() {
		return
	}
	if len(a.search.found) == 0 {
		a.later()
		return
	}
	b := a.search.found[0]
	a.search.found = a.search.found[1:]
	p, _ := decodeBeaconPayload(b.Payload)
	n.network.Channel, n.network.PANID, n.network.ID = b.Channel, b.PANID, p.network
	n.mac.SetNetwork(b.Channel, b.PANID)
	n.log(Event{ID: "LOWPAN-FOUND", Text: "found a network that can be joined",
		Attrs: []Attr{{"network", p.network.String()}, {"channel", b.Channel}, {"pan", b.PANID}, {"router", b.Src}}})
	if n.network.Open {
		n.joined = true
		n.begin()
		return
	}
	if err := a.startClient(b.Src); err != nil {
		n.log(Event{ID: "LOWPAN-PANA", Text: "there is no authentication client", Err: err})
		a.later()
	}
}

// startClient authenticates through a neighbour.
func (a *authentication) startClient(router ieee802154.ExtAddr) error {
	n := a.n
	if a.pac == nil {
		pac, err := pana.NewPaC(pana.PaCConfig{
			Clock: &n.clock, Random: n.cfg.Random, Profile: n.cfg.Profile,
			Peer: func() pana.Peer { return a.peer() },
			Send: func(to netip.AddrPort, b []byte) {
				a.send(portClient, to, b, !n.joined || a.recovering)
			},
			Event: a.clientEvent, Dropped: a.dropped, Delivered: a.delivered,
			Probe: probePeriod, Timers: a.timers(),
		})
		if err != nil {
			return err
		}
		a.pac = pac
		n.HandleUDP(portClient, func(d Datagram) {
			a.pac.Receive(pana.Datagram{From: d.Src, HopLimit: d.HopLimit, Payload: d.Payload})
		})
	}
	a.agent = netip.AddrPortFrom(linkLocal(router), portPANA)
	a.pac.Start(a.agent)
	return nil
}

// timers are PANA's, but a router that does not answer is given up for the next:
// RFC 5191 Section 9 has a client ask for ever.
func (a *authentication) timers() (t pana.Timers) {
	if a.n.cfg.Profile == pana.Standard {
		t.Initiation = pana.Retransmission{Initial: time.Second, Max: 8 * time.Second, MaxDuration: 30 * time.Second}
	}
	return t
}

// probePeriod is how long a device trusts that its session is known: an agent
// that was restarted knows none.
const probePeriod = 10 * time.Minute

// peer makes the EAP peer of a handshake.
func (a *authentication) peer() pana.Peer {
	p, err := a.n.cfg.Peer()
	if err != nil {
		a.n.log(Event{ID: "LOWPAN-EAP", Text: "there is no EAP peer", Err: err})
		return noPeer{err}
	}
	return p
}

var errNoKey = errors.New("wpan: authenticated, but no network key came")

// clientEvent follows the device's own session.
func (a *authentication) clientEvent(e pana.Event) {
	n := a.n
	switch e.Kind {
	case pana.SessionAuthorized:
		n.log(Event{ID: "LOWPAN-AUTHORIZED", Text: "authenticated"})
		// Its keys come with the same message, after this.
		n.clock.After(0, a.entered)
	case pana.SessionRefused:
		n.log(Event{ID: "LOWPAN-REFUSED", Text: "not authenticated", Err: e.Reason})
		if a.searching() {
			n.clock.After(0, a.try)
		}
	case pana.SessionTerminated:
		n.log(Event{ID: "LOWPAN-TERMINATED", Text: "the session is over", Err: e.Reason})
		if n.started {
			n.clock.After(0, a.leave)
		}
	}
	if n.cfg.Session != nil {
		n.cfg.Session(e)
	}
}

// delivered takes the keys that came with the authorization, or later.
func (a *authentication) delivered(as []pana.AVP) {
	ks, err := pana.AVPs(as).NetworkKeys()
	if err != nil {
		return // was checked before
	}
	ks = slices.DeleteFunc(ks, func(k pana.NetworkKey) bool { return k.Index == 0 })
	for i, k := range ks {
		key := Key{Index: k.Index, Value: k.Key}
		a.n.begins(key, k.AuthCounter)
		switch {
		case i == 0 && !a.n.joined:
			a.n.adoptKey(key)
		case a.n.learnKey(key) && i == 0 && a.recovering:
			a.n.switchKey() // who asks is told the one in use first
		}
	}
	a.recovering = false
}

// noPeer stands for an EAP peer that could not be made: it never answers, and
// the handshake ends by its time.
type noPeer struct{ err error }

func (p noPeer) Receive([]byte) eap.Result { return eap.Result{Outcome: eap.Failure, Reason: p.err} }

// entered begins in the network if there is a key.
func (a *authentication) entered() {
	n := a.n
	if !n.started || n.joined {
		return
	}
	if n.network.Key.Index == 0 {
		n.log(Event{ID: "LOWPAN-REFUSED", Text: "not in the network", Err: errNoKey})
		a.try()
		return
	}
	n.joined = true
	n.saveNetwork()
	n.begin()
}

// leave forgets the network and looks for one again.
func (a *authentication) leave() {
	n := a.n
	if !n.started {
		return
	}
	n.joined, a.recovering = false, false
	for _, k := range []Key{n.network.Key, n.network.Other} {
		n.mac.DropKey(k.Index)
	}
	n.network.Key, n.network.Other = Key{}, Key{}
	n.end()
	n.adapt.flush()
	n.saveNetwork()
	a.search.wait = firstSearch
	a.later()
}

// roamed follows the device to another router: its session goes along.
func (a *authentication) roamed(router netip.Addr) {
	if a.pac == nil || !a.n.joined || a.agent.Addr() == router {
		return
	}
	a.agent = netip.AddrPortFrom(router, portPANA)
	a.pac.Move(a.agent)
}

// KeyMissing implements mac.Upper: somebody uses a key that this device was not
// told of. It asks for it, in the clear, as it had to for its first.
func (n *Node) KeyMissing(uint8) {
	a, now := &n.auth, n.clock.Now()
	if a.pac == nil || !n.joined || now.Sub(a.asked) < keyAskPeriod {
		return
	}
	a.asked, a.recovering = now, true
	k := pana.KeyRequest{Index: n.network.Key.Index}
	if err := a.pac.Ask(k.AVP()); err != nil {
		a.recovering = false
	}
}
