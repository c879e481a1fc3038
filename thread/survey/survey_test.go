package survey_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/ieee802154"
	"gatewayd/radio/medium"
	"gatewayd/sim"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/survey"
	"gatewayd/thread/tmf"
)

// net is a network whose router is the commissioner.
type net struct {
	*sim.World
	t                   *testing.T
	leader, router, sed *sim.Node
}

func newNet(t *testing.T, seed uint64) *net {
	t.Helper()
	w := sim.New(seed, sim.Options{})
	n := &net{World: w, t: t, leader: w.Add(sim.Config{}), router: w.Add(sim.Config{}), sed: w.Add(sim.Config{Kind: sim.SED})}
	w.Link(n.leader, n.router, n.sed)
	d := newDataset(t, n.leader)
	for _, x := range []*sim.Node{n.leader, n.router, n.sed} {
		x.MLE().Tuning.SelectionJitter = time.Second
		if x == n.sed {
			x.MLE().Tuning.PollPeriod = 300 * time.Millisecond
		}
		n.start(x, d)
		n.await("attached", func() bool { return x.MLE().Attached() && (x.MLE().Router() || x == n.sed) })
	}
	if err := n.router.Commissioner().Start(); err != nil {
		t.Fatal(err)
	}
	n.await("commissioner", func() bool { return n.router.Commissioner().State() == joining.Active })
	n.Run(6 * time.Second) // the sleepy child learns of it
	return n
}

func newDataset(t *testing.T, n *sim.Node) *meshcop.Dataset {
	t.Helper()
	d, err := meshcop.NewRandom(n.Random(), meshcop.AllChannels(), meshcop.MaskOf(1<<15))
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func (n *net) start(x *sim.Node, d *meshcop.Dataset) {
	n.t.Helper()
	x.SetActiveDataset(d)
	x.InterfaceUp()
	if err := x.Start(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *net) await(what string, done func() bool) {
	n.t.Helper()
	if !n.RunUntil(time.Minute, done) {
		n.t.Fatalf("%s: not within a minute", what)
	}
}

// Every kind of node measures, and the commissioner hears of it.
func TestEnergyScan(t *testing.T) {
	n := newNet(t, 1)
	type report struct {
		from netip.Addr
		meshcop.EnergyReport
	}
	var got []report
	n.router.Survey().Energy = func(from netip.Addr, r meshcop.EnergyReport) { got = append(got, report{from, r}) }
	for _, x := range []*sim.Node{n.leader, n.sed, n.router} {
		got = nil
		if err := n.router.Survey().EnergyScan(x.RLOC(), 1<<15|1<<20, 3, 20*time.Millisecond, 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		n.await("report", func() bool { return len(got) > 0 })
		if got[0].from != x.RLOC() || got[0].ChannelMask.Bits() != 1<<15|1<<20 || len(got[0].Energy) != 6 {
			t.Errorf("%+v", got[0])
		}
	}
	// A device that does not keep the data that tell of the commissioner.
	if err := n.sed.MLE().SetMode(0); err != nil {
		t.Fatal(err)
	}
	n.Run(10 * time.Second)
	got = nil
	if err := n.router.Survey().EnergyScan(n.sed.RLOC(), 1<<15, 1, 0, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	n.await("report", func() bool { return len(got) > 0 })
	// All at once, by a group.
	got = nil
	if err := n.router.Survey().EnergyScan(netip.MustParseAddr("ff03::2"), 1<<11, 1, 0, 5*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	n.Run(10 * time.Second)
	if !slices.ContainsFunc(got, func(r report) bool { return r.from == n.leader.RLOC() }) {
		t.Errorf("%+v", got)
	}
	// As much as one report takes.
	got = nil
	if err := n.router.Survey().EnergyScan(n.leader.RLOC(), meshcop.AllChannels().Bits(), 255, 0, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	n.await("long report", func() bool { return len(got) > 0 })
	if len(got[0].Energy) != 254 {
		t.Errorf("%d energies", len(got[0].Energy))
	}
	n.Run(time.Minute)
	if len(got) != 1 {
		t.Errorf("%d reports", len(got))
	}
}

// A PAN ID that somebody uses is a conflict, others are none.
func TestPANIDQuery(t *testing.T) {
	n := newNet(t, 2)
	other := n.Add(sim.Config{})
	n.Link(other, n.leader)
	d := newDataset(t, other)
	d.Channel, d.PANID = &meshcop.Channel{Number: 22}, new(uint16(0xbeef))
	n.start(other, d)
	n.await("the other network", func() bool { return other.MLE().Role() == mle.Leader })
	var got []meshcop.PANIDQuery
	n.router.Survey().Conflict = func(from netip.Addr, r meshcop.PANIDQuery) {
		if from != n.leader.RLOC() {
			t.Errorf("from %v", from)
		}
		got = append(got, r)
	}
	ask := func(pan uint16, channels uint32) {
		got = nil
		if err := n.router.Survey().QueryPANID(n.leader.RLOC(), channels, pan); err != nil {
			t.Fatal(err)
		}
		n.Run(10 * time.Second)
	}
	ask(0xbeef, 1<<21|1<<22|1<<23)
	if len(got) != 1 || got[0].PANID != 0xbeef || got[0].ChannelMask.Bits() != 1<<22 {
		t.Errorf("conflict: %+v", got)
	}
	ask(0xbeee, 1<<21|1<<22|1<<23)
	if got != nil {
		t.Errorf("another PAN ID: %+v", got)
	}
	ask(0xbeef, 1<<21)
	if got != nil {
		t.Errorf("other channels: %+v", got)
	}
	if !n.sed.MLE().Attached() || !n.router.MLE().Router() {
		t.Error("the network suffered")
	}
}

// Announces go out on the channels that were named, as often as that was.
func TestAnnounceBegin(t *testing.T) {
	n := newNet(t, 3)
	sent := map[uint8]int{}
	n.Tap(func(s medium.Sighting) {
		f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen])
		if err == nil && s.From == n.leader.ID() && f.DstPAN == ieee802154.BroadcastPAN {
			sent[s.Channel]++
		}
	})
	if err := n.router.Survey().Announce(n.leader.RLOC(), 1<<12|1<<13, 3, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	n.Run(5 * time.Second)
	if len(sent) != 2 || sent[12] != 3 || sent[13] != 3 {
		t.Errorf("%v", sent)
	}
}

// Nobody but the commissioner is served, and its reports go to nobody else.
func TestStrangers(t *testing.T) {
	n := newNet(t, 4)
	if err := n.leader.Survey().EnergyScan(n.router.RLOC(), 1<<11, 1, 0, 0); err != survey.ErrInactive {
		t.Errorf("without being commissioner: %v", err)
	}
	if err := n.router.Survey().EnergyScan(n.leader.RLOC(), 1<<11, 1, 66*time.Second, 0); err == nil {
		t.Error("a period that cannot be told was taken")
	}
	session := n.router.Commissioner().SessionID() + 1
	scan := meshcop.EnergyScan{SessionID: session, ChannelMask: meshcop.MaskOf(1 << 11), Count: 1}
	query := meshcop.PANIDQuery{ChannelMask: meshcop.MaskOf(1 << 11), PANID: 1}
	announce := meshcop.AnnounceBegin{SessionID: session, ChannelMask: meshcop.MaskOf(1 << 11), Count: 1, Period: 1}
	for _, x := range []struct {
		uri     string
		payload []byte
		want    coap.Code
	}{
		{tmf.EnergyScan, scan.Append(nil), coap.Forbidden},
		{tmf.EnergyScan, []byte{1}, coap.BadRequest},
		{tmf.PANIDQuery, query.Append(nil), coap.BadRequest},
		{tmf.AnnounceBegin, announce.Append(nil), coap.Forbidden},
	} {
		var code coap.Code
		n.sed.TMF().Send(x.uri, n.leader.RLOC(), x.payload, tmf.Options{Source: n.sed.RLOC()}, func(r tmf.Response, err error) {
			if err != nil {
				t.Error(err)
			}
			code = r.Code
		})
		n.await("answer", func() bool { return code != 0 })
		if code != x.want {
			t.Errorf("%s %x: %v, want %v", x.uri, x.payload, code, x.want)
		}
	}

	// A commissioner that goes away is not reported to.
	heard := 0
	n.router.Survey().Energy = func(netip.Addr, meshcop.EnergyReport) { heard++ }
	if err := n.router.Survey().EnergyScan(n.leader.RLOC(), 1<<11, 1, 0, 0); err != nil {
		t.Fatal(err)
	}
	n.Run(100 * time.Millisecond)
	if err := n.router.Commissioner().Stop(); err != nil {
		t.Fatal(err)
	}
	n.Run(time.Minute)
	if heard != 0 {
		t.Errorf("%d reports", heard)
	}
}

// Routers announce the network now and then on every channel, not more often
// for being many, and a sleepy child does not.
func TestAnnouncer(t *testing.T) {
	n := newNet(t, 5)
	sent := map[int]map[uint8]int{}
	n.Tap(func(s medium.Sighting) {
		if f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen]); err == nil && f.DstPAN == ieee802154.BroadcastPAN && f.Type == ieee802154.FrameData {
			if sent[s.From] == nil {
				sent[s.From] = map[uint8]int{}
			}
			sent[s.From][s.Channel]++
		}
	})
	n.Run(4 * 688 * time.Second)
	for _, x := range []*sim.Node{n.leader, n.router} {
		for c := uint8(11); c <= 26; c++ {
			if k := sent[x.ID()][c]; k < 2 || k > 4 {
				t.Errorf("node %d: %d Announces on channel %d", x.ID(), k, c)
			}
		}
	}
	if len(sent) != 2 {
		t.Errorf("senders: %v", sent)
	}
}
