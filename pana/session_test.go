package pana

import (
	"strings"
	"testing"
	"time"
)

func TestHandshake(t *testing.T) {
	for _, tt := range []struct {
		name    string
		noPiggy bool
		want    string
	}{
		{"piggy-backed", false, "PCI, PAR[S], PAN[S], PAR, PAN, PAR, PAN, PAR[C], PAN[C]"},
		{"in requests of its own", true, "PCI, PAR[S], PAN[S], PAR, PAN, PAR, PAN, PAR, PAN, PAR, PAN, PAR[C], PAN[C]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, 1)
			l.keep = true
			l.serve(nil)
			d := l.join(pacAddr, func(c *PaCConfig) { c.NoPiggyback = tt.noPiggy })
			d.Start(paaAddr)
			l.run(time.Second)
			var names []string
			for _, m := range l.log {
				name, _, _ := strings.Cut(m, " ")
				names = append(names, name)
			}
			want(t, "messages", strings.Join(names, ", "), tt.want)
			want(t, "agent", story(l.events), "opened, authorized")
			want(t, "client", story(d.events), "opened, authorized")
			want(t, "discarded", append(l.drops, d.drops...), []error{})
			is := l.paa.Sessions()
			if len(is) != 1 {
				t.Fatalf("%d sessions", len(is))
			}
			i, c := is[0], d.Info()
			want(t, "identity", i.Identity, "bob")
			want(t, "address", i.PaC, pacAddr)
			want(t, "suite", i.Suite, Suite{PRFHMACSHA256, HMACSHA256128, 0})
			if i.KeyID != c.KeyID || i.KeyID == 0 || i.ID != c.ID || i.Lifetime != 24*time.Hour || c.Lifetime != i.Lifetime {
				t.Errorf("agent %+v\nclient %+v", i, c)
			}
		})
	}
}
