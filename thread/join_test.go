package thread_test

import (
	"errors"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/joining"
	"gatewayd/thread/mle"
)

func pskd(t *testing.T, s string) joining.PSKd {
	t.Helper()
	p, err := joining.ParsePSKd(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// commission makes n the commissioner and waits until it is.
func (w *world) commission(n *sim.Node) {
	w.t.Helper()
	if err := n.Commissioner().Start(); err != nil {
		w.t.Fatal(err)
	}
	w.await("commissioner", 10*time.Second, func() bool { return n.Commissioner().State() == joining.Active })
}

// admit puts a device on a commissioner's list.
func (w *world) admit(commissioner, n *sim.Node, secret string) {
	w.t.Helper()
	if err := commissioner.Commissioner().Add(joining.EUI64(n.EUI64()), pskd(w.t, secret), 10*time.Minute); err != nil {
		w.t.Fatal(err)
	}
	w.Run(2 * time.Second) // for the steering data to get around
}

// outcome of a joiner.
type outcome struct {
	done bool
	err  error
	took time.Duration
}

// begin makes a device join.
func (w *world) begin(n *sim.Node, secret string) *outcome {
	w.t.Helper()
	o, began := &outcome{}, w.Now()
	n.InterfaceUp()
	err := n.Joiner().Start(pskd(w.t, secret), "", joining.Vendor{Name: "v", Model: "m", SWVersion: "1"}, func(err error) {
		o.done, o.err, o.took = true, err, w.Now().Sub(began)
	})
	if err != nil {
		w.t.Fatalf("%s: %v", n.Name, err)
	}
	return o
}

// joinWith makes a device join and returns how that ended. One that finds no
// network looks again: a single question and its answer may go unheard.
func (w *world) joinWith(n *sim.Node, secret string) *outcome {
	w.t.Helper()
	for try := 0; ; try++ {
		o := w.begin(n, secret)
		w.await(n.Name+" ends joining", 2*time.Minute, func() bool { return o.done })
		if try == 3 || !errors.Is(o.err, joining.ErrNotFound) {
			return o
		}
	}
}

// attached starts a device that has joined, and pings it from another.
func (w *world) attached(n, from *sim.Node) {
	w.t.Helper()
	if err := n.Start(); err != nil {
		w.t.Fatalf("%s: %v", n.Name, err)
	}
	if !n.MLE().Mode().RxOnWhenIdle() {
		n.MLE().Tuning.PollPeriod = 500 * time.Millisecond
	}
	w.await(n.Name+" attaches", 20*time.Second, func() bool { return n.MLE().Attached() })
	w.settle()
	w.reach(time.Minute, n, from)
	w.pings(n, from)
}

// Devices of every kind join by their PSKd, attach and answer.
func TestJoin(t *testing.T) {
	for _, kind := range []sim.Kind{sim.FTD, sim.MTD, sim.SED} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 20)
			a, b := w.add("leader", sim.FTD, func(c *sim.Config) { c.Spinel = true }), w.add("device", kind)
			w.Link(a, b)
			w.form(a)
			w.commission(a)
			w.admit(a, b, "J01NME")
			o := w.joinWith(b, "J01NME")
			if o.err != nil {
				t.Fatal(o.err)
			}
			if o.took > 5300*time.Millisecond {
				t.Errorf("joined after %v", o.took)
			}
			if got := b.Datasets().Active(); got == nil || got.NetworkKey == nil || *got.NetworkKey != *w.dataset.NetworkKey {
				t.Error("without the network's key")
			}
			w.attached(b, a)
			list := a.Commissioner().List()
			if len(list) > 1 || len(list) == 1 && list[0].Progress != joining.Entrusted {
				t.Errorf("the commissioner's list: %+v", list)
			}
		})
	}
}

// A device with another PSKd is refused; with the right one it joins then.
func TestJoinWithWrongPSKd(t *testing.T) {
	w := newWorld(t, 21)
	a, b := w.add("leader", sim.FTD), w.add("device", sim.MTD)
	w.Link(a, b)
	w.form(a)
	w.commission(a)
	w.admit(a, b, "J01NME")
	for range 2 {
		o := w.joinWith(b, "WR0NGE")
		if !errors.Is(o.err, joining.ErrSecurity) {
			t.Fatalf("joining with a wrong PSKd: %v", o.err)
		}
		if b.Datasets().Active() != nil {
			t.Fatal("got a dataset")
		}
		w.Run(time.Second)
	}
	if l := a.Commissioner().List(); len(l) != 1 || l[0].Refused != 2 || l[0].Progress != joining.Refused {
		t.Errorf("the commissioner's list: %+v", l)
	}
	if o := w.joinWith(b, "J01NME"); o.err != nil {
		t.Fatal(o.err)
	}
	w.attached(b, a)
}

// A device that is not on the list finds no network that lets it in.
func TestJoinUninvited(t *testing.T) {
	w := newWorld(t, 22)
	a, b, c := w.add("leader", sim.FTD), w.add("invited", sim.MTD), w.add("stranger", sim.MTD)
	w.Link(a, b, c)
	w.form(a)
	if o := w.joinWith(c, "J01NME"); !errors.Is(o.err, joining.ErrNotFound) {
		t.Fatalf("without a commissioner: %v", o.err)
	}
	w.commission(a)
	w.admit(a, b, "J01NME")
	if o := w.joinWith(c, "J01NME"); !errors.Is(o.err, joining.ErrNotFound) {
		t.Fatalf("not on the list: %v", o.err)
	}
}

// Devices that begin at the same moment all join, in the end.
func TestJoinAtOnce(t *testing.T) {
	w := newWorld(t, 23)
	secrets := []string{"J01NME", "J01NYY", "J01NXX"}
	a := w.add("leader", sim.FTD)
	devices := []*sim.Node{w.add("one", sim.MTD), w.add("two", sim.FTD), w.add("three", sim.SED)}
	w.Link(append(devices, a)...)
	w.form(a)
	w.commission(a)
	for i, d := range devices {
		w.admit(a, d, secrets[i])
	}
	var outcomes []*outcome
	for i, d := range devices {
		outcomes = append(outcomes, w.begin(d, secrets[i]))
	}
	w.await("all end", 2*time.Minute, func() bool {
		for _, o := range outcomes {
			if !o.done {
				return false
			}
		}
		return true
	})
	for i, d := range devices {
		o := outcomes[i]
		if errors.Is(o.err, joining.ErrNotFound) {
			o = w.joinWith(d, secrets[i])
		}
		if o.err != nil {
			t.Errorf("%s: %v", d.Name, o.err)
			continue
		}
		w.attached(d, a)
	}
}

// A device that loses its power half way joins when it has power again.
func TestJoinerStopsHalfWay(t *testing.T) {
	for _, state := range []joining.JoinerState{joining.JoinerConnecting, joining.JoinerConnected, joining.JoinerEntrust} {
		t.Run(state.String(), func(t *testing.T) {
			w := newWorld(t, 24)
			a, b := w.add("leader", sim.FTD), w.add("device", sim.MTD)
			w.Link(a, b)
			w.form(a)
			w.commission(a)
			w.admit(a, b, "J01NME")
			w.begin(b, "J01NME")
			w.await("half way", time.Minute, func() bool { return b.Joiner().State() == state })
			b.Restart()
			if b.Datasets().Active() != nil {
				t.Fatal("kept a dataset")
			}
			w.Run(time.Second)
			var o *outcome
			for range 4 { // the commissioner may still wait for the former self
				if o = w.joinWith(b, "J01NME"); o.err == nil {
					break
				}
			}
			if o.err != nil {
				t.Fatal(o.err)
			}
			w.attached(b, a)
		})
	}
}

// A joiner that hears only a router, not the commissioner, joins through it.
func TestJoinBehindRouter(t *testing.T) {
	w := newWorld(t, 25)
	a, r, b := w.add("leader", sim.FTD), w.add("router", sim.FTD), w.add("device", sim.MTD)
	w.Line(a, r, b)
	w.form(a)
	w.attach(r)
	w.commission(a)
	w.admit(a, b, "J01NME")
	o := w.joinWith(b, "J01NME")
	if o.err != nil {
		t.Fatal(o.err)
	}
	if got := r.JoinerRouter().Counters; got.Entrusted != 1 || got.Failed != 0 || got.Received == 0 || got.Transmitted == 0 {
		t.Errorf("the joiner router: %+v", got)
	}
	w.attached(b, a)
	if r.MLE().Role() != mle.Router {
		t.Errorf("the parent is a %v", r.MLE().Role())
	}
}
