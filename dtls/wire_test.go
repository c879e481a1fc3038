package dtls

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// The test vector for P_SHA256 that the TLS working group's list has.
func TestPRF(t *testing.T) {
	out := make([]byte, 100)
	prf(out, unhex(t, "9bbe436ba940f017b17652849a71db35"), "test label", unhex(t, "a0ba9f936cda311827a6f796ffd5198c"))
	want := unhex(t, "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"+
		"6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"+
		"4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"+
		"87347b66")
	if !bytes.Equal(out, want) {
		t.Errorf("%x, want %x", out, want)
	}
}

func TestWindow(t *testing.T) {
	var w window
	for _, s := range []struct {
		n     uint64
		fresh bool
	}{
		{5, true}, {5, false}, {3, true}, {3, false}, {6, true}, {0, true}, {0, false},
		{69, true}, // 64 on: 5 drops out
		{5, false}, {6, false}, {7, true}, {7, false}, {68, true},
		{69 + 63, true}, {69, false}, {70, true},
		{1 << 47, true}, {1<<47 - 64, false}, {1<<47 - 63, true}, {132, false},
		{maxSequence, true}, {maxSequence, false},
	} {
		if got := w.fresh(s.n); got != s.fresh {
			t.Errorf("record %d: fresh %t, want %t", s.n, got, s.fresh)
		}
		if s.fresh {
			w.accept(s.n)
		}
	}
}

// Fragments of several messages come back as the messages, however they were
// cut, mixed and repeated, overlapping ones too.
func TestReassembly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		next := uint16(rng.Uint32()) // may wrap
		var msgs []message
		var frags []fragment
		for i := range maxPending {
			m := message{typ: uint8(i), seq: next + uint16(i), body: make([]byte, rng.IntN(300))}
			for j := range m.body {
				m.body[j] = byte(rng.Uint32())
			}
			msgs = append(msgs, m)
			for off := 0; off < len(m.body) || off == 0; {
				n := min(1+rng.IntN(100), len(m.body)-off)
				from := max(0, off-rng.IntN(10))
				f, rest, ok := nextFragment(m.appendPart(nil, from, off+n-from))
				if !ok || len(rest) != 0 {
					t.Fatal("fragment does not read back")
				}
				frags = append(frags, f, f)
				if off += n; n == 0 {
					break
				}
			}
		}
		rng.Shuffle(len(frags), func(i, j int) { frags[i], frags[j] = frags[j], frags[i] })
		r := reassembly{next: next}
		var got []message
		for _, f := range frags {
			r.add(f)
			for m, ok := r.pop(); ok; m, ok = r.pop() {
				got = append(got, m)
			}
		}
		if len(got) != len(msgs) || !r.empty() {
			t.Fatalf("%d messages, want %d", len(got), len(msgs))
		}
		for i, m := range got {
			if m.typ != msgs[i].typ || m.seq != msgs[i].seq || !bytes.Equal(m.body, msgs[i].body) {
				t.Fatalf("message %d: %+v, want %+v", i, m, msgs[i])
			}
		}
	}
}

func TestReassemblyDrops(t *testing.T) {
	r := reassembly{next: 10}
	r.add(fragment{typ: 1, seq: 9, len: 1, data: []byte{1}})
	r.add(fragment{typ: 1, seq: 10 + maxPending, len: 1, data: []byte{1}})
	if !r.empty() {
		t.Error("took a message outside of the window")
	}
	r.add(fragment{typ: 1, seq: 10, len: 2, data: []byte{1}})
	r.add(fragment{typ: 2, seq: 10, len: 2, off: 1, data: []byte{2}})
	r.add(fragment{typ: 1, seq: 10, len: 3, off: 1, data: []byte{2, 3}})
	if _, ok := r.pop(); ok {
		t.Error("put fragments of different messages together")
	}
	r.add(fragment{typ: 1, seq: 10, len: 2, data: []byte{7, 8}})
	if m, ok := r.pop(); !ok || !bytes.Equal(m.body, []byte{1, 8}) {
		t.Errorf("got %+v; what came first stays", m)
	}
}

func TestNextFragment(t *testing.T) {
	for _, tt := range []struct{ name, wire string }{
		{"header cut", "01 000000 0000 000000 0000"},
		{"data cut", "01 000002 0000 000000 000002 00"},
		{"beyond the end", "01 000002 0000 000001 000002 0000"},
		{"too long", "01 000801 0000 000000 000000"},
	} {
		if _, _, ok := nextFragment(unhex(t, strings.ReplaceAll(tt.wire, " ", ""))); ok {
			t.Errorf("%s: taken", tt.name)
		}
	}
}

func TestNextRecord(t *testing.T) {
	b := unhex(t, "16fefd"+"0001"+"00000000002a"+"0002"+"beef"+"15")
	r, rest, ok := nextRecord(b)
	if !ok || r.typ != typeHandshake || r.version != version12 || r.epoch != 1 || r.seq != 42 || !bytes.Equal(r.fragment, []byte{0xbe, 0xef}) || len(rest) != 1 {
		t.Errorf("%+v, rest %x, %t", r, rest, ok)
	}
	if got := r.append(nil); !bytes.Equal(got, b[:15]) {
		t.Errorf("written again: %x", got)
	}
	for _, n := range []int{0, 12, 14} {
		if _, _, ok := nextRecord(b[:n]); ok {
			t.Errorf("%d bytes: taken", n)
		}
	}
}

// hello is a ClientHello in parts, to be spoiled.
type hello struct {
	version      uint16
	suites       []byte
	compressions []byte
	x            []byte
}

func (h hello) body() []byte {
	b := append([]byte{byte(h.version >> 8), byte(h.version)}, make([]byte, randomLen)...)
	b = append(b, 0, 0)
	b = append(append(b, 0, byte(len(h.suites))), h.suites...)
	b = append(append(b, byte(len(h.compressions))), h.compressions...)
	return append(append(b, byte(len(h.x)>>8), byte(len(h.x))), h.x...)
}

// A server says by its alert what it has against a ClientHello.
func TestClientHelloRefused(t *testing.T) {
	keyKP := func() []byte {
		h, err := decodeClientHello(firstHello(t))
		if err != nil {
			t.Fatal(err)
		}
		return h.ext.keyKP
	}()
	suites := []byte{0xc0, 0xff, 0x00, 0xff}
	x := appendExtension(nil, extKeyKP, keyKP)
	with := func(typ uint16, body ...byte) []byte { return appendExtension(bytes.Clone(x), typ, body) }
	tests := []struct {
		name  string
		h     hello
		alert Alert
		says  string
	}{
		{"DTLS 1.0", hello{version10, suites, []byte{0}, x}, AlertProtocolVersion, "version 0xfeff"},
		{"TLS", hello{0x0303, suites, []byte{0}, x}, AlertProtocolVersion, "version 0x0303"},
		{"PSK", hello{version12, []byte{0xc0, 0xa8}, []byte{0}, x}, AlertHandshakeFailure, "cipher suite"},
		{"half a suite", hello{version12, []byte{0xc0, 0xff, 0}, []byte{0}, x}, AlertDecodeError, "ClientHello cipher suites at byte 41"},
		{"only deflate", hello{version12, suites, []byte{1}, x}, AlertIllegalParameter, "compression"},
		{"no key share", hello{version12, suites, []byte{0}, nil}, AlertHandshakeFailure, "key share"},
		{"key share cut", hello{version12, suites, []byte{0}, appendExtension(nil, extKeyKP, keyKP[:200])}, AlertIllegalParameter, "ecjpake: public key at byte 165"},
		{"other group", hello{version12, suites, []byte{0}, with(extGroups, 0, 2, 0, 24)}, AlertHandshakeFailure, "secp256r1"},
		{"compressed points", hello{version12, suites, []byte{0}, with(extPointFormats, 1, 1)}, AlertHandshakeFailure, "uncompressed"},
		{"renegotiation", hello{version12, suites, []byte{0}, with(extRenegotiation, 1, 7)}, AlertHandshakeFailure, "renegotiation"},
		{"max fragment 5", hello{version12, suites, []byte{0}, with(extMaxFragment, 5)}, AlertIllegalParameter, "max fragment length 5"},
		{"same extension twice", hello{version12, suites, []byte{0}, appendExtension(with(extExtendedMaster), extExtendedMaster, nil)}, AlertDecodeError, "given twice"},
		{"extension left over", hello{version12, suites, []byte{0}, with(extExtendedMaster, 1)}, AlertDecodeError, "bytes left over"},
		{"extension cut", hello{version12, suites, []byte{0}, append(bytes.Clone(x), 0, 1, 0, 9)}, AlertDecodeError, "too short"},
		{"as it should be", hello{version12, suites, []byte{1, 0}, with(extGroups, 0, 4, 0, 24, 0, 23)}, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Server(Config{Secret: []byte("J01NME"), Rand: &hashReader{seed: "s"}, Send: func([]byte) {}}, epoch)
			if err != nil {
				t.Fatal(err)
			}
			s.Handle(epoch, record{typ: typeHandshake, version: version12, fragment: message{typ: clientHelloType, body: tt.h.body()}.append(nil)}.append(nil))
			var a *AlertError
			switch err := s.Err(); {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says == "":
			case !errors.As(err, &a) || a.Alert != tt.alert || a.Remote || !strings.Contains(err.Error(), tt.says):
				t.Errorf("%v, want alert %v and %q", err, tt.alert, tt.says)
			}
		})
	}
}

// firstHello returns the body of the ClientHello of a foreign joiner.
func firstHello(t *testing.T) []byte {
	t.Helper()
	r, _, _ := nextRecord(unhex(t, readCapture(t, "joiner-1hop.json").Datagrams[0].Hex))
	f, _, ok := nextFragment(r.fragment)
	if !ok {
		t.Fatal("no ClientHello")
	}
	return f.data
}

// A client says by its alert what it has against a ServerHello, or against a
// message that has no place.
func TestServerFlightRefused(t *testing.T) {
	rec := readRecording(t, "ecjpake-client-vs-mbedtls.json")
	in := rec.inRecords(t) // HelloVerifyRequest, ServerHello, ServerKeyExchange, ServerHelloDone, ...
	body := func(i int) message {
		r, _, _ := nextRecord(in[i])
		f, _, ok := nextFragment(r.fragment)
		if !ok {
			t.Fatal("no message")
		}
		return message{f.typ, f.seq, bytes.Clone(f.data)}
	}
	suiteAt := 2 + randomLen + 1 + int(body(1).body[2+randomLen])
	tests := []struct {
		name  string
		fed   int // records before
		m     func() message
		alert Alert
		says  string
	}{
		{"ServerHello of DTLS 1.0", 1, func() message { m := body(1); m.body[1] = 0xff; return m }, AlertProtocolVersion, "version"},
		{"another suite", 1, func() message { m := body(1); m.body[suiteAt+1] = 0xa8; return m }, AlertIllegalParameter, "suite 0xc0a8"},
		{"compression", 1, func() message { m := body(1); m.body[suiteAt+2] = 1; return m }, AlertIllegalParameter, "compression 1"},
		{"ServerHello cut", 1, func() message { m := body(1); m.body = m.body[:30]; return m }, AlertDecodeError, "random at byte 2"},
		{"no extensions", 1, func() message { m := body(1); m.body = m.body[:suiteAt+3]; return m }, AlertHandshakeFailure, "key share"},
		{"extension not offered", 1, func() message {
			m := body(1)
			m.body = appendServerHello(nil, [randomLen]byte{}, appendExtension(nil, 35, nil))
			return m
		}, AlertUnsupportedExtension, "not offered"},
		{"key share of nobody", 1, func() message { m := body(1); m.body[len(m.body)-200] ^= 1; return m }, AlertIllegalParameter, "ecjpake"},
		{"ServerHelloDone too early", 2, func() message { m := body(3); m.seq--; return m }, AlertUnexpectedMessage, "ServerHelloDone in state wait key exchange"},
		{"a certificate", 2, func() message { m := body(2); m.typ = 11; return m }, AlertUnexpectedMessage, "handshake message 11"},
		{"wrong proof", 2, func() message { m := body(2); m.body[len(m.body)-1] ^= 1; return m }, AlertIllegalParameter, "proof does not hold"},
		{"a fourth cookie", 1, nil, AlertHandshakeFailure, "4 times"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := rec.start(t, epoch, Config{Send: func([]byte) {}})
			for _, b := range in[:tt.fed] {
				c.Handle(epoch, b)
			}
			if tt.m != nil {
				c.Handle(epoch, record{typ: typeHandshake, version: version12, fragment: tt.m().append(nil)}.append(nil))
			} else {
				for seq := range uint16(maxCookies) {
					m := message{typ: helloVerifyRequest, seq: seq + 1, body: appendHelloVerify(nil, []byte{byte(seq)})}
					c.Handle(epoch, record{typ: typeHandshake, version: version12, fragment: m.append(nil)}.append(nil))
				}
			}
			var a *AlertError
			if err := c.Err(); !errors.As(err, &a) || a.Alert != tt.alert || a.Remote || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want alert %v and %q", err, tt.alert, tt.says)
			}
		})
	}
}
