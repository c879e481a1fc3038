package rpl

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"gatewayd/ipv6"
)

// What was decoded survives encoding and decoding again.
func FuzzMessage(f *testing.F) {
	f.Add(CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	f.Add(CodeDAO, unhex(f, `1e 80 00 f5 05 0a 00 3c 20010db8 00010030 06 04 80 80 f1 1e`))
	f.Add(CodeDIS, unhex(f, `00 00 07 13 1e e0 20010db8 00000000 00000000 00000001 f0`))
	f.Add(CodeDAOAck, unhex(f, `1e 80 f5 80 20010db8 00000000 00000000 00000001`))
	f.Add(CodeDIO, unhex(f, `00 01 ffff 17 02 00 00 fd000000 00000000 00000000 00000001 02 0c 03 00 00 02 00 05 07 04 15 02 0180`))
	f.Fuzz(func(t *testing.T, code uint8, in []byte) {
		m, err := Decode(code, in)
		if err != nil {
			return
		}
		again, err := Decode(code, m.(interface{ Append([]byte) []byte }).Append(nil))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

// The addresses of a source route survive encoding and decoding again.
func FuzzSourceRoute(f *testing.F) {
	f.Add(unhex(f, `03 03 88 00 00 00 0200000000000003 0200000000000004 0300000000000005`), []byte{15: 1})
	f.Add(unhex(f, `03 01 ef 70 00 00 03 00000000000000`), []byte{0: 0xfd, 15: 1})
	f.Fuzz(func(t *testing.T, data, to []byte) {
		if len(to) < 16 {
			return
		}
		dst := netip.AddrFrom16([16]byte(to[:16]))
		r, err := DecodeSourceRoute(data, dst)
		if err != nil || len(r.Addrs) > MaxHops {
			return
		}
		b := r.Append(nil, 59, dst)
		if len(b)%8 != 0 || int(b[1])*8+8 != len(b) {
			t.Fatalf("%d bytes say they are %d", len(b), int(b[1])*8+8)
		}
		again, err := DecodeSourceRoute(b[2:], dst)
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

// Taking out the option that was put in gives the datagram back, and taking
// options out of any datagram leaves one that decodes.
func FuzzPacketInfo(f *testing.F) {
	f.Add(echo("fd00::1", "fd00::2", 64), uint16(3))
	f.Add(InsertPacketInfo(echo("fd00::1", "fd00::2", 64), PacketInfo{}, HopOption23), uint16(3))
	f.Fuzz(func(t *testing.T, p []byte, rank uint16) {
		h, payload, err := ipv6.DecodeHeader(p)
		if err != nil || len(payload) > 4000 {
			return
		}
		p = p[:40+len(payload)]
		out := RemovePacketInfo(p)
		if _, _, err := ipv6.DecodeHeader(out); err != nil {
			t.Fatalf("%x became %x: %v", p, out, err)
		}
		if h.NextHeader == ipv6.ProtoHopByHop {
			return
		}
		in := InsertPacketInfo(p, PacketInfo{SenderRank: rank}, HopOption)
		if i, _, found, err := FindPacketInfo(in); err != nil || !found || i.SenderRank != rank {
			t.Fatalf("inserted %+v, %v, %v", i, found, err)
		}
		if back := RemovePacketInfo(in); !bytes.Equal(back, p) {
			t.Fatalf("%x came back as %x", p, back)
		}
	})
}

// script feeds a machine from bytes: operation, sender, length, data.
func script(in []byte, do func(op uint8, from netip.Addr, data []byte)) {
	for range 200 {
		if len(in) < 3 {
			return
		}
		n := min(int(in[2]), len(in)-3)
		do(in[0], link(int(in[1]&63)), in[3:3+n])
		in = in[3+n:]
	}
}

func entry(op, from uint8, data []byte) []byte {
	return append([]byte{op, from, uint8(len(data))}, data...)
}

func seeds(f *testing.F) {
	dao := DAO{WantAck: true, Options: []Option{Target{prefix("fd00::c/128")},
		Transit{PathSequence: 240, PathLifetime: 30, Parent: addr("fd00::1")}}}.Append(nil)
	for _, mop := range []MOP{NonStoring, Storing} {
		f.Add(slices.Concat(
			entry(CodeDIO, 2, announce(mop, 241, 512, "fd00::a")), entry(CodeDAO, 3, dao), entry(CodeDIS, 4, []byte{0, 0}),
			entry(8, 3, echo("fd00::c", "fd00::9", 64)), entry(9, 0, []byte{40}), entry(10, 2, []byte{1, 1}),
			entry(8, 2, InsertPacketInfo(echo("fd00::9", "fd00::c", 64), PacketInfo{Down: true}, HopOption)),
			entry(11, 0, echo("fd00::b", "fd00::c", 64)),
			entry(8, 2, InsertSourceRoute(echo("fd00::1", "fd00::c", 64), []netip.Addr{addr("fd00::b"), addr("fd00::c")})),
			entry(CodeDIO, 2, announce(mop, 241, InfiniteRank, "fd00::a")), entry(CodeDIO, 2, announce(mop, 242, 256, "fd00::a")),
		))
	}
}

// Whatever a node hears, its tables stay bounded, its parent is one it could
// have, and a datagram it hands on has lost a hop and is whole.
func FuzzNode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newBench()
		n := b.withNode(t, NodeConfig{MaxNeighbors: 4, MaxRoutes: 4})
		script(in, func(op uint8, from netip.Addr, data []byte) {
			b.sent = nil
			switch op {
			default:
				_ = n.Receive(from, AllNodes, op, data)
			case 8:
				checkVerdict(t, n.Forward(data, from), data, true)
			case 9:
				b.run(time.Duration(len(data)) * time.Second)
			case 10:
				for _, ok := range data {
					n.LinkSent(from, ok&1 != 0, int(ok>>1))
				}
			case 11:
				checkVerdict(t, n.Originate(data), data, false)
			}
			tb := n.Table()
			if len(tb.Neighbors) > 4 || len(tb.Routes) > 4 || len(b.sent) > 500 {
				t.Fatalf("%d neighbours, %d routes, %d sent", len(tb.Neighbors), len(tb.Routes), len(b.sent))
			}
			if tb.State == Joined && (n.parent == nil || n.rank == InfiniteRank || n.rank <= n.parent.rank) {
				t.Fatalf("joined with rank %d by %+v", n.rank, n.parent)
			}
			for _, s := range b.sent {
				if _, err := Decode(s.Code, s.Body); err != nil {
					t.Fatalf("sent %x: %v", s.Body, err)
				}
			}
		})
		n.Stop()
	})
}

// Whatever a root hears, its routes stay bounded and have no circles.
func FuzzRoot(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, mop := range []MOP{NonStoring, Storing} {
			b := newBench()
			r := b.withRoot(t, RootConfig{MOP: mop, MaxTargets: 8})
			script(in, func(op uint8, from netip.Addr, data []byte) {
				switch op {
				default:
					if mop == NonStoring {
						from = withIID(addr("fd00::"), from)
					}
					_ = r.Receive(from, addr("fd00::1"), op, data)
				case 8:
					checkVerdict(t, r.Forward(data, from), data, true)
				case 9:
					b.run(time.Duration(len(data)) * time.Second)
				case 10:
					r.SourceRouteError(from, ipv6.ErrorBody{Invoking: data})
				case 11:
					checkVerdict(t, r.Enter(data), data, false)
				}
				tb := r.Table()
				if len(tb.Routes) > 8 {
					t.Fatalf("%d routes", len(tb.Routes))
				}
				for _, e := range tb.Routes {
					h := slices.Clone(e.Hops)
					slices.SortFunc(h, netip.Addr.Compare)
					if len(slices.Compact(h)) != len(e.Hops) {
						t.Fatalf("route in a circle: %v", e.Hops)
					}
				}
			})
			r.Stop()
		}
	})
}

func checkVerdict(t *testing.T, v Verdict, in []byte, counted bool) {
	t.Helper()
	v.AppendError(nil, addr("fd00::b"))
	if v.Action == Drop {
		return
	}
	h, payload, err := ipv6.DecodeHeader(v.Packet)
	if err != nil || len(payload) != int(h.PayloadLen) || len(v.Packet) != 40+len(payload) {
		t.Fatalf("%v of %x: %v", v.Action, v.Packet, err)
	}
	if v.Action == Forward {
		if !v.Next.IsValid() {
			t.Fatal("no next hop")
		}
		if _, tunnelled := Decapsulate(v.Packet); counted && !tunnelled && v.Packet[7] >= in[7] {
			t.Fatalf("hop limit %d after %d", v.Packet[7], in[7])
		}
	}
}

// Any series of ETX measurements stays within bounds.
func FuzzETX(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		etx := uint16(0)
		for range 100 {
			etx = measureETX(etx, r.IntN(3) > 0, r.IntN(40)-4)
			if etx < ETXUnit || etx > etxLimit {
				t.Fatalf("ETX %d", etx)
			}
		}
	})
}
