package plain

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/pana"
	"gatewayd/radio/medium"
	"gatewayd/wpan"
)

// chain is a coordinator, a router and a host behind that, all in the network.
func chain(t *testing.T, seed uint64, change func(*wpan.Config)) (l *lab, r, h *Node) {
	t.Helper()
	l = newLab(t, seed, change)
	r = l.device("router", wpan.Router, l.key, nil)
	h = l.device("host", wpan.Host, l.key, nil)
	l.Link(l.root.Station, r.Station, 0)
	l.Link(r.Station, h.Station, 0)
	l.await("all are in the network", 3*time.Minute, func() bool { return addressed(r) && addressed(h) && l.reaches(r) && l.reaches(h) })
	return l, r, h
}

func (l *lab) await(what string, limit time.Duration, done func() bool) {
	l.t.Helper()
	if !l.RunUntil(limit, done) {
		l.t.Fatalf("after %v it is not so that %s", limit, what)
	}
}

func (l *lab) reaches(n *Node) bool {
	a := n.Addresses()
	return len(a) > 1 && l.root.Reaches(a[len(a)-1])
}

func (l *lab) rotate() {
	l.t.Helper()
	l.root.Do(func() {
		if _, ok := l.root.RotateKey(); !ok {
			l.t.Fatal("the key is not changed")
		}
	})
}

// used collects every nonce on the air, and fails when one comes with two
// frames: a frame counter must be used once by one sender under one key.
func (l *lab) used() {
	type nonce struct {
		src     ieee802154.ExtAddr
		index   uint8
		counter uint32
	}
	seen := map[nonce]string{}
	l.Tap(func(s medium.Sighting) {
		f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen])
		if err != nil || !f.Secured {
			return
		}
		n := nonce{f.Src.Ext, f.Security.KeyIndex, f.Security.Counter}
		if was, ok := seen[n]; ok && was != string(s.PSDU) {
			l.t.Errorf("%v uses counter %d under key %d for two frames", n.src, n.counter, n.index)
		}
		seen[n] = string(s.PSDU)
	})
}

func TestKeyRotation(t *testing.T) {
	l, r, h := chain(t, 10, nil)
	l.used()
	for range 3 {
		was := l.root.Network().Key.Index
		l.rotate()
		if _, again := l.root.RotateKey(); again {
			t.Error("two changes at a time")
		}
		l.await("all use the next key", time.Minute, func() bool {
			for _, n := range []*Node{l.root, r, h} {
				if n.Network().Key.Index != was+1 {
					return false
				}
			}
			return true
		})
		l.ping(l.root, h, 100, 10)
		l.Run(3 * time.Minute)
		for _, n := range []*Node{l.root, r, h} {
			if o := n.Network().Other; o.Index != 0 {
				t.Errorf("%s still accepts key %d", n.Name, o.Index)
			}
		}
	}
	l.ping(h, l.root, 100, 10)
}

// A device that did not hear of the change asks, when it hears what it cannot read.
func TestMissedKey(t *testing.T) {
	l, r, h := chain(t, 11, nil)
	l.used()
	l.Cut(r.Station, h.Station)
	l.rotate()
	l.Run(4 * time.Minute)
	if i := h.Network().Key.Index; i != 1 {
		t.Fatalf("key %d came through thin air", i)
	}
	l.Link(r.Station, h.Station, 0)
	l.await("the host has the key", 20*time.Minute, func() bool { return h.Network().Key.Index == 2 })
	l.Run(time.Minute)
	l.ping(l.root, h, 100, 10)
	if n := l.count[pana.SessionTerminated]; n > 1 {
		t.Errorf("%d sessions were ended", n)
	}
}

// A change that a power cut of the coordinator interrupts goes on.
func TestRotationInterrupted(t *testing.T) {
	l, r, h := chain(t, 12, nil)
	l.used()
	l.rotate()
	l.Run(10 * time.Second)
	if err := l.root.Restart(nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.root.RotateKey(); ok {
		t.Error("another key takes the place of one that is on its way")
	}
	l.await("all use the next key", 5*time.Minute, func() bool {
		return l.root.Network().Key.Index == 2 && r.Network().Key == l.root.Network().Key && h.Network().Key == l.root.Network().Key
	})
	l.Run(time.Minute)
	l.ping(l.root, h, 100, 10)
}

// After a power cut of the coordinator devices go on as before.
func TestCoordinatorRestart(t *testing.T) {
	l, r, h := chain(t, 13, nil)
	l.used()
	l.Run(time.Minute)
	before, regs := l.root.Network(), len(l.root.Registrations())
	for range 3 {
		if err := l.root.Restart(nil); err != nil {
			t.Fatal(err)
		}
		if got := l.root.Network(); got != before {
			t.Errorf("%+v became %+v", before, got)
		}
		if got := len(l.root.Registrations()); got != regs {
			t.Errorf("%d registrations, had %d", got, regs)
		}
		began := l.Now()
		l.await("the routes are back", 5*time.Minute, func() bool { return l.reaches(r) && l.reaches(h) })
		t.Logf("routes are back after %v", l.Now().Sub(began))
		l.ping(l.root, h, 100, 9)
		l.ping(h, l.root, 100, 9)
	}
	// Their sessions are unknown: they notice and authenticate again.
	l.await("sessions are back", 30*time.Minute, func() bool { return len(l.root.Sessions()) == 2 })
	l.Run(5 * time.Minute)
	l.ping(l.root, h, 100, 10)
}

func TestDeviceRestart(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgets=%v", forgets), func(t *testing.T) {
			l, r, h := chain(t, 14, nil)
			l.used()
			for _, n := range []*Node{h, r, h} {
				addr := n.Addresses()[1]
				n.Kill()
				l.Run(20 * time.Second)
				if forgets {
					n.Forget()
				}
				if err := n.Restart(nil); err != nil {
					t.Fatal(err)
				}
				l.await(n.Name+" is back", 10*time.Minute, func() bool { return addressed(n) && l.reaches(n) && l.reaches(h) })
				if got := n.Addresses()[1]; got != addr {
					t.Errorf("%v became %v", addr, got)
				}
				l.Run(2 * time.Minute)
				l.ping(l.root, h, 100, 9)
				l.ping(h, l.root, 100, 9)
			}
		})
	}
}

// A coordinator whose counters cannot be read uses no key that it used before.
func TestCountersDamaged(t *testing.T) {
	l, r, h := chain(t, 15, nil)
	l.used()
	l.root.Kill()
	if err := l.root.Store.Save("lowpan-counter", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if err := l.root.Restart(nil); err != nil {
		t.Fatal(err)
	}
	if i := l.root.Network().Key.Index; i != 2 {
		t.Errorf("key %d is used", i)
	}
	l.await("all are back", 40*time.Minute, func() bool {
		return r.Network().Key.Index == 2 && h.Network().Key.Index == 2 && l.reaches(r) && l.reaches(h)
	})
	l.Run(time.Minute)
	l.ping(l.root, h, 100, 10)

	l.root.Kill()
	l.root.Store.Fail = errors.New("disk full")
	if err := l.root.Restart(nil); err != nil {
		t.Fatal(err)
	}
	l.Tap(func(s medium.Sighting) {
		if f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen]); err == nil && f.Secured && s.From == l.root.Station.ID() {
			t.Error("sends under a counter that is not reserved")
		}
	})
	l.Run(time.Minute)
	if _, ok := l.root.RotateKey(); ok {
		t.Error("a key is given out that is not stored")
	}
}
