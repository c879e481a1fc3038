package otcli_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
)

// What is published, as OpenThread's command line showed it for the same
// commands.
func TestPublish(t *testing.T) {
	w := sim.New(10, sim.Options{})
	x := newTerminal(t, w)
	x.form()
	for _, c := range []struct{ command, want string }{
		{"netdata publish prefix fd00:1234::/64 paros", "Done"},
		{"netdata publish prefix fd00:1234::/64 paros low", "Done"},
		{"netdata publish route fd00:1::/64 s", "Done"},
		{"netdata publish route fd00:2::/64", "Error 7: InvalidArgs"},
		{"netdata publish dnssrp unicast 1234", "Done"},
		{"netdata publish dnssrp", "Error 7: InvalidArgs"},
		{"netdata publish dnssrp anycast 12 1 1", "Error 7: InvalidArgs"},
		{"netdata publish route fd00:4::/64 s", "Done"},
		{"netdata publish route fd00:5::/64 s", "Error 3: NoBufs"},
		{"netdata publish replace fd00:4::/64 fd00:5::/64 s high", "Done"},
		{"netdata publish", "Error 7: InvalidArgs"},
		{"netdata unpublish fd00::/64", "Error 23: NotFound"},
		{"netdata unpublish", "Error 7: InvalidArgs"},
	} {
		if got := x.do(c.command, 0); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: %q, want %q", c.command, got, c.want)
		}
	}
	// The order of servers in network data is that in which their delays end.
	show := func() []string {
		w.Run(4 * time.Second)
		lines := x.do("netdata show", 0)
		slices.Sort(lines)
		return lines
	}
	at := x.ok("rloc16")
	mleid := strings.ReplaceAll(expand(x.ok("ipaddr mleid")), ":", "")
	had := func(services ...string) []string {
		all := append([]string{"Prefixes:", "Routes:", "Services:", "Contexts:", "Commissioning:", "Done",
			"fd00:1234:0:0::/64 paros low " + at, "fd00:1:0:0::/64 s med " + at, "fd00:5:0:0::/64 s high " + at,
			"fd00:1234:0:0::/64 1 c"}, services...)
		slices.Sort(all)
		return all
	}
	without := func(lines []string) []string {
		return slices.DeleteFunc(lines, func(l string) bool { return strings.HasSuffix(l, " - - -") })
	}
	if got, want := without(show()), had("44970 5d "+mleid+"04d2 s "+at+" 0"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	x.ok("netdata publish dnssrp anycast 12 1")
	if got, want := without(show()), had("44970 5c0c 01 s "+at+" 0"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	most := x.ok("netdata maxlength")
	x.ok("netdata unpublish dnssrp")
	for _, p := range []string{"fd00:1234::/64", "fd00:1::/64", "fd00:5::/64"} {
		x.ok("netdata unpublish " + p)
	}
	w.Run(5 * time.Second)
	if s := x.ok("netdata maxlength"); s != most {
		t.Errorf("at most %s bytes, before %s", s, most)
	}
	x.ok("netdata maxlength reset")
	if s, is := x.ok("netdata maxlength"), x.ok("netdata length"); s != is || s == most {
		t.Errorf("at most %s bytes after reset, there are %s and were %s", s, is, most)
	}
}

// expand writes all digits of an address.
func expand(a string) string {
	groups := strings.Split(a, ":")
	for i, g := range groups {
		groups[i] = strings.Repeat("0", 4-len(g)) + g
	}
	return strings.Join(groups, ":")
}
