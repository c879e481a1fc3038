package sim_test

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/sim"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/trel"
)

// trelNetwork makes nodes with one dataset and TREL, which do not hear each
// other unless a test links them, and starts them one second apart.
func trelNetwork(t *testing.T, seed uint64, nodes int, change func(i int, c *sim.Config)) (*sim.World, []*sim.Node) {
	t.Helper()
	w := sim.New(seed, sim.Options{})
	var d meshcop.Dataset
	for i := range nodes {
		c := sim.Config{TREL: true}
		if change != nil {
			change(i, &c)
		}
		n := w.Add(c)
		if i == 0 {
			var err error
			if d, err = meshcop.NewRandom(n.Random(), meshcop.AllChannels(), meshcop.MaskOf(1<<15)); err != nil {
				t.Fatal(err)
			}
		}
		n.SetActiveDataset(&d)
	}
	return w, w.Nodes()
}

func start(t *testing.T, w *sim.World, nodes ...*sim.Node) {
	t.Helper()
	for _, n := range nodes {
		n.InterfaceUp()
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		w.Run(time.Second)
	}
}

// onePartition runs until all nodes are routers of one partition with links to
// each other.
func onePartition(t *testing.T, w *sim.World, limit time.Duration, nodes ...*sim.Node) {
	t.Helper()
	if !w.RunUntil(limit, func() bool {
		one, _ := nodes[0].MLE().LeaderData()
		for _, n := range nodes {
			if d, ok := n.MLE().LeaderData(); !ok || d.Partition != one.Partition || n.MLE().Role() < mle.Router {
				return false
			}
		}
		return true
	}) {
		for _, n := range nodes {
			d, _ := n.MLE().LeaderData()
			t.Errorf("node %s is %v of partition %x", n.Name, n.MLE().Role(), d.Partition)
		}
		t.FailNow()
	}
}

// ping sends echo requests and returns how many were answered.
func ping(w *sim.World, from *sim.Node, to netip.Addr, count, size int) int {
	answered := 0
	from.Do(func() {
		from.IP().Ping(&ip.Ping{Dst: to, Size: size, Count: count, Interval: time.Second, Timeout: 2 * time.Second, HopLimit: 64,
			Reply: func(ip.Reply) { answered++ }})
	})
	w.Run(time.Duration(count)*time.Second + 2*time.Second)
	return answered
}

func links(a, b *sim.Node) *linksOf {
	n := a.Table().Find(ieee802154.ExtendedAddr(b.MAC().Ext()))
	if n == nil {
		return &linksOf{}
	}
	return &linksOf{n.Links.Known(), n.Links.Preference(link.Air), n.Links.Preference(link.TREL)}
}

type linksOf struct {
	known     link.Radios
	air, trel uint8
}

// Two nodes that have nothing but TREL between them form one partition, and
// datagrams of all sizes pass.
func TestTRELOnly(t *testing.T) {
	w, n := trelNetwork(t, 1, 2, nil)
	start(t, w, n...)
	onePartition(t, w, 3*time.Minute, n...)
	for _, size := range []int{8, 100, 1000, 1232} {
		if got := ping(w, n[0], n[1].MLEID(), 3, size); got != 3 {
			t.Errorf("%d of 3 echo requests of %d bytes were answered", got, size)
		}
	}
	if l := links(n[0], n[1]); l.known != link.Only(link.TREL) || l.trel < 220 {
		t.Errorf("links %+v", *l)
	}
	if c := n[0].TREL().Counters; c.Acked == 0 || c.Lost != 0 || c.Malformed != 0 || c.TxFailed != 0 {
		t.Errorf("counters %+v", c)
	}
}

// Without TREL nothing of it shows: no frame is tagged or goes twice.
func TestAirOnly(t *testing.T) {
	w, n := trelNetwork(t, 1, 2, func(_ int, c *sim.Config) { c.TREL = false })
	w.Link(n...)
	start(t, w, n...)
	onePartition(t, w, 3*time.Minute, n...)
	if got := ping(w, n[0], n[1].MLEID(), 3, 1000); got != 3 {
		t.Errorf("%d of 3 answered", got)
	}
	if l := links(n[0], n[1]); *l != (linksOf{}) || n[0].TREL() != nil {
		t.Errorf("links %+v", *l)
	}
}

// With both, unicast goes by TREL; when that fails, or the air does, the other
// takes over within a few attempts, and nobody loses a neighbour.
func TestOneLinkFails(t *testing.T) {
	w, n := trelNetwork(t, 2, 2, nil)
	w.Link(n...)
	start(t, w, n...)
	onePartition(t, w, 3*time.Minute, n...)
	if got := ping(w, n[0], n[1].MLEID(), 10, 100); got != 10 {
		t.Errorf("both links: %d of 10 answered", got)
	}
	if l := links(n[0], n[1]); l.known != link.AllRadios || l.trel < 220 || l.air < 220 {
		t.Errorf("links %+v", *l)
	}
	before := n[0].MAC().Counters.TxUnicast
	acked := n[0].TREL().Counters.Acked
	ping(w, n[0], n[1].MLEID(), 10, 100)
	if all, over := n[0].MAC().Counters.TxUnicast-before, n[0].TREL().Counters.Acked-acked; uint64(all) > over+1 {
		t.Errorf("%d unicast frames, %d of them over TREL", all, over)
	}

	// TREL goes silently: what was sent is not acknowledged.
	lost := func([]byte) bool { return true }
	n[0].DropTREL(lost)
	n[1].DropTREL(lost)
	if got := ping(w, n[0], n[1].MLEID(), 10, 100); got < 6 {
		t.Errorf("TREL is dead: %d of 10 answered", got)
	}
	if got := ping(w, n[0], n[1].MLEID(), 20, 100); got != 20 {
		t.Errorf("TREL has been dead for a while: %d of 20 answered", got)
	}
	n[0].DropTREL(nil)
	n[1].DropTREL(nil)
	if got := ping(w, n[0], n[1].MLEID(), 40, 100); got != 40 {
		t.Errorf("TREL is back: %d of 40 answered", got)
	}
	if l := links(n[0], n[1]); l.trel < 220 {
		t.Errorf("TREL was not found again: %+v", *l)
	}

	// The air goes.
	w.Cut(n[0], n[1])
	if got := ping(w, n[0], n[1].MLEID(), 20, 100); got != 20 {
		t.Errorf("the air is dead: %d of 20 answered", got)
	}

	// The air is back, and TREL's interface goes, which is known at once.
	w.Link(n...)
	w.Run(2 * time.Minute)
	n[0].Plug(false)
	n[1].Plug(false)
	if got := ping(w, n[0], n[1].MLEID(), 20, 100); got < 19 {
		t.Errorf("no interface: %d of 20 answered", got)
	}
	onePartition(t, w, time.Second, n...)
}

// A network in two places: the link between them goes and comes.
func TestTRELPartitionsMerge(t *testing.T) {
	w, n := trelNetwork(t, 3, 4, func(i int, c *sim.Config) { c.TREL = i < 2 })
	w.Link(n[0], n[2])
	w.Link(n[1], n[3])
	start(t, w, n...)
	onePartition(t, w, 5*time.Minute, n...)
	w.Run(time.Minute) // until all routes are known
	if got := ping(w, n[2], n[3].MLEID(), 10, 300); got != 10 {
		t.Errorf("%d of 10 passed air, TREL and air", got)
	}
	n[1].Plug(false)
	if !w.RunUntil(6*time.Minute, func() bool {
		a, _ := n[2].MLE().LeaderData()
		b, ok := n[3].MLE().LeaderData()
		return ok && a.Partition != b.Partition
	}) {
		t.Fatal("one partition without a link")
	}
	onePartition(t, w, 3*time.Minute, n[0], n[2])
	onePartition(t, w, 3*time.Minute, n[1], n[3])
	n[1].Plug(true)
	onePartition(t, w, 6*time.Minute, n...)
	w.Run(time.Minute)
	if got := ping(w, n[3], n[2].MLEID(), 10, 1000); got != 10 {
		t.Errorf("%d of 10 passed after the merge", got)
	}
}

// A node whose radio is gone goes on by TREL.
func TestTRELWithoutRadio(t *testing.T) {
	w, n := trelNetwork(t, 4, 2, func(i int, c *sim.Config) { c.Spinel = i == 0 })
	w.Link(n...)
	start(t, w, n...)
	onePartition(t, w, 3*time.Minute, n...)
	ping(w, n[0], n[1].MLEID(), 5, 100)
	n[0].Line().Unplug(io.EOF)
	if got := ping(w, n[0], n[1].MLEID(), 120, 100); got < 117 {
		t.Errorf("%d of 120 answered without a radio", got)
	}
	onePartition(t, w, time.Second, n...)
}

// Whoever only shares the link gets nowhere: packets of no network, of another,
// replayed ones and nonsense are counted, and the peers stay where they are.
func TestTRELForgeries(t *testing.T) {
	w, n := trelNetwork(t, 5, 2, nil)
	var heard [][]byte
	n[1].DropTREL(func(b []byte) bool { heard = append(heard, append([]byte(nil), b...)); return false })
	start(t, w, n...)
	onePartition(t, w, 3*time.Minute, n...)
	ping(w, n[0], n[1].MLEID(), 3, 100)

	evil := netip.MustParseAddrPort("[fe80::bad]:666")
	was := n[0].TREL().Peers()
	n[0].Do(func() {
		l := n[0].TREL()
		for _, b := range heard {
			l.Receive(evil, append([]byte(nil), b...))
		}
		for i := range 10000 {
			b := append([]byte(nil), heard[i%len(heard)]...)
			b[i%len(b)] ^= byte(i>>3 | 1)
			l.Receive(evil, b)
		}
		for i := range 10000 {
			l.Announced(trel.TXT{Ext: ieee802154.ExtAddr{2, byte(i >> 8), byte(i)}, ExtPANID: was[0].ExtPANID}, evil)
		}
		l.Announced(trel.TXT{Ext: was[0].Ext, ExtPANID: was[0].ExtPANID}, evil)
	})
	now := n[0].TREL().Peers()
	if len(now) > trel.MaxPeers {
		t.Errorf("%d peers", len(now))
	}
	for _, p := range now {
		if p.Ext == was[0].Ext && p.Addr != was[0].Addr {
			t.Errorf("the peer went to %v", p.Addr)
		}
	}
	if got := ping(w, n[0], n[1].MLEID(), 10, 100); got != 10 {
		t.Errorf("%d of 10 answered afterwards", got)
	}
	onePartition(t, w, time.Second, n...)
}

// A node that never had a radio joins by TREL, all the same.
func TestTRELBeforeTheRadio(t *testing.T) {
	w, n := trelNetwork(t, 6, 2, func(i int, c *sim.Config) { c.Spinel = i == 1 })
	n[1].Line().Unplug(io.EOF)
	start(t, w, n...)
	onePartition(t, w, 3*time.Minute, n...)
	if got := ping(w, n[0], n[1].MLEID(), 5, 1000); got != 5 {
		t.Errorf("%d of 5 answered", got)
	}
	n[1].Line().Plug()
	w.Link(n...)
	w.Run(2 * time.Minute)
	if l := links(n[1], n[0]); l.known != link.AllRadios {
		t.Errorf("with a radio: links %+v", *l)
	}
}

// What a node tells of its frame counter is true for both links, also if its
// radio counts by itself and has sent little.
func TestTRELCounterToldToNeighbours(t *testing.T) {
	w, n := trelNetwork(t, 7, 2, func(i int, c *sim.Config) { c.Spinel = i == 0 })
	w.Link(n...)
	start(t, w, n...)
	onePartition(t, w, 3*time.Minute, n...)
	ping(w, n[0], n[1].MLEID(), 300, 100) // by TREL
	n[1].Restart()
	start(t, w, n[1])
	onePartition(t, w, 3*time.Minute, n...)
	refused := n[1].MAC().Counters.RxErrSecurity
	n[0].DropTREL(func([]byte) bool { return true })
	n[1].DropTREL(func([]byte) bool { return true })
	ping(w, n[0], n[1].MLEID(), 10, 100)
	if got := ping(w, n[0], n[1].MLEID(), 20, 100); got != 20 {
		t.Errorf("%d of 20 answered by the air", got)
	}
	if c := n[1].MAC().Counters; c.RxErrSecurity != refused {
		t.Errorf("%d frames were refused", c.RxErrSecurity-refused)
	}
}
