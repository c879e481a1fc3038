package mesh

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/radio"
	"gatewayd/thread/keys"
	"gatewayd/thread/link"
	"gatewayd/thread/mac"
	"gatewayd/thread/neighbor"
)

const (
	ourShort    = 0x0400 // router 1
	routerShort = 0x0800 // router 2, a neighbour
	beyondShort = 0x0c00 // router 3, behind router 2
	awakeShort  = 0x0401 // a full Thread device, our child
	sleepyShort = 0x0402
)

// world is a forwarder on a MAC, between a radio that confirms what it is told
// to and neighbours that exist by name only.
type world struct {
	*Forwarder
	clock  alarm.Clock
	table  neighbor.Table
	sleepy *neighbor.Child
	sent   []ieee802154.Frame
	busy   bool
	got    [][]byte
	infos  []link.Info
}

func (w *world) Configure(time.Time, radio.Settings)        {}
func (w *world) EnergyScan(time.Time, uint8, time.Duration) {}
func (w *world) Clock(time.Time) (uint64, bool)             { return 0, false }
func (w *world) Router() bool                               { return true }
func (w *world) EveryGroup(g netip.Addr) bool               { return g == ipv6.AllNodesRealm }
func (w *world) Contexts() lowpan.Contexts                  { return contexts }
func (w *world) Unroutable(uint16)                          {}
func (w *world) Reachable(uint16, netip.Addr) bool          { return true }
func (w *world) Unreachable(uint16, []byte)                 {}
func (w *world) Heard(netip.Addr, uint16, uint16)           {}
func (w *world) Locate(_, dst netip.Addr) (rloc16 uint16, v Verdict) {
	switch b := dst.As16(); b[15] & 3 {
	case 0:
		return beyondShort, Found
	case 1:
		return sleepyShort, Found
	case 2:
		return 0, Pending
	}
	return 0, Unreachable
}

func (w *world) NextHop(rloc16 uint16) (uint16, bool) {
	switch rloc16 {
	case beyondShort, routerShort:
		return routerShort, true
	case awakeShort, sleepyShort:
		return rloc16, true
	}
	return 0, false
}

func (w *world) Receive(p []byte, info link.Info) {
	w.got, w.infos = append(w.got, p), append(w.infos, info)
}

func (w *world) Transmit(_ time.Time, f radio.TxFrame) {
	if d, err := ieee802154.Decode(slices.Clone(f.PSDU)); err == nil && len(f.PSDU) <= ieee802154.MaxPSDU-ieee802154.FCSLen {
		w.sent = append(w.sent, d)
	} else {
		w.sent = append(w.sent, ieee802154.Frame{})
	}
	w.busy = true
}

var contexts = lowpan.Contexts{{ID: 0, Prefix: netip.MustParsePrefix("fd00:db8:a:b::/64"), Compress: true}}

func newWorld() *world {
	w := &world{}
	w.clock.Set(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	rnd := rand.New(rand.NewPCG(1, 2))
	k := keys.New(keys.Config{Clock: &w.clock, Save: func(keys.State) error { return nil }, Changed: func() {}})
	k.SetNetworkKey([16]byte{1}, true)
	m := mac.New(mac.Config{Clock: &w.clock, Rand: rnd, Keys: k, Table: &w.table, Source: w, Handler: w})
	w.Forwarder = New(Config{Clock: &w.clock, Rand: rnd, MAC: m, Table: &w.table, Routes: w, Handler: w,
		Polled: func(*neighbor.Child) {}, LinkFailed: func(*neighbor.Neighbor) {}, PollSent: func(bool, bool) {},
		RadioUp: func(radio.Info) {}, RadioDown: func() {}})
	valid := func(ext byte, short uint16, mode neighbor.Mode) neighbor.Neighbor {
		return neighbor.Neighbor{State: neighbor.Valid, Ext: ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, ext}, RLOC16: short, Mode: mode, Version: 5}
	}
	w.table.Routers[2] = &neighbor.Router{Neighbor: valid(2, routerShort, 0x0f), ID: 2}
	w.table.Routers[3] = &neighbor.Router{ID: 3, NextHop: 2, Cost: 1}
	w.sleepy = &neighbor.Child{Neighbor: valid(4, sleepyShort, 0), UseShort: true}
	w.table.Children = []*neighbor.Child{{Neighbor: valid(3, awakeShort, 0x0f)}, w.sleepy}
	m.SetRadio(w)
	m.SetExt(ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 1})
	m.SetShort(ourShort)
	m.SetPANID(0xface)
	m.SetChannel(15)
	m.Enable(true)
	m.RadioUp(w.clock.Now(), radio.Info{Caps: 0xf, Channels: 0x07fff800})
	return w
}

// What an input does, bits of the first byte of a step.
const (
	isSecured  = 1 << 0
	fromRouter = 1 << 1 // else from the child
	toSend     = 1 << 2 // a datagram of ours instead of a frame
	answers    = 1 << 3 // the radio has sent what it was given
	fails      = 1 << 4 // or has not
	timePasses = 1 << 5
	polls      = 1 << 6 // the sleepy child
)

func step(b []byte, how byte, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16(append(b, how), uint16(len(payload))), payload...)
}

// Whatever payloads frames carry: what is handed up is IPv6 with the security
// of the frame, nothing insecure is forwarded, queues keep to their bounds,
// and what goes out are whole frames.
func FuzzFrameReceived(f *testing.F) {
	from, to := netip.MustParseAddr("fd00:db8:a:b::77"), netip.MustParseAddr("fd00:db8:a:b::1")
	packet := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: from, Dst: to, HopLimit: 64}, 1000, 2000, make([]byte, 300))
	first, next, err := lowpan.AppendFirst(nil, packet, ieee802154.ShortAddr(routerShort), ieee802154.ShortAddr(ourShort), contexts, 96, 7, false)
	if err != nil {
		f.Fatal(err)
	}
	var in []byte
	in = step(in, isSecured|fromRouter, first)
	for next < len(packet) {
		var b []byte
		if b, next, err = lowpan.AppendNext(nil, packet, next, 96, 7); err != nil {
			f.Fatal(err)
		}
		in = step(in, isSecured|fromRouter, b)
	}
	f.Add(in)
	for _, dst := range []uint16{ourShort, beyondShort, awakeShort, sleepyShort, 0x1000} {
		m := lowpan.MeshHeader{HopsLeft: 5, Src: 0x1400, Dst: dst}.Append(nil)
		for _, how := range []byte{isSecured, isSecured | answers, 0} {
			f.Add(step(step(nil, how, append(m, first...)), how|timePasses, append(m, first...)))
		}
	}
	for i := range byte(4) {
		packet[39] = i
		f.Add(step(step(nil, toSend, packet), polls|answers, nil))
	}

	f.Fuzz(func(t *testing.T, in []byte) {
		w := newWorld()
		for len(in) > 3 {
			how, n := in[0], min(int(binary.BigEndian.Uint16(in[1:])), len(in)-3)
			b := slices.Clone(in[3 : 3+n])
			in = in[3+n:]
			w.do(t, how, b)
			if q := w.queued + w.held; w.queued > maxDirect || w.held > maxIndirect || q != w.Queued() {
				t.Fatalf("%d and %d wait", w.queued, w.held)
			}
			if len(w.meshTags) > meshTagEntries || len(w.indirect[w.sleepy]) > maxPerChild {
				t.Fatalf("%d tags, %d datagrams for one child", len(w.meshTags), len(w.indirect[w.sleepy]))
			}
		}
		for _, f := range w.sent {
			if f.Type != ieee802154.FrameData || !f.Secured || f.Src.Mode == ieee802154.AddrNone || len(f.MIC) == 0 {
				t.Fatalf("sent %+v", f)
			}
		}
		w.Reset()
		if w.Queued() != 0 {
			t.Fatalf("%d wait after a reset", w.Queued())
		}
	})
}

func (w *world) do(t *testing.T, how byte, b []byte) {
	t.Helper()
	forwarded, got := w.Counters.Forwarded, len(w.got)
	switch {
	case how&toSend != 0:
		_ = w.Send(b, link.Options{Priority: link.Priority(how >> 6)})
	case how&polls != 0:
		if out := (&mac.Frame{}); w.NextIndirect(w.sleepy, out) {
			w.IndirectSent(w.sleepy, out, how&fails == 0)
		}
	default:
		n := &w.table.Children[0].Neighbor
		if how&fromRouter != 0 {
			n = &w.table.Routers[2].Neighbor
		}
		secured := how&isSecured != 0
		r := &mac.Received{Neighbor: n}
		r.Frame.Src, r.Frame.Dst = ieee802154.ShortAddr(n.RLOC16), ieee802154.ShortAddr(ourShort)
		r.Frame.Payload = b
		r.Info = link.Info{Src: r.Frame.Src, Dst: r.Frame.Dst, Secured: secured}
		if secured {
			r.Info.KeyIDMode = 1
		}
		w.FrameReceived(r)
		if !secured && w.Counters.Forwarded > forwarded {
			t.Fatalf("forwarded without link security: %x", b)
		}
		for i, p := range w.got[got:] {
			if h, _, err := ipv6.DecodeHeader(p); err != nil || len(p) > lowpan.MaxDatagram {
				t.Fatalf("handed up %d bytes from %v: %v", len(p), h.Src, err)
			}
			if w.infos[got+i].Secured != secured {
				t.Fatalf("%x: called secure: %t", p, !secured)
			}
		}
	}
	if how&timePasses != 0 {
		w.clock.Advance(w.clock.Now().Add(300 * time.Millisecond))
		w.Resolved(netip.MustParseAddr("fd00:db8:a:b::2"), how&fails == 0)
	}
	if w.busy && how&(answers|fails) != 0 {
		w.busy = false
		status := radio.TxOK
		if how&fails != 0 {
			status = radio.TxNoAck
		}
		w.cfg.MAC.Transmitted(w.clock.Now(), radio.TxResult{Status: status})
	}
}
