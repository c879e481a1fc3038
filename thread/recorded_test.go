package thread_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"gatewayd/internal/capture"
	"gatewayd/thread/meshcop"
)

type tally struct{ seen, said, types, order, values int }

// In the place of every node of every recording a node of ours, told what that
// one was told, answers with the same TLVs.
func TestRecordedAnswers(t *testing.T) {
	all, err := capture.LoadAll("../testdata/captures")
	if err != nil {
		t.Fatal(err)
	}
	tallies := map[string]*tally{}
	var raw, adapted int
	for _, c := range all {
		for _, who := range c.Nodes {
			p := newReplay(t, c, who)
			p.run()
			raw, adapted = raw+p.raw, adapted+p.adapted
			for _, x := range p.pairs {
				if tallies[x.recorded.kind] == nil {
					tallies[x.recorded.kind] = &tally{}
				}
				s := tallies[x.recorded.kind]
				s.seen++
				if x.ours == nil {
					t.Logf("%s %s: %s to %v: nothing", c.Name, who.Name, x.recorded.kind, x.recorded.dst)
					continue
				}
				s.said++
				s.compare(t, c.Name+" "+who.Name+": "+x.recorded.kind, x)
			}
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "message\trecorded\tsaid\tTLVs equal\torder equal\tvalues equal")
	var kinds []string
	for k := range tallies {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		s := tallies[k]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\n", k, s.seen, s.said, s.types, s.order, s.values)
	}
	w.Flush()
	t.Logf("%d messages told as recorded, %d with our challenge or token\n%s", raw, adapted, b.String())
}

func (s *tally) compare(t *testing.T, what string, x pair) {
	a, b := x.recorded.tlvs(), x.ours.tlvs()
	ta, tb := typesOf(a), typesOf(b)
	if slices.Equal(ta, tb) {
		s.order++
	}
	slices.Sort(ta)
	slices.Sort(tb)
	if !slices.Equal(ta, tb) {
		t.Logf("%s: TLVs %v, recorded %v", what, typesOf(b), typesOf(a))
		return
	}
	s.types++
	same := x.recorded.coap.Code == x.ours.coap.Code
	if !same {
		t.Logf("%s: code %v, recorded %v", what, x.ours.coap.Code, x.recorded.coap.Code)
	}
	for _, v := range a {
		i := slices.IndexFunc(b, func(o meshcop.TLV) bool { return o.Type == v.Type })
		if string(b[i].Value) != string(v.Value) {
			same = false
			t.Logf("%s: TLV %d is %x, recorded %x", what, v.Type, b[i].Value, v.Value)
		}
	}
	if same {
		s.values++
	}
}

func (m *message) tlvs() (all []meshcop.TLV) {
	if m.isMLE {
		for t := range m.mle.TLVs.All() {
			all = append(all, meshcop.TLV{Type: meshcop.Type(t.Type), Value: t.Value})
		}
		return all
	}
	for t := range meshcop.TLVs(m.coap.Payload).All() {
		all = append(all, t)
	}
	return all
}

func typesOf(all []meshcop.TLV) (types []int) {
	for _, t := range all {
		types = append(types, int(t.Type))
	}
	return types
}
