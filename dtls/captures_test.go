package dtls

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"gatewayd/dtls/ecjpake"
)

// A capture is a session between two foreign ends, with its master secret.
type capture struct {
	Source, Master, KEK string
	Datagrams           []struct{ From, Hex string }
}

func readCapture(tb testing.TB, name string) capture {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	var c capture
	if err := json.Unmarshal(b, &c); err != nil {
		tb.Fatal(err)
	}
	return c
}

// observer follows a session knowing its master secret.
type observer struct {
	t                     *testing.T
	master                [masterLen]byte
	hello                 clientHello
	answer                serverHello
	transcript            []byte
	keys                  *sessionKeys
	finished, alerts, app int
	unreadable            int
}

func (o *observer) record(from string, r record) {
	o.t.Helper()
	plain := r.fragment
	if r.epoch == 1 {
		if o.keys == nil {
			k := deriveKeys(&o.master, o.hello.random, o.answer.random)
			o.keys = &k
		}
		d := &o.keys.client
		if from == "server" {
			d = &o.keys.server
		}
		var ok bool
		if plain, ok = d.open(r); !ok {
			o.unreadable++
			return
		}
		if sealed := d.seal(nil, record{r.typ, r.version, r.epoch, r.seq, plain}); !bytes.Equal(sealed, append(r.appendHeader(nil, len(r.fragment)), r.fragment...)) {
			o.t.Errorf("sealed again: %x", sealed)
		}
	}
	switch r.typ {
	case typeAlert:
		o.alerts++
	case typeApplicationData:
		o.app++
	case typeHandshake:
		for len(plain) > 0 {
			f, rest, ok := nextFragment(plain)
			if !ok || !f.whole() {
				o.t.Fatalf("%s: fragment %x", from, plain)
			}
			plain = rest
			o.message(from, message{f.typ, f.seq, f.data})
		}
	}
}

func (o *observer) message(from string, m message) {
	o.t.Helper()
	role := ecjpake.Client // the side that reads
	var keyKP []byte
	switch m.typ {
	case clientHelloType:
		h, err := decodeClientHello(m.body)
		if err != nil {
			o.t.Fatal(err)
		}
		if why := h.ext.unusable(); why != "" || !h.offers(suiteECJPAKE) {
			o.t.Errorf("ClientHello: %s", why)
		}
		o.hello, o.transcript, role, keyKP = h, nil, ecjpake.Server, h.ext.keyKP
	case helloVerifyRequest:
		if _, err := decodeHelloVerify(m.body); err != nil {
			o.t.Fatal(err)
		}
		return
	case serverHelloType:
		h, err := decodeServerHello(m.body)
		if err != nil {
			o.t.Fatal(err)
		}
		if why := h.ext.unusable(); why != "" || h.ext.other {
			o.t.Errorf("ServerHello: %s, other extensions %t", why, h.ext.other)
		}
		o.answer, keyKP = h, h.ext.keyKP
	case finishedType:
		if want := verifyData(&o.master, from == "client", o.transcript); !bytes.Equal(m.body, want[:]) {
			o.t.Errorf("%s's Finished %x, want %x", from, m.body, want)
		}
		o.finished++
	}
	if keyKP != nil {
		e, err := ecjpake.New(role, []byte("J01NME"), &hashReader{})
		if err != nil {
			o.t.Fatal(err)
		}
		if err := e.ReadRoundOne(keyKP); err != nil {
			o.t.Error(err)
		}
	}
	o.transcript = m.append(o.transcript)
}

// The parts of the engine agree with sessions between foreign ends: hello
// messages, proofs, transcript, keys, Finished, record protection, KEK.
func TestCaptures(t *testing.T) {
	tests := []struct {
		name                              string
		finished, alerts, app, unreadable int
		maxFragment                       uint8
	}{
		{name: "joiner-1hop.json", finished: 2, alerts: 2, app: 2},
		// The key log is that of the joiner: only its own Finished opens.
		{name: "joiner-wrong-pskd.json", finished: 1, alerts: 1},
		{name: "border-agent.json", finished: 2, app: 3, maxFragment: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := readCapture(t, tt.name)
			o := &observer{t: t, master: [masterLen]byte(unhex(t, c.Master))}
			for _, d := range c.Datagrams {
				b := unhex(t, d.Hex)
				for len(b) > 0 {
					r, rest, ok := nextRecord(b)
					if !ok {
						t.Fatalf("no record: %x", b)
					}
					o.record(d.From, r)
					b = rest
				}
			}
			if o.finished != tt.finished || o.alerts != tt.alerts || o.app != tt.app || o.unreadable != tt.unreadable {
				t.Errorf("%d Finished, %d alerts, %d data, %d unreadable", o.finished, o.alerts, o.app, o.unreadable)
			}
			if c.KEK != "" && !bytes.Equal(o.keys.kek[:], unhex(t, c.KEK)) {
				t.Errorf("KEK %x, want %s", o.keys.kek, c.KEK)
			}
			if o.hello.ext.extendedMaster || o.hello.ext.maxFragment != tt.maxFragment {
				t.Errorf("ClientHello %+v", o.hello.ext)
			}
		})
	}
}

// Our server answers the hellos of OpenThread's joiner and of ot-commissioner,
// which want no extended master secret, and honours their record size.
func TestServerAnswersForeignHello(t *testing.T) {
	tests := []struct {
		name        string
		maxFragment uint8
		maxWrite    int
	}{
		{"joiner-1hop.json", 0, DefaultMTU - recordHeaderLen - sealedOverhead},
		{"border-agent.json", 2, 1024},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sent [][]byte
			s, err := Server(Config{
				Secret: []byte("J01NME"), Rand: &hashReader{seed: "foreign"},
				Send: func(b []byte) { sent = append(sent, b) },
			}, epoch)
			if err != nil {
				t.Fatal(err)
			}
			s.Handle(epoch, unhex(t, readCapture(t, tt.name).Datagrams[2].Hex)) // with a cookie
			if len(sent) != 1 || s.state != waitKeyExchange {
				t.Fatalf("%d datagrams, state %v, %v", len(sent), s.state, s.Err())
			}
			r, _, _ := nextRecord(sent[0])
			f, _, _ := nextFragment(r.fragment)
			if r.seq != 1 || f.seq != 1 || f.typ != serverHelloType {
				t.Errorf("record %d, message %d of type %d; the client used 1 and 1", r.seq, f.seq, f.typ)
			}
			h, err := decodeServerHello(f.data)
			if err != nil {
				t.Fatal(err)
			}
			if h.ext.renegotiation == nil || h.ext.extendedMaster || h.ext.maxFragment != tt.maxFragment {
				t.Errorf("extensions %+v", h.ext)
			}
			if got := s.MaxWrite(); got != tt.maxWrite {
				t.Errorf("MaxWrite %d, want %d", got, tt.maxWrite)
			}
		})
	}
}
