package api

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/border"
	"gatewayd/dnssd/srp"
	"gatewayd/gateway"
	"gatewayd/host/doctor"
	"gatewayd/radio/spinel"
)

var (
	metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	labelPair  = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)`)
	sampleLine = regexp.MustCompile(`^([^ {]+)(?:\{(.*)\})? (\S+)$`)
)

// parse reads an exposition as strictly as the format and the conventions of
// Prometheus have it (and `promtool check metrics` looks for), and returns the
// samples by what is left of their value.
func parse(text string) (map[string]float64, error) {
	out, done := map[string]float64{}, map[string]bool{}
	name, kind := "", ""
	if text != "" && !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("the last line does not end")
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		bad := func(what string) error { return fmt.Errorf("line %d: %s: %s", i+1, what, lines[i]) }
		if rest, ok := strings.CutPrefix(lines[i], "# HELP "); ok {
			n, help, _ := strings.Cut(rest, " ")
			if done[n] || !metricName.MatchString(n) || strings.TrimSpace(help) == "" {
				return nil, bad("help")
			}
			if strings.Contains(strings.NewReplacer(`\\`, "", `\n`, "").Replace(help), `\`) {
				return nil, bad("escape")
			}
			i++
			if i == len(lines) {
				return nil, fmt.Errorf("no type of %s", n)
			}
			t, ok := strings.CutPrefix(lines[i], "# TYPE "+n+" ")
			if !ok || t != "counter" && t != "gauge" {
				return nil, bad("type")
			}
			if (t == "counter") != strings.HasSuffix(n, "_total") || strings.HasSuffix(n, "_total_total") {
				return nil, bad("name of a " + t)
			}
			for _, unit := range []string{"_ms", "_milliseconds", "_minutes", "_kilobytes", "_percent", "_count", "_sum", "_bucket"} {
				if strings.HasSuffix(strings.TrimSuffix(n, "_total"), unit) {
					return nil, bad("unit")
				}
			}
			name, kind, done[n] = n, t, true
			continue
		}
		m := sampleLine.FindStringSubmatch(lines[i])
		if m == nil || m[1] != name {
			return nil, bad("sample")
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil || kind == "counter" && v < 0 {
			return nil, bad("value")
		}
		labels := map[string]bool{}
		for rest := m[2]; rest != ""; {
			l := labelPair.FindStringSubmatch(rest)
			if l == nil || labels[l[1]] || strings.HasPrefix(l[1], "__") {
				return nil, bad("label")
			}
			labels[l[1]] = true
			if rest = rest[len(l[0]):]; rest == "" && l[3] == "," {
				return nil, bad("comma")
			}
		}
		key := m[1]
		if m[2] != "" {
			key += "{" + m[2] + "}"
		}
		if _, twice := out[key]; twice {
			return nil, bad("twice")
		}
		out[key] = v
	}
	return out, nil
}

// The parser of these tests refuses what Prometheus does.
func TestParse(t *testing.T) {
	const good = "# HELP a_total x\n# TYPE a_total counter\n"
	for _, bad := range []string{
		"a 1", "a 1\n", good + "b 1\n", good + "a_total x\n", good + "a_total -1\n", good + "a_total 1\na_total 2\n", good + `a_total{b=c} 1` + "\n",
		good + `a_total{b="c",} 1` + "\n", good + `a_total{b="\q"} 1` + "\n", good + `a_total{b="1",b="2"} 1` + "\n", good + good, "# HELP a x\n",
		"# HELP a x\n# TYPE a counter\n", "# HELP a \n# TYPE a gauge\n", "# HELP a_total x\n# TYPE a_total gauge\n", "# HELP a_ms x\n# TYPE a_ms gauge\n",
		"# HELP A x\n# TYPE A gauge\n", good + "a_total 1\n# HELP b x\n# TYPE b gauge\nb 1\na_total{x=\"y\"} 1\n",
	} {
		if _, err := parse(bad); err == nil {
			t.Errorf("accepted:\n%s", bad)
		}
	}
}

func TestExposition(t *testing.T) {
	var x exposition
	x.gauge("a_celsius", "What it is:\na \\ thing.", 1.5, label{"where", "the \"top\"\\\nand \xff"}, label{"b", ""})
	x.counter("b_total", "Things.", 1e21)
	x.gauge("a_celsius", "", -3)
	x.gauge("a_celsius", "", 7) // once more
	x.states("state", "State.", "state", []string{"on", "off"}, "off")
	x.counters("mac_", "MAC", map[string]uint64{"tx_total": 4, "rx": 5})
	want := `# HELP a_celsius What it is:\na \\ thing.
# TYPE a_celsius gauge
a_celsius{where="the \"top\"\\\nand ` + "\uFFFD" + `",b=""} 1.5
a_celsius -3
# HELP b_total Things.
# TYPE b_total counter
b_total 1e+21
# HELP state State.
# TYPE state gauge
state{state="on"} 0
state{state="off"} 1
# HELP mac_rx_total MAC: rx.
# TYPE mac_rx_total counter
mac_rx_total 5
# HELP mac_tx_total MAC: tx_total.
# TYPE mac_tx_total counter
mac_tx_total 4
`
	if got := string(x.Append(nil)); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if _, err := parse(want); err != nil {
		t.Error(err)
	}
}

// scrape asks a gateway for its metrics as Prometheus does.
func (s *served) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	text, err := s.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := parse(string(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

func TestMetrics(t *testing.T) {
	s := serve(t)
	if _, err := s.NewDataset(t.Context(), NewDataset{}); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "leader", func(st *Status) bool { return st.Role == "leader" })
	m := s.scrape(t)
	for name, want := range map[string]float64{
		`gatewayd_build_info{version="v0"}`: 1, "gatewayd_healthy": 1, `gatewayd_radio_state{state="ready"}`: 1, `gatewayd_radio_state{state="absent"}`: 0,
		`gatewayd_thread_role{role="leader"}`: 1, `gatewayd_thread_role{role="child"}`: 0, `gatewayd_thread_role_changes_total{role="leader"}`: 1,
		"gatewayd_thread_children": 0, "gatewayd_thread_routers": 1, "gatewayd_netdata_prefixes": 1, `gatewayd_border_packets_total{direction="in",cast="unicast"}`: 0,
	} {
		if got, ok := m[name]; !ok || got != want {
			t.Errorf("%s is %v, %v, want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"gatewayd_mac_tx_total", "gatewayd_radio_frames_in_total", "gatewayd_line_frames_total", "gatewayd_mle_attach_attempts_total",
		"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds", "go_goroutines", "gatewayd_netdata_bytes"} {
		if m[name] <= 0 {
			t.Errorf("%s is %v", name, m[name])
		}
	}
	before := m["gatewayd_mac_tx_total"]
	if err := s.Ping(t.Context(), Ping{Address: "ff03::1", Count: 1, Timeout: 0.2}, func(PingLine) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if after := s.scrape(t)["gatewayd_mac_tx_total"]; after <= before {
		t.Errorf("a ping does not count: %v, then %v", before, after)
	}
	resp, err := s.http.Get("http://gatewayd" + Base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != MetricsType {
		t.Errorf("%s, %v", resp.Status, resp.Header)
	}
}

func TestPlainMetrics(t *testing.T) {
	s := servePlain(t, nil)
	m := s.scrape(t)
	for end := time.Now().Add(20 * time.Second); m["gatewayd_lowpan_attached"] != 1 && time.Now().Before(end); m = s.scrape(t) {
		time.Sleep(20 * time.Millisecond)
	}
	for _, name := range []string{"gatewayd_pana_sessions", "gatewayd_pana_opened_total", "gatewayd_nd_registrations", "gatewayd_lowpan_permit", "gatewayd_lowpan_mac_sent_total", "gatewayd_rpl_routes"} {
		if _, ok := m[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
}

// What a gateway without infrastructure links does not have is right, too.
func TestOtherMetrics(t *testing.T) {
	var x exposition
	x.health(&gateway.Health{Radio: spinel.Ready, Findings: []doctor.Finding{
		{Code: "HOST-X", Level: doctor.Problem, Subject: "eth\"0"}, {Code: "HOST-X", Level: doctor.Problem, Subject: "eth\"0"}}})
	x.services(&gateway.ServiceCounters{Hosts: 2, Services: 3, SRP: srp.Counters{Updates: 7}})
	x.links([]border.LinkStatus{{Name: "eth0", Up: true, Routers: []border.RouterStatus{{Reachable: true}, {}}}})
	x.filter(&gateway.Filter{InForce: true})
	m, err := parse(string(x.Append(nil)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		`gatewayd_finding{code="HOST-X",level="problem",subject="eth\"0"}`: 1, "gatewayd_healthy": 0, "gatewayd_srp_hosts": 2, "gatewayd_srp_updates_total": 7,
		`gatewayd_border_link_up{link="eth0"}`: 1, `gatewayd_border_link_routers{link="eth0"}`: 2, `gatewayd_border_link_routers_reachable{link="eth0"}`: 1,
		"gatewayd_firewall_in_force": 1,
	} {
		if got, ok := m[name]; !ok || got != want {
			t.Errorf("%s is %v, %v, want %v", name, got, ok, want)
		}
	}
}
