package pana

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

// heap is how much is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Sessions take less than 2 KiB of heap each; a new key reaches all of them,
// and all authenticate again, within five minutes and without a failure. The
// benchmark does the same with 50,000.
func TestManySessions(t *testing.T) { manySessions(t, 2000) }

func BenchmarkManySessions(b *testing.B) {
	for b.Loop() {
		perSession, storm := manySessions(b, 50000)
		b.ReportMetric(perSession, "B/session")
		b.ReportMetric(storm.Seconds(), "virtual-s/storm")
	}
}

func manySessions(t testing.TB, n int) (perSession float64, stormed time.Duration) {
	l := newLab(t, 1)
	events := map[EventKind]int{}
	p := l.serve(func(c *PAAConfig) {
		c.Encrypt = true
		c.Relay = func(netip.AddrPort) bool { return true }
		c.Event = func(e Event) { events[e.Kind]++ }
		c.Limits.Pace = 500
		c.Backend = largeBackend{testBackend{secret: "s", life: 24 * time.Hour}}
	})
	l.relay(preA, func(c *PREConfig) { c.Limits = Limits{ClientRate: 1e6, RelayRate: 1e6} })
	p.cfg.Limits.RelayRate = 1000

	// The clients' machines are first made, so that what is measured is the
	// agent's. The rest of them is what they allocate in a handshake.
	clients := make([]*PaC, n)
	got := 0
	for i := range clients {
		addr := clientAddr(i + 10)
		c, err := NewPaC(PaCConfig{Clock: l.clock, Random: chacha(uint64(i)), Jitter: l.rnd, Send: l.sender(addr),
			Peer:      func() Peer { return &testPeer{secret: "s", identity: fmt.Sprintf("device-%08d.example.org", i)} },
			Delivered: func([]AVP) { got++ }, Renew: -1})
		if err != nil {
			t.Fatal(err)
		}
		l.nodes[addr] = c.Receive
		clients[i] = c
	}
	for i, c := range clients {
		to := paaAddr
		if i%2 == 0 {
			to = preA
		}
		l.clock.After(time.Duration(i)*2*time.Millisecond, func() { c.Start(to) })
	}
	l.run(time.Duration(n)*2*time.Millisecond + time.Minute)
	want(t, "authorized", events[SessionAuthorized], n)

	push := l.clock.Now()
	want(t, "pushed to", p.PushAll([]AVP{netKey.AVP()}), n)
	for events[SessionPushed] < n && l.clock.Now().Sub(push) < 5*time.Minute {
		l.run(time.Second)
	}
	want(t, "acknowledged", events[SessionPushed], n)
	want(t, "received", got, n)
	t.Logf("a key reached %d clients in %v", n, l.clock.Now().Sub(push))

	storm := l.clock.Now()
	began := time.Now()
	want(t, "to re-authenticate", p.ReauthenticateAll(), n)
	// Half of the clients ask for it on their own at the same moment.
	for i, c := range clients {
		if i%2 == 1 {
			_ = c.Reauthenticate()
		}
	}
	for p.Counters.Reauths < uint64(n) && l.clock.Now().Sub(storm) < 5*time.Minute {
		l.run(time.Second)
	}
	stormed = l.clock.Now().Sub(storm)
	t.Logf("%d clients authenticated again in %v of virtual time, %v of real", n, stormed, time.Since(began))
	if p.Counters.Reauths < uint64(n) {
		t.Errorf("%d re-authentications", p.Counters.Reauths)
	}
	l.run(3 * time.Minute)
	want(t, "ended", events[SessionTerminated]+events[SessionRefused], 0)
	open := 0
	for _, c := range clients {
		if c.State() == Open {
			open++
		}
	}
	want(t, "clients with access", open, n)

	// What the agent holds, without the clients: all that goes away with it.
	for _, c := range clients {
		c.timer.Stop()
	}
	clear(clients)
	l.nodes = nil
	with := heap()
	p.Close()
	*p = PAA{}
	*l.clock = alarm.Clock{}
	perSession = float64(with-heap()) / float64(n)
	t.Logf("%.0f bytes of heap for each of %d sessions", perSession, n)
	if perSession > 2048 || perSession < 200 {
		t.Errorf("%.0f bytes for a session", perSession)
	}
	runtime.KeepAlive(l)
	return perSession, stormed
}

// largeBackend makes handshakes as large as those of EAP-TLS are.
type largeBackend struct{ testBackend }

func (b largeBackend) Converse(port eap.Port, answer func(eap.Result)) eap.Conversation {
	b.large = 1000
	return b.testBackend.Converse(port, answer)
}

// A full authentication, agent and client in one process, with SHA-256 and
// encryption of the network key.
func BenchmarkAuthentication(b *testing.B) {
	for _, m := range methods(b) {
		b.Run(m.name, func(b *testing.B) { benchmarkAuthentication(b, m) })
	}
}

func benchmarkAuthentication(b *testing.B, m method) {
	random := chacha(1)
	clock := &alarm.Clock{}
	clock.Set(day0)
	jitter := rand.New(rand.NewPCG(1, 1))
	type datagram struct {
		to netip.AddrPort
		b  []byte
	}
	var queue []datagram
	post := func(to netip.AddrPort, m []byte) { queue = append(queue, datagram{to, slices.Clone(m)}) }
	p, err := NewPAA(PAAConfig{Clock: clock, Random: random, Jitter: jitter, Send: post, Backend: m.backend(),
		Deliver: func(Info) []AVP { return []AVP{netKey.AVP()} }, Limits: Limits{ClientRate: 1e9}})
	if err != nil {
		b.Fatal(err)
	}
	got := 0
	c, err := NewPaC(PaCConfig{Clock: clock, Random: random, Jitter: jitter, Send: post, Peer: m.client,
		Delivered: func([]AVP) { got++ }})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Start(paaAddr)
		for len(queue) > 0 {
			d := queue[0]
			queue = queue[1:]
			if d.to == paaAddr {
				p.Receive(Datagram{From: pacAddr, HopLimit: 255, Payload: d.b})
			} else {
				c.Receive(Datagram{From: paaAddr, HopLimit: 255, Payload: d.b})
			}
		}
		queue = nil
	}
	if got != b.N || p.Counters.Authorized != uint64(b.N) {
		b.Fatalf("%d of %d authentications", p.Counters.Authorized, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "auth/s")
}
