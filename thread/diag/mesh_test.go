package diag_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/sim"
	"gatewayd/thread/diag"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

// mesh is a network on virtual time.
type mesh struct {
	*sim.World
	t       *testing.T
	dataset meshcop.Dataset
}

func newMesh(t *testing.T, seed uint64) *mesh {
	return &mesh{World: sim.New(seed, sim.Options{Ideal: true}), t: t}
}

// attach starts a node and waits until it has one of the roles.
func (m *mesh) attach(n *sim.Node, roles ...mle.Role) {
	m.t.Helper()
	if m.dataset.NetworkName == "" {
		d, err := meshcop.NewRandom(n.Random(), meshcop.AllChannels(), meshcop.MaskOf(1<<15))
		if err != nil {
			m.t.Fatal(err)
		}
		m.dataset = d
	}
	d := m.dataset
	n.SetActiveDataset(&d)
	n.MLE().Tuning.SelectionJitter = time.Second
	n.InterfaceUp()
	if err := n.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.await(n.Name+" is attached", func() bool { return slices.Contains(roles, n.MLE().Role()) })
}

func (m *mesh) await(what string, done func() bool) {
	m.t.Helper()
	if !m.RunUntil(2*time.Minute, done) {
		m.t.Fatal("waited in vain: " + what)
	}
}

// line is a leader and routers, each in reach of the one before.
func (m *mesh) line(n int) []*sim.Node {
	m.t.Helper()
	var out []*sim.Node
	for i := range n {
		out = append(out, m.Add(sim.Config{Name: fmt.Sprintf("R%d", i)}))
		m.Line(out[max(0, i-1):]...)
		role := mle.Router
		if i == 0 {
			role = mle.Leader
		}
		m.attach(out[i], role)
	}
	m.await("routes", func() bool {
		for _, a := range out {
			for _, b := range out {
				if a != b && a.MLE().PathCost(b.MLE().RLOC16()) >= neighbor.InfiniteCost {
					return false
				}
			}
		}
		return true
	})
	return out
}

// children gives a router children of a kind.
func (m *mesh) children(parent *sim.Node, n int, kind sim.Kind) []*sim.Node {
	m.t.Helper()
	var out []*sim.Node
	for i := range n {
		c := m.Add(sim.Config{Name: fmt.Sprintf("%v%d", kind, i), Kind: kind})
		m.Link(parent, c)
		m.attach(c, mle.Child)
		out = append(out, c)
	}
	return out
}

// get asks and waits for the report.
func (m *mesh) get(n *sim.Node, to netip.Addr, types ...diag.Type) diag.Report {
	m.t.Helper()
	var got *diag.Report
	if _, err := n.Diag().Get(to, types, func(r diag.Report, err error) {
		if err != nil {
			m.t.Fatal(err)
		}
		got = &r
	}); err != nil {
		m.t.Fatal(err)
	}
	m.await("report", func() bool { return got != nil })
	if got.Err != nil || got.From != to {
		m.t.Errorf("report from %v: %v", got.From, got.Err)
	}
	return *got
}

func typesOf(values []diag.Value) (out []diag.Type) {
	for _, v := range values {
		out = append(out, v.Type())
	}
	return out
}

// all are the types that may be asked for, and some that may not or are not.
var all = []diag.Type{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 19, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 255}

// What applies to a node is told, in the order of the request, and nothing else.
func TestWhatApplies(t *testing.T) {
	m := newMesh(t, 1)
	r := m.line(2)
	sleepy := m.children(r[1], 1, sim.SED)[0]
	if err := sleepy.MLE().SetPollPeriod(500 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	r[1].Diag().Vendor = diag.Vendor{Name: "Acme", Model: "Anvil", Version: "1.2", AppURL: "https://example.com"}

	got := m.get(r[0], r[1].RLOC(), all...)
	if want := []diag.Type{0, 1, 2, 4, 5, 6, 7, 8, 9, 16, 17, 19, 23, 24, 25, 26, 27, 28, 34, 35}; !slices.Equal(typesOf(got.Values), want) {
		t.Errorf("router: %v", typesOf(got.Values))
	}
	expect(t, got, diag.ExtAddress(r[1].MAC().Ext()))
	expect(t, got, diag.Address16(r[1].MLE().RLOC16()))
	expect(t, got, diag.Mode(0x0f))
	expect(t, got, diag.Route{Route: r[1].MLE().Route()})
	expect(t, got, diag.EUI64(r[1].EUI64()))
	expect(t, got, diag.Version(mle.Version))
	expect(t, got, diag.MaxChildTimeout(sleepy.MLE().Tuning.ChildTimeout))
	expect(t, got, diag.Text{Kind: diag.TypeVendorName, Text: "Acme"})
	expect(t, got, diag.ChildTable{{Timeout: 12, Quality: 3, ID: neighbor.ChildID(sleepy.MLE().RLOC16()),
		Mode: neighbor.ModeFullNetworkData | neighbor.ModeSecureDataReq}})
	if a, ok := diag.Find[diag.Addresses](got.Values); !ok || !slices.Contains(a, r[1].MLEID()) || !slices.Contains(a, r[1].RLOC()) {
		t.Errorf("addresses %v", a)
	}
	if c, ok := diag.Find[diag.MACCounters](got.Values); !ok || c.OutUnicast == 0 || c.InUnicast == 0 || c.OutBroadcast == 0 {
		t.Errorf("counters %+v", c)
	}
	if c, ok := diag.Find[diag.MLECounters](got.Values); !ok || c.Router != 1 || c.RouterTime == 0 ||
		c.Tracked < c.RouterTime+c.ChildTime {
		t.Errorf("counters %+v", c)
	}

	got = m.get(r[0], sleepy.RLOC(), all...)
	if want := []diag.Type{0, 1, 2, 3, 6, 7, 8, 9, 17, 23, 24, 25, 26, 27, 28, 34, 35}; !slices.Equal(typesOf(got.Values), want) {
		t.Errorf("sleepy child: %v", typesOf(got.Values))
	}
	expect(t, got, diag.PollTimeout(sleepy.MLE().Tuning.ChildTimeout))

	// A leader without children has an empty table, and no longest timeout.
	if got := m.get(r[1], r[0].RLOC(), 16, 19).Payload; !slices.Equal(got, []byte{16, 0}) {
		t.Errorf("leader: %x", got)
	}
	if got := m.get(r[1], r[0].RLOC()).Payload; len(got) != 0 {
		t.Errorf("nothing asked: %x", got)
	}
	// It asks itself, by its anycast locator too.
	expect(t, m.get(r[0], r[0].RLOC(), 1), diag.Address16(r[0].MLE().RLOC16()))
	expect(t, m.get(r[0], r[0].MLE().Locator(0xfc00), 1), diag.Address16(r[0].MLE().RLOC16()))
}

func expect[V diag.Value](t *testing.T, r diag.Report, want V) {
	t.Helper()
	for _, v := range r.Values {
		if reflect.DeepEqual(v, want) {
			return
		}
	}
	got, _ := diag.Find[V](r.Values)
	t.Errorf("%T is %+v, want %+v", want, got, want)
}

func TestReset(t *testing.T) {
	m := newMesh(t, 2)
	r := m.line(2)
	for _, what := range []diag.Type{diag.TypeMLECounters, diag.TypeMACCounters} {
		before := m.get(r[0], r[1].RLOC(), 9, 34)
		done := false
		if err := r[0].Diag().Reset(r[1].RLOC(), []diag.Type{what, diag.TypeRoute}, func(err error) { done = err == nil }); err != nil {
			t.Fatal(err)
		}
		m.await("reset", func() bool { return done })
		after := m.get(r[0], r[1].RLOC(), 9, 34)
		was, _ := diag.Find[diag.MACCounters](before.Values)
		is, _ := diag.Find[diag.MACCounters](after.Values)
		if reset := is.OutUnicast < was.OutUnicast; reset != (what == diag.TypeMACCounters) {
			t.Errorf("reset of %v: %d frames became %d", what, was.OutUnicast, is.OutUnicast)
		}
		if c, _ := diag.Find[diag.MLECounters](after.Values); c.Router != 0 || c.RouterTime > time.Minute {
			t.Errorf("reset of %v: %+v", what, c)
		}
	}
	// All nodes of the mesh at once.
	if err := r[0].Diag().Reset(netip.MustParseAddr("ff03::1"), []diag.Type{diag.TypeMACCounters}, nil); err != nil {
		t.Fatal(err)
	}
	m.Run(time.Second)
	if n := r[1].MAC().Counters.TxUnicast; n > 2 {
		t.Errorf("%d frames after a reset by multicast", n)
	}
}

// A query to a group is answered by all of it, the asker too.
func TestGroupQuery(t *testing.T) {
	m := newMesh(t, 3)
	r := m.line(3)
	for _, tt := range []struct {
		group string
		want  int
		local bool
	}{{"ff03::2", 3, false}, {"ff03::1", 3, false}, {"ff02::1", 3, true}, {"ff02::2", 3, true}} {
		heard := map[netip.Addr]diag.Report{}
		done := false
		_, err := r[1].Diag().Query(netip.MustParseAddr(tt.group), []diag.Type{1, 16, 29, 31}, 10*time.Second,
			func(r diag.Report) { heard[r.From] = r }, func() { done = true })
		if err != nil {
			t.Fatal(err)
		}
		m.await("end of the query", func() bool { return done })
		if len(heard) != tt.want {
			t.Errorf("%s: %d answered", tt.group, len(heard))
		}
		for from, rep := range heard {
			if want := []diag.Type{33, 1, 16, 29, 31, 31, 32}; from == r[0].RLOC() && !slices.Equal(typesOf(rep.Values), want) {
				t.Errorf("%s: %v", tt.group, typesOf(rep.Values))
			}
			if from.IsLinkLocalUnicast() != tt.local {
				t.Errorf("%s: answer from %v", tt.group, from)
			}
			expect(t, rep, diag.Answer{Last: true})
		}
	}
}

// Tables that do not fit a message come in several, in order, the next only
// when the one before has been acknowledged.
func TestLongTables(t *testing.T) {
	const many = 45
	m := newMesh(t, 4)
	r := m.line(3)
	kids := m.children(r[2], many, sim.MTD)
	m.Run(2 * time.Second)

	var answers []diag.Answer
	_, err := r[0].Diag().Query(r[2].RLOC(), []diag.Type{29, 30, 31, 8}, 10*time.Second, func(rep diag.Report) {
		a, _ := diag.Find[diag.Answer](rep.Values)
		answers = append(answers, a)
		if n := len(rep.Payload); n > 1214 || n < 800 && !a.Last {
			t.Errorf("answer %d has %d bytes", a.Index, n)
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.await("last answer", func() bool { return len(answers) > 0 && answers[len(answers)-1].Last })
	for i, a := range answers {
		if int(a.Index) != i {
			t.Errorf("answers %+v", answers)
		}
	}
	if len(answers) < 4 {
		t.Errorf("%d answers", len(answers))
	}

	var children []diag.Child
	m.survey(func(done func(error)) (*diag.Survey, error) {
		return r[0].Diag().ChildTable(r[2].MLE().RLOC16(), func(c diag.Child) { children = append(children, c) }, done)
	}, nil)
	var addresses []diag.ChildAddresses
	m.survey(func(done func(error)) (*diag.Survey, error) {
		return r[0].Diag().ChildAddresses(r[2].MLE().RLOC16(), func(c diag.ChildAddresses) { addresses = append(addresses, c) }, done)
	}, nil)
	if len(children) != many || len(addresses) != many {
		t.Fatalf("%d children, addresses of %d", len(children), len(addresses))
	}
	for i, k := range kids {
		c, a := children[i], addresses[i]
		if c.RLOC16 != k.MLE().RLOC16() || c.Ext != k.MAC().Ext() || !c.RxOnWhenIdle || c.FullThread || !c.FullNetworkData ||
			c.Timeout != k.MLE().Tuning.ChildTimeout || c.Version != mle.Version || c.Connected == 0 || c.Supervision != 0 ||
			c.Link.Margin == 0 || c.Link.Last == diag.UnknownRSSI || !c.Link.MeasuresErrors || c.Link.MessageErrors > 0x1000 {
			t.Errorf("child %d: %+v", i, c)
		}
		if a.RLOC16 != c.RLOC16 || !slices.Contains(a.Addresses, k.MLEID()) {
			t.Errorf("addresses of child %d: %+v", i, a)
		}
	}
	// As one TLV of a get, too.
	table, _ := diag.Find[diag.ChildTable](m.get(r[0], r[2].RLOC(), 16).Values)
	if len(table) != many {
		t.Errorf("child table of %d", len(table))
	}
}

// survey runs one to its end, with the error that it ends with.
func (m *mesh) survey(start func(done func(error)) (*diag.Survey, error), want error) {
	m.t.Helper()
	ended := false
	if _, err := start(func(err error) {
		if ended || !errors.Is(err, want) {
			m.t.Errorf("survey ended with %v, want %v, ended before: %t", err, want, ended)
		}
		ended = true
	}); err != nil {
		m.t.Fatal(err)
	}
	if ended {
		m.t.Error("the survey ended in its beginning")
	}
	m.await("survey", func() bool { return ended })
}

func TestRouterNeighbors(t *testing.T) {
	m := newMesh(t, 5)
	r := m.line(3)
	var got []uint16
	m.survey(func(done func(error)) (*diag.Survey, error) {
		return r[0].Diag().RouterNeighbors(r[1].MLE().RLOC16(), func(n diag.RouterNeighbor) {
			got = append(got, n.RLOC16)
			if n.Version != mle.Version || n.Link.Margin == 0 {
				t.Errorf("%+v", n)
			}
		}, done)
	}, nil)
	want := []uint16{r[0].MLE().RLOC16(), r[2].MLE().RLOC16()}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%04x, want %04x", got, want)
	}
}

func TestTopology(t *testing.T) {
	m := newMesh(t, 6)
	r := m.line(4)
	kid := m.children(r[3], 1, sim.SED)[0]
	if err := r[2].ServePrefix(netip.MustParsePrefix("fd11:22::/64"), 0x3b00, true); err != nil { // SLAAC, on-mesh, default route
		t.Fatal(err)
	}
	m.Run(time.Minute) // for the link qualities of everybody's
	for _, asker := range r {
		got := map[uint16]diag.Router{}
		m.survey(func(done func(error)) (*diag.Survey, error) {
			return asker.Diag().Topology(diag.TopologyOptions{Addresses: true, Children: true},
				func(x diag.Router) { got[x.RLOC16] = x }, done)
		}, nil)
		if len(got) != len(r) {
			t.Fatalf("%s found %d routers", asker.Name, len(got))
		}
		for i, n := range r {
			x := got[n.MLE().RLOC16()]
			if x.Ext != n.MAC().Ext() || x.ID != neighbor.RouterID(x.RLOC16) || x.Version != mle.Version ||
				x.Self != (n == asker) || x.Leader != (i == 0) || x.BorderRouter != (i == 2) || x.Parent {
				t.Errorf("%s of %s: %+v", asker.Name, n.Name, x)
			}
			for j, o := range r {
				linked := x.Links.Entries[neighbor.RouterID(o.MLE().RLOC16())].In == 3
				if linked != (i-j == 1 || j-i == 1) {
					t.Errorf("%s of the link of %s with %s: %t", asker.Name, n.Name, o.Name, linked)
				}
			}
			if !slices.Contains(x.Addresses, n.MLEID()) || x.Children == nil {
				t.Errorf("%s of %s: addresses %v, children %v", asker.Name, n.Name, x.Addresses, x.Children)
			}
		}
		want := []diag.RouterChild{{RLOC16: kid.MLE().RLOC16(), Quality: 3, Mode: neighbor.ModeFullNetworkData | neighbor.ModeSecureDataReq}}
		if c := got[r[3].MLE().RLOC16()].Children; !slices.Equal(c, want) {
			t.Errorf("children %+v", c)
		}
	}
}

// More routers than are asked at a time, of which one is gone.
func TestTopologyWithoutOne(t *testing.T) {
	m := newMesh(t, 7)
	var r []*sim.Node
	for i := range 12 {
		r = append(r, m.Add(sim.Config{Name: fmt.Sprintf("R%d", i)}))
		m.Link(r...)
		m.attach(r[i], mle.Router, mle.Leader)
	}
	m.Run(10 * time.Second)
	for _, gone := range []int{0, 1} {
		found := 0
		began := m.Now()
		var want error
		if gone > 0 {
			r[5].Kill()
			want = diag.ErrTimeout
		}
		m.survey(func(done func(error)) (*diag.Survey, error) {
			return r[0].Diag().Topology(diag.TopologyOptions{}, func(x diag.Router) {
				found++
				if x.Addresses != nil || x.Children != nil {
					t.Errorf("unasked: %+v", x)
				}
			}, done)
		}, want)
		if took := m.Now().Sub(began); found != 12-gone || took > 7*time.Second {
			t.Errorf("without %d: found %d in %v", gone, found, took)
		}
	}
}

func TestImpossible(t *testing.T) {
	m := newMesh(t, 8)
	r := m.line(2)
	kid := m.children(r[1], 1, sim.MTD)[0]
	alone := m.Add(sim.Config{})
	never := func(error) { t.Error("done") }
	start := func(n *sim.Node, router uint16) error {
		_, err := n.Diag().ChildTable(router, func(diag.Child) {}, never)
		return err
	}
	topology := func(n *sim.Node) error {
		_, err := n.Diag().Topology(diag.TopologyOptions{}, func(diag.Router) {}, never)
		return err
	}
	free := uint16(0)
	for r[0].Table().Router(neighbor.RouterID(free)) != nil {
		free += 0x400
	}
	for what, tt := range map[string]struct{ err, want error }{
		"detached":           {start(alone, free), diag.ErrState},
		"detached, topology": {topology(alone), diag.ErrState},
		"no router":          {start(r[0], free), diag.ErrNoRouter},
		"a child":            {start(r[0], kid.MLE().RLOC16()), diag.ErrNoRouter},
		"by a child":         {topology(kid), diag.ErrNotCapable},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", what, tt.err, tt.want)
		}
	}
	if _, err := alone.Diag().Get(r[0].RLOC(), nil, nil); !errors.Is(err, diag.ErrState) {
		t.Error(err)
	}
	// A minimal device may ask a router for its tables.
	m.survey(func(done func(error)) (*diag.Survey, error) {
		return kid.Diag().ChildTable(r[1].MLE().RLOC16(), func(diag.Child) {}, done)
	}, nil)

	// Surveys are bounded, and can be stopped.
	var running []*diag.Survey
	for range 4 {
		s, err := r[0].Diag().Topology(diag.TopologyOptions{}, func(diag.Router) {}, never)
		if err != nil {
			t.Fatal(err)
		}
		running = append(running, s)
	}
	if err := topology(r[0]); !errors.Is(err, diag.ErrBusy) {
		t.Error(err)
	}
	for _, s := range running {
		s.Stop()
		s.Stop()
	}
	m.survey(func(done func(error)) (*diag.Survey, error) {
		return r[0].Diag().Topology(diag.TopologyOptions{}, func(diag.Router) {}, done)
	}, nil)
	m.Run(time.Minute) // nothing comes of the stopped ones
}

// script makes a node answer Diagnostic Queries by a script instead.
func script(n *sim.Node, answers func(id uint16) [][]byte) {
	n.TMF().Handle(tmf.DiagnosticGetQuery, func(r *tmf.Request) {
		r.NoResponse()
		values, err := diag.Decode(r.Payload)
		id, ok := diag.Find[diag.QueryID](values)
		if err != nil || !ok {
			return
		}
		for _, b := range answers(uint16(id)) {
			n.TMF().Send(tmf.DiagnosticGetAnswer, r.From.Remote.Addr(), b, tmf.Options{Source: n.RLOC()}, nil)
		}
	})
}

// A table ends with its end, with a gap, with the last answer or with silence.
func TestAnswerOrder(t *testing.T) {
	m := newMesh(t, 9)
	r := m.line(2)
	message := func(id uint16, index uint8, last bool, v ...diag.Value) (b []byte) {
		b = diag.Append(b, diag.QueryID(id))
		for _, x := range v {
			b = diag.Append(b, x)
		}
		return diag.Append(b, diag.Answer{Last: last, Index: index})
	}
	child, end := diag.Child{RLOC16: 1}, diag.End{Of: diag.TypeChild}
	for _, tt := range []struct {
		name    string
		answers func(id uint16) [][]byte
		want    error
		found   int
		slow    bool // ends by silence
	}{
		{"whole", func(id uint16) [][]byte {
			return [][]byte{message(id, 0, false, child, child), message(id, 1, true, child, end)}
		}, nil, 3, false},
		{"end before the last", func(id uint16) [][]byte {
			return [][]byte{message(id, 0, false, child, end, child), message(id, 1, true, child, end)}
		}, nil, 1, false},
		{"gap", func(id uint16) [][]byte {
			return [][]byte{message(id, 0, false, child), message(id, 2, true, child, end)}
		}, diag.ErrTimeout, 1, false},
		{"begins in the middle", func(id uint16) [][]byte { return [][]byte{message(id, 1, true, child, end)} }, diag.ErrTimeout, 0, false},
		{"no end", func(id uint16) [][]byte { return [][]byte{message(id, 0, true, child)} }, diag.ErrTimeout, 1, false},
		{"another list's end", func(id uint16) [][]byte {
			return [][]byte{message(id, 0, true, child, diag.End{Of: diag.TypeRouterNeighbor})}
		}, diag.ErrTimeout, 1, false},
		{"other query", func(id uint16) [][]byte { return [][]byte{message(id+1, 0, true, child, end)} }, diag.ErrTimeout, 0, true},
		{"no number", func(id uint16) [][]byte {
			return [][]byte{diag.Append(diag.Append(nil, diag.QueryID(id)), end)}
		}, diag.ErrTimeout, 0, true},
		{"rubbish", func(id uint16) [][]byte { return [][]byte{{33, 2, byte(id >> 8), byte(id), 29, 9, 1}} }, diag.ErrTimeout, 0, true},
		{"silence", func(id uint16) [][]byte { return nil }, diag.ErrTimeout, 0, true},
		{"silence in the middle", func(id uint16) [][]byte { return [][]byte{message(id, 0, false, child)} }, diag.ErrTimeout, 1, true},
	} {
		script(r[1], tt.answers)
		began, found := m.Now(), 0
		m.survey(func(done func(error)) (*diag.Survey, error) {
			return r[0].Diag().ChildTable(r[1].MLE().RLOC16(), func(c diag.Child) { found++ }, done)
		}, tt.want)
		if took := m.Now().Sub(began); found != tt.found || (took > 4*time.Second) != tt.slow || took > 6*time.Second {
			t.Errorf("%s: %d children in %v", tt.name, found, took)
		}
	}
}

// Answers that nobody acknowledges are not followed by others, and do not keep
// the node from answering for good.
func TestAskerGone(t *testing.T) {
	m := newMesh(t, 10)
	r := m.line(2)
	m.children(r[1], 30, sim.MTD)
	for range 12 { // more than are answered at a time
		if _, err := r[0].Diag().Query(r[1].RLOC(), []diag.Type{29}, time.Hour, func(diag.Report) {}, nil); err != nil {
			t.Fatal(err)
		}
	}
	m.Run(30 * time.Millisecond)
	m.Cut(r[0], r[1])
	m.Run(100 * time.Second) // until the last retransmission, but the partition holds
	m.Link(r[0], r[1])
	m.await("mesh again", func() bool {
		return r[1].MLE().PathCost(r[0].MLE().RLOC16()) < 16 && r[0].MLE().PathCost(r[1].MLE().RLOC16()) < 16
	})
	m.Run(5 * time.Second)
	n := 0
	m.survey(func(done func(error)) (*diag.Survey, error) {
		return r[0].Diag().ChildTable(r[1].MLE().RLOC16(), func(diag.Child) { n++ }, done)
	}, nil)
	if n != 30 {
		t.Errorf("%d children", n)
	}
}

// Requests that are not what they should be.
func TestBadRequests(t *testing.T) {
	m := newMesh(t, 11)
	r := m.line(2)
	for _, tt := range []struct {
		path    string
		payload []byte
		want    coap.Code
	}{
		{tmf.DiagnosticGet, []byte{18, 9, 1}, coap.BadRequest},
		{tmf.DiagnosticGet, []byte{1}, coap.BadRequest},
		{tmf.DiagnosticGet, nil, coap.Changed},
		{tmf.DiagnosticReset, nil, coap.BadRequest},
		{tmf.DiagnosticReset, []byte{1, 2, 0, 0, 18, 1, 9}, coap.BadRequest}, // the list is not first
		{tmf.DiagnosticReset, []byte{18, 1, 200}, coap.Changed},
		{tmf.DiagnosticGetQuery, []byte{18, 9, 1}, coap.Changed}, // acknowledged, not answered
		{tmf.DiagnosticGetAnswer, []byte{33}, coap.Changed},
	} {
		var got *coap.Code
		r[0].TMF().Send(tt.path, r[1].RLOC(), tt.payload, tmf.Options{Source: r[0].RLOC()}, func(x tmf.Response, err error) {
			if err != nil {
				t.Error(err)
			}
			got = &x.Code
		})
		m.await("answer", func() bool { return got != nil })
		if *got != tt.want {
			t.Errorf("%s %x: %v, want %v", tt.path, tt.payload, *got, tt.want)
		}
	}
	var err error
	if _, e := r[0].Diag().Get(r[1].RLOC(), make([]diag.Type, 300), func(_ diag.Report, e error) { err = e }); e != nil {
		t.Fatal(e)
	}
	// A request may have a list as long as it likes: each type is told once.
	got := m.get(r[0], r[1].RLOC(), slices.Repeat([]diag.Type{8, 1}, 200)...)
	if !slices.Equal(typesOf(got.Values), []diag.Type{8, 1}) || err != nil {
		t.Errorf("%v, %v", typesOf(got.Values), err)
	}
}
