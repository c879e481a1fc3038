package capture

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
)

// excused says why a miss is none; "" if it is one.
func excused(m miss) string {
	if m.layer == mleTLVLayer && errors.Is(m.err, errOpaque) && strings.Contains(m.err.Error(), "csl") {
		return "MLE TLVs of coordinated sampled listening, which package mle keeps as they are"
	}
	return ""
}

// What the recordings hold, so that nothing gets lost on the way to a layer.
var atLeast = [layers]int{
	frameLayer: 2662, securityLayer: 848, lowpanLayer: 1508, ipLayer: 1153, udpLayer: 1021, icmpLayer: 131,
	mleLayer: 733, mleTLVLayer: 2822, coapLayer: 258, bodyLayer: 258, dtlsLayer: 85,
}

// Every frame of every recording goes up through every layer, and each layer
// encodes what it decoded to the bytes it came from, of which OpenThread was
// the author.
func TestEveryFrame(t *testing.T) {
	all, err := LoadAll("../../testdata/captures")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	tw := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, scores *[layers]score) {
		fmt.Fprintf(tw, "%s\t", name)
		for _, s := range scores {
			switch {
			case s.seen == 0:
				fmt.Fprint(tw, "-\t")
			case s.seen == s.same:
				fmt.Fprintf(tw, "%d\t", s.seen)
			default:
				fmt.Fprintf(tw, "%d of %d\t", s.same, s.seen)
			}
		}
		fmt.Fprintln(tw)
	}
	fmt.Fprintf(tw, "recording\t%s\t\n", strings.Join(layerNames[:], "\t"))

	var total [layers]score
	reasons := make(map[string]int)
	for _, c := range all {
		w := newWalker(c)
		w.walk()
		row(c.Name, &w.scores)
		for l, s := range w.scores {
			total[l].seen += s.seen
			total[l].same += s.same
		}
		for _, m := range w.misses {
			if why := excused(m); why != "" {
				reasons[why]++
				continue
			}
			t.Errorf("%s frame %d: %s: %v", c.Name, m.frame, layerNames[m.layer], m.err)
		}
	}
	row("all", &total)
	tw.Flush()
	t.Logf("decoded, and encoded to the same bytes:\n%s", table.String())
	for why, n := range reasons {
		t.Logf("%d not: %s", n, why)
	}
	for l, n := range atLeast {
		if total[l].seen < n {
			t.Errorf("%s: saw %d, there are %d", layerNames[l], total[l].seen, n)
		}
	}
}
