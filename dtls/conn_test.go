package dtls

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	good := func() Config {
		return Config{Secret: []byte("J01NME"), Rand: &hashReader{}, Send: func([]byte) {}}
	}
	tests := []struct {
		name  string
		spoil func(*Config)
		says  string
	}{
		{"no secret", func(c *Config) { c.Secret = nil }, "secret of 0 bytes"},
		{"long secret", func(c *Config) { c.Secret = make([]byte, 33) }, "secret of 33 bytes"},
		{"no randomness", func(c *Config) { c.Rand = nil }, "randomness"},
		{"no way out", func(c *Config) { c.Send = nil }, "send"},
		{"small MTU", func(c *Config) { c.MTU = 127 }, "MTU of 127"},
		{"negative wait", func(c *Config) { c.Initial = -1 }, "retransmission"},
		{"max below initial", func(c *Config) { c.Initial, c.Max = 2*time.Second, time.Second }, "retransmission"},
		{"negative limit", func(c *Config) { c.HandshakeTimeout = -1 }, "handshake timeout"},
		{"randomness that ends", func(c *Config) { c.Rand = strings.NewReader("little") }, "client random"},
	}
	for _, tt := range tests {
		cfg := good()
		tt.spoil(&cfg)
		if _, err := Client(cfg, epoch); err == nil || !strings.HasPrefix(err.Error(), "dtls: ") || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := Client(good(), epoch); err != nil {
		t.Error(err)
	}
}

// Without an answer the hello is repeated at the times of the configuration,
// with new record numbers, until a wait of Max has passed.
func TestRetransmission(t *testing.T) {
	tests := []struct {
		name                string
		initial, max, limit time.Duration
		want                []time.Duration // after the start; the last is the timeout
	}{
		{"default", 0, 0, 0, []time.Duration{1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second, 63 * time.Second, 123 * time.Second}},
		{"as OpenThread's joiner", 8 * time.Second, 60 * time.Second, 0, []time.Duration{8 * time.Second, 24 * time.Second, 56 * time.Second, 116 * time.Second}},
		{"with a limit", 8 * time.Second, 60 * time.Second, 30 * time.Second, []time.Duration{8 * time.Second, 24 * time.Second, 30 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sent [][]byte
			var closed []error
			c, err := Client(Config{
				Secret: []byte("J01NME"), Rand: &hashReader{}, Initial: tt.initial, Max: tt.max, HandshakeTimeout: tt.limit,
				Send:   func(b []byte) { sent = append(sent, b) },
				Closed: func(err error) { closed = append(closed, err) },
			}, epoch)
			if err != nil {
				t.Fatal(err)
			}
			var got []time.Duration
			for !c.Deadline().IsZero() {
				d := c.Deadline()
				n := len(sent)
				c.Tick(d.Add(-1)) // early
				if len(sent) != n {
					t.Fatal("sent before the deadline")
				}
				c.Tick(d)
				got = append(got, d.Sub(epoch))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("deadlines %v, want %v", got, tt.want)
			}
			if c.Err() != ErrTimeout || len(closed) != 1 || closed[0] != ErrTimeout {
				t.Errorf("ended with %v, Closed with %v", c.Err(), closed)
			}
			if len(sent) != len(tt.want)+1 { // the hello and its repetitions, then close_notify
				t.Errorf("%d datagrams, want %d", len(sent), len(tt.want)+1)
			}
			for i, b := range sent {
				if r, _, _ := nextRecord(b); r.seq != uint64(i) {
					t.Errorf("datagram %d has number %d", i, r.seq)
				}
			}
		})
	}
}

// A server that nobody speaks to waits for ever, or up to its limit, in
// silence.
func TestServerAlone(t *testing.T) {
	sent := 0
	cfg := Config{Secret: []byte("J01NME"), Rand: &hashReader{}, Send: func([]byte) { sent++ }}
	c, err := Server(cfg, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Deadline().IsZero() {
		t.Errorf("deadline %v", c.Deadline())
	}
	cfg.HandshakeTimeout = time.Minute
	if c, err = Server(cfg, epoch); err != nil {
		t.Fatal(err)
	}
	c.Tick(c.Deadline())
	if c.Err() != ErrTimeout || sent != 0 {
		t.Errorf("%v, %d datagrams", c.Err(), sent)
	}
}

// Close tells the peer, which answers; keys are gone on both sides.
func TestClose(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.mustEstablish()
	p.run(p.idle)
	n := len(p.sent)
	p.client.Close()
	p.client.Close()
	p.run(p.idle)
	if p.client.Err() != ErrClosed || p.server.Err() != ErrPeerClosed || !errors.Is(p.server.Err(), ErrClosed) {
		t.Errorf("client %v, server %v", p.client.Err(), p.server.Err())
	}
	if len(p.sent)-n != 2 {
		t.Errorf("%d datagrams, want a close_notify each way", len(p.sent)-n)
	}
	for i, c := range []*Conn{p.client, p.server} {
		if c.Established() || c.KEK() != [16]byte{} || c.kek != [16]byte{} || c.master != [masterLen]byte{} || c.out.aead != nil || c.in.aead != nil {
			t.Errorf("end %d keeps keys", i)
		}
		if err := c.Write([]byte("x")); err != c.Err() {
			t.Errorf("end %d: Write gives %v, want %v", i, err, c.Err())
		}
		if len(p.closed[i]) != 1 {
			t.Errorf("end %d: Closed was called %d times", i, len(p.closed[i]))
		}
	}
}

// The master secret goes with the handshake, the transcript too.
func TestForget(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.mustEstablish()
	for i, c := range []*Conn{p.client, p.server} {
		if c.master != [masterLen]byte{} || c.transcript != nil || c.cfg.Secret != nil {
			t.Errorf("end %d keeps what only the handshake needs", i)
		}
		if _, err := c.exchange.RoundOne(); err == nil {
			t.Errorf("end %d keeps the key exchange", i)
		}
	}
}

func TestWrite(t *testing.T) {
	p := newPair(t, pairConfig{})
	if err := p.client.Write([]byte("x")); err != ErrNotEstablished {
		t.Errorf("before the end of the handshake: %v", err)
	}
	p.mustEstablish()
	p.run(p.idle)
	if err := p.client.Write(make([]byte, p.client.MaxWrite()+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too much: %v", err)
	}
	if err := p.client.Write(nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
	p.run(p.idle)
	if len(p.got[1]) != 1 || len(p.got[1][0]) != 0 {
		t.Errorf("received %x", p.got[1])
	}
	p.client.recordSeq[1] = maxSequence + 1
	if err := p.client.Write([]byte("x")); err != errSequence {
		t.Errorf("after 2^48 records: %v", err)
	}
}

// Callbacks may write and close.
func TestCallbacks(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.client.cfg.Established = func() {
		if err := p.client.Write([]byte("at once")); err != nil {
			t.Error(err)
		}
	}
	p.server.cfg.Receive = func(b []byte) {
		if string(b) == "at once" {
			p.server.Close()
		}
	}
	p.run(p.bothClosed)
	if p.server.Err() != ErrClosed || p.client.Err() != ErrPeerClosed {
		t.Errorf("client %v, server %v", p.client.Err(), p.server.Err())
	}
}

// What anybody can send has no effect on an established session, nor has an
// authentic message that would start another handshake.
func TestEstablishedIsDeaf(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.mustEstablish()
	p.run(p.idle)
	n := len(p.sent)
	hello := message{typ: clientHelloType, seq: 7, body: appendClientHello(nil, [32]byte{}, nil, nil)}.append(nil)
	for _, c := range []*Conn{p.client, p.server} {
		peer := p.client
		if c == p.client {
			peer = p.server
		}
		for _, r := range []record{
			{typ: typeAlert, version: version12, seq: 1000, fragment: []byte{levelFatal, byte(AlertBadRecordMAC)}},
			{typ: typeAlert, version: version12, seq: 1001, fragment: []byte{levelWarning, byte(AlertCloseNotify)}},
			{typ: typeHandshake, version: version12, seq: 1002, fragment: hello},
			{typ: typeApplicationData, version: version12, seq: 1003, fragment: []byte("plain")},
			{typ: typeApplicationData, version: version12, epoch: 1, seq: 1004, fragment: make([]byte, 40)},
			{typ: typeHandshake, version: version12, epoch: 1, seq: 1005, fragment: make([]byte, sealedFinished)},
			{typ: typeApplicationData, version: version12, epoch: 2, seq: 1006, fragment: make([]byte, 40)},
		} {
			c.Handle(p.now, r.append(nil))
		}
		for _, r := range []record{
			{typ: typeHandshake, version: version12, epoch: 1, seq: 2000, fragment: hello},
			{typ: typeHandshake, version: version12, epoch: 1, seq: 2001, fragment: message{typ: helloRequest}.append(nil)},
			{typ: typeAlert, version: version12, epoch: 1, seq: 2002, fragment: []byte{levelWarning, byte(AlertNoRenegotiation)}},
			{typ: typeAlert, version: version12, epoch: 1, seq: 2003, fragment: []byte{levelFatal}},
			{typ: 99, version: version12, epoch: 1, seq: 2004, fragment: []byte("?")},
		} {
			c.Handle(p.now, peer.out.seal(nil, r))
		}
	}
	if !p.bothEstablished() || len(p.sent) != n || p.got[0] != nil || p.got[1] != nil {
		t.Errorf("client %v, server %v, %d datagrams, data %x", p.client.Err(), p.server.Err(), len(p.sent)-n, p.got)
	}
}

// A fatal alert of the established peer is known as such.
func TestRemoteAlert(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.mustEstablish()
	p.server.Handle(p.now, p.client.out.seal(nil, record{
		typ: typeAlert, version: version12, epoch: 1, seq: 50, fragment: []byte{levelFatal, byte(AlertInternalError)},
	}))
	var a *AlertError
	if err := p.server.Err(); !errors.As(err, &a) || !a.Remote || a.Alert != AlertInternalError || errors.Is(err, ErrWrongSecret) {
		t.Errorf("got %v", p.server.Err())
	}
	if want := "dtls: the peer sent a fatal alert: internal_error"; p.server.Err().Error() != want {
		t.Errorf("%q, want %q", p.server.Err(), want)
	}
}

// serverAtFinished is a server that waits for Finished.
func serverAtFinished(t *testing.T) *pair {
	t.Helper()
	p := newPair(t, pairConfig{})
	p.run(func() bool { return p.client.state == waitFinished })
	last := p.sent[len(p.sent)-1]
	r, _, _ := nextRecord(last)
	p.server.Handle(p.now, last[:recordHeaderLen+len(r.fragment)])
	if p.server.state != waitFinished {
		t.Fatalf("server in state %v", p.server.state)
	}
	return p
}

// Only a protected record that can be Finished, or a fragment of it, tells of
// a wrong secret.
func TestUnauthenticFinished(t *testing.T) {
	tests := []struct {
		name  string
		typ   uint8
		n     int
		wrong bool
	}{
		{"Finished", typeHandshake, sealedFinished, true},
		{"fragment of it", typeHandshake, sealedOverhead + messageHeaderLen + 1, true},
		{"longer", typeHandshake, sealedFinished + 1, false},
		{"data", typeApplicationData, sealedFinished, false},
		{"alert", typeAlert, sealedOverhead + 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := serverAtFinished(t)
			p.server.Handle(p.now, record{typ: tt.typ, version: version12, epoch: 1, fragment: make([]byte, tt.n)}.append(nil))
			if got := errors.Is(p.server.Err(), ErrWrongSecret); got != tt.wrong {
				t.Errorf("ended with %v", p.server.Err())
			}
		})
	}
}

// The alert by which mbedTLS reports a wrong secret is in plain text. It counts
// while Finished is awaited; other fatal alerts end the handshake too.
func TestPlainAlert(t *testing.T) {
	for _, tt := range []struct {
		alert Alert
		wrong bool
	}{{AlertBadRecordMAC, true}, {AlertDecryptError, true}, {AlertHandshakeFailure, false}} {
		p := newPair(t, pairConfig{})
		p.run(func() bool { return p.client.state == waitFinished })
		p.client.Handle(p.now, record{
			typ: typeAlert, version: version12, seq: 9, fragment: []byte{levelFatal, byte(tt.alert)},
		}.append(nil))
		var a *AlertError
		if err := p.client.Err(); !errors.As(err, &a) || !a.Remote || errors.Is(err, ErrWrongSecret) != tt.wrong {
			t.Errorf("%v: %v", tt.alert, err)
		}
	}
}

// Finished with another content, in a record that opens, is refused by
// decrypt_error.
func TestFinishedMismatch(t *testing.T) {
	p := serverAtFinished(t)
	m := message{typ: finishedType, seq: p.server.recv.next, body: make([]byte, verifyDataLen)}
	p.server.Handle(p.now, p.client.out.seal(nil, record{typ: typeHandshake, version: version12, epoch: 1, seq: 9, fragment: m.append(nil)}))
	var a *AlertError
	if err := p.server.Err(); !errors.As(err, &a) || a.Alert != AlertDecryptError || !errors.Is(err, ErrWrongSecret) {
		t.Errorf("got %v", err)
	}
}

// A server answers a repeated first ClientHello by the same request again, and
// one with a cookie that does not hold, by a new one.
func TestRepeatedHello(t *testing.T) {
	var toServer, toClient [][]byte
	s, err := Server(Config{
		Secret: []byte("J01NME"), Rand: &hashReader{seed: "s"}, CookieKey: []byte("a key of cookies"), PeerID: []byte("peer"),
		Send: func(b []byte) { toClient = append(toClient, b) },
	}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Client(Config{
		Secret: []byte("J01NME"), Rand: &hashReader{seed: "c"},
		Send: func(b []byte) { toServer = append(toServer, b) },
	}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	s.Handle(epoch, toServer[0])
	c.Tick(c.Deadline())
	s.Handle(epoch, toServer[1])
	if len(toClient) != 2 || !bytes.Equal(toClient[0][recordHeaderLen:], toClient[1][recordHeaderLen:]) {
		t.Fatalf("answers %x", toClient)
	}
	c.Handle(epoch, toClient[1])
	s.cfg.CookieKey = []byte("a fresh key")
	s.Handle(epoch, toServer[2])
	c.Handle(epoch, toClient[2])
	if c.cookies != 2 || s.state != waitHello {
		t.Fatalf("%d cookies, server in state %v (%v)", c.cookies, s.state, s.Err())
	}
	for len(toServer) > 3 || len(toClient) > 3 {
		if len(toServer) > 3 {
			s.Handle(epoch, toServer[3])
			toServer = slices.Delete(toServer, 3, 4)
		}
		if len(toClient) > 3 {
			c.Handle(epoch, toClient[3])
			toClient = slices.Delete(toClient, 3, 4)
		}
	}
	if !c.Established() || !s.Established() {
		t.Errorf("client %v, server %v", c.Err(), s.Err())
	}
}

// A front lets only the hello pass that brings the cookie for its peer; the
// server made then goes on with the client's numbers.
func TestFront(t *testing.T) {
	front := Front{Key: []byte("a key of cookies")}
	var sent [][]byte
	c, err := Client(Config{
		Secret: []byte("J01NME"), Rand: &hashReader{seed: "c"}, Send: func(b []byte) { sent = append(sent, b) },
	}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	c.Tick(c.Deadline()) // the first one was lost
	reply, ok := front.Check([]byte("peer"), sent[1])
	if ok || reply == nil {
		t.Fatalf("first hello: %x, %t", reply, ok)
	}
	if r, _, _ := nextRecord(reply); r.seq != 1 {
		t.Errorf("request in record %d, the hello was in 1", r.seq)
	}
	c.Handle(epoch, reply)
	hello := sent[2]
	if again, ok := front.Check([]byte("other"), hello); ok || again == nil {
		t.Errorf("other peer with this cookie: %x, %t", again, ok)
	}
	front = Front{Key: []byte("a fresh key"), Previous: front.Key}
	if _, ok := front.Check([]byte("peer"), hello); !ok {
		t.Error("cookie of the previous key refused")
	}
	if _, ok := (&Front{Key: []byte("a fresh key")}).Check([]byte("peer"), hello); ok {
		t.Error("cookie of an unknown key taken")
	}
	var s *Conn
	s, err = Server(Config{
		Secret: []byte("J01NME"), Rand: &hashReader{seed: "s"}, Send: func(b []byte) { c.Handle(epoch, b) },
	}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	s.Handle(epoch, hello)
	s.Handle(epoch, sent[3])
	if !c.Established() || !s.Established() {
		t.Errorf("client %v, server %v", c.Err(), s.Err())
	}
	for name, b := range map[string][]byte{
		"cut":          hello[:len(hello)-1],
		"not a hello":  sent[3],
		"empty":        nil,
		"of epoch one": record{typ: typeHandshake, version: version12, epoch: 1, fragment: hello[recordHeaderLen:]}.append(nil),
	} {
		if reply, ok := front.Check([]byte("peer"), b); ok || reply != nil {
			t.Errorf("%s: %x, %t", name, reply, ok)
		}
	}
}
