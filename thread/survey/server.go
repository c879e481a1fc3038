package survey

import (
	"math/bits"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/link"
	"gatewayd/thread/mac"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// Specification and implementation constants.
const (
	scanDelay   = time.Second            // SCAN_DELAY: the answer to the request goes first
	reportDelay = 500 * time.Millisecond // before an energy report
	busyDelay   = 100 * time.Millisecond // while the radio scans for somebody else
	beaconDwell = 300 * time.Millisecond // for beacons, on each channel
	maxEnergies = 254                    // that fit a TLV without extended length
)

// Scanner is the MAC's part.
type Scanner interface {
	ActiveScan(channels uint32, dwell time.Duration, found func(mac.Beacon), done func()) bool
	EnergyScan(channels uint32, dwell time.Duration, measured func(mac.Energy), done func()) bool
}

// Config is what a Server, Client or Announcer needs.
type Config struct {
	Clock   *alarm.Clock
	TMF     *tmf.Agent
	Scanner Scanner
	// RLOC is the node's own locator.
	RLOC func() netip.Addr
	// Session is the session of the network's commissioner; false if there is
	// none.
	Session func() (uint16, bool)
	// Blind reports whether the node keeps only the stable network data, which
	// do not tell of commissioners. It then serves whoever asks.
	Blind func() bool
	// Announce sends an MLE Announce on a channel.
	Announce func(channel uint8)
}

// Server does what a commissioner asks a node for. It does one of each kind at
// a time; a new request ends the former.
type Server struct {
	cfg      Config
	energy   energySurvey
	conflict conflictSurvey
	announce rounds
}

// rounds goes through channels some number of times.
type rounds struct {
	timer  *alarm.Timer
	mask   uint32
	left   uint32 // channels of this round
	count  uint8  // rounds, this one included
	period time.Duration
}

func (r *rounds) start(mask uint32, count uint8, period time.Duration) {
	r.mask, r.left, r.count, r.period = mask, mask, count, period
	if mask == 0 {
		r.count = 0
	}
}

// channel is the present one; false when there is none left.
func (r *rounds) channel() (uint8, bool) {
	return uint8(bits.TrailingZeros32(r.left)), r.count > 0
}

// next goes on to the next channel and reports whether there is one.
func (r *rounds) next() bool {
	if r.left &= r.left - 1; r.left == 0 {
		r.left = r.mask
		r.count--
	}
	return r.count > 0
}

type energySurvey struct {
	rounds
	to       netip.Addr // commissioner; not valid while nothing goes on
	turn     uint32     // counts surveys: results of a former one do not count
	dwell    time.Duration
	measured []int8
}

type conflictSurvey struct {
	timer *alarm.Timer
	to    netip.Addr
	mask  uint32
	panID uint16
}

// NewServer returns a Server that answers.
func NewServer(cfg Config) *Server {
	s := &Server{cfg: cfg}
	s.energy.timer = cfg.Clock.NewTimer(s.measure)
	s.conflict.timer = cfg.Clock.NewTimer(s.query)
	s.announce.timer = cfg.Clock.NewTimer(s.announceNext)
	cfg.TMF.Handle(tmf.EnergyScan, s.energyAsked)
	cfg.TMF.Handle(tmf.PANIDQuery, s.conflictAsked)
	cfg.TMF.Handle(tmf.AnnounceBegin, s.announceAsked)
	return s
}

// Update must be called when the network data changed: without a commissioner
// there is nobody to report to.
func (s *Server) Update() {
	if _, ok := s.cfg.Session(); ok || s.cfg.Blind() {
		return
	}
	s.energy.timer.Stop()
	s.conflict.timer.Stop()
	s.announce.timer.Stop()
	s.energy.to, s.conflict.to = netip.Addr{}, netip.Addr{}
}

// admit answers a request and reports whether it is the commissioner's.
func (s *Server) admit(r *tmf.Request, session uint16, err error) bool {
	code := coap.Changed
	own, ok := s.cfg.Session()
	switch {
	case err != nil:
		code = coap.BadRequest
	case (!ok || own != session) && !s.cfg.Blind():
		code = coap.Forbidden
	}
	if r.Type == coap.Confirmable && !r.From.Local.IsMulticast() {
		r.Respond(code, nil)
	} else {
		r.NoResponse()
	}
	return code == coap.Changed
}

func (s *Server) energyAsked(r *tmf.Request) {
	m, err := meshcop.DecodeEnergyScan(r.Payload)
	if !s.admit(r, m.SessionID, err) {
		return
	}
	e := &s.energy
	e.turn++
	e.to, e.measured = r.From.Remote.Addr(), nil
	e.dwell = max(time.Duration(m.ScanDuration)*time.Millisecond, time.Millisecond)
	e.start(m.ChannelMask.Bits(), m.Count, time.Duration(m.Period)*time.Millisecond)
	e.timer.Start(scanDelay)
}

// measure scans the next channel, or reports when all have been.
func (s *Server) measure() {
	e := &s.energy
	c, ok := e.channel()
	if !ok {
		s.report()
		return
	}
	turn := e.turn
	mine := func() bool { return e.turn == turn && e.to.IsValid() }
	if !s.cfg.Scanner.EnergyScan(1<<c, e.dwell, func(v mac.Energy) {
		if mine() {
			e.measured = append(e.measured, v.RSSI)
		}
	}, func() {
		if !mine() {
			return
		}
		if e.next() && len(e.measured) < maxEnergies {
			e.timer.Start(e.period)
			return
		}
		e.count = 0
		e.timer.Start(reportDelay)
	}) {
		e.timer.Start(busyDelay)
	}
}

func (s *Server) report() {
	e := &s.energy
	m := meshcop.EnergyReport{ChannelMask: meshcop.MaskOf(e.mask), Energy: e.measured}
	s.send(tmf.EnergyReport, e.to, m.Append(nil))
	e.to, e.measured = netip.Addr{}, nil
}

func (s *Server) conflictAsked(r *tmf.Request) {
	m, err := meshcop.DecodePANIDQuery(r.Payload)
	if err == nil && m.SessionID == nil {
		err = meshcop.ErrMissing
	}
	var session uint16
	if err == nil {
		session = *m.SessionID
	}
	if !s.admit(r, session, err) {
		return
	}
	q := &s.conflict
	q.to, q.mask, q.panID = r.From.Remote.Addr(), m.ChannelMask.Bits(), m.PANID
	q.timer.Start(scanDelay)
}

// query looks for the PAN ID; only if somebody uses it there is a report.
func (s *Server) query() {
	q := s.conflict // as it is now: another request may come meanwhile
	if q.mask == 0 {
		return
	}
	var used uint32
	if !s.cfg.Scanner.ActiveScan(q.mask, beaconDwell, func(b mac.Beacon) {
		if b.PANID == q.panID {
			used |= 1 << b.Channel
		}
	}, func() {
		if used != 0 {
			m := meshcop.PANIDQuery{ChannelMask: meshcop.MaskOf(used), PANID: q.panID}
			s.send(tmf.PANIDConflict, q.to, m.Append(nil))
		}
	}) {
		s.conflict.timer.Start(busyDelay)
	}
}

func (s *Server) announceAsked(r *tmf.Request) {
	m, err := meshcop.DecodeAnnounceBegin(r.Payload)
	if !s.admit(r, m.SessionID, err) {
		return
	}
	a := &s.announce
	a.start(m.ChannelMask.Bits(), m.Count, max(time.Duration(m.Period)*time.Millisecond, time.Millisecond))
	a.timer.Start(0)
}

func (s *Server) announceNext() {
	a := &s.announce
	c, ok := a.channel()
	if !ok {
		return
	}
	s.cfg.Announce(c)
	if a.next() {
		a.timer.Start(a.period)
	}
}

// send sends a report to the commissioner.
func (s *Server) send(uri string, to netip.Addr, payload []byte) {
	s.cfg.TMF.Send(uri, to, payload, tmf.Options{Priority: link.Net, Source: s.cfg.RLOC()}, nil)
}
