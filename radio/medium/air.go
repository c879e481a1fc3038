package medium

import (
	"math"
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
)

// Config is an Air's. Clock and Rand are required.
type Config struct {
	Clock *alarm.Clock // the ends of frames are timers on it
	Rand  *rand.Rand
	// Ideal makes frames take no time: they cannot collide and noise does not
	// touch them. Links that lose frames still do.
	Ideal bool
	// Noise is the noise floor in dBm, and about where reception ends; 0 is
	// -100.
	Noise float64
	// Exponent is that of the path loss between stations that have places; 0
	// is 3, an indoor value.
	Exponent float64
	// Shadowing is the standard deviation in dB of each link's own part of
	// the path loss, the same in both directions.
	Shadowing float64
	// Tap, if not nil, sees every frame when it starts.
	Tap func(Sighting)
}

// Sighting is a frame as somebody who knows everything sees it.
type Sighting struct {
	At      time.Time // the first bit
	From    int       // the Station's ID
	Channel uint8
	PSDU    []byte // with FCS; not to be kept or changed
}

// Stats count receptions: one frame that three stations can hear is three.
// Stations out of its reach do not count.
type Stats struct {
	Sent      uint64 // frames
	Received  uint64
	Collided  uint64 // lost to other frames
	Lost      uint64 // to noise, or as the link is told to
	Deaf      uint64 // receiver off, elsewhere, or transmitting
	Destroyed uint64 // transmissions not begun: the station was transmitting
}

// Air is a medium on virtual time. Everything in it happens on the Config's
// Clock; whoever owns that advances it.
type Air struct {
	cfg      Config
	noise    float64 // mW
	stations []*Station
	onAir    [LastChannel + 1][]*transmission
	stats    Stats
}

// New returns an Air without stations.
func New(cfg Config) *Air {
	if cfg.Noise == 0 {
		cfg.Noise = -100
	}
	if cfg.Exponent == 0 {
		cfg.Exponent = 3
	}
	return &Air{cfg: cfg, noise: milliwatt(cfg.Noise)}
}

// Stats returns the counts so far.
func (a *Air) Stats() Stats { return a.stats }

// Stations returns all stations in the order of their IDs.
func (a *Air) Stations() []*Station { return a.stations }

// link is one direction between two stations.
type link struct {
	gain  float32 // dB: RSSI of a transmission at 0 dBm
	power float32 // the same in mW
	loss  float32 // chance of losing a frame, 0..1
	up    bool    // whether there is a link at all
}

// transmission is one frame on air.
type transmission struct {
	from    *Station
	channel uint8
	psdu    []byte
	start   time.Time
	end     time.Time
	power   float64         // mW
	level   float64         // the same in dBm
	over    []*transmission // overlap with this one in time
}

// Station is one radio's place in an Air. It is a Port.
type Station struct {
	air  *Air
	id   int
	recv Receiver

	placed bool
	x, y   float64
	links  []link // to other stations, by ID
	near   []int  // IDs that links reach, ascending

	channel    uint8 // 0: receiver off
	since      time.Time
	last, prev interval // transmissions of its own
}

// interval is a time from start until before end.
type interval struct{ start, end time.Time }

// Add adds a station that nobody hears yet: see Place and Link.
func (a *Air) Add() *Station {
	s := &Station{air: a, id: len(a.stations)}
	a.stations = append(a.stations, s)
	return s
}

// ID counts stations in the order they were added, from 0.
func (s *Station) ID() int { return s.id }

// Place puts the station somewhere, in metres, and links it with every other
// station that has a place, by path loss. Placing it again moves it; links
// that Link made to stations with a place are then forgotten.
func (s *Station) Place(x, y float64) {
	s.placed, s.x, s.y = true, x, y
	for _, o := range s.air.stations {
		if o == s || !o.placed {
			continue
		}
		loss := pathLoss(math.Hypot(o.x-x, o.y-y), s.air.cfg.Exponent)
		if s.air.cfg.Shadowing > 0 {
			loss += s.air.cfg.Rand.NormFloat64() * s.air.cfg.Shadowing
		}
		l := newLink(-loss, 0)
		l.up = -loss >= s.air.cfg.Noise-maxPower
		s.setLink(o, l)
		o.setLink(s, l)
	}
}

// maxPower is the highest transmit power, in dBm, at which stations that have
// places may still hear each other.
const maxPower = 10

// Link lets two stations hear each other: at rssi dBm when the other transmits
// at 0 dBm, losing a part of the frames, 0..1.
func (a *Air) Link(s, o *Station, rssi float64, loss float64) {
	a.LinkOneWay(s, o, rssi, loss)
	a.LinkOneWay(o, s, rssi, loss)
}

// LinkOneWay lets to hear from.
func (a *Air) LinkOneWay(from, to *Station, rssi float64, loss float64) {
	from.setLink(to, newLink(rssi, loss))
}

// LinkBetween is the link by which to hears from: the RSSI in dBm of a
// transmission at 0 dBm, and the part of the frames that is lost.
func (a *Air) LinkBetween(from, to *Station) (rssi, loss float64, up bool) {
	l := from.linkTo(to)
	return float64(l.gain), float64(l.loss), l.up
}

// UnlinkOneWay makes to deaf to from.
func (a *Air) UnlinkOneWay(from, to *Station) { from.setLink(to, link{}) }

// Unlink makes two stations deaf to each other.
func (a *Air) Unlink(s, o *Station) {
	s.setLink(o, link{})
	o.setLink(s, link{})
}

func newLink(gain, loss float64) link {
	return link{gain: float32(gain), power: float32(milliwatt(gain)), loss: float32(loss), up: true}
}

func (s *Station) setLink(to *Station, l link) {
	for len(s.links) <= to.id {
		s.links = append(s.links, link{})
	}
	was := s.links[to.id].up
	s.links[to.id] = l
	if l.up == was {
		return
	}
	// A new slice, for a delivery may be walking the old one.
	near := make([]int, 0, len(s.near)+1)
	for id := range s.links {
		if s.links[id].up {
			near = append(near, id)
		}
	}
	s.near = near
}

// linkTo is the link to another station, down if there is none.
func (s *Station) linkTo(to *Station) link {
	if to.id >= len(s.links) {
		return link{}
	}
	return s.links[to.id]
}

// Attach implements Port.
func (s *Station) Attach(r Receiver) { s.recv = r }

// Tune implements Port.
func (s *Station) Tune(now time.Time, channel uint8) {
	if channel != s.channel {
		s.channel, s.since = channel, now
	}
}

// Airtime implements Port.
func (s *Station) Airtime(n int) time.Duration {
	if s.air.cfg.Ideal {
		return 0
	}
	return Airtime(n)
}

// Energy implements Port.
func (s *Station) Energy(now time.Time, channel uint8) int8 {
	sum := s.air.noise
	if channel <= LastChannel {
		for _, t := range s.air.onAir[channel] {
			if l := t.from.linkTo(s); l.up && t.end.After(now) {
				sum += t.power * float64(l.power)
			}
		}
	}
	return toInt8(dBm(sum))
}

// Transmit implements Port. A station that is still transmitting, or a channel
// that does not exist, makes it do nothing.
func (s *Station) Transmit(now time.Time, channel uint8, power int8, psdu []byte) {
	a := s.air
	a.cfg.Clock.Set(now)
	if s.last.end.After(now) || channel < FirstChannel || channel > LastChannel {
		a.stats.Destroyed++
		return
	}
	a.stats.Sent++
	t := &transmission{
		from:    s,
		channel: channel,
		psdu:    append([]byte(nil), psdu...),
		start:   now,
		end:     now.Add(s.Airtime(len(psdu))),
		power:   milliwatt(float64(power)),
		level:   float64(power),
	}
	s.prev, s.last = s.last, interval{t.start, t.end}
	if a.cfg.Tap != nil {
		a.cfg.Tap(Sighting{At: now, From: s.id, Channel: channel, PSDU: t.psdu})
	}
	if !a.cfg.Ideal {
		for _, o := range a.onAir[channel] {
			if o.end.After(now) {
				o.over = append(o.over, t)
				t.over = append(t.over, o)
			}
		}
		a.onAir[channel] = append(a.onAir[channel], t)
	}
	a.cfg.Clock.NewTimer(func() { a.finish(t) }).StartAt(t.end)
}

// finish takes a frame off the air and hands it to everybody it reached.
func (a *Air) finish(t *transmission) {
	list := a.onAir[t.channel]
	for i, o := range list {
		if o == t {
			a.onAir[t.channel] = append(list[:i], list[i+1:]...)
			break
		}
	}
	now := a.cfg.Clock.Now()
	over := t.over
	t.over = nil // else frames that overlap in a chain would keep each other
	for _, id := range t.from.near {
		if to := a.stations[id]; to.recv != nil {
			a.deliver(now, t, to, over)
		}
	}
}

// transmittedDuring reports whether the station sent anything while t, which
// ends now, was on air.
func (s *Station) transmittedDuring(t *transmission) bool {
	own := s.last
	if !own.start.Before(t.end) {
		own = s.prev // the last one begins this very moment
	}
	return own.end.After(t.start)
}

func (a *Air) deliver(now time.Time, t *transmission, to *Station, over []*transmission) {
	if to.channel != t.channel || to.since.After(t.start) || to.transmittedDuring(t) {
		a.stats.Deaf++
		return
	}
	l := t.from.linkTo(to)
	if !l.up {
		return // cut while the frame was on air
	}
	if l.loss > 0 && a.cfg.Rand.Float64() < float64(l.loss) {
		a.stats.Lost++
		return
	}
	signal := t.power * float64(l.power)
	others := 0.0
	for _, o := range over {
		if ol := o.from.linkTo(to); ol.up {
			others += o.power * float64(ol.power)
		}
	}
	if signal < others*captureRatio {
		a.stats.Collided++
		return
	}
	rssi := t.level + float64(l.gain)
	sinr := rssi - a.cfg.Noise
	if others > 0 {
		sinr = dBm(signal / (a.noise + others))
	}
	if !a.cfg.Ideal && !survives(a.cfg.Rand, len(t.psdu), sinr) {
		a.stats.Lost++
		return
	}
	a.stats.Received++
	f := Frame{
		Channel: t.channel,
		PSDU:    t.psdu,
		RSSI:    toInt8(rssi),
		LQI:     quality(sinr),
		SFD:     t.start,
	}
	if !a.cfg.Ideal {
		f.SFD = t.start.Add(SHR)
	}
	to.recv.Heard(now, f)
}
