//go:build bench

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// sizes is how much is measured.
type sizes struct {
	starts, forms, pings, packets, idleSeconds int
}

// column is whose figure it is.
type column int

const (
	reference column = iota
	ours
)

func (c column) String() string { return [...]string{"reference", "ours"}[c] }

// row is one budget. A limit of 0 stands for what the reference takes, one of
// NaN for none. Figures are in unit; less is better, if not more is.
type row struct {
	what, unit string
	limit      float64
	more       bool
	value      [2]float64 // NaN where nothing was measured
}

const (
	rowReady = iota
	rowForm
	rowRestart
	rowJoin
	rowPing
	rowPingCPU
	rowSmallDown
	rowSmallUp
	rowLargeDown
	rowLargeUp
	rowTransitSmall
	rowTransitLarge
	rowTransitSmallNode
	rowTransitLargeNode
	rowGoodputSmall
	rowGoodputLarge
	rowGoodputSmall2
	rowGoodputLarge2
	rowIdle
	rowMemory
	rowMemory32
	rowMemory128
	rowMemoryRouters
	rowHandshake
	rowCCM
)

type table struct {
	sizes
	rows  []row
	notes []string
}

func newTable(s sizes) *table {
	t := &table{sizes: s, rows: []row{
		rowReady:            {what: "process start to ready for commands", unit: "ms", limit: 50},
		rowForm:             {what: "start to leader of a new network", unit: "s", limit: 6.7},
		rowRestart:          {what: "restart of a leader to leader again, no neighbour", unit: "s", limit: 10},
		rowJoin:             {what: "joiner start to join success", unit: "s", limit: 5.03},
		rowPing:             {what: "ping host to node, 16 B, 1 hop, median", unit: "ms"},
		rowPingCPU:          {what: "ping host to node, 16 B, 1 hop, CPU", unit: "ms"},
		rowSmallDown:        {what: "1000 packets of 64 B, host to node, CPU", unit: "s"},
		rowSmallUp:          {what: "1000 packets of 64 B, node to host, CPU", unit: "s"},
		rowLargeDown:        {what: "1000 packets of 1000 B, host to node, CPU", unit: "s"},
		rowLargeUp:          {what: "1000 packets of 1000 B, node to host, CPU", unit: "s"},
		rowTransitSmall:     {what: "1000 packets of 16 B in transit, CPU", unit: "s"},
		rowTransitLarge:     {what: "1000 packets of 1000 B in transit, CPU", unit: "s"},
		rowTransitSmallNode: {what: "the same, 16 B, without co-processor", unit: "s"},
		rowTransitLargeNode: {what: "the same, 1000 B, without co-processor", unit: "s"},
		rowGoodputSmall:     {what: "goodput at 250 kb/s, 1 hop, 64 B", unit: "kbit/s", more: true},
		rowGoodputLarge:     {what: "goodput at 250 kb/s, 1 hop, 1000 B", unit: "kbit/s", more: true},
		rowGoodputSmall2:    {what: "goodput at 250 kb/s, 2 hops, 64 B", unit: "kbit/s", more: true},
		rowGoodputLarge2:    {what: "goodput at 250 kb/s, 2 hops, 1000 B", unit: "kbit/s", more: true},
		rowIdle:             {what: "idle CPU", unit: "%", limit: 0.05},
		rowMemory:           {what: "resident memory, idle leader", unit: "MB", limit: 16},
		rowMemory32:         {what: "resident memory, leader with 32 children", unit: "MB", limit: math.NaN()},
		rowMemory128:        {what: "resident memory, leader with 128 children", unit: "MB", limit: math.NaN()},
		rowMemoryRouters:    {what: "resident memory, leader with 31 routers", unit: "MB", limit: 16},
		rowHandshake:        {what: "EC-JPAKE handshake, both sides", unit: "ms", limit: 1.5},
		rowCCM:              {what: "CCM* on a 100-byte frame", unit: "ns", limit: 280},
	}}
	for i := range t.rows {
		t.rows[i].value = [2]float64{math.NaN(), math.NaN()}
	}
	return t
}

func (t *table) set(row int, c column, v float64) {
	t.rows[row].value[c] = v
	progress("  %s: %s %s", t.rows[row].what, figure(v), t.rows[row].unit)
}

// note adds a line below the table.
func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// print writes the table.
func (t *table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "what\tunit\treference\tours\tours/reference\tbudget\t")
	for _, r := range t.rows {
		limit, text := r.limit, figure(r.limit)
		if limit == 0 {
			limit, text = r.value[reference], "reference"
		}
		sign := "<= "
		if r.more {
			sign = ">= "
		}
		text = sign + text
		verdict := "within"
		switch v := r.value[ours]; {
		case math.IsNaN(r.limit):
			text, verdict = "none", ""
		case math.IsNaN(v) || math.IsNaN(limit):
			verdict = "not measured"
		case r.more && v < limit:
			verdict = "UNDER"
		case !r.more && v > limit:
			verdict = "OVER"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.unit, figure(r.value[reference]), figure(r.value[ours]),
			figure(r.value[ours]/r.value[reference]), text, verdict)
	}
	tw.Flush()
	for _, n := range t.notes {
		fmt.Fprintln(w, n)
	}
}

// figure is a number with three digits that count.
func figure(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// median of durations; NaN of none.
func median(d []time.Duration, unit time.Duration) float64 {
	if len(d) == 0 {
		return math.NaN()
	}
	d = slices.Sorted(slices.Values(d))
	return float64(d[len(d)/2]) / float64(unit)
}
