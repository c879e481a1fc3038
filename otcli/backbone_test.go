package otcli_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
)

// Replies of a Backbone Router, as OpenThread's command line words them.
func TestBackbone(t *testing.T) {
	w := sim.New(12, sim.Options{})
	x := newTerminal(t, w)
	for command, want := range map[string]string{"bbr": "BBR Primary: None", "bbr state": "Disabled", "bbr jitter": "5"} {
		if s := x.ok(command); s != want {
			t.Errorf("%s: %q", command, s)
		}
	}
	for command, want := range map[string]string{
		"bbr register":             "Error 13: InvalidState",
		"bbr nosuch":               "Error 35: InvalidCommand",
		"bbr mgmt":                 "Error 35: InvalidCommand",
		"bbr mgmt mlr":             "Error 35: InvalidCommand",
		"bbr config seqno":         "Error 7: InvalidArgs",
		"bbr config seqno 256":     "Error 7: InvalidArgs",
		"bbr config timeout 299":   "Error 7: InvalidArgs",
		"bbr config x 1":           "Error 7: InvalidArgs",
		"dua":                      "Error 35: InvalidCommand",
		"dua iid 00":               "Error 7: InvalidArgs",
		"dua iid 0000000000000000": "Error 7: InvalidArgs",
		"mlr":                      "Error 35: InvalidCommand",
		"mlr reg":                  "Error 7: InvalidArgs",
		"mlr reg ff04::1 x":        "Error 7: InvalidArgs",
		"mlr reg ff04::1":          "Error 13: InvalidState", // there is no Backbone Router
	} {
		if got := x.do(command, 0); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	x.form()
	x.ok("bbr config seqno 20 delay 30 timeout 400")
	x.ok("bbr enable")
	w.Run(2 * time.Second)
	if s := x.ok("bbr state"); s != "Primary" {
		t.Errorf("state %q", s)
	}
	settings := []string{"seqno:    20", "delay:    30 secs", "timeout:  400 secs", "Done"}
	if got := x.do("bbr config", 0); !slices.Equal(got, settings) {
		t.Errorf("%q", got)
	}
	server := "server16: 0x" + strings.ToUpper(x.ok("rloc16"))
	if got := x.do("bbr", 0); !slices.Equal(got, append([]string{"BBR Primary:", server}, settings...)) {
		t.Errorf("%q", got)
	}
	if got := x.do("mlr reg ff04::1 ff02::1", 0); !slices.Equal(got, []string{"status 2, 1 failed", "ff02:0:0:0:0:0:0:1", "Done"}) {
		t.Errorf("%q", got)
	}
	x.ok("ipmaddr add ff05::7")
	w.Run(time.Second)
	got := x.do("bbr mgmt mlr listener", 0)
	for i, want := range []string{`^ff04:0:0:0:0:0:0:1 39\d$`, `^ff05:0:0:0:0:0:0:7 39\d$`, `^Done$`} {
		if i >= len(got) || !regexp.MustCompile(want).MatchString(got[i]) {
			t.Fatalf("%q", got)
		}
	}
	// It is reached at its anycast locator.
	aloc := regexp.MustCompile(`[0-9a-f]+$`).ReplaceAllString(x.ok("ipaddr rloc"), "fc38")
	if !slices.Contains(x.do("ipaddr", 0), aloc) {
		t.Errorf("no %s in %q", aloc, x.do("ipaddr", 0))
	}
	x.ok("bbr disable")
	w.Run(2 * time.Second)
	if got := x.do("bbr", 0); !slices.Equal(got, []string{"BBR Primary: None", "Done"}) {
		t.Errorf("disabled: %q", got)
	}
	if got := x.do("bbr mgmt mlr listener", 0); !slices.Equal(got, []string{"Done"}) {
		t.Errorf("disabled: %q", got)
	}
	if slices.Contains(x.do("ipaddr", 0), aloc) {
		t.Errorf("disabled: %q", x.do("ipaddr", 0))
	}
}

// The node's own address in the domain, and those that its Backbone Router
// knows.
func TestDomain(t *testing.T) {
	w := sim.New(13, sim.Options{})
	x := newTerminal(t, w)
	x.form()
	x.ok("dua iid 0004000300020001")
	if s := x.ok("dua iid"); s != "0004000300020001" {
		t.Errorf("%q", s)
	}
	x.ok("bbr enable")
	x.ok("prefix add fd00:7d03:7d03:7d03::/64 prosD")
	x.ok("netdata register")
	w.Run(10 * time.Second)
	const fixed = "fd00:7d03:7d03:7d03:4:3:2:1"
	if got := x.do("ipaddr", 0); !slices.Contains(got, fixed) {
		t.Errorf("%q", got)
	}
	want := regexp.MustCompile(`^` + fixed + ` [0-9a-f]{16} 0x` + x.ok("rloc16") + ` \d$`)
	if s := x.ok("bbr mgmt dua"); !want.MatchString(s) {
		t.Errorf("%q", s)
	}
	x.ok("dua iid clear")
	if got := x.do("dua iid", 0); !slices.Equal(got, []string{"Done"}) {
		t.Errorf("%q", got)
	}
	w.Run(10 * time.Second)
	if s := x.ok("bbr mgmt dua"); strings.Contains(s, fixed) {
		t.Errorf("%q", s)
	}
}
