package api

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// exposition gathers samples for Prometheus's text format, version 0.0.4: all
// samples of a metric in one place, after what it is.
type exposition struct {
	metrics []*metric
	byName  map[string]*metric
}

// MetricsType is the Content-Type of GET /metrics.
const MetricsType = "text/plain; version=0.0.4; charset=utf-8"

type metric struct {
	name, kind, help string
	samples          []sample
	seen             map[string]bool
}

type sample struct {
	labels []label
	value  float64
}

type label struct{ name, value string }

// gauge adds a sample of what goes up and down.
func (x *exposition) gauge(name, help string, value float64, labels ...label) {
	x.add(name, "gauge", help, value, labels)
}

// counter adds a sample of what only grows; its name ends with _total.
func (x *exposition) counter(name, help string, value float64, labels ...label) {
	x.add(name, "counter", help, value, labels)
}

func (x *exposition) add(name, kind, help string, value float64, labels []label) {
	m := x.byName[name]
	if m == nil {
		if x.byName == nil {
			x.byName = map[string]*metric{}
		}
		m = &metric{name: name, kind: kind, help: help, seen: map[string]bool{}}
		x.byName[name] = m
		x.metrics = append(x.metrics, m)
	}
	// One with the same labels would spoil the whole scrape.
	if key := fmt.Sprintf("%q", labels); !m.seen[key] {
		m.seen[key] = true
		m.samples = append(m.samples, sample{labels, value})
	}
}

// states adds a sample for each state that there is, 1 for the present one.
func (x *exposition) states(name, help, key string, all []string, now string) {
	for _, s := range all {
		x.gauge(name, help, boolean(s == now), label{key, s})
	}
}

// counters adds one metric for each of a struct's counters, by its name.
func (x *exposition) counters(prefix, what string, of map[string]uint64) {
	for _, name := range slices.Sorted(maps.Keys(of)) {
		x.counter(prefix+strings.TrimSuffix(name, "_total")+"_total", what+": "+name+".", float64(of[name]))
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// Append writes all of it.
func (x *exposition) Append(b []byte) []byte {
	for _, m := range x.metrics {
		b = append(b, "# HELP "+m.name+" "+escapeHelp.Replace(m.help)+"\n# TYPE "+m.name+" "+m.kind+"\n"...)
		for _, s := range m.samples {
			b = append(b, m.name...)
			for i, l := range s.labels {
				separator := byte(',')
				if i == 0 {
					separator = '{'
				}
				b = append(b, separator)
				b = append(b, l.name+`="`+escapeLabel.Replace(strings.ToValidUTF8(l.value, "\uFFFD"))+`"`...)
			}
			if len(s.labels) > 0 {
				b = append(b, '}')
			}
			b = append(b, ' ')
			b = strconv.AppendFloat(b, s.value, 'g', -1, 64)
			b = append(b, '\n')
		}
	}
	return b
}
