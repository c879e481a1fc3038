package joining

import (
	"errors"
	"testing"
	"time"
)

// A commissioner whose leader forgot it begins another session for those that
// are on its list, if it is to, and until it is stopped.
func TestReturn(t *testing.T) {
	for _, keep := range []bool{true, false} {
		w, l, c, _ := commissioning(t, 0x8400, 0x5400, 0x7c00)
		c.comm.cfg.Return = keep
		if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		first := c.comm.SessionID()
		w.leads.petition.resign()
		w.run(time.Minute)
		if back := c.comm.State() == Active && c.comm.SessionID() != first; back != keep {
			t.Errorf("keeps %v, but is %v in session %04x after %04x", keep, c.comm.State(), c.comm.SessionID(), first)
		}
		if !errors.Is(c.why, nil) && keep {
			t.Errorf("%v", c.why)
		}
		if ok, _ := c.comm.Published(); ok != keep {
			t.Errorf("steering data published: %v", ok)
		}
		// There is no leader for a while.
		w.leads = nil
		l.ip.Remove(address(leaderALOC16))
		w.run(5 * time.Minute)
		if c.comm.State() == Active {
			t.Error("active without a leader")
		}
		w.lead(l)
		w.run(2 * time.Minute)
		if (c.comm.State() == Active) != keep {
			t.Errorf("%v when there is a leader again", c.comm.State())
		}
		w.leads.petition.resign()
		for range 600 {
			if w.run(100 * time.Millisecond); c.comm.State() == Disabled {
				break
			}
		}
		if err := c.comm.Stop(); (err == nil) != keep {
			t.Errorf("stopped: %v", err)
		}
		w.run(time.Minute)
		if n := len(c.comm.List()); c.comm.State() != Disabled || keep && n != 0 {
			t.Errorf("%v with %d joiners after it was stopped", c.comm.State(), n)
		}
	}
}
