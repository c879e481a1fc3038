package sim_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"
	"time"

	"gatewayd/pcap"
	"gatewayd/radio/medium"
	"gatewayd/radio/spinel"
	"gatewayd/sim"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// network makes a world of a leader and devices around it, all with its
// dataset and started.
func network(t testing.TB, seed uint64, nodes int, change func(i int, c *sim.Config)) *sim.World {
	t.Helper()
	w := sim.New(seed, sim.Options{})
	for i := range nodes {
		c := sim.Config{Place: &sim.Place{X: float64(i%8) * 4, Y: float64(i/8) * 4}}
		if change != nil {
			change(i, &c)
		}
		n := w.Add(c)
		d, err := meshcop.NewRandom(w.Nodes()[0].Random(), meshcop.AllChannels(), meshcop.MaskOf(1<<15))
		if err != nil {
			t.Fatal(err)
		}
		n.SetActiveDataset(&d)
		n.InterfaceUp()
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// trace is a digest of every frame and its time.
func trace(t *testing.T, seed uint64) (digest string, frames int) {
	w := network(t, seed, 6, func(i int, c *sim.Config) {
		c.Kind = sim.Kind(i % 3)
		c.Spinel = i == 0
	})
	h := sha256.New()
	w.Tap(func(s medium.Sighting) {
		frames++
		fmt.Fprintln(h, s.At.UnixNano(), s.From, s.Channel, s.PSDU)
	})
	w.Run(30 * time.Second)
	return fmt.Sprintf("%x", h.Sum(nil)), frames
}

func TestSameSeedSameTrace(t *testing.T) {
	one, n := trace(t, 7)
	two, m := trace(t, 7)
	if one != two || n == 0 {
		t.Errorf("%d frames %s, then %d frames %s", n, one, m, two)
	}
	if other, _ := trace(t, 8); other == one {
		t.Error("another seed, the same trace")
	}
}

func TestCapture(t *testing.T) {
	var file bytes.Buffer
	w := network(t, 1, 1, nil)
	failed, err := w.Capture(&file)
	if err != nil {
		t.Fatal(err)
	}
	frames := 0
	w.Tap(func(medium.Sighting) { frames++ })
	w.Run(10 * time.Second)
	if err := failed(); err != nil || frames == 0 {
		t.Fatalf("%d frames, %v", frames, err)
	}
	r, err := pcap.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if frames--; p.Channel != 15 || !p.HasFCS || p.Comment != "0" {
			t.Fatalf("%+v", p)
		}
	}
	if frames != 0 {
		t.Errorf("%d frames missing", frames)
	}
}

// A node that is dead says nothing; its state is there when it is back.
func TestKillAndRestart(t *testing.T) {
	for _, spinel := range []bool{false, true} {
		w := network(t, 2, 1, func(_ int, c *sim.Config) { c.Spinel = spinel })
		n := w.Nodes()[0]
		w.Run(10 * time.Second)
		if n.MLE().Role() != mle.Leader {
			t.Fatalf("spinel %v: %v", spinel, n.MLE().Role())
		}
		ext := n.MAC().Ext()
		n.Kill()
		frames := 0
		w.Tap(func(medium.Sighting) { frames++ })
		w.Run(time.Minute)
		if frames != 0 || n.Alive() {
			t.Errorf("spinel %v: %d frames of a dead node", spinel, frames)
		}
		n.Restart()
		if n.MAC().Ext() != ext || n.Datasets().Active() == nil || n.Up() {
			t.Errorf("spinel %v: not the same node", spinel)
		}
		w.Run(time.Second)
		if !n.MAC().Up() {
			t.Errorf("spinel %v: its radio is down", spinel)
		}
	}
}

// The line to a co-processor passes what befalls it to the link.
func TestLine(t *testing.T) {
	w := sim.New(3, sim.Options{})
	n := w.Add(sim.Config{Spinel: true})
	w.Run(time.Second)
	state := func(want spinel.State, after string) {
		t.Helper()
		if got := n.Line().Link().State(); got != want {
			t.Errorf("%v after %s, want %v", got, after, want)
		}
	}
	state(spinel.Ready, "the start")
	n.Line().Unplug(io.ErrUnexpectedEOF)
	w.Run(time.Second)
	state(spinel.Absent, "pulling the plug")
	n.Line().Plug()
	w.Run(time.Second)
	state(spinel.Ready, "plugging it in")
	n.Line().Crash(spinel.StatusResetWatchdog)
	w.Run(time.Second)
	state(spinel.Ready, "a crash")
	if s := n.Line().Link().Stats(); s.SelfResets != 1 {
		t.Errorf("%+v", s)
	}
	n.Line().Hang()
	var reopened int
	n.Line().Events = func(e spinel.Event) {
		if e.Kind == spinel.EventReopen {
			reopened++
		}
	}
	w.Run(2 * time.Minute)
	if reopened == 0 || n.MAC().Up() {
		t.Errorf("asked for the device to be opened anew %d times, up %v", reopened, n.MAC().Up())
	}
	n.Line().Unplug(io.EOF)
	n.Line().Plug()
	w.Run(time.Second)
	state(spinel.Ready, "plugging a hung one in again")
}

// A thousand nodes live in one world.
func TestThousandNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	w := sim.New(4, sim.Options{})
	d, err := meshcop.NewRandom(w.Add(sim.Config{}).Random(), meshcop.AllChannels(), meshcop.AllChannels())
	if err != nil {
		t.Fatal(err)
	}
	const side, apart = 32, 12 // metres
	for i := 1; i < 1000; i++ {
		kind := sim.MTD
		if i%10 == 0 {
			kind = sim.FTD
		}
		w.Add(sim.Config{Kind: kind, Place: &sim.Place{X: apart * float64(i%side), Y: apart * float64(i/side)}})
	}
	w.Nodes()[0].Station().Place(apart*side/2, apart*side/2)
	for i, n := range w.Nodes() {
		w.Clock().After(time.Duration(i)*100*time.Millisecond, func() {
			n.Do(func() {
				n.SetActiveDataset(&d)
				n.InterfaceUp()
				_ = n.Start()
			})
		})
	}
	began := time.Now()
	w.Run(3 * time.Minute)
	roles := map[mle.Role]int{}
	for _, n := range w.Nodes() {
		roles[n.MLE().Role()]++
	}
	t.Logf("%v, %+v, %v", roles, w.Air().Stats(), time.Since(began))
	if roles[mle.Child]+roles[mle.Router]+roles[mle.Leader] < 900 {
		t.Errorf("roles %v", roles)
	}
}
