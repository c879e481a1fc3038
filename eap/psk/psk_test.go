package psk

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"gatewayd/eap"
)

var sensorKey = []byte("sixteen octets..")

// world is a server that knows sensor-7, and that sensor.
type world struct {
	server Server
	peer   Peer
}

func newWorld(tb testing.TB) *world {
	key := mustKey(tb, sensorKey)
	return &world{
		server: Server{
			ID: "gateway",
			Lookup: func(id string) *Key {
				if id == "sensor-7" {
					return key
				}
				return nil
			},
			Rand: rand.Reader,
		},
		peer: Peer{ID: "sensor-7", Key: key, Rand: rand.Reader},
	}
}

func (w *world) sides() (*eap.Server, *eap.Peer) {
	s := eap.NewServer(eap.ServerConfig{
		Methods: func(string, eap.Port) []eap.ServerMethodFactory {
			return []eap.ServerMethodFactory{&w.server}
		},
		Port: eap.Port{Number: 7},
	})
	return s, eap.NewPeer(eap.PeerConfig{Identity: "@example.org", Methods: []eap.PeerMethodFactory{&w.peer}})
}

// run carries packets between the sides until one has no more to say. tap may
// alter or replace them; it gets requests and responses in turn.
func run(s *eap.Server, p *eap.Peer, tap func(n int, b []byte) []byte) (sr, pr eap.Result) {
	if tap == nil {
		tap = func(_ int, b []byte) []byte { return b }
	}
	sr = s.Begin()
	for n := 0; sr.Packet != nil; n += 2 {
		out := sr.Outcome
		if r := p.Receive(tap(n, sr.Packet)); r.Outcome != eap.Continue || r.Packet != nil {
			pr = r
		} else {
			return sr, r
		}
		if out != eap.Continue || pr.Packet == nil {
			return sr, pr
		}
		if r := s.Receive(tap(n+1, pr.Packet)); r.Packet != nil {
			sr = r
		} else {
			return r, pr
		}
	}
	return sr, pr
}

func TestAuthenticate(t *testing.T) {
	s, p := newWorld(t).sides()
	sr, pr := run(s, p, nil)
	if sr.Outcome != eap.Success || pr.Outcome != eap.Success || !bytes.Equal(sr.MSK, pr.MSK) ||
		!bytes.Equal(sr.EMSK, pr.EMSK) || len(sr.MSK) != 64 || bytes.Equal(sr.MSK, sr.EMSK) {
		t.Fatalf("%+v\n%+v", sr, pr)
	}
	if sr.Identity != "sensor-7" || pr.Identity != "gateway" || sr.Method != eap.TypePSK {
		t.Errorf("%q, %q, %v", sr.Identity, pr.Identity, sr.Method)
	}
}

func TestRefused(t *testing.T) {
	noEntry := errors.New("not at this port")
	tests := []struct {
		name   string
		change func(*world)
		server error
		peer   error
		says   string // part of the server's reason
	}{
		{"wrong key", func(w *world) { w.peer.Key = mustKey(t, make([]byte, 16)) }, ErrWrongKey, ErrNotProven, `"sensor-7"`},
		{"unknown peer", func(w *world) { w.peer.ID = "sensor-8" }, ErrUnknownPeer, ErrNotProven, `"sensor-8"`},
		// The key that is calculated with in place of one that is not there.
		{"unknown peer with the key of zeros", func(w *world) {
			w.peer.ID, w.peer.Key = "sensor-8", mustKey(t, make([]byte, 16))
		}, ErrUnknownPeer, ErrNotProven, ""},
		{"not authorized", func(w *world) {
			w.server.Authorize = func(id string, port eap.Port) error {
				if id == "sensor-7" && port.Number == 7 {
					return noEntry
				}
				return nil
			}
		}, noEntry, ErrNotAuthorized, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(w)
			s, p := w.sides()
			sr, pr := run(s, p, nil)
			if sr.Outcome != eap.Failure || !errors.Is(sr.Reason, tt.server) || sr.MSK != nil ||
				!strings.Contains(sr.Reason.Error(), tt.says) {
				t.Errorf("server: %+v", sr)
			}
			if pr.Outcome != eap.Failure || !errors.Is(pr.Reason, tt.peer) || pr.MSK != nil {
				t.Errorf("peer: %+v", pr)
			}
		})
	}
}

// An unexpected server is left before anything is said to it.
func TestWrongServer(t *testing.T) {
	w := newWorld(t)
	w.peer.ServerID = "other"
	s, p := w.sides()
	_, pr := run(s, p, nil)
	if pr.Outcome != eap.Failure || !errors.Is(pr.Reason, ErrWrongServer) || pr.Packet != nil {
		t.Errorf("%+v", pr)
	}
}

// A packet altered on its way is discarded, wherever it was altered, and the
// right one is taken after it.
func TestAltered(t *testing.T) {
	for n := 3; n <= 5; n++ { // second, third and fourth message
		for at := range 80 {
			if n == 3 && at == 5 {
				continue // reserved bits, that no MAC covers: ignored
			}
			s, p := newWorld(t).sides()
			failed := false
			sr, pr := run(s, p, func(i int, b []byte) []byte {
				if i != n || at >= len(b) {
					return b
				}
				forged := bytes.Clone(b)
				forged[at] ^= 4
				var r eap.Result
				if n%2 == 0 {
					r = p.Receive(forged)
				} else {
					r = s.Receive(forged)
				}
				switch {
				case r.Outcome == eap.Success:
					t.Fatalf("message %d altered at %d: %+v", n-1, at, r)
				case r.Outcome == eap.Failure:
					// Only the second message can be wrong with the server
					// not knowing who is to blame.
					failed = n == 3 && (errors.Is(r.Reason, ErrWrongKey) || errors.Is(r.Reason, ErrUnknownPeer))
					if !failed {
						t.Errorf("message %d altered at %d: %v", n-1, at, r.Reason)
					}
				case r.Packet != nil && !(n == 3 && at == 4): // a Nak is answered
					t.Errorf("message %d altered at %d: answered with %x", n-1, at, r.Packet)
				}
				return b
			})
			if !failed && (sr.Outcome != eap.Success || pr.Outcome != eap.Success) {
				t.Errorf("message %d altered at %d: then %+v, %+v", n-1, at, sr, pr)
			}
		}
	}
}

// third makes the server's third message with a payload of the test's.
func (w *world) third(t *testing.T, m *serverMethod, id uint8, second eap.Packet, payload ...byte) eap.Packet {
	t.Helper()
	if st := m.Next(second, id); st.Outcome != eap.Continue || st.Ignore {
		t.Fatalf("%+v", st)
	}
	key := mustKey(t, sensorKey)
	data := append([]byte{third}, m.randS[:]...)
	data = append(data, key.mac(&m.ch.cmac, []byte("gateway"), m.randP[:])[:]...)
	key.session(&m.randP, &m.ch.eaxState)
	data = m.ch.seal(data, eap.CodeRequest, id, 0, payload...)
	return eap.Packet{Code: eap.CodeRequest, Identifier: id, Type: eap.TypePSK, Data: data}
}

// What the peer makes of results and extensions (Section 5.3).
func TestChannel(t *testing.T) {
	tests := []struct {
		name    string
		payload []byte
		answer  []byte
		result  eap.Decision
		reason  error
	}{
		{"success", []byte{0x80}, []byte{0x80}, eap.DecideUncond, nil},
		{"reserved bits are ignored", []byte{0x9f}, []byte{0x80}, eap.DecideUncond, nil},
		{"failure", []byte{0xc0}, []byte{0xc0}, eap.DecideFail, ErrNotAuthorized},
		{"success with an extension", []byte{0xa0, 5, 1, 2, 3}, []byte{0xa0, 5}, eap.DecideUncond, nil},
		{"extension without a type", []byte{0xa0}, []byte{0x80}, eap.DecideUncond, nil},
		{"more to come", []byte{0x60, 5, 1}, []byte{0xe0, 5}, eap.DecideFail, ErrExtension},
		{"no result", []byte{0x00}, []byte{0xc0}, eap.DecideFail, ErrExtension},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			sm, err := w.server.Start(eap.ServerContext{})
			if err != nil {
				t.Fatal(err)
			}
			pm, err := w.peer.Start(eap.PeerContext{})
			if err != nil {
				t.Fatal(err)
			}
			m := sm.(*serverMethod)
			req := func(id uint8, data []byte) eap.Packet {
				return eap.Packet{Code: eap.CodeRequest, Identifier: id, Type: eap.TypePSK, Data: data}
			}
			resp := func(id uint8, data []byte) eap.Packet {
				return eap.Packet{Code: eap.CodeResponse, Identifier: id, Type: eap.TypePSK, Data: data}
			}
			st := pm.Next(req(1, m.Next(eap.Packet{}, 1).Data))
			st = pm.Next(w.third(t, m, 2, resp(1, st.Data), tt.payload...))
			if st.State != eap.MethodDone || st.Decision != tt.result || !errors.Is(st.Reason, tt.reason) ||
				(st.MSK != nil) != (tt.result == eap.DecideUncond) {
				t.Fatalf("%+v", st)
			}
			answer := resp(2, st.Data)
			payload, ok := m.ch.open(answer, st.Data[1+randLen:], 1)
			if !ok || !bytes.Equal(payload, tt.answer) {
				t.Errorf("answered %x, %v, want %x", payload, ok, tt.answer)
			}
		})
	}
}

// What the server makes of the peer's result.
func TestPeerResult(t *testing.T) {
	for _, payload := range [][]byte{{0xc0}, {0x40}, {0x00}, {0xe0, 5}} {
		w := newWorld(t)
		s, p := w.sides()
		var ch channel // the peer's, to speak in its place
		var randP block
		sr, _ := run(s, p, func(n int, b []byte) []byte {
			switch n {
			case 3:
				randP = block(b[22:38])
			case 5:
				mustKey(t, sensorKey).session(&randP, &ch.eaxState)
				in, err := eap.Decode(b)
				if err != nil {
					t.Fatal(err)
				}
				in.Data = ch.seal(in.Data[:1+randLen:1+randLen], eap.CodeResponse, in.Identifier, 1, payload...)
				return in.Append(nil)
			}
			return b
		})
		if sr.Outcome != eap.Failure || !errors.Is(sr.Reason, ErrPeerRefused) || sr.MSK != nil {
			t.Errorf("payload %x: %+v", payload, sr)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, n := range []int{0, 15, 17} {
		if k, err := NewKey(make([]byte, n)); err == nil || k != nil {
			t.Errorf("a key of %d octets is taken", n)
		}
	}
	dry := strings.NewReader("too short")
	long := strings.Repeat("x", maxIDLen+1)
	servers := []*Server{{ID: long, Rand: rand.Reader}, {Rand: dry}}
	for _, s := range servers {
		if m, err := s.Start(eap.ServerContext{}); err == nil || m != nil {
			t.Errorf("%.10q: started", s.ID)
		}
	}
	peers := []*Peer{{ID: long, Rand: rand.Reader}, {Rand: dry}}
	for _, p := range peers {
		if m, err := p.Start(eap.PeerContext{}); err == nil || m != nil {
			t.Errorf("%.10q: started", p.ID)
		}
	}
	if _, err := (&Server{Rand: dry}).Start(eap.ServerContext{}); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}
