package scenario

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"gatewayd/radio/medium"
	"gatewayd/sim"
	"gatewayd/thread/mle"
)

// Report is what came of a run. It depends on the scenario and the seed only.
type Report struct {
	Title      string         `json:"title,omitempty"`
	Seed       uint64         `json:"seed"`
	Duration   float64        `json:"duration"` // seconds of the mesh's time
	NetworkKey string         `json:"network_key"`
	Nodes      int            `json:"nodes"`
	Phases     []Phase        `json:"phases"`
	Roles      map[string]int `json:"roles"` // at the end, with "dead" and "disabled"
	Partitions int            `json:"partitions"`
	Detached   []string       `json:"detached,omitempty"` // nodes
	Pings      Pings          `json:"pings"`
	Air        AirUse         `json:"air"`
	Dropped    Dropped        `json:"dropped"`
	Faults     []string       `json:"faults,omitempty"` // what must never be: reused frame counters
	Unmet      []string       `json:"unmet,omitempty"`  // expectations
}

// Pings are echo requests and what came of them. Times are in milliseconds.
type Pings struct {
	Sent     int      `json:"sent"`
	Answered int      `json:"answered"`
	Repeated int      `json:"repeated"` // further tries
	Delivery float64  `json:"delivery"` // 0..1
	P50      float64  `json:"p50"`
	P95      float64  `json:"p95"`
	P99      float64  `json:"p99"`
	Max      float64  `json:"max"`
	Lost     []string `json:"lost,omitempty"` // the first of them
}

// AirUse is what was on air. A frame that three nodes can hear is three
// receptions; it may be lost for each of them.
type AirUse struct {
	Frames   int            `json:"frames"`
	Bytes    int            `json:"bytes"`
	AirTime  float64        `json:"air_time"` // seconds, of all channels together
	Classes  map[string]Use `json:"classes"`
	MLE      map[string]Use `json:"mle"`      // that class's messages
	Overhead float64        `json:"overhead"` // part of the bytes, but acknowledgments, that is not data
	Received uint64         `json:"received"`
	Collided uint64         `json:"collided"`
	Lost     uint64         `json:"lost"` // to noise and lossy links
	Deaf     uint64         `json:"deaf"` // receiver off, or transmitting
}

// Dropped are frames that nodes gave up, and datagrams that they did not send or
// send on, by the counters that they have at the end.
type Dropped struct {
	NotAcknowledged int `json:"not_acknowledged"` // frames, in all their tries
	ChannelBusy     int `json:"channel_busy"`
	QueueFull       int `json:"queue_full"` // datagrams
	NoRoute         int `json:"no_route"`
	Malformed       int `json:"malformed"`
}

// Use is a class's part of the air.
type Use struct {
	Frames int `json:"frames"`
	Bytes  int `json:"bytes"`
}

// Passed reports whether all was as expected, and nothing was that must never
// be.
func (r *Report) Passed() bool { return len(r.Unmet) == 0 && len(r.Faults) == 0 }

func (r *run) report(seed uint64) *Report {
	key := r.data.NetworkKey.Reveal()
	p := &Report{Title: r.s.Title, Seed: seed, Duration: time.Duration(r.s.Duration).Seconds(), NetworkKey: fmt.Sprintf("%x", key),
		Nodes: len(r.nodes), Phases: r.watch.phases, Roles: map[string]int{}, Pings: r.pings.summary(), Air: airUse(r.meter, r.w.Air().Stats()),
		Faults: append(r.faults, r.audit.Faults...)}
	partitions := map[uint32]bool{}
	for i, n := range r.nodes {
		role := n.MLE().Role()
		switch {
		case !n.Alive():
			p.Roles["dead"]++
			continue
		case role == mle.Detached:
			p.Detached = append(p.Detached, r.names[i])
		case n.MLE().Attached():
			partitions[n.MLE().Partition()] = true
		}
		p.Roles[role.String()]++
	}
	p.Partitions = len(partitions)
	p.Dropped = r.dropped()
	p.Unmet = r.s.Expect.unmet(p)
	return p
}

func (r *run) dropped() (d Dropped) {
	for _, n := range r.nodes {
		m, f := &n.MAC().Counters, &n.Mesh().Counters
		d.NotAcknowledged += int(m.TxDirectRetryExpired + m.TxIndirectRetryExpired)
		d.ChannelBusy += int(m.TxErrBusyChannel)
		d.QueueFull += int(f.Full)
		d.NoRoute += int(f.Unreachable + f.NotForwarded)
		d.Malformed += int(f.Malformed)
	}
	return d
}

func (p *pings) summary() Pings {
	trips := slices.Sorted(slices.Values(p.trips))
	x := Pings{Sent: p.sent, Answered: len(trips), Repeated: p.repeated, Lost: p.lost}
	if p.sent > 0 {
		x.Delivery = float64(x.Answered) / float64(p.sent)
	}
	if n := len(trips); n > 0 {
		// The smallest that so many percent do not exceed.
		ms := func(percent int) float64 { return float64(trips[(n*percent+99)/100-1].Microseconds()) / 1000 }
		x.P50, x.P95, x.P99, x.Max = ms(50), ms(95), ms(99), ms(100)
	}
	return x
}

func airUse(m *sim.Meter, st medium.Stats) AirUse {
	a := AirUse{Classes: map[string]Use{}, MLE: map[string]Use{}, Received: st.Received, Collided: st.Collided, Lost: st.Lost, Deaf: st.Deaf}
	control, total := 0, 0
	for i, t := range m.ByClass {
		c := sim.Class(i)
		a.Frames += t.Frames
		a.Bytes += t.Bytes
		a.AirTime += t.AirTime.Seconds()
		a.Classes[c.String()] = Use{t.Frames, t.Bytes}
		if c != sim.ClassAck {
			total += t.Bytes
			if c != sim.ClassData {
				control += t.Bytes
			}
		}
	}
	for c, t := range m.MLE {
		name := c.String()
		if c == sim.InFragments {
			name = "in fragments"
		}
		a.MLE[name] = Use{t.Frames, t.Bytes}
	}
	if total > 0 {
		a.Overhead = float64(control) / float64(total)
	}
	return a
}

func (e *Expect) unmet(p *Report) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if e.Converge != nil {
		for _, x := range p.Phases {
			if x.Converged == nil {
				add("converge-within %v: not converged after %s at %gs", e.Converge, x.Event, x.At)
			} else if took := time.Duration(*x.Converged * float64(time.Second)); took > time.Duration(*e.Converge) {
				add("converge-within %v: %v after %s at %gs", e.Converge, took, x.Event, x.At)
			}
		}
	}
	if e.Partitions != nil && p.Partitions != *e.Partitions {
		add("partitions %d: there are %d", *e.Partitions, p.Partitions)
	}
	if routers := p.routers(); e.Routers != nil && routers != *e.Routers {
		add("routers %d: there are %d", *e.Routers, routers)
	}
	if e.Delivery != nil && p.Pings.Delivery < *e.Delivery {
		add("delivery %g: %.4f, %d of %d", *e.Delivery, p.Pings.Delivery, p.Pings.Answered, p.Pings.Sent)
	}
	if e.LatencyP95 != nil && (p.Pings.Answered == 0 || p.Pings.P95 > time.Duration(*e.LatencyP95).Seconds()*1000) {
		add("latency-p95 %v: %.1fms", e.LatencyP95, p.Pings.P95)
	}
	if e.Overhead != nil && p.Air.Overhead > *e.Overhead {
		add("overhead %g: %.3f", *e.Overhead, p.Air.Overhead)
	}
	return list
}

func (r *Report) routers() int { return r.Roles["router"] + r.Roles["leader"] }

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	if r.Title != "" {
		line("scenario", "%s", r.Title)
	}
	line("seed", "%d", r.Seed)
	line("time", "%v", time.Duration(r.Duration*float64(time.Second)))
	line("network key", "%s", r.NetworkKey)
	var roles []string
	for _, role := range []string{"leader", "router", "child", "detached", "disabled", "dead"} {
		if n := r.Roles[role]; n > 0 {
			roles = append(roles, fmt.Sprintf("%s %d", role, n))
		}
	}
	line("nodes", "%d: %s; partitions %d", r.Nodes, strings.Join(roles, ", "), r.Partitions)
	for _, p := range r.Phases {
		took := "never"
		if p.Converged != nil {
			took = fmt.Sprintf("after %.0fs", *p.Converged)
		}
		line("converged", "%s (%s at %gs)", took, p.Event, p.At)
	}
	if p := r.Pings; p.Sent > 0 {
		line("pings", "%d of %d answered, %.2f %%, %d repeated; ms: half %.1f, 95 %% %.1f, 99 %% %.1f, all %.1f",
			p.Answered, p.Sent, 100*p.Delivery, p.Repeated, p.P50, p.P95, p.P99, p.Max)
	}
	a := r.Air
	line("air", "%d frames, %d bytes, %.1fs; control is %.1f %% of the bytes but acknowledgments", a.Frames, a.Bytes, a.AirTime, 100*a.Overhead)
	for i := range sim.Classes {
		c := sim.Class(i).String()
		line("", "%-6s %8d frames %10d bytes", c, a.Classes[c].Frames, a.Classes[c].Bytes)
	}
	messages := slices.SortedFunc(maps.Keys(a.MLE), func(x, y string) int {
		return cmp.Or(cmp.Compare(a.MLE[y].Frames, a.MLE[x].Frames), cmp.Compare(x, y))
	})
	for i, c := range messages {
		messages[i] = fmt.Sprintf("%s %d", c, a.MLE[c].Frames)
	}
	line("mle", "%s", strings.Join(messages, ", "))
	line("receptions", "%d; lost to collisions %d, to noise and links %d, to receivers that were off %d", a.Received, a.Collided, a.Lost, a.Deaf)
	d := r.Dropped
	line("given up", "frames: %d not acknowledged, %d on a busy channel; datagrams: %d for a full queue, %d without a route, %d malformed",
		d.NotAcknowledged, d.ChannelBusy, d.QueueFull, d.NoRoute, d.Malformed)
	if len(r.Detached) > 0 {
		line("detached", "%s", strings.Join(r.Detached, " "))
	}
	for _, s := range r.Pings.Lost {
		line("no answer", "%s", s)
	}
	for _, s := range r.Faults {
		line("fault", "%s", s)
	}
	for _, s := range r.Unmet {
		line("unmet", "%s", s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
