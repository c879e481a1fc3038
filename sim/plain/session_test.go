package plain

import (
	"testing"
	"time"

	"gatewayd/eap/psk"
	"gatewayd/pana"
	"gatewayd/wpan"
)

func TestWrongKey(t *testing.T) {
	l := newLab(t, 20, nil)
	wrong, err := psk.NewKey([]byte("fedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	bad := l.device("stranger", wpan.Host, wrong, nil)
	good := l.device("friend", wpan.Host, l.key, nil)
	l.Link(l.root.Station, bad.Station, 0)
	l.Link(l.root.Station, good.Station, 0)
	l.Run(10 * time.Minute)
	if addressed(bad) || bad.Attached() || bad.Network().Key.Index != 0 {
		t.Errorf("who has another key is in: %v %v", bad.Addresses(), bad.Network())
	}
	if !addressed(good) {
		t.Error("its neighbour is not")
	}
	if n := l.count[pana.SessionRefused]; n < 2 || n > 20 {
		t.Errorf("it was refused %d times in 10 minutes", n)
	}
	if n := len(l.root.Sessions()); n > 2 {
		t.Errorf("%d sessions", n)
	}
}

func TestPermitOff(t *testing.T) {
	l, r, h := chain(t, 21, nil)
	l.root.Permit(false)
	for _, at := range []*Node{l.root, r} {
		// A router's beacons permit it still; the agent does not.
		late := l.device("late", wpan.Host, l.key, nil)
		l.Link(at.Station, late.Station, 0)
		l.Run(5 * time.Minute)
		if addressed(late) {
			t.Errorf("a new device is in by %s", at.Name)
		}
	}
	if err := h.Restart(nil); err != nil {
		t.Fatal(err)
	}
	l.await("a device that was in comes back", 5*time.Minute, func() bool { return addressed(h) })
	if err := r.Restart(nil); err != nil {
		t.Fatal(err)
	}
	l.await("a router that was in comes back", 5*time.Minute, func() bool { return addressed(r) })
	l.root.Permit(true)
	l.await("new devices are in when they may", 15*time.Minute, func() bool {
		for _, n := range l.Nodes() {
			if !addressed(n) {
				return false
			}
		}
		return true
	})
}

// Disconnecting takes the session; changing the key takes the rest.
func TestDisconnect(t *testing.T) {
	l, _, h := chain(t, 22, nil)
	who := l.root.Sessions()
	var id uint32
	for _, s := range who {
		if s.PRE.IsValid() {
			id = s.ID
		}
	}
	l.root.Permit(false)
	l.root.Do(func() {
		if err := l.root.PAA().Disconnect(id); err != nil {
			t.Fatal(err)
		}
	})
	l.await("the host was told", 30*time.Second, func() bool { return !h.Attached() })
	if h.Network().Key.Index != 0 {
		t.Error("it keeps the key")
	}
	l.rotate()
	l.Run(5 * time.Minute)
	if i := l.root.Network(); i.Key.Index != 2 || i.Other.Index != 0 {
		t.Errorf("%v", i)
	}
}

func TestSessionLifetime(t *testing.T) {
	l, _, h := chain(t, 23, func(c *wpan.Config) { c.SessionLifetime = 2 * time.Minute })
	l.Run(30 * time.Minute)
	if n := l.count[pana.SessionTerminated]; n != 0 {
		t.Errorf("%d sessions ended, while they could be renewed", n)
	}
	if n := l.count[pana.SessionReauthenticated]; n < 2*14 {
		t.Errorf("%d re-authentications in 30 minutes", n)
	}
	l.ping(l.root, h, 100, 10)

	h.Kill()
	l.Run(5 * time.Minute)
	if n := len(l.root.Sessions()); n != 1 {
		t.Errorf("%d sessions, of which one is of a dead device", n)
	}
}

func TestReauthenticate(t *testing.T) {
	l, _, h := chain(t, 24, nil)
	l.root.Do(func() {
		if n := l.root.PAA().ReauthenticateAll(); n != 2 {
			t.Errorf("%d sessions", n)
		}
	})
	l.Run(time.Minute)
	if n := l.count[pana.SessionReauthenticated]; n != 2 {
		t.Errorf("%d re-authenticated", n)
	}
	l.ping(h, l.root, 100, 10)
}

// A device that leaves takes its session along, and comes back.
func TestLeave(t *testing.T) {
	l, r, h := chain(t, 25, nil)
	h.Do(h.Leave)
	l.Run(10 * time.Second)
	if n := len(l.root.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
	h.Do(h.Start)
	l.await("it is back", 3*time.Minute, func() bool { return addressed(h) && l.reaches(h) })
	l.ping(l.root, h, 100, 10)
	r.Do(r.Stop)
	l.Run(10 * time.Second)
	r.Do(r.Start)
	l.await("the router is back", 5*time.Minute, func() bool { return addressed(r) && l.reaches(r) && l.reaches(h) })
	l.ping(l.root, r, 100, 10)
}

// A device that goes elsewhere keeps address and session.
func TestRoaming(t *testing.T) {
	l, r, h := chain(t, 26, nil)
	r2 := l.device("second", wpan.Router, l.key, nil)
	l.Link(l.root.Station, r2.Station, 0)
	l.await("the second router is in", 3*time.Minute, func() bool { return addressed(r2) })
	addr, opened := h.Addresses()[1], l.count[pana.SessionOpened]
	l.Cut(r.Station, h.Station)
	l.Link(r2.Station, h.Station, 0)
	began := l.Now()
	l.pings(h, l.root, 16) // none of them arrives, but they are noticed to
	relayed := func() bool {
		for _, s := range l.root.Sessions() {
			if s.PRE.IsValid() && s.PRE.Addr() == r2.Addresses()[1] {
				return true
			}
		}
		return false
	}
	l.await("the session goes by the other router", 5*time.Minute, relayed)
	t.Logf("it roamed within %v", l.Now().Sub(began))
	l.Run(2 * time.Minute)
	if h.Addresses()[1] != addr || l.count[pana.SessionOpened] != opened {
		t.Errorf("address %v became %v, %d new sessions", addr, h.Addresses()[1], l.count[pana.SessionOpened]-opened)
	}
	l.ping(l.root, h, 100, 10)
	l.ping(h, l.root, 100, 10)
}

func TestOpen(t *testing.T) {
	open := func(c *wpan.Config) { c.Network.Open, c.Backend, c.Peer = true, nil, nil }
	l := newLab(t, 27, open)
	r := l.device("router", wpan.Router, nil, open)
	h := l.device("host", wpan.Host, nil, open)
	l.Link(l.root.Station, r.Station, 0)
	l.Link(r.Station, h.Station, 0)
	l.await("all are in", 3*time.Minute, func() bool { return l.reaches(r) && l.reaches(h) })
	l.ping(l.root, h, 1200, 10)
	l.ping(h, l.root, 100, 10)
	if len(l.root.Sessions()) != 0 {
		t.Error("there are sessions")
	}
	if _, ok := l.root.RotateKey(); ok {
		t.Error("there is a key")
	}
}

func TestStoring(t *testing.T) {
	l, r, h := chain(t, 28, func(c *wpan.Config) { c.Storing = c.Role == wpan.Coordinator })
	l.Run(time.Minute)
	for _, d := range []*Node{r, h} {
		l.ping(l.root, d, 500, 10)
		l.ping(d, l.root, 500, 10)
	}
}

func TestZigBeeIP(t *testing.T) {
	zigbee := func(c *wpan.Config) { c.Profile = pana.ZigBeeIP }
	l := newLab(t, 29, zigbee)
	r := l.device("router", wpan.Router, l.key, zigbee)
	h := l.device("host", wpan.Host, l.key, zigbee)
	l.Link(l.root.Station, r.Station, 0)
	l.Link(r.Station, h.Station, 0)
	l.await("all are in", 5*time.Minute, func() bool { return l.reaches(r) && l.reaches(h) })
	l.rotate()
	l.Run(time.Minute)
	if h.Network().Key.Index != 2 {
		t.Errorf("%v", h.Network())
	}
	l.ping(l.root, h, 100, 10)
}

// A router that leads nowhere is given up for another.
func TestMuteRouter(t *testing.T) {
	l := newLab(t, 33, nil)
	r := l.device("mute", wpan.Router, l.key, nil)
	l.Link(l.root.Station, r.Station, 0)
	l.await("the router is in", time.Minute, func() bool { return addressed(r) })
	l.Cut(l.root.Station, r.Station)
	d := l.device("lamp", wpan.Host, l.key, nil)
	l.Air().Link(r.Station, d.Station, -40, 0) // the louder one
	l.Link(l.root.Station, d.Station, 0)
	began := l.Now()
	l.await("the device is in by the other", 5*time.Minute, func() bool { return addressed(d) })
	t.Logf("in after %v", l.Now().Sub(began))
	l.ping(l.root, d, 16, 10)
}
