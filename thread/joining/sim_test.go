package joining

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// seed of a world's random source.
var seed byte = 1

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var meshLocal = netip.MustParsePrefix("fd00:db8:a:b::/64")

// world is a handful of nodes over virtual time. A datagram takes latency and
// arrives if the receiver could have heard and opened it.
type world struct {
	t       testing.TB
	clock   alarm.Clock
	rand    *rand.ChaCha8
	nodes   []*node
	leader  *netdata.Leader
	leads   *node
	drop    func(from *node, packet []byte, o link.Options) bool
	trace   func(from *node, h ipv6.Header, u ipv6.UDP, payload []byte, o link.Options)
	latency time.Duration
}

// node is a device: an IPv6 stack with TMF, and the machines under test.
type node struct {
	w        *world
	name     string
	rloc16   uint16 // 0xfffe: not attached
	ext      ieee802154.ExtAddr
	kept     ieee802154.ExtAddr // the last address set for good
	eui64    ieee802154.ExtAddr
	pan      uint16
	channel  uint8
	kek      *[16]byte
	keks     int
	ip       *ip.Stack
	tmf      *tmf.Agent
	petition *Petitions
	comm     *Commissioner
	router   *JoinerRouter
	joiner   *Joiner

	found       []Found
	credentials []Credentials
	states      []string
	why         error
	entries     []string
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, rand: rand.NewChaCha8([32]byte{seed}), latency: 2 * time.Millisecond}
	w.clock.Set(start)
	w.leader = netdata.NewLeader(rand.New(w.rand))
	return w
}

func (w *world) rng() *rand.Rand { return rand.New(w.rand) }

func address(locator16 uint16) netip.Addr {
	b := meshLocal.Addr().As16()
	copy(b[8:], []byte{0, 0, 0, 0xff, 0xfe, 0, byte(locator16 >> 8), byte(locator16)})
	return netip.AddrFrom16(b)
}

func locator(a netip.Addr) (uint16, bool) {
	b := a.As16()
	rloc16 := uint16(b[14])<<8 | uint16(b[15])
	return rloc16, a == address(rloc16) && rloc16 < 0xfc00
}

// radio is a node's Mesh.
type radio struct{ n *node }

func (r radio) Send(packet []byte, o link.Options) error {
	w, from := r.n.w, r.n
	if w.trace != nil {
		if h, rest, err := ipv6.DecodeHeader(packet); err == nil && h.NextHeader == ipv6.ProtoUDP {
			if u, payload, err := ipv6.DecodeUDP(rest); err == nil {
				w.trace(from, h, u, payload, o)
			}
		}
	}
	if w.drop != nil && w.drop(from, packet, o) {
		return nil
	}
	kek := from.kek
	pan, channel := from.pan, from.channel
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		w.t.Fatalf("%s sent a packet that is none: %v", from.name, err)
	}
	w.clock.After(w.latency, func() {
		for _, n := range w.nodes {
			if n == from || !n.ip.Has(h.Dst) {
				continue
			}
			info := link.Info{RSSI: -40, Secured: true, KeyIDMode: 1}
			switch o.Security {
			case link.Secured:
				if n.rloc16 == 0xfffe || from.rloc16 == 0xfffe {
					continue
				}
			case link.Unsecured:
				info.Secured = false
			case link.JoinerKEK:
				if kek == nil || n.kek == nil || *kek != *n.kek {
					continue
				}
				info.KeyIDMode = 0
			}
			if o.Security != link.Secured && (n.pan != pan || n.channel != channel) {
				continue
			}
			n.ip.Receive(slices.Clone(packet), info)
		}
	})
	return nil
}

// KEKs.
func (n *node) SetKEK(k [16]byte) { n.kek = &k; n.keks++ }
func (n *node) ClearKEK()         { n.kek = nil }

// Device.
func (n *node) SetExtAddress(e ieee802154.ExtAddr, keep bool) {
	n.ip.Remove(linkLocal(n.ext.IID()))
	if n.ext = e; keep {
		n.kept = e
	}
	n.ip.Add(ip.Address{Addr: linkLocal(e.IID()), Bits: 64, Preferred: true})
}
func (n *node) SetPANID(p uint16)  { n.pan = p }
func (n *node) SetChannel(c uint8) { n.channel = c }

// Discover finds what the test says, after 5 s.
func (n *node) Discover(joiner bool, channels uint32, found func(Found), done func()) bool {
	if !joiner || channels != 0 {
		n.w.t.Errorf("discovery for joiner %v on channels %#x", joiner, channels)
	}
	n.w.clock.After(5*time.Second, func() {
		for _, f := range n.found {
			found(f)
		}
		done()
	})
	return true
}

// add makes a node; 0xfffe is one outside of the network.
func (w *world) add(name string, rloc16 uint16) *node {
	n := &node{w: w, name: name, rloc16: rloc16, pan: 0xface, channel: 15}
	n.eui64 = ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, 0, 0, 0, byte(len(w.nodes) + 1)}
	n.ip = ip.New(ip.Config{Clock: &w.clock, Rand: w.rng(), Mesh: radio{n},
		Router: func() bool { return false }, RLOC16: func() uint16 { return n.rloc16 },
		Reaches: func(_, _ netip.Addr) bool { return false }})
	n.ip.SetMeshLocal(meshLocal)
	n.tmf = tmf.New(tmf.Config{Clock: &w.clock, Rand: w.rng(), IP: n.ip, MeshLocal: meshLocal.Contains})
	n.SetExtAddress(ieee802154.ExtAddr{0x02, 0xee, 0, 0, 0, 0, 0, byte(len(w.nodes) + 1)}, true)
	if rloc16 == 0xfffe {
		n.pan, n.channel = 0xffff, 11
		n.joiner = NewJoiner(JoinerConfig{Clock: &w.clock, Rand: w.rng(), Entropy: w.rand, TMF: n.tmf, IP: n.ip,
			Keys: n, Discoverer: n, Device: n, EUI64: func() ieee802154.ExtAddr { return n.eui64 },
			Ready:        func() bool { return true },
			StackVersion: &meshcop.StackVersion{OUI: 0x18b430, Major: 0, Minor: 1},
			StateChanged: func(s JoinerState) { n.states = append(n.states, s.String()) },
			Joined:       func(c Credentials) { n.credentials = append(n.credentials, c) }})
	} else {
		n.ip.Add(ip.Address{Addr: address(rloc16), Bits: 64, Locator: true})
		n.comm = NewCommissioner(CommissionerConfig{Clock: &w.clock, Rand: w.rng(), Entropy: w.rand, TMF: n.tmf, IP: n.ip,
			Attached: func() bool { return true }, RLOC16: func() uint16 { return n.rloc16 }, Address: address,
			StateChanged:  func(s CommissionerState, why error) { n.states, n.why = append(n.states, s.String()), why },
			JoinerChanged: func(e Entry) { n.entries = append(n.entries, e.Progress.String()) }})
		n.router = NewJoinerRouter(RouterConfig{Clock: &w.clock, TMF: n.tmf, IP: n.ip, Keys: n,
			Data: w.leader.Data, Serving: func() bool { return true }, RLOC16: func() uint16 { return n.rloc16 },
			Address: address, Active: func() *meshcop.Dataset { return testDataset(w.t) },
			KeySequence: func() uint32 { return 7 }})
		n.petition = NewPetitions(PetitionsConfig{Clock: &w.clock, Rand: w.rng(), TMF: n.tmf,
			Leading: func() bool { return w.leads == n }, Data: w.leader.Data,
			SetCommissioning: func(d meshcop.TLVs) error {
				_, err := w.leader.SetCommissioning(d)
				for _, x := range w.nodes {
					if x.router != nil {
						x.router.Update()
					}
				}
				return err
			},
			Locator: locator, Address: address})
	}
	w.nodes = append(w.nodes, n)
	return n
}

// lead makes a node the leader.
func (w *world) lead(n *node) {
	w.leads = n
	n.ip.Add(ip.Address{Addr: address(0xfc00), Bits: 64, Locator: true})
	n.petition.Reset()
}

// run lets time pass, a timer at a time.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	end := w.clock.Now().Add(d)
	for i := 0; ; i++ {
		at := w.clock.Deadline()
		if at.IsZero() || at.After(end) {
			break
		}
		if i > 100000 {
			w.t.Fatal("no end of timers")
		}
		w.clock.Advance(at)
	}
	w.clock.Advance(end)
}

// offer makes a joiner find a joiner router, with the steering data of now.
func (n *node) offer(routers ...*node) {
	i := Info{n.w.leader.Data}
	n.found = nil
	for _, r := range routers {
		n.found = append(n.found, Found{Ext: r.ext, PANID: r.pan, Channel: r.channel, RSSI: -40,
			ExtPANID: *testDataset(n.w.t).ExtPANID, NetworkName: "Test Network",
			SteeringData: i.SteeringData(), JoinerPort: i.JoinerPort()})
	}
}

// join starts a joiner and returns where its outcome will be.
func (n *node) join(pskd string) *outcome {
	n.w.t.Helper()
	o := &outcome{}
	if err := n.joiner.Start(secret(n.w.t, pskd), "", Vendor{Name: "gatewayd"}, func(err error) {
		o.n++
		o.err, o.at = err, n.w.clock.Now()
	}); err != nil {
		n.w.t.Fatalf("%s: %v", n.name, err)
	}
	return o
}

type outcome struct {
	n   int
	err error
	at  time.Time
}

func secret(t testing.TB, s string) PSKd {
	t.Helper()
	p, err := ParsePSKd(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testDataset is that of the recordings.
func testDataset(t testing.TB) *meshcop.Dataset {
	d, err := meshcop.DecodeDataset(unhex(t, `0e08 0000000000010000  0003 00000f  3506 0004001fffe0  0208 0001020304050607
		0708 fd000db8000a000b  0510 00112233445566778899aabbccddeeff  030c 54657374204e6574776f726b  0102 face
		0410 c3f59368445a1b6106be420a706d4cc9  0c04 02a0f7f8`))
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

// commissioning starts a world with a leader, a commissioner and a joiner
// router, of which some may be the same, and an active commissioner.
func commissioning(t testing.TB, leader, commissioner, router uint16) (w *world, l, c, r *node) {
	w = newWorld(t)
	at := func(rloc16 uint16) *node {
		for _, n := range w.nodes {
			if n.rloc16 == rloc16 {
				return n
			}
		}
		return w.add(fmt.Sprintf("%04x", rloc16), rloc16)
	}
	l, c, r = at(leader), at(commissioner), at(router)
	w.lead(l)
	if err := c.comm.Start(); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if c.comm.State() != Active {
		t.Fatalf("commissioner is %v: %v", c.comm.State(), c.why)
	}
	return w, l, c, r
}

func ipAddress(a netip.Addr) ip.Address { return ip.Address{Addr: a, Bits: 64, Preferred: true} }

func locatorAddress(locator16 uint16) ip.Address {
	return ip.Address{Addr: address(locator16), Bits: 64, Locator: true}
}

func addrPort(n *node, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(linkLocal(n.ext.IID()), port)
}
