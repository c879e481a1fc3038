package mdns

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"gatewayd/alarm"
)

// seeds are packets of each kind.
func seeds() [][]byte {
	n := &network{t: &testing.T{}, rand: rand.New(rand.NewPCG(1, 2))}
	n.clock.Set(start)
	a := n.add("a", Config{}, 1)
	b := n.add("b", Config{}, 1)
	if _, err := a.Publish("lamp", lamp(7), Options{}); err != nil {
		panic(err)
	}
	n.run(5 * time.Second)
	if _, err := b.Discover("_hap._udp", func(Event) {}); err != nil {
		panic(err)
	}
	n.run(5 * time.Second)
	a.Stop()
	var out [][]byte
	for _, p := range n.sent {
		out = append(out, p.b)
	}
	return append(out,
		unhex("0000 8400 0000 0001 0000 0000 056c6f63616c 00 0006 0001 00000010 0018 c00c c00c 00000001000000020000000300000004 00000005"),
		unhex("0000 0000 0001 0000 0000 0000 c00c 0001 0001"))
}

// What was decoded survives encoding and decoding again, names are at most 255
// bytes long and readable as text, and nothing of it makes a method panic.
func FuzzMessage(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := DecodeMessage(in)
		if err != nil {
			return
		}
		for _, rs := range [][]Record{m.Answers, m.Authorities, m.Additionals} {
			for _, r := range rs {
				_ = r.String()
				if r.denies(TypeA) && r.Type != TypeNSEC {
					t.Fatalf("%v denies", r)
				}
				if _, _, _, target := r.SRV(); target != "" && target != r.Target() {
					t.Fatalf("%v leads to %v", r, target)
				}
				if a := r.Addr(); a.IsValid() != (r.Type == TypeA || r.Type == TypeAAAA) {
					t.Fatalf("%v has address %v", r, a)
				}
				for _, n := range []Name{r.Name, r.Target()} {
					if n == "" {
						continue
					}
					if back, err := ParseName(n.String()); len(n) > maxName || err != nil || back != n {
						t.Fatalf("name %q, as text %s, came back as %q, %v", string(n), n, string(back), err)
					}
				}
			}
		}
		// Names that were compressed may take more room than a packet has.
		out := m.Append(nil)
		if len(out) > maxPacket {
			return
		}
		back, err := DecodeMessage(out)
		if err != nil || !reflect.DeepEqual(m, back) {
			t.Fatalf("%+v became %+v, %v", m, back, err)
		}
	})
}

// Whatever comes, the machine sends packets that can be read and fit, few of
// them, keeps no more than its limit, and is at rest some time later.
func FuzzReceive(f *testing.F) {
	for _, b := range seeds() {
		f.Add(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...), uint8(0))
		f.Add(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...), uint8(255))
	}
	f.Fuzz(func(t *testing.T, in []byte, how uint8) {
		var clock alarm.Clock
		clock.Set(start)
		sent := 0
		m := New(Config{Clock: &clock, Rand: rand.New(rand.NewPCG(1, 2)), CacheLimit: 20, Send: func(iface int, to netip.AddrPort, b []byte) {
			sent++
			if _, err := DecodeMessage(b); err != nil || len(b) > defaultMTU-48 {
				t.Fatalf("sent %x: %v", b, err)
			}
		}})
		m.SetInterfaces([]Interface{{Index: 1, Addrs: []netip.Prefix{netip.MustParsePrefix("fe80::1/64")}}})
		w, err := m.Discover("_hap._udp", func(Event) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Publish("lamp", lamp(7), Options{LinkAddrs: how&1 != 0}); err != nil {
			t.Fatal(err)
		}
		advance := func(d time.Duration) {
			end := clock.Now().Add(d)
			for at := clock.Deadline(); !at.IsZero() && !at.After(end); at = clock.Deadline() {
				clock.Advance(at)
			}
			clock.Advance(end)
		}
		if how&2 != 0 {
			advance(5 * time.Second)
		}
		from := netip.AddrPortFrom(netip.MustParseAddr("fe80::99"), Port)
		if how&4 != 0 {
			from = netip.AddrPortFrom(from.Addr(), 4000)
		}
		to := Group6
		if how&8 != 0 {
			to = netip.MustParseAddr("fe80::1")
		}
		packets := 0
		for len(in) >= 2 && packets < 50 {
			n := min(int(binary.BigEndian.Uint16(in)), len(in)-2)
			m.Receive(1, from, to, in[2:2+n])
			in = in[2+n:]
			packets++
			advance(time.Duration(how>>4) * 100 * time.Millisecond)
			if m.cache.len() > 20 {
				t.Fatalf("%d records", m.cache.len())
			}
		}
		advance(time.Hour)
		if sent > 200+20*packets {
			t.Fatalf("%d packets led to %d", packets, sent)
		}
		w.Stop()
		m.Stop()
		advance(48 * time.Hour)
		if !clock.Deadline().IsZero() || m.cache.len() != 0 {
			t.Fatalf("a timer is left for %v, and %d records", clock.Deadline(), m.cache.len())
		}
	})
}

// Labels of any bytes are a name, which comes back from text.
func FuzzName(f *testing.F) {
	f.Add("Lamp 2.5", `\.`)
	f.Add("\x00\xff", "é")
	f.Fuzz(func(t *testing.T, a, b string) {
		n, err := MakeName(a, b)
		if err != nil {
			return
		}
		back, err := ParseName(n.String())
		if err != nil || back != n || !reflect.DeepEqual(n.Labels(), []string{a, b}) {
			t.Fatalf("%q, %q: %s, %q, %v", a, b, n, string(back), err)
		}
	})
}
