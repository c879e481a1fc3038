package otcli_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
)

// A leader, alone in its mesh, asks itself.
func TestDiagnosticCommands(t *testing.T) {
	x := newTerminal(t, sim.New(21, sim.Options{}))
	for _, c := range []string{"networkdiagnostic get fd00::1 0", "meshdiag topology", "meshdiag childtable 0x400"} {
		if got := x.do(c, 0); !slices.Equal(got, []string{"Error 13: InvalidState"}) {
			t.Errorf("%s while detached: %q", c, got)
		}
	}
	for _, c := range []string{"dataset init new", "dataset commit active", "ifconfig up", "thread start"} {
		x.ok(c)
	}
	x.awaitState("leader")
	rloc16, rloc := "0x"+x.ok("rloc16"), x.ok("ipaddr rloc")
	x.ok("vendor name Acme")
	x.ok("vendor appurl https://example.com/app")
	if got := x.ok("vendor name"); got != "Acme" {
		t.Errorf("vendor name %q", got)
	}

	got := x.do("networkdiagnostic get "+rloc+" 1 25 35", 0)
	if len(got) != 5 || !strings.HasPrefix(got[0], "DIAG_GET.rsp/ans from "+rloc+": 0102"+rloc16[2:]+"190441636d65") ||
		!slices.Equal(got[1:], []string{"Rloc16: " + rloc16, "Vendor Name: Acme", "Vendor App URL: https://example.com/app", "Done"}) {
		t.Errorf("%q", got)
	}
	for _, group := range []string{"ff03::1", "ff02::2"} {
		if got := x.do("networkdiagnostic get "+group+" 1", 0); len(got) != 3 || got[1] != "Rloc16: "+rloc16 || got[2] != "Done" {
			t.Errorf("%s: %q", group, got)
		}
	}
	shape := regexp.MustCompile(`^id:\d\d rloc16:` + rloc16 + ` ext-addr:[0-9a-f]{16} ver:5 - me - leader$`)
	if got := x.do("meshdiag topology children", 0); len(got) != 3 || !shape.MatchString(got[0]) || got[1] != "    children: none" {
		t.Errorf("%q", got)
	}
	for command, want := range map[string][]string{
		"networkdiagnostic reset " + rloc + " 9 34":   {"Done"},
		"networkdiagnostic get fd00::99 0":            {"Done"}, // after five seconds without an answer
		"networkdiagnostic get":                       {"Error 7: InvalidArgs"},
		"networkdiagnostic get nobody":                {"Error 6: Parse"},
		"networkdiagnostic get " + rloc + " 256":      {"Error 7: InvalidArgs"},
		"networkdiagnostic find " + rloc:              {"Error 35: InvalidCommand"},
		"meshdiag":                                    {"childip6", "childtable", "routerneighbortable", "topology", "Error 35: InvalidCommand"},
		"meshdiag topology parents":                   {"Error 7: InvalidArgs"},
		"meshdiag childtable " + rloc16:               {"Done"},
		"meshdiag childip6 " + rloc16:                 {"Done"},
		"meshdiag routerneighbortable " + rloc16:      {"Done"},
		"meshdiag childtable " + rloc16 + " 1":        {"Error 7: InvalidArgs"},
		"meshdiag childtable":                         {"Error 7: InvalidArgs"},
		"meshdiag childtable " + rloc16[:5] + "1":     {"Error 7: InvalidArgs"},
		"vendor model " + strings.Repeat("x", 33):     {"Error 7: InvalidArgs"},
		"vendor swversion " + strings.Repeat("x", 17): {"Error 7: InvalidArgs"},
		"vendor swversion \xff":                       {"Error 7: InvalidArgs"},
	} {
		began := x.world.Now()
		if got := x.do(command, 0); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
		if took := x.world.Now().Sub(began); took > 6*time.Second {
			t.Errorf("%s took %v", command, took)
		}
	}
	// A late answer to a command that is over does not end another.
	x.world.Run(2 * time.Minute)
	if s := x.take(); s != "" {
		t.Errorf("by itself: %q", s)
	}
}
