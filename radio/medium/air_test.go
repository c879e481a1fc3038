package medium

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gatewayd/alarm"
)

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ear is a receiver on channel 11 that notes what it hears.
type ear struct {
	*Station
	heard []string // first byte, and when
	rssi  []int8
	lqi   []uint8
	sfd   []time.Time
}

func (e *ear) Heard(now time.Time, f Frame) {
	e.heard = append(e.heard, fmt.Sprintf("%d at %v", f.PSDU[0], now.Sub(began)))
	e.rssi, e.lqi, e.sfd = append(e.rssi, f.RSSI), append(e.lqi, f.LQI), append(e.sfd, f.SFD)
}

type setup struct {
	clock *alarm.Clock
	air   *Air
	ears  []*ear
}

// newSetup makes an air with n ears, without links.
func newSetup(n int, change func(*Config)) *setup {
	s := &setup{clock: new(alarm.Clock)}
	s.clock.Set(began)
	cfg := Config{Clock: s.clock, Rand: rand.New(rand.NewPCG(1, 2))}
	if change != nil {
		change(&cfg)
	}
	s.air = New(cfg)
	for range n {
		e := &ear{Station: s.air.Add()}
		e.Attach(e)
		e.Tune(began, 11)
		s.ears = append(s.ears, e)
	}
	return s
}

func (s *setup) link(i, j int, rssi, loss float64) {
	s.air.Link(s.ears[i].Station, s.ears[j].Station, rssi, loss)
}

// do does something at a time after the beginning.
func (s *setup) do(at time.Duration, f func(now time.Time)) {
	s.clock.NewTimer(func() { f(s.clock.Now()) }).StartAt(began.Add(at))
}

// send transmits n bytes that begin with id on channel 11 at 0 dBm.
func (s *setup) send(at time.Duration, from int, id byte, n int) {
	psdu := make([]byte, n)
	psdu[0] = id
	s.do(at, func(now time.Time) { s.ears[from].Transmit(now, 11, 0, psdu) })
}

func (s *setup) run() {
	for at := s.clock.Deadline(); !at.IsZero(); at = s.clock.Deadline() {
		s.clock.Advance(at)
	}
}

const us = time.Microsecond

func TestDelivery(t *testing.T) {
	tests := []struct {
		name string
		plan func(s *setup)
		want [3][]string
	}{{
		// 6 bytes before the PSDU, 32 us each.
		name: "air time",
		plan: func(s *setup) { s.send(0, 0, 1, 20) },
		want: [3][]string{nil, {"1 at 832µs"}, {"1 at 832µs"}},
	}, {
		name: "longest frame",
		plan: func(s *setup) { s.send(0, 0, 1, 127) },
		want: [3][]string{nil, {"1 at 4.256ms"}, {"1 at 4.256ms"}},
	}, {
		name: "one after the other",
		plan: func(s *setup) { s.send(0, 0, 1, 20); s.send(832*us, 1, 2, 20) },
		want: [3][]string{{"2 at 1.664ms"}, {"1 at 832µs"}, {"1 at 832µs", "2 at 1.664ms"}},
	}, {
		name: "collision, and half duplex",
		plan: func(s *setup) { s.send(0, 0, 1, 20); s.send(831*us, 1, 2, 20) },
	}, {
		name: "capture by the stronger",
		plan: func(s *setup) { s.link(1, 2, -50, 0); s.send(0, 0, 1, 20); s.send(400*us, 1, 2, 20) },
		want: [3][]string{nil, nil, {"2 at 1.232ms"}},
	}, {
		name: "hidden station",
		plan: func(s *setup) {
			s.air.Unlink(s.ears[0].Station, s.ears[1].Station)
			s.send(0, 0, 1, 20)
			s.send(400*us, 1, 2, 20)
		},
	}, {
		name: "another channel",
		plan: func(s *setup) { s.ears[1].Tune(began, 12); s.send(0, 0, 1, 20) },
		want: [3][]string{nil, nil, {"1 at 832µs"}},
	}, {
		name: "no collision across channels",
		plan: func(s *setup) {
			s.send(0, 0, 1, 20)
			s.do(400*us, func(now time.Time) { s.ears[1].Transmit(now, 12, 0, []byte{2}) })
		},
		want: [3][]string{nil, nil, {"1 at 832µs"}},
	}, {
		name: "tuned while it is on air",
		plan: func(s *setup) {
			s.ears[1].Tune(began, 0)
			s.send(0, 0, 1, 20)
			s.do(100*us, func(now time.Time) { s.ears[1].Tune(now, 11) })
		},
		want: [3][]string{nil, nil, {"1 at 832µs"}},
	}, {
		name: "tuned again to the same channel",
		plan: func(s *setup) {
			s.send(0, 0, 1, 20)
			s.do(100*us, func(now time.Time) { s.ears[1].Tune(now, 11) })
		},
		want: [3][]string{nil, {"1 at 832µs"}, {"1 at 832µs"}},
	}, {
		name: "one way",
		plan: func(s *setup) {
			s.air.Unlink(s.ears[0].Station, s.ears[1].Station)
			s.air.LinkOneWay(s.ears[0].Station, s.ears[1].Station, -60, 0)
			s.send(0, 0, 1, 20)
			s.send(time.Millisecond, 1, 2, 20)
		},
		want: [3][]string{nil, {"1 at 832µs"}, {"1 at 832µs", "2 at 1.832ms"}},
	}, {
		name: "cut while it is on air",
		plan: func(s *setup) {
			s.send(0, 0, 1, 20)
			s.do(100*us, func(time.Time) { s.air.Unlink(s.ears[0].Station, s.ears[1].Station) })
		},
		want: [3][]string{nil, nil, {"1 at 832µs"}},
	}, {
		name: "below the noise",
		plan: func(s *setup) { s.link(0, 1, -108, 0); s.link(0, 2, -96, 0); s.send(0, 0, 1, 20) },
		want: [3][]string{nil, nil, {"1 at 832µs"}},
	}, {
		name: "while still transmitting",
		plan: func(s *setup) { s.send(0, 0, 1, 20); s.send(100*us, 0, 2, 20) },
		want: [3][]string{nil, {"1 at 832µs"}, {"1 at 832µs"}},
	}, {
		name: "no such channel",
		plan: func(s *setup) { s.do(0, func(now time.Time) { s.ears[0].Transmit(now, 27, 0, []byte{1}) }) },
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSetup(3, nil)
			for i := range 3 {
				for j := range i {
					s.link(i, j, -60, 0)
				}
			}
			tt.plan(s)
			s.run()
			for i, e := range s.ears {
				if !slices.Equal(e.heard, tt.want[i]) {
					t.Errorf("station %d heard %q, want %q", i, e.heard, tt.want[i])
				}
			}
		})
	}
}

func TestIdeal(t *testing.T) {
	s := newSetup(3, func(c *Config) { c.Ideal = true })
	s.link(0, 1, -130, 0)
	s.link(2, 1, -50, 0)
	s.send(0, 0, 1, 127)
	s.send(0, 2, 2, 127)
	s.run()
	if want := []string{"1 at 0s", "2 at 0s"}; !slices.Equal(s.ears[1].heard, want) {
		t.Errorf("heard %q, want %q", s.ears[1].heard, want)
	}
	if s.ears[0].Airtime(127) != 0 {
		t.Error("a frame takes time")
	}
	if e := s.ears[1].Energy(began, 11); e != -100 {
		t.Errorf("energy %d dBm with nothing on air", e)
	}
}

func TestFrame(t *testing.T) {
	s := newSetup(2, nil)
	s.link(0, 1, -70, 0)
	psdu := []byte{7, 8, 9}
	s.ears[0].Transmit(began, 11, -10, psdu)
	psdu[0] = 99 // the medium has its own
	s.run()
	e := s.ears[1]
	if len(e.heard) != 1 || e.heard[0] != "7 at 288µs" || e.rssi[0] != -80 || !e.sfd[0].Equal(began.Add(160*us)) {
		t.Errorf("%q at %d dBm, SFD after %v", e.heard, e.rssi, e.sfd[0].Sub(began))
	}
	// 20 dB above the noise, of 40 that make 255.
	if e.lqi[0] < 120 || e.lqi[0] > 135 {
		t.Errorf("LQI %d", e.lqi[0])
	}
}

func TestEnergy(t *testing.T) {
	s := newSetup(3, nil)
	s.link(0, 2, -60, 0)
	s.link(1, 2, -60, 0)
	s.send(time.Millisecond, 0, 1, 100)
	s.send(2*time.Millisecond, 1, 2, 100)
	var got []int8
	for _, at := range []time.Duration{500 * us, 1500 * us, 3 * time.Millisecond, 20 * time.Millisecond} {
		s.do(at, func(now time.Time) { got = append(got, s.ears[2].Energy(now, 11)) })
	}
	s.do(3*time.Millisecond, func(now time.Time) { got = append(got, s.ears[2].Energy(now, 12), s.ears[2].Energy(now, 200)) })
	s.run()
	if want := []int8{-100, -60, -57, -100, -100, -100}; !slices.Equal(got, want) {
		t.Errorf("%v dBm, want %v", got, want)
	}
}

func TestLossyLink(t *testing.T) {
	s := newSetup(2, nil)
	s.link(0, 1, -60, 0.3)
	const n = 2000
	for i := range n {
		s.send(time.Duration(i)*time.Millisecond, 0, 1, 10)
	}
	s.run()
	if got := len(s.ears[1].heard); got < n*66/100 || got > n*74/100 {
		t.Errorf("%d of %d came through a link that loses 30 %%", got, n)
	}
	st := s.air.Stats()
	if st.Sent != n || st.Received+st.Lost != n || st.Collided != 0 {
		t.Errorf("%+v", st)
	}
}

// The packet error rate over the signal to noise ratio is a steep slope, and
// longer frames fare worse.
func TestNoise(t *testing.T) {
	rate := func(rssi float64, n int) float64 {
		s := newSetup(2, nil)
		s.link(0, 1, rssi, 0)
		const frames = 500
		for i := range frames {
			s.send(time.Duration(i)*10*time.Millisecond, 0, 1, n)
		}
		s.run()
		return float64(len(s.ears[1].heard)) / frames
	}
	for _, tt := range []struct {
		rssi     float64
		n        int
		min, max float64
	}{
		{-96, 127, 0.999, 1}, {-100, 20, 0.94, 0.99}, {-100, 127, 0.75, 0.9}, {-102, 127, 0, 0.05}, {-107, 10, 0, 0},
	} {
		if r := rate(tt.rssi, tt.n); r < tt.min || r > tt.max {
			t.Errorf("%v dBm, %d bytes: %.3f received, want %v to %v", tt.rssi, tt.n, r, tt.min, tt.max)
		}
	}
}

func TestBitErrorRate(t *testing.T) {
	// IEEE 802.15.4-2006 Figure E.2 has about these.
	for _, tt := range []struct{ dB, want float64 }{{0, 1.8e-4}, {1, 1.4e-5}, {2, 5.2e-7}} {
		if got := bitErrorRate(math.Pow(10, tt.dB/10)); got < tt.want*0.8 || got > tt.want*1.2 {
			t.Errorf("%v dB: %.2g, want about %.2g", tt.dB, got, tt.want)
		}
	}
	if got := bitErrorRate(0); math.Abs(got-0.5) > 1e-9 {
		t.Errorf("without a signal: %v", got)
	}
}

func TestPlace(t *testing.T) {
	s := newSetup(3, nil)
	s.ears[0].Place(0, 0)
	s.ears[1].Place(10, 0) // 40 + 30 dB
	s.ears[2].Place(300, 400)
	s.send(0, 0, 1, 10)
	s.run()
	if e := s.ears[1]; len(e.heard) != 1 || e.rssi[0] != -70 {
		t.Errorf("at 10 m: %q, %v dBm", e.heard, e.rssi)
	}
	if len(s.ears[2].heard) != 0 {
		t.Error("heard at 500 m")
	}
	s.ears[2].Place(0, 10)
	s.ears[1].Place(0, 1000)
	s.send(s.clock.Now().Sub(began), 0, 2, 10)
	s.run()
	if len(s.ears[1].heard) != 1 || len(s.ears[2].heard) != 1 {
		t.Errorf("after moving: %q and %q", s.ears[1].heard, s.ears[2].heard)
	}

	// Shadowing makes links differ, but not their two directions.
	s = newSetup(20, func(c *Config) { c.Shadowing = 6 })
	for i, e := range s.ears {
		e.Place(float64(10*(i%2)), 0)
	}
	a, seen := s.ears[0].Station, map[float32]bool{}
	for _, e := range s.ears[1:] {
		if a.linkTo(e.Station).gain != e.linkTo(a).gain {
			t.Errorf("%v dB there, %v dB back", a.linkTo(e.Station).gain, e.linkTo(a).gain)
		}
		seen[a.linkTo(e.Station).gain] = true
	}
	if len(seen) < 15 {
		t.Errorf("only %d different gains", len(seen))
	}
}

func TestTap(t *testing.T) {
	var seen []Sighting
	s := newSetup(2, func(c *Config) {
		c.Tap = func(x Sighting) { x.PSDU = bytes.Clone(x.PSDU); seen = append(seen, x) }
	})
	s.send(time.Millisecond, 1, 5, 10) // nobody hears it
	s.run()
	if len(seen) != 1 || !seen[0].At.Equal(began.Add(time.Millisecond)) || seen[0].From != 1 || seen[0].Channel != 11 || seen[0].PSDU[0] != 5 {
		t.Errorf("%+v", seen)
	}
}

// A thousand stations in a square, each of which sends a frame a second.
func BenchmarkThousandStations(b *testing.B) {
	s := newSetup(1000, nil)
	r := rand.New(rand.NewPCG(3, 4))
	for _, e := range s.ears {
		e.Place(r.Float64()*1000, r.Float64()*1000)
		e.Attach(deaf{})
		var next func()
		psdu := make([]byte, 60)
		next = func() {
			e.Transmit(s.clock.Now(), 11, 0, psdu)
			s.clock.After(time.Second, next)
		}
		s.clock.After(time.Duration(r.Int64N(int64(time.Second))), next)
	}
	b.ResetTimer()
	for range b.N { // a second each
		for end := s.clock.Now().Add(time.Second); ; {
			at := s.clock.Deadline()
			if at.After(end) {
				s.clock.Advance(end)
				break
			}
			s.clock.Advance(at)
		}
	}
	b.ReportMetric(float64(s.air.Stats().Received)/float64(b.N), "receptions/op")
}

type deaf struct{}

func (deaf) Heard(time.Time, Frame) {}
