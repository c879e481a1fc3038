package border

import (
	"strings"
	"testing"
	"time"
)

// TestHeardBefore: what the link's routers say is heard while the mesh is not
// attached yet. Who leads the mesh then does not wait: a second later
// devices have a prefix and hosts a route to it. Who does not lead it gives
// others the usual time.
func TestHeardBefore(t *testing.T) {
	for _, c := range []struct {
		name    string
		leader  bool
		routers bool // on the LAN
		heard   time.Duration
		within  time.Duration
	}{
		{"leader", true, true, 10 * time.Second, 1200 * time.Millisecond},
		{"leader while routers are still asked", true, true, 2 * time.Second, 1200 * time.Millisecond},
		{"leader on a LAN without routers", true, false, 10 * time.Second, 1200 * time.Millisecond},
		{"router", false, true, 10 * time.Second, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, 3)
			l.mesh.Attached = false
			a := l.router("a", "lan", 1)
			if c.routers {
				l.foreign("main", "lan", 8, advert(goodPrefix("2001:db8::/64")))
			}
			l.run(c.heard)
			if got := strings.Join(l.sent("a R"), "\n"); strings.Contains(got, "RA") || strings.Count(got, "RS") != 1+int(c.heard/(4*time.Second)) {
				t.Fatalf("not attached, it sent\n%s", got)
			}
			if s := a.m.Status(); s.State != Stopped || c.routers && len(s.Links[0].Prefixes) == 0 {
				t.Fatalf("not attached: %+v", s)
			}
			a.expectOnMesh("")

			a.role.Attached, a.role.Leader = true, c.leader
			a.tell()
			l.run(time.Millisecond)
			if early := a.onMesh() != ""; early != c.leader {
				t.Errorf("at once, there is a prefix: %v", early)
			}
			l.run(c.within)
			if !strings.HasPrefix(a.onMesh(), a.omr()) {
				t.Errorf("after %v it publishes %q", c.within, a.onMesh())
			}
			sent := l.sent("a RA")
			if len(sent) == 0 || !strings.Contains(sent[0], "R "+a.omr()) {
				t.Errorf("after %v it has sent %q", c.within, sent)
			}
			if s := a.onLink().State; c.routers && s != OnLinkIdle || !c.routers && s != OnLinkPublishing && s != OnLinkAdvertising {
				t.Errorf("on-link prefix: %v", s)
			}
			// What was known is known still, when it is attached again.
			a.role.Attached = false
			a.tell()
			l.run(time.Minute)
			if s := a.m.Status().Links[0]; c.routers && len(s.Prefixes) == 0 {
				t.Errorf("detached: %+v", s)
			}
		})
	}
}

// TestDeaf: a link that is down or disabled hears nothing, and what it heard is
// forgotten.
func TestDeaf(t *testing.T) {
	l := newLab(t, 4)
	l.mesh.Attached = false
	a := l.router("a", "lan", 1)
	f := l.foreign("main", "lan", 8, advert(goodPrefix("2001:db8::/64")))
	l.run(10 * time.Second)
	a.m.SetEnabled(false)
	if s := a.m.Status().Links[0]; len(s.Routers) != 0 {
		t.Errorf("disabled, it knows %+v", s.Routers)
	}
	heard := a.m.Status().Links[0].Counters.RAReceived
	f.advertise()
	l.run(time.Second)
	if s := a.m.Status().Links[0]; len(s.Routers) != 0 || s.Counters.RAReceived != heard {
		t.Errorf("disabled, it has heard %+v", s)
	}
	if d := l.clock.Deadline(); d.Sub(l.clock.Now()) > 30*time.Second {
		t.Errorf("nothing is to happen until %v", d)
	}
	l.sent()
	l.run(time.Hour)
	if got := l.sent("a "); len(got) != 0 {
		t.Errorf("disabled, it sent %q", got)
	}
}
