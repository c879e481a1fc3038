//go:build interop

package interop

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// changing are the numbers that differ between two questions, one after the
// other: times, counters, sequences of routes and queries.
var changing = regexp.MustCompile(`(?:IdSequence|age|conn-time|If\w+|\w+Time):\s?[0-9:]+`)

// steady are the lines of a reply without what changes, and without the bytes
// it was made from.
func steady(lines []string) []string {
	var out []string
	for _, l := range lines {
		if !strings.HasPrefix(l, "DIAG_GET") {
			out = append(out, changing.ReplaceAllString(l, "*"))
		}
	}
	return out
}

// diagMesh is a leader of ours and a router of theirs, each with a sleepy child
// of the other's.
type diagMesh struct {
	t                    *testing.T
	ours, theirs         *otCLI
	ourChild, theirChild *otCLI
	nodes                []*otCLI
	rloc                 map[*otCLI]string
	rloc16               map[*otCLI]string
}

func newDiagMesh(t *testing.T, offset string) *diagMesh {
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	ns := newRCPNetns(t)
	ns.env = []string{"PORT_OFFSET=" + offset}
	m := &diagMesh{t: t, rloc: map[*otCLI]string{}, rloc16: map[*otCLI]string{}}
	m.ours, m.theirs = ns.program(bin, "node", "1"), ns.cli("ot-cli-ftd", 2)
	m.theirChild, m.ourChild = ns.cli("ot-cli-mtd", 3), ns.program(bin, "node", "4")
	for _, s := range []string{"dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start"} {
		m.ours.ask(s)
	}
	waitState(t, m.ours.ask, 20*time.Second, "leader")
	dataset := m.ours.ask("dataset active -x")[0]
	m.nodes = []*otCLI{m.ours, m.theirs, m.theirChild, m.ourChild}
	// Children hear only whom they are to attach to.
	m.theirChild.ask("nodeidfilter deny 2")
	m.ourChild.ask("nodeidfilter deny 1")
	for _, c := range m.nodes[1:] {
		c.ask("dataset set active " + dataset)
		role := "child"
		if c == m.theirs {
			c.ask("routerselectionjitter 1")
			role = "router"
		} else {
			c.ask("mode -")
			c.ask("pollperiod 300")
		}
		c.ask("ifconfig up")
		c.ask("thread start")
		waitState(t, c.ask, 40*time.Second, role)
	}
	for _, c := range m.nodes {
		m.rloc[c], m.rloc16[c] = c.ask("ipaddr rloc")[0], "0x"+c.ask("rloc16")[0]
	}
	for _, l := range []string{m.rloc16[m.ours], m.rloc16[m.theirs]} {
		if !strings.HasSuffix(l, "00") {
			t.Fatalf("router with RLOC16 %s", l)
		}
	}
	return m
}

// A question about a node has the same answer whoever asks it, they or we.
func TestDiagnosticsBothWays(t *testing.T) {
	m := newDiagMesh(t, "75")
	time.Sleep(3 * time.Second) // link qualities settle
	const all = " 0 1 2 3 4 5 6 7 8 9 14 15 16 17 19 23 24 25 26 27 28 34 35"
	for i, about := range m.nodes {
		ask := "networkdiagnostic get " + m.rloc[about] + all
		us, them := steady(m.ours.ask(ask)), steady(m.theirs.ask(ask))
		if !slices.Equal(us, them) {
			t.Errorf("of node %d we show\n%s\nthey\n%s", i+1, strings.Join(us, "\n"), strings.Join(them, "\n"))
		}
		for _, want := range []string{"Ext Address: " + about.ask("extaddr")[0], "Rloc16: " + m.rloc16[about], "EUI64: " + about.ask("eui64")[0],
			"- " + about.ask("ipaddr mleid")[0]} {
			if !slices.Contains(us, want) {
				t.Errorf("of node %d we do not show %q", i+1, want)
			}
		}
	}

	ours, theirs := m.rloc16[m.ours], m.rloc16[m.theirs]
	for _, command := range []string{"childtable " + ours, "childtable " + theirs, "childip6 " + ours, "childip6 " + theirs,
		"routerneighbortable " + ours, "routerneighbortable " + theirs} {
		us, them := steady(m.ours.ask("meshdiag "+command)), steady(m.theirs.ask("meshdiag "+command))
		if len(us) < 2 || !slices.Equal(us, them) {
			t.Errorf("meshdiag %s: we show\n%s\nthey\n%s", command, strings.Join(us, "\n"), strings.Join(them, "\n"))
		}
	}
	for _, c := range []*otCLI{m.ours, m.theirs} {
		if got, err := c.try("meshdiag childtable 0xf800", 10*time.Second); err == nil || !strings.Contains(err.Error(), "NotFound") {
			t.Errorf("a router that is none: %q %v", got, err)
		}
	}
}

// Both find the same mesh, and the same nodes in a group.
func TestTopologyBothWays(t *testing.T) {
	m := newDiagMesh(t, "76")
	time.Sleep(3 * time.Second)
	topology := func(c *otCLI) []string {
		var blocks []string // a router each, in any order
		for _, l := range c.ask("meshdiag topology ip6-addrs children") {
			l = strings.TrimSpace(strings.Replace(l, " - me", "", 1))
			if strings.HasPrefix(l, "id:") {
				blocks = append(blocks, "")
			}
			blocks[len(blocks)-1] += l + "\n"
		}
		slices.Sort(blocks)
		return blocks
	}
	us, them := topology(m.ours), topology(m.theirs)
	if len(us) != 2 || !slices.Equal(us, them) {
		t.Errorf("we find\n%s\nthey\n%s", strings.Join(us, ""), strings.Join(them, ""))
	}
	whole := strings.Join(us, "")
	for i, n := range m.nodes {
		if !strings.Contains(whole, "rloc16:"+m.rloc16[n]) {
			t.Errorf("node %d, %s, is not in\n%s", i+1, m.rloc16[n], whole)
		}
	}
	for _, c := range []*otCLI{m.ours, m.theirs} {
		for _, group := range []string{"ff03::2", "ff02::1"} {
			out := strings.Join(c.ask("networkdiagnostic get "+group+" 1 29 30 31"), "\n")
			for _, n := range []*otCLI{m.ours, m.theirs} {
				if !strings.Contains(out, "Rloc16: "+m.rloc16[n]) {
					t.Errorf("%s: no answer from %s:\n%s", group, m.rloc16[n], out)
				}
			}
		}
	}
	for _, c := range []*otCLI{m.ours, m.theirs} {
		for _, n := range []*otCLI{m.ours, m.theirs} {
			c.ask("networkdiagnostic reset " + m.rloc[n] + " 9 34")
			time.Sleep(200 * time.Millisecond)
			out := strings.Join(n.ask("counters mle"), "\n")
			if !strings.Contains(out, "Attach Attempts: 0") || !strings.Contains(out, "Role Detached: 0") {
				t.Errorf("not reset:\n%s", out)
			}
			var sent int
			if _, err := fmt.Sscanf(n.ask("counters mac")[0], "TxTotal: %d", &sent); err != nil || sent > 20 {
				t.Errorf("not reset: %d frames sent, %v", sent, err)
			}
		}
	}
}
