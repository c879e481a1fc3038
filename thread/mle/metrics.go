package mle

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/link"
	"gatewayd/thread/linkmetrics"
	"gatewayd/thread/neighbor"
)

// ErrUnknownNeighbor is returned for an address that is no neighbour's.
var ErrUnknownNeighbor = errors.New("mle: not a neighbour")

const (
	maxSeries     = 64 // of all neighbours
	maxProbes     = 64 // neighbours that probe by acknowledgements
	maxLinkProbe  = 64 // bytes
	metricsWait   = 10 * time.Second
	metricsPolls  = 8 // of a sleepy device for an answer
	firstSeriesID = 1
)

// metrics is the state of link metrics (Thread 1.4 Section 4.11.3): what
// neighbours are told, and the answers that are waited for.
type metrics struct {
	probes []radio.Probe
	query  metricsRequest
	manage metricsRequest
}

// metricsRequest is a question to a neighbour.
type metricsRequest struct {
	to    ieee802154.ExtAddr
	done  func(from netip.Addr, r linkmetrics.Report)
	timer *alarm.Timer
}

func (m *MLE) initMetrics() {
	m.metrics.query.timer = m.cfg.Clock.NewTimer(func() { m.metrics.query.end(netip.Addr{}, noAnswer) })
	m.metrics.manage.timer = m.cfg.Clock.NewTimer(func() { m.metrics.manage.end(netip.Addr{}, noAnswer) })
	m.cfg.MAC.Probed = func(n *neighbor.Neighbor, v linkmetrics.Values) {
		if m.MetricsHeard != nil {
			m.MetricsHeard(n, v)
		}
	}
}

var noAnswer = linkmetrics.Report{Status: linkmetrics.NoAnswer}

func (q *metricsRequest) begin(n *neighbor.Neighbor, done func(netip.Addr, linkmetrics.Report)) {
	q.to, q.done = n.Ext, done
	q.timer.Start(metricsWait)
}

func (q *metricsRequest) end(from netip.Addr, r linkmetrics.Report) {
	q.timer.Stop()
	if done := q.done; done != nil {
		q.done = nil
		done(from, r)
	}
}

// subject finds the neighbour with a link-local address that can be asked.
func (m *MLE) subject(to netip.Addr) (*neighbor.Neighbor, error) {
	if !to.IsLinkLocalUnicast() {
		return nil, ErrUnknownNeighbor
	}
	b := to.As16()
	a := ieee802154.ExtendedAddr(ieee802154.ExtAddrFromIID([8]byte(b[8:])))
	if [6]byte(b[8:14]) == [6]byte{0, 0, 0, 0xff, 0xfe, 0} {
		a = ieee802154.ShortAddr(uint16(b[14])<<8 | uint16(b[15]))
	}
	n := m.cfg.Table.Find(a)
	switch {
	case n == nil || n.State != neighbor.Valid:
		return nil, ErrUnknownNeighbor
	case n.Version < version12:
		return nil, ErrNotCapable
	}
	return n, nil
}

func (m *MLE) askMetrics(c Command, b *builder, n *neighbor.Neighbor) {
	m.sendTo(c, b, n.Ext)
	m.RequestFastPolls(metricsPolls)
}

// QueryMetrics asks a neighbour how our frames arrive there; done is called
// once. The status NoAnswer comes without an address.
func (m *MLE) QueryMetrics(to netip.Addr, q linkmetrics.Query, done func(from netip.Addr, r linkmetrics.Report)) error {
	n, err := m.subject(to)
	switch {
	case err != nil:
		return err
	case q.Series != linkmetrics.SingleProbe && q.Metrics != 0:
		return ErrInvalid
	case m.metrics.query.done != nil:
		return ErrBusy
	}
	b := m.build()
	b.request(TypeMetricsReport)
	b.add(TypeMetricsQuery, q.Append(nil)...)
	b.timestamps()
	m.metrics.query.begin(n, done)
	m.askMetrics(DataRequest, b, n)
	return nil
}

// ConfigureSeries has a neighbour begin a series, or end it; done is called
// once, with a status.
func (m *MLE) ConfigureSeries(to netip.Addr, f linkmetrics.Forward, done func(from netip.Addr, s linkmetrics.Status)) error {
	if f.Series < firstSeriesID {
		return ErrInvalid
	}
	return m.configureMetrics(to, linkmetrics.Request{Forward: &f}, func(_ *neighbor.Neighbor, from netip.Addr, s linkmetrics.Status) {
		done(from, s)
	})
}

// ConfigureProbing has a neighbour tell metrics in its acknowledgements, or end
// it; done is called once. They go to MetricsHeard.
func (m *MLE) ConfigureProbing(to netip.Addr, e linkmetrics.EnhAck, done func(from netip.Addr, s linkmetrics.Status)) error {
	return m.configureMetrics(to, linkmetrics.Request{EnhAck: &e}, func(n *neighbor.Neighbor, from netip.Addr, s linkmetrics.Status) {
		if s == linkmetrics.Success {
			n.Probing = 0
			if e.Register {
				n.Probing = e.Metrics
			}
		}
		done(from, s)
	})
}

func (m *MLE) configureMetrics(to netip.Addr, r linkmetrics.Request, done func(*neighbor.Neighbor, netip.Addr, linkmetrics.Status)) error {
	n, err := m.subject(to)
	switch {
	case err != nil:
		return err
	case m.metrics.manage.done != nil:
		return ErrBusy
	}
	b := m.build()
	b.add(TypeMetricsManage, r.Append(nil)...)
	m.metrics.manage.begin(n, func(from netip.Addr, r linkmetrics.Report) { done(n, from, r.Status) })
	m.askMetrics(LinkMetricsRequest, b, n)
	return nil
}

// SendLinkProbe sends a neighbour a message of so many bytes, at most 64, for a
// series.
func (m *MLE) SendLinkProbe(to netip.Addr, series uint8, length int) error {
	n, err := m.subject(to)
	switch {
	case err != nil:
		return err
	case series == linkmetrics.SingleProbe, series == linkmetrics.AllSeries, length < 0, length > maxLinkProbe:
		return ErrInvalid
	}
	b := m.build()
	b.add(TypeMetricsProbe, append([]byte{series}, make([]byte, length)...)...)
	m.sendTo(LinkProbe, b, n.Ext)
	return nil
}

// metricsReport answers a query, nil if it cannot be read.
func (m *MLE) metricsReport(x *rx) []byte {
	v, ok := x.opt(TypeMetricsQuery, 0)
	if !ok || !x.valid() {
		return nil
	}
	q, err := linkmetrics.DecodeQuery(v)
	if err != nil {
		x.fail(TypeMetricsQuery, err)
		return nil
	}
	r := linkmetrics.Report{Status: linkmetrics.UnknownSeries}
	if q.Series == linkmetrics.SingleProbe {
		r = linkmetrics.Report{Values: linkmetrics.Values{Metrics: q.Metrics, PDUs: 1, LQI: x.info.LQI, Margin: x.margin, RSSI: x.info.RSSI}}
	} else if s := x.n.FindSeries(q.Series); s != nil {
		r = s.Report(m.cfg.MAC.Info().RxSensitivity)
	}
	return r.Append([]byte{})
}

func (m *MLE) metricsReportReceived(x *rx) {
	v, ok := x.opt(TypeMetricsReport, 0)
	if !ok || m.metrics.query.done == nil || m.metrics.query.to != x.ext {
		return
	}
	r, err := linkmetrics.DecodeReport(v)
	if err != nil {
		x.fail(TypeMetricsReport, err)
		return
	}
	m.metrics.query.end(x.from, r)
}

// metricsRequested does what a neighbour asks for, and tells it so.
func (m *MLE) metricsRequested(x *rx) {
	v := x.must(TypeMetricsManage, 0)
	var r linkmetrics.Request
	if x.err == nil {
		var err error
		if r, err = linkmetrics.DecodeRequest(v); err != nil {
			x.fail(TypeMetricsManage, err)
		}
	}
	if m.malformed(x) {
		return
	}
	if !x.valid() {
		m.refuse(x, RefusedUnknown, "")
		return
	}
	var status linkmetrics.Status
	if r.Forward != nil {
		status = m.keepSeries(x.n, r)
	} else {
		status = m.keepProbe(x.n, r)
	}
	x.class = peer
	m.adoptSequence(x)
	b := m.build()
	b.add(TypeMetricsManage, linkmetrics.AppendStatus(nil, status)...)
	m.sendTo(LinkMetricsResponse, b, x.ext)
}

func (m *MLE) metricsAnswered(x *rx) {
	v := x.must(TypeMetricsManage, 0)
	var s linkmetrics.Status
	if x.err == nil {
		var err error
		if s, err = linkmetrics.DecodeStatus(v); err != nil {
			x.fail(TypeMetricsManage, err)
		}
	}
	if m.malformed(x) {
		return
	}
	if !x.valid() || m.metrics.manage.done == nil || m.metrics.manage.to != x.ext {
		m.refuse(x, RefusedState, "")
		return
	}
	x.class = peer
	m.metrics.manage.end(x.from, linkmetrics.Report{Status: s})
}

// linkProbed counts a Link Probe.
func (m *MLE) linkProbed(x *rx) {
	series := x.uint8(TypeMetricsProbe)
	if m.malformed(x) {
		return
	}
	if !x.valid() {
		m.refuse(x, RefusedUnknown, "")
		return
	}
	x.class = peer
	if s := x.n.FindSeries(series); s != nil {
		s.Count(linkmetrics.LinkProbes, x.info.LQI, x.info.RSSI)
	}
}

// keepSeries begins a series for a neighbour, or ends it.
func (m *MLE) keepSeries(n *neighbor.Neighbor, r linkmetrics.Request) linkmetrics.Status {
	f := r.Forward
	known := n.FindSeries(f.Series)
	switch {
	case f.Series < firstSeriesID:
		return linkmetrics.OtherError
	case f.Flags == 0 && f.Series == linkmetrics.AllSeries:
		n.Series = nil
	case f.Flags == 0 && known == nil:
		return linkmetrics.UnknownSeries
	case f.Flags == 0:
		n.Series = slices.DeleteFunc(n.Series, func(s *linkmetrics.Series) bool { return s == known })
	case known != nil:
		return linkmetrics.Registered
	case m.countSeries() >= maxSeries:
		return linkmetrics.NoRoom
	default:
		n.Series = append(n.Series, &linkmetrics.Series{ID: f.Series, Flags: f.Flags, Metrics: f.Metrics})
	}
	return linkmetrics.Success
}

func (m *MLE) countSeries() int {
	t := m.cfg.Table
	n := len(t.Parent.Series)
	for _, c := range t.Children {
		n += len(c.Series)
	}
	for _, r := range t.Routers {
		if r != nil {
			n += len(r.Series)
		}
	}
	return n
}

// keepProbe makes the acknowledgements to a neighbour tell metrics, one or two
// of them, or ends that.
func (m *MLE) keepProbe(n *neighbor.Neighbor, r linkmetrics.Request) linkmetrics.Status {
	const all = radio.MetricLQI | radio.MetricMargin | radio.MetricRSSI
	e := r.EnhAck
	switch {
	case r.Reserved, e.Metrics&radio.MetricPDUs != 0,
		e.Register && (e.Metrics == 0 || e.Metrics == all),
		!e.Register && e.Metrics != 0:
		return linkmetrics.OtherError
	}
	probes := slices.DeleteFunc(slices.Clone(m.metrics.probes), func(p radio.Probe) bool { return p.Ext == n.Ext })
	if e.Register {
		if len(probes) >= maxProbes {
			return linkmetrics.NoRoom
		}
		probes = append(probes, radio.Probe{Short: n.RLOC16, Ext: n.Ext, Metrics: e.Metrics})
	}
	m.setProbes(probes)
	return linkmetrics.Success
}

func (m *MLE) setProbes(p []radio.Probe) {
	m.metrics.probes = p
	m.cfg.MAC.SetProbes(p)
}

// dropProbe ends what a neighbour that is gone was told in acknowledgements.
func (m *MLE) dropProbe(ext ieee802154.ExtAddr) {
	is := func(p radio.Probe) bool { return p.Ext == ext }
	if slices.ContainsFunc(m.metrics.probes, is) {
		m.setProbes(slices.DeleteFunc(slices.Clone(m.metrics.probes), is))
	}
}

// onlyMetrics reports whether a Data Request asks for nothing but a report.
func onlyMetrics(l typeList) bool { return len(l) == 1 && l[0] == TypeMetricsReport }

// sendMetricsReport answers a Data Request for nothing else.
func (m *MLE) sendMetricsReport(to netip.Addr, report []byte) {
	b := m.build()
	b.source()
	b.leaderData()
	b.timestamps()
	b.add(TypeMetricsReport, report...)
	m.send(DataResponse, b.TLVs, to, link.Options{Security: link.Unsecured, SecureIfCut: true})
}
