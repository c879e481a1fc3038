package dtls

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A flown datagram is on its way between the two ends.
type flown struct {
	at       time.Time
	toServer bool
	b        []byte
}

// pair is two ends joined by a link that may lose, repeat and overtake, on
// virtual time. Everything follows from the seed.
type pair struct {
	tb             testing.TB
	rng            *rand.Rand
	now            time.Time
	loss, repeat   float64
	jitter         time.Duration // added to a delay of 5 ms
	air            []flown
	client, server *Conn
	got            [2][][]byte // received by client, by server
	sent           [][]byte    // every datagram, lost ones too
	closed         [2][]error  // calls of Closed at client, at server
}

type pairConfig struct {
	seed           uint64
	loss, repeat   float64
	jitter         time.Duration
	client, server Config
}

var epoch = time.Unix(1_700_000_000, 0)

func newPair(tb testing.TB, pc pairConfig) *pair {
	tb.Helper()
	p := &pair{
		tb: tb, rng: rand.New(rand.NewPCG(pc.seed, 1)), now: epoch,
		loss: pc.loss, repeat: pc.repeat, jitter: pc.jitter,
	}
	complete := func(cfg Config, side int, secretSeed string) Config {
		if cfg.Secret == nil {
			cfg.Secret = []byte("J01NME")
		}
		cfg.Rand = &hashReader{seed: fmt.Sprint(secretSeed, pc.seed)}
		cfg.Send = func(b []byte) { p.send(b, side == 0) }
		cfg.Receive = func(b []byte) { p.got[side] = append(p.got[side], b) }
		cfg.Closed = func(err error) { p.closed[side] = append(p.closed[side], err) }
		return cfg
	}
	var err error
	if p.server, err = Server(complete(pc.server, 1, "server"), p.now); err != nil {
		tb.Fatal(err)
	}
	if p.client, err = Client(complete(pc.client, 0, "client"), p.now); err != nil {
		tb.Fatal(err)
	}
	return p
}

func (p *pair) send(b []byte, toServer bool) {
	p.sent = append(p.sent, b)
	for {
		if p.rng.Float64() >= p.loss {
			at := p.now.Add(5 * time.Millisecond)
			if p.jitter > 0 {
				at = at.Add(time.Duration(p.rng.Int64N(int64(p.jitter))))
			}
			p.air = append(p.air, flown{at, toServer, b})
		}
		if p.rng.Float64() >= p.repeat {
			return
		}
	}
}

// run lets time pass until done says so or nothing is left to happen.
func (p *pair) run(done func() bool) {
	for range 20000 {
		if done() {
			return
		}
		next := time.Time{}
		earlier := func(t time.Time) {
			if !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
		earlier(p.client.Deadline())
		earlier(p.server.Deadline())
		for _, f := range p.air {
			earlier(f.at)
		}
		if next.IsZero() {
			return
		}
		if next.After(p.now) {
			p.now = next
		}
		for i := 0; i < len(p.air); i++ {
			if f := p.air[i]; !f.at.After(p.now) {
				p.air = slices.Delete(p.air, i, i+1)
				before := bytes.Clone(f.b)
				if f.toServer {
					p.server.Handle(p.now, f.b)
				} else {
					p.client.Handle(p.now, f.b)
				}
				if !bytes.Equal(before, f.b) {
					p.tb.Fatal("Handle changed its datagram")
				}
				i = -1
			}
		}
		p.client.Tick(p.now)
		p.server.Tick(p.now)
	}
	p.tb.Fatal("no end")
}

func (p *pair) bothEstablished() bool { return p.client.Established() && p.server.Established() }
func (p *pair) bothClosed() bool      { return p.client.Err() != nil && p.server.Err() != nil }
func (p *pair) idle() bool            { return len(p.air) == 0 }

// mustEstablish runs the handshake to its good end.
func (p *pair) mustEstablish() {
	p.tb.Helper()
	p.run(p.bothEstablished)
	if !p.bothEstablished() {
		p.tb.Fatalf("client %v (%v), server %v (%v)", p.client.state, p.client.Err(), p.server.state, p.server.Err())
	}
}

// Handshakes of every MTU, with and without cookies, lead to the same KEK and
// carry data, in datagrams no longer than allowed.
func TestHandshake(t *testing.T) {
	for _, mtu := range []int{minMTU, 200, 300, 512, 1024, DefaultMTU, 4096} {
		for _, cookie := range []string{"", "a key of cookies"} {
			t.Run(fmt.Sprintf("mtu %d cookie %t", mtu, cookie != ""), func(t *testing.T) {
				p := newPair(t, pairConfig{
					client: Config{MTU: mtu},
					server: Config{MTU: mtu, CookieKey: []byte(cookie), PeerID: []byte("peer")},
				})
				p.mustEstablish()
				if p.client.KEK() != p.server.KEK() || p.client.KEK() == [16]byte{} {
					t.Errorf("KEKs %x and %x", p.client.KEK(), p.server.KEK())
				}
				up, down := bytes.Repeat([]byte{1}, p.client.MaxWrite()), []byte("down")
				if err := p.client.Write(up); err != nil {
					t.Fatal(err)
				}
				if err := p.server.Write(down); err != nil {
					t.Fatal(err)
				}
				p.run(p.idle)
				if len(p.got[1]) != 1 || !bytes.Equal(p.got[1][0], up) {
					t.Errorf("server received %x", p.got[1])
				}
				if len(p.got[0]) != 1 || !bytes.Equal(p.got[0][0], down) {
					t.Errorf("client received %x", p.got[0])
				}
				for _, b := range p.sent {
					if len(b) > mtu {
						t.Errorf("datagram of %d bytes", len(b))
					}
				}
			})
		}
	}
}

// With the default MTU the handshake is the six datagrams of RFC 6347 Figure 1.
func TestDatagrams(t *testing.T) {
	p := newPair(t, pairConfig{server: Config{CookieKey: []byte("a key of cookies")}})
	p.mustEstablish()
	if len(p.sent) != 6 {
		t.Errorf("%d datagrams, want 6", len(p.sent))
	}
	if d := p.now.Sub(epoch); d != 30*time.Millisecond {
		t.Errorf("took %v, want 30ms", d)
	}
}

// Nearly every handshake survives a link that loses 30 % of its datagrams, be
// it orderly or not.
func TestLoss(t *testing.T) {
	tests := []struct {
		name   string
		repeat float64
		jitter time.Duration
	}{
		{"loss", 0, 0},
		{"loss, repetition and overtaking", 0.2, 50 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const runs, want = 200, 190
			good := 0
			for seed := range uint64(runs) {
				p := newPair(t, pairConfig{
					seed: seed, loss: 0.3, repeat: tt.repeat, jitter: tt.jitter,
					client: Config{MTU: 300}, server: Config{MTU: 300, CookieKey: []byte("a key of cookies")},
				})
				p.run(func() bool { return p.bothEstablished() || p.bothClosed() })
				if !p.bothEstablished() {
					continue
				}
				good++
				if p.client.KEK() != p.server.KEK() {
					t.Fatalf("seed %d: KEKs differ", seed)
				}
			}
			t.Logf("%d of %d handshakes established", good, runs)
			if good < want {
				t.Errorf("want %d at least", want)
			}
		})
	}
}

// Repeated and overtaken datagrams neither break a handshake nor make it
// longer, and data arrives once.
func TestRepetition(t *testing.T) {
	for seed := range uint64(50) {
		p := newPair(t, pairConfig{
			seed: seed, repeat: 0.5, jitter: 20 * time.Millisecond,
			client: Config{MTU: 200}, server: Config{MTU: 200, CookieKey: []byte("a key of cookies")},
		})
		p.mustEstablish()
		p.run(p.idle)
		for i := range 100 {
			if err := p.client.Write([]byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
			p.run(p.idle)
		}
		for i, b := range p.got[1] {
			if !bytes.Equal(b, []byte{byte(i)}) {
				t.Fatalf("seed %d: message %d is %x", seed, i, b)
			}
		}
		if len(p.got[1]) != 100 {
			t.Fatalf("seed %d: %d messages, want 100", seed, len(p.got[1]))
		}
	}
}

// Different secrets end the handshake on both sides, known for what they are,
// by a fatal bad_record_mac in plain text that the server sends.
func TestWrongSecret(t *testing.T) {
	p := newPair(t, pairConfig{
		client: Config{Secret: []byte("J01NMF")},
		server: Config{CookieKey: []byte("a key of cookies")},
	})
	p.run(p.bothClosed)
	for i, c := range []*Conn{p.client, p.server} {
		var a *AlertError
		if err := c.Err(); !errors.Is(err, ErrWrongSecret) || !errors.As(err, &a) || a.Alert != AlertBadRecordMAC || a.Remote != c.client {
			t.Errorf("end %d: %v", i, err)
		}
		if len(p.closed[i]) != 1 || p.closed[i][0] != c.Err() {
			t.Errorf("end %d: Closed was called with %v", i, p.closed[i])
		}
	}
	// What mbedTLS sends too: record 4 of epoch 0, fatal (2), bad_record_mac (20).
	last := p.sent[len(p.sent)-1]
	if want := unhex(t, "15fefd0000000000000004"+"0002"+"0214"); !bytes.Equal(last, want) {
		t.Errorf("last datagram\n%x, want\n%x", last, want)
	}
	if d := p.now.Sub(epoch); d > 100*time.Millisecond {
		t.Errorf("took %v", d)
	}
}

// On a link that loses a lot the ends find out or time out, but never agree.
func TestWrongSecretLoss(t *testing.T) {
	for seed := range uint64(20) {
		p := newPair(t, pairConfig{
			seed: seed, loss: 0.3, repeat: 0.1, jitter: 20 * time.Millisecond,
			client: Config{Secret: []byte("J01NMF"), MTU: 300}, server: Config{MTU: 300},
		})
		p.run(p.bothClosed)
		for i, c := range []*Conn{p.client, p.server} {
			if err := c.Err(); !errors.Is(err, ErrWrongSecret) && !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrPeerClosed) {
				t.Errorf("seed %d end %d: %v", seed, i, err)
			}
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		p := newPair(b, pairConfig{server: Config{CookieKey: []byte("a key of cookies")}})
		p.mustEstablish()
	}
}

func BenchmarkData(b *testing.B) {
	p := newPair(b, pairConfig{})
	p.mustEstablish()
	var datagram []byte
	p.client.cfg.Send = func(d []byte) { datagram = d }
	p.server.cfg.Receive = nil
	data := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.client.Write(data); err != nil {
			b.Fatal(err)
		}
		p.server.Handle(p.now, datagram)
	}
}
