package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gatewayd/pcap"
)

func TestParseErrors(t *testing.T) {
	const good = "duration = \"1m\"\n[[nodes]]\nname = \"a\"\ncount = 2\n" // four lines
	tests := []struct {
		name, in string
		want     []string
	}{
		{"empty", "", []string{"f:1: duration: give one", "f:1: there are no [[nodes]]"}},
		{"syntax", "duration = \"1m\"\n[[nodes]\n", []string{"f:2: "}},
		{"unknown keys", good + "colour = 1\n[wind]\nspeed = 2\n", []string{`f:5: no such key "nodes.colour"`, `f:6: no such key "wind"`}},
		{"wrong type", good + "spacing = \"far\"\n", []string{"f:5: nodes.spacing: "}},
		{"no duration", "duration = \"soon\"\n", []string{`f:1: duration: "soon" is no duration: write it as 90s`}},
		{"negative duration", "duration = \"-1s\"\n", []string{`f:1: duration: "-1s" is no duration`}},
		{"kind", good + "kind = \"toaster\"\n", []string{`f:5: nodes.kind: "toaster" is none of router, mtd, sed`}},
		{"placement", good + "placement = \"orbit\"\n", []string{"f:5: nodes.placement: "}},
		{"two of a name", good + "[[nodes]]\nname = \"a2\"\n", []string{`f:5: there are two nodes "a2"`}},
		{"too many", "duration = \"1m\"\n[[nodes]]\nname = \"a\"\ncount = 1000000000\n", []string{"f:2: count: more than 5000 nodes"}},
		{"fewer than none", "duration = \"1m\"\n[[nodes]]\nname = \"a\"\ncount = -1\n", []string{"f:2: count: -1"}},
		{"no name", good + "[[nodes]]\n", []string{"f:5: name: give one"}},
		{"grid without spacing", good + "placement = \"grid\"\n", []string{"f:2: spacing: "}},
		{"places for others", good + "at = [[0.0, 1.0]]\n", []string{"f:2: at: 1 places for 2 nodes"}},
		{"origins", good + "origin = [1.0, 2.0]\norigins = [[0.0, 0.0]]\n", []string{"f:2: origins: instead of origin"}},
		{"too many origins", "duration = \"1m\"\n[[nodes]]\nname = \"a\"\ncount = 2600\nplacement = \"line\"\nspacing = 1.0\norigins = [[0.0, 0.0], [0.0, 9.0]]\n",
			[]string{"f:2: count: more than 5000 nodes"}},
		{"all pairs, locally", good + "[[traffic]]\nevery = \"1s\"\npairs = \"all\"\nlocal = true\n", []string{"f:5: local: "}},
		{"drift", good + "drift = 300.0\n", []string{"f:2: drift: 300 is not from 0 to 250 ppm"}},
		{"windows of a router", good + "csl = \"500ms\"\n", []string{"f:2: csl: it is for nodes of kind sed"}},
		{"windows at odd times", good + "kind = \"sed\"\ncsl = \"100.1ms\"\n", []string{"f:2: csl: it is for nodes of kind sed, a multiple of 160µs"}},
		{"poll of a router", good + "poll = \"1s\"\n", []string{"f:2: poll: "}},
		{"link to nobody", good + "\n[[links]]\nfrom = [\"a1\"]\nto = [\"b*\"]\n", []string{`f:6: to: there is no node "b*"`}},
		{"bad pattern", good + "[[links]]\nfrom = [\"[\"]\nto = [\"a1\"]\n", []string{`f:5: from: "[" is no pattern`}},
		{"loss", good + "[[links]]\nfrom = [\"a1\"]\nto = [\"a2\"]\nloss = 1.5\n", []string{"f:5: loss: 1.5 is not from 0 to 1"}},
		{"action", good + "[[events]]\nat = \"1s\"\ndo = \"tickle\"\nnodes = [\"a1\"]\n", []string{`f:7: events.do: "tickle" is none of kill`}},
		{"no action", good + "[[events]]\nat = \"1s\"\nnodes = [\"a1\"]\n", []string{"f:5: do: say what"}},
		{"the second event", good + "[[events]]\nat = \"1s\"\ndo = \"kill\"\nnodes = [\"a1\"]\n[[events]]\nat = \"2m\"\ndo = \"cut\"\nnodes = [\"a1\"]\n",
			[]string{"f:9: at: 2m0s is after the end", "f:9: from: name nodes"}},
		{"kill from", good + "[[events]]\nat = \"1s\"\ndo = \"kill\"\nnodes = [\"a1\"]\nfrom = [\"a2\"]\n", []string{"f:5: from: it is for cut and mend"}},
		{"traffic without pause", good + "[[traffic]]\n", []string{"f:5: every: "}},
		{"traffic after the end", good + "[[traffic]]\nevery = \"1s\"\nstart = \"58s\"\n", []string{"f:5: start, stop, timeout and tries"}},
		{"no tries", good + "[[traffic]]\nevery = \"1s\"\ntries = -1\n", []string{"f:5: tries: -1 is not"}},
		{"too many pairs", good + "[[traffic]]\nevery = \"20s\"\npairs = \"all\"\n", []string{"f:5: every: 4 pairs do not fit"}},
		{"expect", good + "[expect]\ndelivery = 2.0\n", []string{"f:5: delivery: 2 is not from 0 to 1", "f:5: delivery and latency-p95 need"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse("f", []byte(tt.in))
			if err == nil {
				t.Fatalf("parsed: %+v", s)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Errorf("%d errors, want %d: %v", len(lines), len(tt.want), err)
			}
			for i, want := range tt.want {
				if i < len(lines) && !strings.HasPrefix(lines[i], "scenario: "+want) {
					t.Errorf("%q, want %q", lines[i], want)
				}
			}
		})
	}
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../docs/scenarios/*.toml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if s := load(t, filepath.Base(f)); s.Title == "" || s.Expect.Delivery == nil {
			t.Errorf("%s has no title, or expects nothing to arrive", f)
		}
	}
}

// Whatever is parsed names only nodes that there are.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../../docs/scenarios/*.toml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := Parse("f", in)
		if err != nil {
			return
		}
		var names []string
		for i := range s.Nodes {
			names = append(names, s.Nodes[i].names()...)
		}
		for _, l := range s.Links {
			for _, n := range []Names{l.From, l.To} {
				if list, err := match(n, names); err != nil || len(list) == 0 {
					t.Errorf("%q: %v", n, err)
				}
			}
		}
		for _, x := range s.Traffic {
			if x.Every <= 0 || x.Start >= x.Stop || x.Stop > s.Duration {
				t.Errorf("%+v", x)
			}
		}
	})
}

func load(t *testing.T, name string) *Scenario {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../docs/scenarios", name))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(name, b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func live(t *testing.T, s *Scenario, seed uint64, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), s, seed, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The same seed gives the same report and capture, another one others.
func TestSameSeedSameReport(t *testing.T) {
	s := load(t, "small.toml")
	var one, two, other bytes.Buffer
	a, b := live(t, s, 7, Options{Capture: &one}), live(t, s, 7, Options{Capture: &two})
	c := live(t, s, 8, Options{Capture: &other})
	if !reflect.DeepEqual(a, b) || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("seed 7 twice:\n%+v\n%+v", a, b)
	}
	if reflect.DeepEqual(a.Air, c.Air) || bytes.Equal(one.Bytes(), other.Bytes()) {
		t.Error("seeds 7 and 8 are the same")
	}
	if !a.Passed() {
		t.Errorf("%v %v", a.Unmet, a.Faults)
	}
	if a.Nodes != 12 || a.routers() != 4 || a.Roles["child"] != 8 || a.Pings.Sent < 400 {
		t.Errorf("%+v", a)
	}

	r, err := pcap.NewReader(&one)
	if err != nil {
		t.Fatal(err)
	}
	frames := 0
	for ; ; frames++ {
		if _, err := r.Next(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if frames != a.Air.Frames {
		t.Errorf("%d frames in the capture, %d in the report", frames, a.Air.Frames)
	}
}

// A seed that fails does so again, frame by frame: with clocks that drift, links
// that lose frames, and nodes that die and come back.
func TestFailingSeedRepeats(t *testing.T) {
	s, err := Parse("f", []byte(`
duration = "6m"
[[nodes]]
name = "r"
count = 9
placement = "grid"
spacing = 25.0
drift = 100.0
spinel = true
router-selection-jitter = "5s"
[[nodes]]
name = "s"
kind = "sed"
count = 9
placement = "random"
area = [50.0, 50.0]
start = "30s"
csl = "500ms"
drift = 100.0
[[links]]
from = ["r*"]
to = ["*"]
loss = 0.2
[[events]]
at = "2m"
do = "kill"
nodes = ["r1", "s[12]"]
[[events]]
at = "3m"
do = "revive"
nodes = ["r1", "s[12]"]
[[traffic]]
start = "1m"
every = "300ms"
[expect]
delivery = 1.0
`))
	if err != nil {
		t.Fatal(err)
	}
	var captures [2]bytes.Buffer
	var reports [2]*Report
	for i := range reports {
		reports[i] = live(t, s, 1, Options{Capture: &captures[i]})
	}
	if reports[0].Passed() {
		t.Error("it passes")
	}
	if !reflect.DeepEqual(reports[0], reports[1]) || !bytes.Equal(captures[0].Bytes(), captures[1].Bytes()) {
		t.Errorf("%d and %d bytes captured\n%+v\n%+v", captures[0].Len(), captures[1].Len(), reports[0], reports[1])
	}
}

// Everything that can befall a mesh is seen in the phases of the report.
func TestEvents(t *testing.T) {
	s := load(t, "partition.toml")
	r := live(t, s, 1, Options{})
	if !r.Passed() {
		t.Errorf("%v %v", r.Unmet, r.Faults)
	}
	if len(r.Phases) != 6 {
		t.Fatalf("%+v", r.Phases)
	}
	took := func(i int) float64 {
		if r.Phases[i].Converged == nil {
			t.Fatalf("%+v never converged", r.Phases[i])
		}
		return *r.Phases[i].Converged
	}
	// Neither a dead leader nor a partition without one goes unnoticed: the
	// others wait 120 s for it, less what had passed since it was heard.
	if died, cut := took(2), took(4); died < 60 || cut < 60 {
		t.Errorf("the leader's death took %v s, the partition %v s", died, cut)
	}
	s.Events = s.Events[:4] // not healed
	s.Traffic = nil
	two := 2
	s.Expect = Expect{Partitions: &two}
	if r := live(t, s, 1, Options{}); !r.Passed() {
		t.Errorf("without healing: %v", r.Unmet)
	}
}

// Each expectation can fail.
func TestUnmet(t *testing.T) {
	s, err := Parse("f", []byte(`
duration = "40s"
[[nodes]]
name = "a"
count = 2
[[nodes]]
name = "far"
at = [[9000.0, 0.0]]
[[links]]
from = ["a1"]
to = ["a2"]
rssi = -80.0
loss = 0.1
[[traffic]]
every = "1s"
start = "20s"
timeout = "3s"
tries = 2
[expect]
converge-within = "100ms"
partitions = 3
routers = 9
delivery = 1.0
latency-p95 = "1us"
overhead = 0.01
`))
	if err != nil {
		t.Fatal(err)
	}
	r := live(t, s, 3, Options{})
	want := []string{"converge-within", "partitions", "routers", "delivery", "latency-p95", "overhead"}
	if len(r.Unmet) != len(want) || r.Passed() {
		t.Fatalf("%q", r.Unmet)
	}
	for i, u := range r.Unmet {
		if !strings.HasPrefix(u, want[i]) {
			t.Errorf("%q, want %s", u, want[i])
		}
	}
	if r.Partitions != 2 || len(r.Pings.Lost) == 0 || r.Pings.Repeated < r.Pings.Sent-r.Pings.Answered {
		t.Errorf("%+v", r)
	}
	var b bytes.Buffer
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, u := range r.Unmet {
		if !strings.Contains(b.String(), "unmet        "+u+"\n") {
			t.Errorf("%q is not in\n%s", u, &b)
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestRunEnds(t *testing.T) {
	s := load(t, "small.toml")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, s, 1, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	full := errors.New("full")
	if _, err := Run(t.Context(), s, 1, Options{Capture: fullDisk{full}}); !errors.Is(err, full) {
		t.Error(err)
	}
}

type fullDisk struct{ err error }

func (d fullDisk) Write([]byte) (int, error) { return 0, d.err }
