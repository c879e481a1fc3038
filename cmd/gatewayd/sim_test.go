package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatewayd/sim/scenario"
)

const pair = `title = "two"
duration = "30s"
[[nodes]]
name = "a"
count = 2
placement = "line"
spacing = 5.0
[[traffic]]
start = "20s"
every = "1s"
rloc = true
[expect]
delivery = 1.0
`

func scenarioFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSim(t *testing.T) {
	file := scenarioFile(t, pair)
	r := runCmd(t, "", "sim", file)
	for _, want := range []string{"scenario     two\n", "seed         1\n", "nodes        2: leader 1,", "times real time"} {
		if r.code != exitOK || r.err != "" || !strings.Contains(r.out, want) {
			t.Errorf("no %q in %+v", want, r)
		}
	}

	capture := filepath.Join(t.TempDir(), "air.pcapng")
	several := runCmd(t, "", "sim", file, "--json", "--seed", "4", "--seeds", "2", "--capture", capture,
		"--log", filepath.Join(filepath.Dir(capture), "events.log"))
	var reports []scenario.Report
	if err := json.Unmarshal([]byte(several.out), &reports); err != nil || several.code != exitOK {
		t.Fatalf("%v %+v", err, several)
	}
	if len(reports) != 2 || reports[0].Seed != 4 || reports[1].Seed != 5 || reports[0].Pings.Sent == 0 {
		t.Errorf("%+v", reports)
	}
	for _, name := range []string{"air-4.pcapng", "air-5.pcapng"} {
		if i, err := os.Stat(filepath.Join(filepath.Dir(capture), name)); err != nil || i.Size() < 1000 {
			t.Errorf("%v %v", i, err)
		}
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(capture), "events-5.log"))
	if line := " a1 MLE-0001 role changed from=disabled to=detached"; err != nil || !strings.Contains(string(log), line) {
		t.Errorf("no %q in %q, %v", line, log, err)
	}
	// A seed by itself is what it was among others.
	alone := runCmd(t, "", "sim", file, "--json", "--seed", "5")
	one, err := json.MarshalIndent(reports[1], "", "  ")
	if err != nil || alone.out != string(one)+"\n" {
		t.Errorf("%s\n%s", alone.out, one)
	}
}

func TestSimFails(t *testing.T) {
	r := runCmd(t, "", "sim", scenarioFile(t, pair+"partitions = 2\n"), "--seeds", "2")
	if r.code != exitFailed || !strings.Contains(r.out, "unmet        partitions 2: there are 1\n") ||
		!strings.Contains(r.out, "0 of 2 seeds passed\n") || r.err != "gatewayd: not as expected with seed 1, 2\n" {
		t.Errorf("%+v", r)
	}
	file := scenarioFile(t, pair+"frobnicate = 2\n")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{}, "accepts 1 arg(s)"},
		{[]string{"/does/not/exist"}, "gatewayd: reading the scenario: open /does/not/exist"},
		{[]string{file}, "gatewayd: " + file + `:14: no such key "expect.frobnicate"`},
		{[]string{scenarioFile(t, pair), "--seeds", "0"}, "--seeds: 0 from seed 1 on are none"},
		{[]string{scenarioFile(t, pair), "--seed", "-1"}, "--seed"},
	} {
		if r := runCmd(t, "", append([]string{"sim"}, tt.args...)...); r.code != exitUsage || r.out != "" || !strings.Contains(r.err, tt.want) {
			t.Errorf("%q: %+v", tt.args, r)
		}
	}
}
