package plain

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"gatewayd/eap"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/pana"
	"gatewayd/radio"
	"gatewayd/radio/medium"
	"gatewayd/wpan"
)

// scatter adds devices at random places of a square, each within reach of one
// that is there already, and links all that reach each other. Every third is a
// host.
func (l *lab) scatter(rng *rand.Rand, devices int, loss float64) {
	type place struct{ x, y float64 }
	const side, reach, near = 10.0, 3.4, 1.0
	places := []place{{side / 2, side / 2}}
	routers := []int{0}
	distance := func(a, b place) float64 { return math.Hypot(a.x-b.x, a.y-b.y) }
	for i := 1; i <= devices; i++ {
		var p place
		for fits := false; !fits; {
			p = place{rng.Float64() * side, rng.Float64() * side}
			least := math.Inf(1)
			for _, r := range routers {
				least = min(least, distance(p, places[r]))
			}
			fits = least < 0.8*reach && least > near
		}
		role := wpan.Router
		if i%3 == 0 {
			role = wpan.Host
		} else {
			routers = append(routers, i)
		}
		places = append(places, p)
		n := l.device(fmt.Sprintf("n%02d", i), role, l.key, func(c *wpan.Config) { c.Log = nil })
		for j := range i {
			if distance(p, places[j]) < reach {
				l.Link(l.Nodes()[j].Station, n.Station, loss)
			}
		}
	}
}

// Thirty devices on bad links all join, and all are reached, both ways.
func TestMesh(t *testing.T) {
	seeds := 3
	if testing.Short() {
		seeds = 1
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			l := newLab(t, 100+seed, nil)
			l.used()
			l.scatter(rand.New(rand.NewPCG(seed, 1)), 30, 0.1)
			devices := l.Nodes()[1:]
			l.await("all are in the network and reached", 15*time.Minute, func() bool {
				for _, n := range devices {
					if !addressed(n) || !l.reaches(n) {
						return false
					}
				}
				return true
			})
			joined := l.Now().Sub(Began)
			l.Run(2 * time.Minute)
			deepest := 0
			for _, r := range l.root.Routes() {
				deepest = max(deepest, len(r.Hops))
			}
			answered := 0
			for _, n := range devices {
				answered += l.pings(l.root, n, 100) + l.pings(n, l.root, 100)
			}
			t.Logf("all joined after %v, the farthest %d hops away; %d of %d pings answered", joined, deepest, answered, len(devices)*20)
			if share := float64(answered) / float64(len(devices)*20); share < 0.97 {
				t.Errorf("%.1f %% of pings were answered", 100*share)
			}
			if n := runtime.NumGoroutine(); n > goroutines {
				t.Errorf("%d goroutines, had %d", n, goroutines)
			}
			l.rotate()
			l.Run(5 * time.Minute)
			for _, n := range l.Nodes() {
				if i := n.Network(); i.Key.Index != 2 || i.Other.Index != 0 {
					t.Errorf("%s: %v, beside it %v", n.Name, i.Key, i.Other)
				}
			}
		})
	}
}

// A device that floods without a key costs the others little. Under as many
// names as it has frames it keeps new devices out while it lasts, no others.
func TestFlood(t *testing.T) {
	for _, spoofs := range []bool{false, true} {
		t.Run(fmt.Sprintf("spoofs=%v", spoofs), func(t *testing.T) {
			l := newLab(t, 30, nil)
			d := l.device("friend", wpan.Host, l.key, nil)
			l.Link(l.root.Station, d.Station, 0)
			l.await("it is in", time.Minute, func() bool { return addressed(d) })

			flood := l.Air().Add()
			l.Link(l.root.Station, flood, 0)
			rng := rand.New(rand.NewPCG(3, 4))
			ext := ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0xff, 0xff}
			tick := l.Clock().NewTimer(func() {})
			var sent int
			tick = l.Clock().NewTimer(func() {
				if spoofs {
					ext[5], ext[6] = byte(rng.Uint32()), byte(rng.Uint32())
				}
				flood.Transmit(l.Now(), 15, radio.PowerDefault, unsecured(ext, l.root.Ext(), uint8(sent), (&pana.Message{Type: pana.Initiation}).Append(nil)))
				sent++
				tick.Start(10 * time.Millisecond)
			})
			tick.Start(0)
			l.Run(20 * time.Second)
			if n := len(l.root.Sessions()); n > 2 {
				t.Errorf("%d sessions of who only asked", n)
			}
			refused := l.root.Counters.Refused
			if refused < uint64(sent)/3 {
				t.Errorf("%d of %d refused", refused, sent)
			}
			t.Logf("%d of %d refused; %+v", refused, sent, l.root.PAA().Counters)
			l.ping(l.root, d, 16, 8)

			late := l.device("late", wpan.Host, l.key, nil)
			l.Link(l.root.Station, late.Station, 0)
			if spoofs {
				tick.Stop()
			}
			l.await("another device is in nevertheless", 10*time.Minute, func() bool { return addressed(late) })
		})
	}
}

// unsecured is a frame under no key with a UDP datagram to the PANA port, FCS
// included.
func unsecured(src, dst ieee802154.ExtAddr, seq uint8, payload []byte) []byte {
	f := ieee802154.Frame{Type: ieee802154.FrameData, Version: ieee802154.Version2006, Seq: seq,
		DstPAN: 0xabcd, SrcPAN: 0xabcd, Dst: ieee802154.ExtendedAddr(dst), Src: ieee802154.ExtendedAddr(src), AckRequest: true}
	f.CompressPAN()
	h := ipv6.Header{Src: linkLocal(src), Dst: linkLocal(dst), HopLimit: 255}
	f.Payload = append([]byte{0x41}, ipv6.AppendUDPPacket(nil, h, 61616, 716, payload)...)
	return withFCS(f.Append(nil))
}

func linkLocal(ext ieee802154.ExtAddr) netip.Addr {
	a := [16]byte{0: 0xfe, 1: 0x80}
	iid := ext.IID()
	copy(a[8:], iid[:])
	return netip.AddrFrom16(a)
}

func withFCS(psdu []byte) []byte {
	fcs := ieee802154.FCS(psdu)
	return append(psdu, byte(fcs), byte(fcs>>8))
}

// What a device of the network sends stays secured, whoever feigns to be it.
func TestFeignedJoiner(t *testing.T) {
	l, r, h := chain(t, 31, nil)
	flood := l.Air().Add()
	for _, n := range []*Node{l.root, r, h} {
		l.Link(n.Station, flood, 0)
	}
	inClear := map[uint8]int{}
	l.Tap(func(s medium.Sighting) {
		f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen])
		if err == nil && f.Type == ieee802154.FrameData && !f.Secured && s.From != flood.ID() {
			inClear[uint8(s.From)]++
		}
	})
	seq := uint8(0)
	var tick interface{ Start(time.Duration) }
	timer := l.Clock().NewTimer(func() {
		seq++
		// The router feigned to the host's neighbour, the host to the router.
		flood.Transmit(l.Now(), 15, radio.PowerDefault, unsecured(h.Ext(), r.Ext(), seq, []byte("no PANA")))
		tick.Start(100 * time.Millisecond)
	})
	tick = timer
	timer.Start(0)
	l.Run(10 * time.Second)
	l.ping(l.root, h, 100, 9)
	l.ping(h, l.root, 100, 9)
	ll := func(a, b *Node) {
		got := 0
		a.Do(func() {
			a.Ping(&wpan.Ping{Dst: b.Addresses()[0], Size: 16, Count: 5, Interval: time.Second, Timeout: time.Second, Reply: func(wpan.Reply) { got++ }})
		})
		l.Run(10 * time.Second)
		if got < 4 {
			t.Errorf("%s pings its neighbour %s: %d of 5", a.Name, b.Name, got)
		}
	}
	ll(r, h)
	ll(h, r)
	l.Run(15 * time.Minute) // registrations are renewed
	if !addressed(h) {
		t.Error("the host lost its address")
	}
	if len(inClear) != 0 {
		t.Errorf("frames in the clear, by station: %v", inClear)
	}
}

func TestExpiredCredential(t *testing.T) {
	over := false
	l := newLab(t, 32, func(c *wpan.Config) {
		c.Authorize = func(pana.Info, eap.Result) error {
			if over {
				return errors.New("the credential has ended")
			}
			return nil
		}
	})
	d := l.device("pump", wpan.Host, l.key, nil)
	l.Link(l.root.Station, d.Station, 0)
	l.await("it is in", time.Minute, func() bool { return addressed(d) })
	over = true
	l.root.Do(func() { l.root.PAA().ReauthenticateAll() })
	l.await("its session ends when it cannot prove itself again", 5*time.Minute, func() bool { return !d.Attached() })
	l.Run(5 * time.Minute)
	if addressed(d) || d.Network().Key.Index != 0 {
		t.Errorf("%v %v", d.Addresses(), d.Network())
	}
}
