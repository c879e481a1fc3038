package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"gatewayd/radio"
	"gatewayd/sim"
)

// Parse reads a scenario; file is its name in errors. The error lists what is
// wrong, each with file and line.
func Parse(file string, b []byte) (*Scenario, error) {
	s := &Scenario{Seed: 1}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // some editors begin a file so
	err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(s)
	var unknown *toml.StrictMissingError
	var at *toml.DecodeError
	switch {
	case err == nil:
	case errors.As(err, &unknown):
		var errs []error
		for i := range unknown.Errors {
			row, _ := unknown.Errors[i].Position()
			errs = append(errs, wrong(file, row, "no such key %q", strings.Join(unknown.Errors[i].Key(), ".")))
		}
		return nil, errors.Join(errs...)
	case errors.As(err, &at):
		row, _ := at.Position()
		what := strings.TrimPrefix(at.Error(), "toml: ")
		if got, ok := strings.CutPrefix(what, "cannot decode TOML "); ok {
			got, _, _ = strings.Cut(got, " into ")
			what = "not " + got + "; see docs/simulation.md"
		}
		if key := strings.Join(at.Key(), "."); key != "" {
			what = key + ": " + what
		}
		return nil, wrong(file, row, "%s", what)
	default:
		return nil, fmt.Errorf("scenario: %s: %w", file, err)
	}
	c := checker{file: file, lines: tableLines(b)}
	c.check(s)
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return s, nil
}

func wrong(file string, row int, format string, args ...any) error {
	return fmt.Errorf("scenario: %s:%d: %s", file, row, fmt.Sprintf(format, args...))
}

// tableLines is where each table begins, by name: several for an array.
func tableLines(b []byte) map[string][]int {
	lines := map[string][]int{}
	var p unstable.Parser
	for p.Reset(b); p.NextExpression(); {
		e := p.Expression()
		if e.Kind != unstable.ArrayTable && e.Kind != unstable.Table {
			continue
		}
		for k := e.Key(); k.Next(); {
			if name := k.Node(); k.IsLast() {
				row := p.Shape(name.Raw).Start.Line
				lines[string(name.Data)] = append(lines[string(name.Data)], row)
			}
		}
	}
	return lines
}

// checker finds what no single value shows, and fills in defaults.
type checker struct {
	file  string
	lines map[string][]int
	errs  []error
	names []string
}

// at reports something wrong in the i-th table of a name; in the file as a
// whole if there is none.
func (c *checker) at(table string, i int, format string, args ...any) {
	row := 1
	if l := c.lines[table]; i < len(l) {
		row = l[i]
	}
	c.errs = append(c.errs, wrong(c.file, row, format, args...))
}

// Limits of what a file may ask for, against slips of the pen.
const (
	maxNodes    = 5000
	maxDuration = 30 * 24 * time.Hour
	maxPairs    = 10_000_000
	maxDrift    = 250 // ppm: what a node can say of itself
	maxCSL      = 0xffff * radio.CSLUnit
)

func (c *checker) check(s *Scenario) {
	if d := time.Duration(s.Duration); d <= 0 || d > maxDuration {
		c.at("", 0, "duration: give one, of %v at most", maxDuration)
	}
	if s.Air.Exponent < 0 || s.Air.Shadowing < 0 || s.Air.Noise > 0 {
		c.at("air", 0, "air: exponent and shadowing are not negative, noise is not positive")
	}
	if len(s.Nodes) == 0 {
		c.at("", 0, "there are no [[nodes]]")
	}
	for i := range s.Nodes {
		c.group(i, &s.Nodes[i])
	}
	for i := range s.Links {
		l := &s.Links[i]
		c.known("links", i, "from", l.From)
		c.known("links", i, "to", l.To)
		if l.Loss < 0 || l.Loss > 1 {
			c.at("links", i, "loss: %v is not from 0 to 1", l.Loss)
		}
	}
	for i := range s.Events {
		c.event(i, &s.Events[i], s.Duration)
	}
	for i := range s.Traffic {
		c.traffic(i, &s.Traffic[i], s.Duration)
	}
	for _, x := range []struct {
		name  string
		value *float64
	}{{"delivery", s.Expect.Delivery}, {"overhead", s.Expect.Overhead}} {
		if x.value != nil && (*x.value < 0 || *x.value > 1) {
			c.at("expect", 0, "%s: %v is not from 0 to 1", x.name, *x.value)
		}
	}
	if len(s.Traffic) == 0 && (s.Expect.Delivery != nil || s.Expect.LatencyP95 != nil) {
		c.at("expect", 0, "delivery and latency-p95 need [[traffic]]")
	}
}

func (c *checker) group(i int, g *Group) {
	at := func(format string, args ...any) { c.at("nodes", i, format, args...) }
	if g.Name == "" || strings.ContainsAny(g.Name, `*?[\`) {
		at("name: give one, without * ? [ \\")
	}
	g.many = g.Count > 0 || len(g.At) > 1 || len(g.Origins) > 1
	if g.Count == 0 {
		g.Count = max(1, len(g.At))
	}
	if g.Count < 0 {
		at("count: %d", g.Count)
		return
	}
	if g.Count > maxNodes || len(g.Origins) > maxNodes || len(c.names)+g.Count*max(1, len(g.Origins)) > maxNodes {
		at("count: more than %d nodes", maxNodes)
		return
	}
	for _, n := range g.names() {
		if slices.Contains(c.names, n) {
			at("there are two nodes %q", n)
			break
		}
	}
	c.names = append(c.names, g.names()...)
	switch g.Placement {
	case Nowhere:
		if len(g.At) > 0 {
			g.Placement = Explicit
		}
	case InLine, InGrid:
		if g.Spacing <= 0 {
			at("spacing: a line or a grid needs one, in metres")
		}
	case AtRandom:
		if g.Area[0] <= 0 || g.Area[1] <= 0 {
			at("area: give width and height in metres")
		}
	}
	if (g.Placement == Explicit || len(g.At) > 0) && len(g.At) != g.Count {
		at("at: %d places for %d nodes", len(g.At), g.Count)
	}
	if len(g.Origins) > 0 && (g.Origin != [2]float64{} || g.Placement == Nowhere) {
		at("origins: instead of origin, and with a placement")
	}
	if g.Columns < 0 || g.MaxChildren < 0 || g.MaxChildren > 511 || g.UpgradeThreshold < 0 || g.UpgradeThreshold > 32 ||
		g.DowngradeAbove < 0 || g.DowngradeAbove > 33 {
		at("columns is not negative, max-children at most 511, router-upgrade-threshold at most 32, router-downgrade-threshold at most 33")
	}
	if g.Drift < 0 || g.Drift > maxDrift {
		at("drift: %v is not from 0 to %v ppm", g.Drift, maxDrift)
	}
	if csl := time.Duration(g.CSL); csl != 0 && (g.Kind != Kind(sim.SED) || csl < 10*time.Millisecond || csl > maxCSL || csl%radio.CSLUnit != 0) {
		at("csl: it is for nodes of kind sed, a multiple of %v, from 10ms to %v", radio.CSLUnit, maxCSL)
	}
	if poll := time.Duration(g.Poll); poll != 0 && (g.Kind != Kind(sim.SED) || poll < 10*time.Millisecond) {
		at("poll: it is for nodes of kind sed, and 10ms at least")
	}
}

func (c *checker) event(i int, e *Event, end Duration) {
	if e.Do == noAction {
		c.at("events", i, "do: say what: %s", strings.Join(actions[1:], ", "))
		return
	}
	if e.At > end {
		c.at("events", i, "at: %v is after the end", e.At)
	}
	c.known("events", i, "nodes", e.Nodes)
	switch two := e.Do == Cut || e.Do == Mend; {
	case two:
		c.known("events", i, "from", e.From)
	case len(e.From) > 0:
		c.at("events", i, "from: it is for cut and mend")
	}
}

func (c *checker) traffic(i int, t *Traffic, end Duration) {
	at := func(format string, args ...any) { c.at("traffic", i, format, args...) }
	if t.From == nil {
		t.From = Names{"*"}
	}
	if t.To == nil {
		t.To = Names{"*"}
	}
	c.known("traffic", i, "from", t.From)
	c.known("traffic", i, "to", t.To)
	if t.Every < Duration(time.Millisecond) {
		at("every: give an interval of 1ms at least")
		return
	}
	if t.Size < 0 || t.Size > 1232 {
		at("size: %d is not from 0 to 1232", t.Size)
	}
	if t.Timeout == 0 {
		t.Timeout = Duration(5 * time.Second)
	}
	if t.Tries == 0 {
		t.Tries = 1
	}
	if t.Tries < 0 || t.Tries > 100 {
		at("tries: %d is not from 1 to 100", t.Tries)
		return
	}
	if t.Timeout > Duration(maxDuration) {
		at("timeout: more than %v", maxDuration)
		return
	}
	last := Duration(t.Tries) * t.Timeout // from the last request until it is given up
	if t.Pairs == All && t.Local {
		at("local: it is for random pairs")
	}
	if t.Pairs == All && t.Stop != 0 {
		at("stop: all pairs end when each had its turn")
	}
	if t.Stop == 0 {
		t.Stop = end - last
	}
	if t.Start >= t.Stop || t.Stop > end-last {
		at("start, stop, timeout and tries: they do not fit into %v", end)
	}
	if t.Pairs == All {
		from, _ := match(t.From, c.names)
		to, _ := match(t.To, c.names)
		if n := len(from) * len(to); n > maxPairs || t.Start+Duration(n)*t.Every > t.Stop {
			at("every: %d pairs do not fit between %v and %v", n, t.Start, t.Stop)
		}
	}
}

// known checks that each pattern is that of a node.
func (c *checker) known(table string, i int, key string, names Names) {
	if len(names) == 0 {
		c.at(table, i, "%s: name nodes", key)
	}
	if _, err := match(names, c.names); err != nil {
		c.at(table, i, "%s: %v", key, err)
	}
}
