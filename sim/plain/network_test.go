package plain

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/pana"
	"gatewayd/wpan"
)

// lab is a coordinator and devices, all of them with one pre-shared key.
type lab struct {
	*World
	t     *testing.T
	key   *psk.Key
	root  *Node
	rand  *rand.ChaCha8
	count map[pana.EventKind]int
}

var labKey = []byte("0123456789abcdef")

func newLab(t *testing.T, seed uint64, change func(*wpan.Config)) *lab {
	t.Helper()
	l := &lab{World: New(seed, Began), t: t, rand: rand.NewChaCha8([32]byte{byte(seed)}), count: map[pana.EventKind]int{}}
	var err error
	if l.key, err = psk.NewKey(labKey); err != nil {
		t.Fatal(err)
	}
	server := &psk.Server{ID: "gateway", Rand: l.rand, Lookup: func(string) *psk.Key { return l.key }}
	id, _ := wpan.ParseNetworkID("lab")
	c := wpan.Config{Role: wpan.Coordinator,
		Network: wpan.Network{Channel: 15, PANID: 0xabcd, ID: id, Prefix: netip.MustParsePrefix("fd00:1::/64")},
		Backend: &eap.Local{Rand: l.rand, Methods: func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{server} }},
		Session: func(e pana.Event) { l.count[e.Kind]++ },
		Log:     l.logged("root"),
	}
	if change != nil {
		change(&c)
	}
	if l.root, err = l.Add(Config{Name: "root", Config: c}); err != nil {
		t.Fatal(err)
	}
	l.root.Do(l.root.Start)
	return l
}

func (l *lab) logged(name string) func(wpan.Event) {
	return func(e wpan.Event) {
		l.t.Logf("%8.3f %s: %s %v %v", l.Now().Sub(Began).Seconds(), name, e.Text, e.Attrs, e.Err)
	}
}

func (l *lab) device(name string, role wpan.Role, key *psk.Key, change func(*wpan.Config)) *Node {
	l.t.Helper()
	c := wpan.Config{Role: role, Channels: 1<<15 | 1<<20, Log: l.logged(name),
		Peer: func() (wpan.EAPPeer, error) {
			return eap.NewPeer(eap.PeerConfig{Identity: name, Methods: []eap.PeerMethodFactory{&psk.Peer{Key: key, Rand: l.rand}}}), nil
		}}
	if change != nil {
		change(&c)
	}
	n, err := l.Add(Config{Name: name, Config: c})
	if err != nil {
		l.t.Fatal(err)
	}
	n.Do(n.Start)
	return n
}

func addressed(n *Node) bool { return len(n.Addresses()) > 1 }

// ping pings b from a and fails if fewer than want of ten are answered.
func (l *lab) ping(a, b *Node, size, want int) {
	l.t.Helper()
	if got := l.pings(a, b, size); got < want {
		l.t.Errorf("%s pings %s with %d bytes: %d of 10 answered; %+v %+v", a.Name, b.Name, size, got, a.Counters, b.Counters)
	}
}

// pings is how many of ten pings of b from a are answered.
func (l *lab) pings(a, b *Node, size int) int {
	l.t.Helper()
	got, done := 0, false
	addrs := b.Addresses()
	p := &wpan.Ping{Dst: addrs[len(addrs)-1], Size: size, Count: 10, Interval: time.Second, Timeout: 3 * time.Second,
		Done: func(_, received int) { got, done = received, true }}
	a.Do(func() {
		if !a.Ping(p) {
			l.t.Fatal("no ping")
		}
	})
	l.RunUntil(30*time.Second, func() bool { return done })
	return got
}

func TestNeighbourJoins(t *testing.T) {
	l := newLab(t, 1, nil)
	d := l.device("lamp", wpan.Host, l.key, nil)
	l.Link(l.root.Station, d.Station, 0)
	if !l.RunUntil(30*time.Second, func() bool { return addressed(d) }) {
		t.Fatalf("not in the network: %+v %+v", d.Counters, d.MAC().Counters)
	}
	t.Logf("joined after %v", l.Now().Sub(Began))
	for _, size := range []int{16, 500, 1232} {
		l.ping(l.root, d, size, 10)
		l.ping(d, l.root, size, 10)
	}
}

func TestRelayedJoins(t *testing.T) {
	l := newLab(t, 2, nil)
	r1 := l.device("r1", wpan.Router, l.key, nil)
	l.Link(l.root.Station, r1.Station, 0)
	if !l.RunUntil(60*time.Second, func() bool { return addressed(r1) }) {
		t.Fatal("r1 is not in the network")
	}
	r2 := l.device("r2", wpan.Router, l.key, nil)
	l.Link(r1.Station, r2.Station, 0)
	if !l.RunUntil(120*time.Second, func() bool { return addressed(r2) }) {
		t.Fatal("r2 is not in the network")
	}
	h := l.device("h", wpan.Host, l.key, nil)
	l.Link(r2.Station, h.Station, 0)
	if !l.RunUntil(120*time.Second, func() bool { return addressed(h) }) {
		t.Fatal("h is not in the network")
	}
	l.Run(20 * time.Second)
	for _, d := range []*Node{r1, r2, h} {
		for _, size := range []int{16, 500, 1200} {
			l.ping(l.root, d, size, 10)
			l.ping(d, l.root, size, 10)
		}
	}
	l.ping(h, r1, 16, 10)
}
