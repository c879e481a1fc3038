package scenario

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"gatewayd/sim"
	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// Options are what a run may do besides running.
type Options struct {
	Capture io.Writer // gets every frame; nil for none
	// Log, if not nil, is told what nodes log, by their names, and the time
	// since the start.
	Log func(at time.Duration, node string, e thread.Event)
	// Look, if not nil, is called once a minute of the mesh's time.
	Look func(at time.Duration)
	// Unaudited does not look for frame counters that are used twice, for which
	// all of them have to be remembered.
	Unaudited bool
}

// run is a scenario being lived.
type run struct {
	s      *Scenario
	o      Options
	w      *sim.World
	rand   *rand.Rand // of placement and traffic
	drift  *rand.Rand // of clocks
	nodes  []*sim.Node
	groups []*Group // of each node
	names  []string
	joined []bool // has been started, in whichever life
	data   meshcop.Dataset
	cuts   map[[2]int]hearing // links that events took away, from and to

	meter  *sim.Meter
	audit  *sim.Audit
	watch  watch
	pings  pings
	faults []string
}

// hearing is a link that can be restored.
type hearing struct{ rssi, loss float64 }

// Run lives a scenario with a seed. The error is of the context, or of
// writing the capture; a scenario that does not go as expected is none, see
// Report.Unmet.
func Run(ctx context.Context, s *Scenario, seed uint64, o Options) (*Report, error) {
	r := &run{s: s, o: o, rand: rand.New(rand.NewPCG(seed, 1)), drift: rand.New(rand.NewPCG(seed, 2)), cuts: map[[2]int]hearing{}}
	a := s.Air
	r.w = sim.New(seed, sim.Options{Ideal: a.Ideal, Noise: a.Noise, Exponent: a.Exponent, Shadowing: a.Shadowing})
	failed := func() error { return nil }
	if o.Capture != nil {
		var err error
		if failed, err = r.w.Capture(o.Capture); err != nil {
			return nil, fmt.Errorf("scenario: writing the capture: %w", err)
		}
	}
	r.meter, r.audit = r.w.Meter(), &sim.Audit{}
	if !o.Unaudited {
		r.audit = r.w.Audit()
	}
	r.watch.r = r
	if err := r.build(); err != nil {
		return nil, err
	}
	const slice = time.Second // of looking, and of asking the context
	for end := r.w.Now().Add(time.Duration(s.Duration)); r.w.Now().Before(end); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.w.Run(min(slice, end.Sub(r.w.Now())))
		r.watch.look()
		if o.Look != nil && r.at()%time.Minute == 0 {
			o.Look(r.at())
		}
	}
	if err := failed(); err != nil {
		return nil, fmt.Errorf("scenario: writing the capture: %w", err)
	}
	return r.report(seed), nil
}

// logger is where a node's events go.
func (r *run) logger(name string) func(thread.Event) {
	if r.o.Log == nil {
		return nil
	}
	return func(e thread.Event) { r.o.Log(r.at(), name, e) }
}

func (r *run) at() time.Duration { return r.w.Now().Sub(sim.Began) }

// build makes the nodes and links, and sets alarms for all that will happen.
func (r *run) build() error {
	for i := range r.s.Nodes {
		g := &r.s.Nodes[i]
		for j, name := range g.names() {
			r.nodes = append(r.nodes, r.w.Add(sim.Config{Name: name, Kind: sim.Kind(g.Kind), Place: g.place(j, r.rand),
				Spinel: g.Spinel, Power: g.Power, MaxChildren: g.MaxChildren, Log: r.logger(name),
				Drift: g.Drift * (2*r.drift.Float64() - 1), Accuracy: uint8(math.Ceil(g.Drift))}))
			r.groups = append(r.groups, g)
			r.names = append(r.names, name)
		}
	}
	r.joined = make([]bool, len(r.nodes))
	var err error
	if r.data, err = meshcop.NewRandom(r.nodes[0].Random(), meshcop.AllChannels(), meshcop.AllChannels()); err != nil {
		return fmt.Errorf("scenario: %w", err)
	}
	for i := range r.s.Links {
		r.link(&r.s.Links[i])
	}
	later := make([]bool, len(r.nodes)) // started by an event
	r.watch.begin("start")
	for i := range r.s.Events {
		e := &r.s.Events[i]
		r.w.Clock().After(time.Duration(e.At), func() {
			r.watch.begin(e.String())
			r.happen(e)
		})
		if e.Do == Join {
			for _, n := range r.choose(e.Nodes) {
				later[n] = true
			}
		}
	}
	first := 0
	for i, g := range r.groups {
		if i > 0 && g != r.groups[i-1] {
			first = i
		}
		if !later[i] {
			r.w.Clock().After(time.Duration(g.Start)+time.Duration((i-first)%g.Count)*time.Duration(g.Stagger), func() { r.start(i) })
		}
	}
	for i := range r.s.Traffic {
		r.stream(&r.s.Traffic[i])
	}
	return nil
}

// choose is match for names that Parse has seen.
func (r *run) choose(names Names) []int {
	list, _ := match(names, r.names)
	return list
}

func (r *run) link(l *Link) {
	air := r.w.Air()
	one := func(from, to *sim.Node) {
		rssi, _, up := air.LinkBetween(from.Station(), to.Station())
		if l.RSSI != nil {
			rssi = *l.RSSI
		} else if !up {
			rssi = -60
		}
		air.LinkOneWay(from.Station(), to.Station(), rssi, l.Loss)
	}
	for _, i := range r.choose(l.From) {
		for _, j := range r.choose(l.To) {
			if i == j {
				continue
			}
			one(r.nodes[i], r.nodes[j])
			if !l.OneWay {
				one(r.nodes[j], r.nodes[i])
			}
		}
	}
}

// start makes a node attach to the network, or form it.
func (r *run) start(i int) {
	n, g := r.nodes[i], r.groups[i]
	r.joined[i] = true
	r.watch.changed()
	n.Do(func() {
		t := &n.MLE().Tuning
		if g.UpgradeThreshold > 0 {
			t.UpgradeThreshold = g.UpgradeThreshold
		}
		if g.DowngradeAbove > 0 {
			t.DowngradeThreshold = g.DowngradeAbove
		}
		if g.SelectionJitter > 0 {
			t.SelectionJitter = time.Duration(g.SelectionJitter)
		}
		if n.Datasets().Active() == nil {
			n.SetActiveDataset(&r.data)
		}
		n.InterfaceUp()
		err := n.Start()
		if err == nil && g.Poll > 0 {
			err = n.MLE().SetPollPeriod(time.Duration(g.Poll))
		}
		if err == nil && g.CSL > 0 {
			err = n.MLE().SetCSL(mle.CSLTuning{Period: time.Duration(g.CSL)})
		}
		if err != nil {
			r.faults = append(r.faults, fmt.Sprintf("%v: node %s: %v", r.at(), n.Name, err))
		}
	})
}

// happen lets an event happen.
func (r *run) happen(e *Event) {
	chosen := r.choose(e.Nodes)
	in := make([]bool, len(r.nodes))
	for _, i := range chosen {
		in[i] = true
	}
	var others []int
	switch e.Do {
	case Cut, Mend:
		others = r.choose(e.From)
	case Partition, Heal:
		for i := range r.nodes {
			if !in[i] {
				others = append(others, i)
			}
		}
	}
	r.watch.changed()
	for _, i := range chosen {
		n := r.nodes[i]
		switch e.Do {
		case Kill:
			n.Kill()
		case Revive:
			if !n.Alive() {
				n.Restart()
				r.start(i)
			}
		case Join:
			if n.Alive() && !r.joined[i] {
				r.start(i)
			}
		}
		for _, j := range others {
			if e.Do == Cut || e.Do == Partition {
				r.cut(i, j)
				r.cut(j, i)
			} else {
				r.mend(i, j)
				r.mend(j, i)
			}
		}
	}
}

func (r *run) cut(i, j int) {
	from, to := r.nodes[i].Station(), r.nodes[j].Station()
	if rssi, loss, up := r.w.Air().LinkBetween(from, to); up && i != j {
		r.cuts[[2]int{i, j}] = hearing{rssi, loss}
		r.w.Air().UnlinkOneWay(from, to)
	}
}

func (r *run) mend(i, j int) {
	if h, ok := r.cuts[[2]int{i, j}]; ok {
		r.w.Air().LinkOneWay(r.nodes[i].Station(), r.nodes[j].Station(), h.rssi, h.loss)
		delete(r.cuts, [2]int{i, j})
	}
}

// shownLost is how many pings without an answer a report names.
const shownLost = 20

// pings are the echo requests so far.
type pings struct {
	sent     int
	repeated int
	trips    []time.Duration // of those answered, the last try's
	lost     []string        // some of the others
}

// stream sets the alarms of a stream of pings.
func (r *run) stream(t *Traffic) {
	from, to := r.choose(t.From), r.choose(t.To)
	next := r.randomPair(from, to)
	switch {
	case t.Pairs == All:
		next = r.eachPair(from, to)
	case t.Local:
		next = r.localPair(from, to)
	}
	var step func()
	step = func() {
		i, j, ok := next()
		if !ok || r.at() > time.Duration(t.Stop) {
			return
		}
		if i != j && r.nodes[i].Alive() && r.nodes[j].Alive() && r.joined[i] && r.joined[j] {
			r.ping(t, i, j)
		}
		r.w.Clock().After(time.Duration(t.Every), step)
	}
	r.w.Clock().After(time.Duration(t.Start), step)
}

func (r *run) randomPair(from, to []int) func() (i, j int, ok bool) {
	return func() (int, int, bool) {
		return from[r.rand.IntN(len(from))], to[r.rand.IntN(len(to))], true
	}
}

// localPair is a random pair in one partition, or a node with itself if there is
// none.
func (r *run) localPair(from, to []int) func() (i, j int, ok bool) {
	return func() (int, int, bool) {
		i := from[r.rand.IntN(len(from))]
		at := r.nodes[i].MLE()
		near := []int{i}
		for _, j := range to {
			if m := r.nodes[j].MLE(); j != i && r.nodes[j].Alive() && m.Attached() && at.Attached() && m.Partition() == at.Partition() {
				near = append(near, j)
			}
		}
		if len(near) > 1 {
			near = near[1:]
		}
		return i, near[r.rand.IntN(len(near))], true
	}
}

// eachPair is every pair once, in a random order.
func (r *run) eachPair(from, to []int) func() (i, j int, ok bool) {
	order := r.rand.Perm(len(from) * len(to))
	return func() (int, int, bool) {
		if len(order) == 0 {
			return 0, 0, false
		}
		k := order[0]
		order = order[1:]
		return from[k/len(to)], to[k%len(to)], true
	}
}

// ping sends a request, and further ones as long as there is no answer. Nobody
// expects it to arrive across a partition, but it counts.
func (r *run) ping(t *Traffic, i, j int) {
	r.pings.sent++
	r.try(t, i, j, t.Tries, r.at())
}

func (r *run) try(t *Traffic, i, j, left int, began time.Duration) {
	n := r.nodes[i]
	lost := func() {
		if len(r.pings.lost) < shownLost {
			r.pings.lost = append(r.pings.lost, fmt.Sprintf("%v: %s to %s", began, r.names[i], r.names[j]))
		}
	}
	if !n.Alive() {
		lost()
		return
	}
	dst := r.nodes[j].MLEID()
	if t.RLOC {
		dst = r.nodes[j].RLOC()
	}
	n.Do(func() {
		answered := false
		n.IP().Ping(&ip.Ping{Dst: dst, Size: t.Size, Count: 1, Timeout: time.Duration(t.Timeout),
			Reply: func(x ip.Reply) {
				if !answered {
					answered = true
					r.pings.trips = append(r.pings.trips, x.RTT)
				}
			},
			Done: func(int, int) {
				switch {
				case answered:
				case left > 1:
					r.pings.repeated++
					r.w.Clock().After(0, func() { r.try(t, i, j, left-1, began) })
				default:
					lost()
				}
			}})
	})
}
