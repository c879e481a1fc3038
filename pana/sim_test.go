package pana

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// clientAddr is the address of one of many clients.
func clientAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0xfe, 0x80, 8: 2, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}), Port)
}

// Whatever is lost, doubled or overtaken: every client gets in, stays in over
// re-authentications from both sides and pings, gets every key that was pushed
// at its last, and leaves.
func TestLossyNetwork(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLab(t, seed)
			l.loss, l.dup, l.delay = 0.1, 0.2, 300*time.Millisecond
			p := l.serve(func(c *PAAConfig) {
				c.Backend = testBackend{secret: "s", life: 30 * time.Minute}
				c.Encrypt = true
				c.Relay = func(a netip.AddrPort) bool { return a == preA }
			})
			l.relay(preA, nil)
			var ds []*device
			last := make([]uint8, 12)
			for i := range last {
				d := l.join(clientAddr(i+10), func(c *PaCConfig) {
					c.NoPiggyback = i%3 == 0
					c.Delivered = func(as []AVP) {
						ks, _ := AVPs(as).NetworkKeys()
						last[i] = ks[len(ks)-1].Index
					}
				})
				ds = append(ds, d)
				if i%2 == 0 {
					d.Start(paaAddr)
				} else {
					d.Start(preA)
				}
			}
			l.run(3 * time.Minute)
			for i := range 6 {
				p.PushAll([]AVP{(&NetworkKey{Index: uint8(i + 1)}).AVP()})
				for j, d := range ds {
					switch (i + j) % 3 {
					case 0:
						_ = d.Reauthenticate()
					case 1:
						_ = d.Ping()
					}
				}
				if i%2 == 0 {
					p.ReauthenticateAll()
				}
				l.run(3 * time.Minute)
			}
			l.run(time.Hour) // two renewals
			for i, d := range ds {
				if d.State() != Open || last[i] != 6 {
					t.Errorf("client %d is %v, has key %d: %s", i, d.State(), last[i], story(d.events))
				}
				d.Terminate()
			}
			want(t, "agent ended", p.Counters.Terminated, 0)
			l.run(10 * time.Minute)
			for i, d := range ds {
				if d.State() != Closed {
					t.Errorf("client %d is %v", i, d.State())
				}
			}
			want(t, "sessions", len(p.sessions), 0)
			want(t, "paths", len(p.paths), 0)
			want(t, "deadline", l.clock.Deadline(), time.Time{})
		})
	}
}

// A client that lost everything starts anew from the same address; its old
// session ends when the new one has access.
func TestRestart(t *testing.T) {
	l, d := up(t, nil, nil)
	old := d.Info().ID
	d.Start(paaAddr)
	l.run(time.Second)
	want(t, "agent", story(l.events), "opened, terminated: pana: the client started anew, authorized")
	if is := l.paa.Sessions(); len(is) != 1 || is[0].ID == old || d.State() != Open {
		t.Errorf("sessions %+v, client %v", is, d.State())
	}
}
