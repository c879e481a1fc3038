package pana

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"gatewayd/alarm"
)

// What was decoded survives encoding and decoding again.
func FuzzDecode(f *testing.F) {
	for _, r := range recordings {
		for _, p := range load(f, r).packets {
			f.Add(p.b)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Decode(in)
		if err != nil {
			return
		}
		_ = m.Check()
		_ = m.String()
		if who, inner, err := m.unwrap(); err == nil && m.Type == Relay {
			back, err := Decode(appendRelay(nil, who, inner))
			if err != nil {
				t.Fatal(err)
			}
			if w, i, err := back.unwrap(); err != nil || w != who || !bytes.Equal(i, inner) {
				t.Fatalf("%v %x became %v %x, %v", who, inner, w, i, err)
			}
		}
		again, err := Decode(m.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		m.raw, again.raw = nil, nil
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}

// Whatever is decrypted, it decodes or it is refused.
func FuzzDecrypt(f *testing.F) {
	sa := &SA{KeyID: 1, Suite: Suite{PRFHMACSHA256, HMACSHA256128, AES128CTR}}
	f.Add(sa.Encrypt(AVPs{netKey.AVP()}, PAASide, 1, 2).Value, uint32(2))
	f.Add(sa.Encrypt(AVPs{avpUint32(CodeResultCode, 1)}, PAASide, 1, 2).Value, uint32(2))
	f.Fuzz(func(t *testing.T, in []byte, seq uint32) {
		as, err := sa.Decrypt(in, PAASide, 1, seq)
		if err != nil {
			return
		}
		if _, err := as.NetworkKeys(); err != nil {
			return
		}
		back, err := sa.Decrypt(sa.Encrypt(as, PAASide, 1, seq).Value, PAASide, 1, seq)
		if err != nil || !reflect.DeepEqual(back, as) {
			t.Fatalf("%v became %v, %v", as, back, err)
		}
	})
}

// An attacker on the path changes, repeats, drops and makes up messages as the
// input says. No machine panics or grows beyond its limits, whoever has access
// has proved it, and when the attacker is gone the client gets in.
func FuzzAttacker(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))
	f.Add(bytes.Repeat([]byte{3, 20, 1}, 20))
	f.Add(bytes.Repeat([]byte{0, 0, 0, 1, 3, 15, 7}, 10))
	f.Add(bytes.Repeat([]byte{4, 2, 7, 5, 9}, 10))
	f.Fuzz(func(t *testing.T, script []byte) {
		l := newLab(t, 1)
		l.clock = &alarm.Clock{}
		l.clock.Set(day0)
		p := l.serve(func(c *PAAConfig) {
			c.Relay = func(netip.AddrPort) bool { return true }
			c.Limits = Limits{HalfOpen: 4, Sessions: 8}
			c.Encrypt = true
		})
		l.relay(preA, nil)
		d := l.join(pacAddr, func(c *PaCConfig) { c.Delivered = func([]AVP) {} })
		eve := l.join(netip.MustParseAddrPort("[fe80::66]:716"), func(c *PaCConfig) {
			c.Peer = func() Peer { return &testPeer{secret: "guess", identity: "eve"} }
		})
		next := func() byte {
			if len(script) == 0 {
				return 0
			}
			c := script[0]
			script = script[1:]
			return c
		}
		var seen []packet
		l.tap = func(from, to netip.AddrPort, b []byte) bool {
			b = bytes.Clone(b)
			seen = append(seen, packet{from: from, to: to, b: b})
			if len(seen) > 300 || len(script) == 0 {
				return true
			}
			inject := func(k packet) {
				l.clock.After(time.Millisecond, func() {
					if f := l.nodes[k.to]; f != nil {
						f(Datagram{From: k.from, HopLimit: 255, Payload: bytes.Clone(k.b)})
					}
				})
			}
			switch next() % 8 {
			case 1: // lost
				return false
			case 2: // changed
				b[int(next())%len(b)] ^= next() | 1
				inject(packet{from: from, to: to, b: b})
			case 3: // changed on the way
				b[int(next())%len(b)] ^= next() | 1
				inject(packet{from: from, to: to, b: b})
				return false
			case 4: // something old
				inject(seen[int(next())%len(seen)])
			case 5: // something old from elsewhere
				k := seen[int(next())%len(seen)]
				k.from = preA
				inject(k)
			case 6: // cut
				inject(packet{from: from, to: to, b: b[:int(next())%len(b)]})
			case 7: // something old to the other side
				k := seen[int(next())%len(seen)]
				k.from, k.to = k.to, k.from
				inject(k)
			}
			return true
		}
		d.Start(paaAddr)
		eve.Start(preA)
		l.run(2 * time.Second)
		_ = d.Reauthenticate()
		p.PushAll([]AVP{netKey.AVP()})
		l.run(5 * time.Second)
		for _, i := range p.Sessions() {
			if (i.State == Open || i.State == Reauthenticating) && i.Identity != "bob" && i.Identity != "eve" {
				t.Fatalf("access for %+v", i)
			}
		}
		for _, e := range l.events {
			if e.Kind == SessionAuthorized && e.Session.Identity != "bob" {
				t.Fatalf("access for %+v", e.Session)
			}
		}
		if len(p.sessions) > 8 || p.half.n > 4 {
			t.Fatalf("%d sessions, %d half-open", len(p.sessions), p.half.n)
		}
		l.tap = nil
		d.Start(paaAddr)
		l.run(time.Minute)
		if d.State() != Open {
			t.Fatalf("client is %v: %s", d.State(), story(d.events))
		}
	})
}
