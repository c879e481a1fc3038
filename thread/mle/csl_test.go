package mle_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/radio"
	"gatewayd/radio/medium"
	"gatewayd/sim"
	"gatewayd/thread/linkmetrics"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// overheard is an MLE message on the air.
type overheard struct {
	from    ieee802154.ExtAddr
	secured bool // by the MAC, too
	mle.Message
}

// listen collects the MLE messages that fit one frame and come from an
// extended address.
func (w *world) listen(by *sim.Node) *[]overheard {
	var all []overheard
	w.Tap(func(s medium.Sighting) {
		psdu := bytes.Clone(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen])
		f, err := ieee802154.Decode(psdu)
		if err != nil || f.Type != ieee802154.FrameData || f.Src.Mode != ieee802154.AddrExtended {
			return
		}
		if f.Secured && f.Open(psdu, by.Keys().MAC(by.Keys().Sequence()), f.Src.Ext) != nil {
			return
		}
		p, err := lowpan.DecompressPacket(nil, f.Payload, f.Src, f.Dst, nil)
		if err != nil {
			return
		}
		h, rest, err := ipv6.DecodeHeader(p)
		if err != nil || h.NextHeader != ipv6.ProtoUDP || len(rest) < 8 {
			return
		}
		m, err := mle.DecodePacket(rest[8:])
		if err != nil || m.Suite == mle.SuiteUnsecured {
			return
		}
		if x, err := m.Open(by.Keys().MLE(m.Header.Sequence), f.Src.Ext, h.Src, h.Dst); err == nil {
			all = append(all, overheard{from: f.Src.Ext, secured: f.Secured, Message: x})
		}
	})
	return &all
}

// find is the last message of a kind.
func find(all *[]overheard, c mle.Command) (overheard, bool) {
	for _, x := range slices.Backward(*all) {
		if x.Command == c {
			return x, true
		}
	}
	return overheard{}, false
}

// tlv is the value of a TLV of the last message of a kind, nil if there is none.
func tlv(all *[]overheard, c mle.Command, t mle.Type) []byte {
	x, _ := find(all, c)
	v, _ := x.TLVs.Find(t)
	return v
}

// A sleepy child begins to listen in windows: it tells its parent, which tells
// how exact its clock is, answers in one, and does not rely on a child that is
// silent for longer than it said.
func TestListeningChild(t *testing.T) {
	w := newWorld(t, 31)
	n := w.net(sim.FTD, sim.SED)
	parent, c := n[0], n[1]
	w.form(parent)
	heard := w.listen(parent)
	w.attach(c)
	if v := tlv(heard, mle.ParentResponse, mle.TypeCSLAccuracy); len(v) != 2 {
		t.Errorf("Parent Response with accuracy % x", v)
	}
	if v := tlv(heard, mle.ParentRequest, mle.TypeMode); len(v) != 1 {
		t.Fatal("nothing is overheard")
	}
	w.Run(2 * time.Second)
	c.Do(func() {
		if err := c.MLE().SetCSL(mle.CSLTuning{Period: 200 * time.Millisecond, Timeout: 30 * time.Second}); err != nil {
			t.Fatal(err)
		}
		c.MLE().Tuning.PollPeriod = 0
	})
	w.Run(time.Second)
	x, _ := find(heard, mle.ChildUpdateRequest)
	if !x.secured {
		t.Error("the request has no MAC security, and so nothing to be believed of windows")
	}
	// Channel page and number 0: the network's; 30 s.
	if v := tlv(heard, mle.ChildUpdateRequest, mle.TypeCSLChannel); !bytes.Equal(v, []byte{0, 0, 0}) {
		t.Errorf("channel % x", v)
	}
	if v := tlv(heard, mle.ChildUpdateRequest, mle.TypeCSLTimeout); !bytes.Equal(v, []byte{0, 0, 0, 30}) {
		t.Errorf("timeout % x", v)
	}
	if v := tlv(heard, mle.ChildUpdateResponse, mle.TypeCSLAccuracy); len(v) != 2 {
		t.Errorf("response with accuracy % x", v)
	}
	record := child(parent, c)
	if s := record.CSL; !s.Synced || s.Period != 1250 || s.Timeout != 30*time.Second {
		t.Errorf("%+v", s)
	}
	*heard = nil
	w.Run(10 * time.Minute)
	if !record.CSL.Synced || c.MLE().Role() != mle.Child {
		t.Errorf("after 10 minutes %+v, %v", record.CSL, c.MLE().Role())
	}
	// It knows that its parent is there: from empty frames in its windows.
	if _, asked := find(heard, mle.ChildUpdateRequest); asked {
		t.Error("asked whether its parent is there")
	}
	if age := w.Now().Sub(record.LastSent); age > record.Supervision {
		t.Errorf("has had nothing for %v", age)
	}
	c.Kill()
	w.Run(31 * time.Second)
	if record.CSL.Synced {
		t.Error("relied on, though silent for 31 s")
	}
}

// What cannot be is refused.
func TestSetCSL(t *testing.T) {
	w := newWorld(t, 32)
	n := w.add("sed", sim.SED)
	hosted := w.Add(sim.Config{Kind: sim.SED, Spinel: true})
	w.Run(time.Second)
	for _, x := range []struct {
		c    mle.CSLTuning
		want error
	}{
		{mle.CSLTuning{Period: 500 * time.Millisecond, Timeout: 100 * time.Second}, nil},
		{mle.CSLTuning{Period: 10 * time.Millisecond, Channel: 26}, mle.ErrInvalid}, // no multiple of 160 us
		{mle.CSLTuning{Period: 11200 * time.Microsecond, Channel: 26}, nil},
		{mle.CSLTuning{Period: 9600 * time.Microsecond}, mle.ErrInvalid},
		{mle.CSLTuning{Period: 65536 * radio.CSLUnit}, mle.ErrInvalid},
		{mle.CSLTuning{Channel: 27}, mle.ErrInvalid},
		{mle.CSLTuning{Timeout: 10001 * time.Second}, mle.ErrInvalid},
		{mle.CSLTuning{}, nil},
	} {
		if err := n.MLE().SetCSL(x.c); !errors.Is(err, x.want) {
			t.Errorf("%+v: %v, want %v", x.c, err, x.want)
		}
	}
	if err := hosted.MLE().SetCSL(mle.CSLTuning{Period: 500 * time.Millisecond}); err != mle.ErrNotCapable {
		t.Errorf("with a radio behind Spinel: %v", err)
	}
}

// A router, a sleepy child and a device whose radio is a co-processor ask each
// other how their frames arrive.
func TestLinkMetrics(t *testing.T) {
	w := newWorld(t, 33)
	leader := w.Add(sim.Config{Name: "leader", Spinel: true})
	router, c := w.add("router", sim.FTD), w.add("sed", sim.SED)
	w.Link(leader, router, c)
	w.Run(time.Second)
	w.form(leader)
	w.routers(router)
	w.attach(c)
	w.Run(30 * time.Second)
	parent := leader
	if child(router, c) != nil {
		parent = router
	}
	for _, x := range []struct{ asks, answers *sim.Node }{{leader, router}, {router, leader}, {c, parent}} {
		to, name := x.answers.MLE().LinkLocal(), x.asks.Name+" asks "+x.answers.Name
		query := func(q linkmetrics.Query) (r linkmetrics.Report) {
			t.Helper()
			done := false
			x.asks.Do(func() {
				if err := x.asks.MLE().QueryMetrics(to, q, func(_ netip.Addr, got linkmetrics.Report) { r, done = got, true }); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			})
			w.await(name, 15*time.Second, func() bool { return done })
			return r
		}
		configure := func(set func(done func(netip.Addr, linkmetrics.Status)) error) (s linkmetrics.Status) {
			t.Helper()
			done := false
			x.asks.Do(func() {
				if err := set(func(_ netip.Addr, got linkmetrics.Status) { s, done = got, true }); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			})
			w.await(name, 15*time.Second, func() bool { return done })
			return s
		}
		const mr = radio.MetricMargin | radio.MetricRSSI
		// Links are at -60 dBm, receivers good to -100.
		if r, want := query(linkmetrics.Query{Metrics: mr}), (linkmetrics.Values{Metrics: mr, Margin: 40, RSSI: -60}); r.Values != want {
			t.Errorf("%s: %+v", name, r)
		}
		series := linkmetrics.Forward{Series: 7, Flags: linkmetrics.Data | linkmetrics.DataRequests, Metrics: mr | radio.MetricPDUs}
		begin := func(done func(netip.Addr, linkmetrics.Status)) error {
			return x.asks.MLE().ConfigureSeries(to, series, done)
		}
		if s := configure(begin); s != linkmetrics.Success {
			t.Errorf("%s: %v", name, s)
		}
		if s := configure(begin); s != linkmetrics.Registered {
			t.Errorf("%s: a second time: %v", name, s)
		}
		for range 5 {
			x.asks.Do(func() {
				if err := x.asks.MLE().SendLinkProbe(to, 7, 20); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			w.Run(time.Second)
		}
		if r := query(linkmetrics.Query{Series: 7}); r.Status != linkmetrics.Success || r.Values.PDUs < 6 || r.Values.RSSI != -60 {
			t.Errorf("%s: series %+v", name, r)
		}
		series.Flags = 0
		if s := configure(begin); s != linkmetrics.Success {
			t.Errorf("%s: its end: %v", name, s)
		}
		if r := query(linkmetrics.Query{Series: 7}); r.Status != linkmetrics.UnknownSeries {
			t.Errorf("%s: after its end %+v", name, r)
		}

		var heard []linkmetrics.Values
		x.asks.MLE().MetricsHeard = func(_ *neighbor.Neighbor, v linkmetrics.Values) { heard = append(heard, v) }
		probing := func(e linkmetrics.EnhAck) linkmetrics.Status {
			return configure(func(done func(netip.Addr, linkmetrics.Status)) error {
				return x.asks.MLE().ConfigureProbing(to, e, done)
			})
		}
		if s := probing(linkmetrics.EnhAck{Register: true, Metrics: mr | radio.MetricLQI}); s != linkmetrics.OtherError {
			t.Errorf("%s: three metrics in acknowledgements: %v", name, s)
		}
		if s := probing(linkmetrics.EnhAck{Register: true, Metrics: mr}); s != linkmetrics.Success {
			t.Errorf("%s: %v", name, s)
		}
		w.Run(time.Second)
		heard = nil
		if !w.reaches(x.asks, x.answers.MLEID()) || len(heard) == 0 {
			t.Errorf("%s: acknowledgements tell nothing", name)
		}
		for _, v := range heard {
			if v.Margin != 40 || v.RSSI != -60 {
				t.Errorf("%s: an acknowledgement tells %+v", name, v)
			}
		}
		if s := probing(linkmetrics.EnhAck{}); s != linkmetrics.Success {
			t.Errorf("%s: %v", name, s)
		}
		w.Run(time.Second)
		heard = nil
		if !w.reaches(x.asks, x.answers.MLEID()) || len(heard) != 0 {
			t.Errorf("%s: acknowledgements tell %+v after the end of that", name, heard)
		}
		if err := x.asks.MLE().SendLinkProbe(netip.MustParseAddr("fe80::1"), 1, 1); err != mle.ErrUnknownNeighbor {
			t.Errorf("%s: a stranger: %v", name, err)
		}
	}
	// Nobody answers.
	parent.Kill()
	var got linkmetrics.Report
	c.Do(func() {
		err := c.MLE().QueryMetrics(parent.MLE().LinkLocal(), linkmetrics.Query{Metrics: radio.MetricRSSI},
			func(_ netip.Addr, r linkmetrics.Report) { got = r })
		if err != nil {
			t.Fatal(err)
		}
	})
	if w.Run(11 * time.Second); got.Status != linkmetrics.NoAnswer {
		t.Errorf("asked nobody: %+v", got)
	}
}

// A sleepy child that hears nothing of its parent for too long asks, and leaves
// it when there is no answer.
func TestSupervisionCheck(t *testing.T) {
	w := newWorld(t, 34)
	n := w.net(sim.FTD, sim.SED)
	parent, c := n[0], n[1]
	w.form(parent)
	w.attach(c)
	heard := w.listen(parent)
	c.MLE().Tuning.PollPeriod = 5 * time.Second
	// Its parent is there, and says so by an empty frame every 129 s.
	if w.Run(15 * time.Minute); c.MLE().Role() != mle.Child {
		t.Fatalf("%v beside its parent", c.MLE().Role())
	}
	if _, asked := find(heard, mle.ChildUpdateRequest); asked {
		t.Error("asked whether its parent is there")
	}
	// It still acknowledges polls, but its parent says nothing any more.
	child(parent, c).Supervision = 0
	last := c.Table().Parent.LastHeard
	w.await("it asks", 200*time.Second, func() bool { _, asked := find(heard, mle.ChildUpdateRequest); return asked })
	if after := w.Now().Sub(last); after < 190*time.Second || after > 196*time.Second {
		t.Errorf("asked after %v of silence", after)
	}
	if w.Run(10 * time.Second); c.MLE().Role() != mle.Child {
		t.Errorf("%v after its parent answered", c.MLE().Role())
	}
	parent.Kill()
	w.await("it leaves", 220*time.Second, func() bool { return c.MLE().Role() == mle.Detached })
}
