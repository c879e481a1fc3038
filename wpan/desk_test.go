package wpan

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/eap"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/radio"
)

var (
	began  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	own    = ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 1}
	peer   = ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 2}
	other  = ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 3}
	prefix = netip.MustParsePrefix("fd00:1::/64")
)

// memory is a Store. What it holds can be counted as partly lost.
type memory struct {
	values map[string][]byte
	lost   map[string]int
	fail   error
}

func (m *memory) Load(name string) ([]byte, int, bool) {
	v, ok := m.values[name]
	return v, m.lost[name], ok
}

func (m *memory) Save(name string, value []byte) error {
	if m.fail == nil {
		m.values[name] = append([]byte(nil), value...)
	}
	return m.fail
}

func (m *memory) Delete(name string) error {
	delete(m.values, name)
	return m.fail
}

// desk is a node whose radio is the test's: it acknowledges what is sent to
// those who answer.
type desk struct {
	*Node
	t      testing.TB
	store  *memory
	sent   []ieee802154.Frame
	silent map[ieee802154.ExtAddr]bool
	host   [][]byte
}

func newDesk(t testing.TB, role Role, change func(*Config)) *desk {
	t.Helper()
	return reopen(t, role, &memory{values: map[string][]byte{}, lost: map[string]int{}}, change)
}

func reopen(t testing.TB, role Role, store *memory, change func(*Config)) *desk {
	t.Helper()
	d := &desk{t: t, store: store, silent: map[ieee802154.ExtAddr]bool{}}
	c := Config{Role: role, Random: rand.NewChaCha8([32]byte{byte(role)}), Store: store,
		Network: Network{Channel: 15, PANID: 0xabcd, Prefix: prefix},
		Backend: &eap.Local{Rand: rand.NewChaCha8([32]byte{9}), Methods: func(string, eap.Port) []eap.ServerMethodFactory { return nil }},
		Peer:    func() (EAPPeer, error) { return eap.NewPeer(eap.PeerConfig{Identity: "x"}), nil },
		Host:    func(p []byte) { d.host = append(d.host, p) },
	}
	if change != nil {
		change(&c)
	}
	var err error
	if d.Node, err = New(c, began); err != nil {
		t.Fatal(err)
	}
	d.SetRadio(d.radio())
	d.Radio().RadioUp(began, radio.Info{EUI64: own})
	if role == Coordinator {
		d.Start()
		d.pass(time.Second)
	}
	return d
}

// join makes a router or host on the desk a node of the network.
func (d *desk) join() {
	k := Key{Index: 1, Value: [16]byte{1}}
	d.network.Prefix = prefix
	d.started = true
	d.mac.Enable(true)
	d.adoptKey(k)
	d.mac.SetNetwork(15, 0xabcd)
	d.joined = true
	d.begin()
}

type deskRadio struct{ d *desk }

func (d *desk) radio() radio.Radio { return deskRadio{d} }

func (r deskRadio) Configure(time.Time, radio.Settings)        {}
func (r deskRadio) EnergyScan(time.Time, uint8, time.Duration) {}
func (r deskRadio) Clock(time.Time) (uint64, bool)             { return 0, false }
func (r deskRadio) Transmit(now time.Time, tx radio.TxFrame) {
	d := r.d
	psdu := slices.Clone(tx.PSDU)
	f, err := ieee802154.Decode(psdu)
	if err != nil {
		d.t.Errorf("sends %x: %v", tx.PSDU, err)
		return
	}
	if f.Secured {
		if err := f.Open(psdu, ieee802154.NewCCM(d.network.Key.mac()), own); err != nil {
			d.t.Errorf("%v", err)
		}
	}
	status := radio.TxOK
	if f.Dst.Mode == ieee802154.AddrExtended && d.silent[f.Dst.Ext] {
		status = radio.TxNoAck
	}
	d.clock.After(time.Millisecond, func() {
		d.sent = append(d.sent, f)
		d.Radio().Transmitted(d.clock.Now(), radio.TxResult{Status: status})
	})
}

func (d *desk) pass(t time.Duration) {
	end := d.clock.Now().Add(t)
	for at := d.Deadline(); !at.IsZero() && !at.After(end); at = d.Deadline() {
		d.Advance(at)
	}
	d.Advance(end)
}

var seqs, counters uint32

// hear lets the node hear a datagram from src, under the network's key or none.
func (d *desk) hear(src ieee802154.ExtAddr, packet []byte, secured bool) {
	d.t.Helper()
	f := ieee802154.Frame{Type: ieee802154.FrameData, Version: ieee802154.Version2006, Seq: uint8(seqs), AckRequest: true,
		DstPAN: 0xabcd, SrcPAN: 0xabcd, Dst: ieee802154.ExtendedAddr(own), Src: ieee802154.ExtendedAddr(src)}
	seqs++
	f.CompressPAN()
	for off, tag := 0, uint16(seqs); off < len(packet); {
		var err error
		if off == 0 {
			f.Payload, off, err = lowpan.AppendFirst(nil, packet, f.Src, f.Dst, d.contexts, 80, tag, false)
		} else {
			f.Payload, off, err = lowpan.AppendNext(nil, packet, off, 80, tag)
		}
		if err != nil {
			d.t.Fatal(err)
		}
		f.Seq++
		seqs++
		psdu := []byte(nil)
		if secured {
			counters++
			f.Secured = true
			f.Security = ieee802154.Security{Level: ieee802154.LevelEncMIC32, KeyIDMode: ieee802154.KeyIDIndex, KeyIndex: d.network.Key.Index, Counter: counters}
			psdu = f.Seal(ieee802154.NewCCM(d.network.Key.mac()), src, nil)
		} else {
			psdu = f.Append(nil)
		}
		d.Radio().Received(d.clock.Now(), radio.RxFrame{PSDU: psdu, Channel: 15})
	}
}

// udp is a datagram to a port.
func udp(src, dst netip.Addr, from, to uint16, payload string) []byte {
	return ipv6.AppendUDPPacket(nil, ipv6.Header{Src: src, Dst: dst, HopLimit: 255}, from, to, []byte(payload))
}

// icmp is an ICMPv6 message.
func icmp(src, dst netip.Addr, typ uint8, body ...byte) []byte {
	return ipv6.AppendICMPPacket(nil, ipv6.Header{Src: src, Dst: dst, HopLimit: 255}, typ, 0, body)
}

func global(ext ieee802154.ExtAddr) netip.Addr { return inPrefix(prefix, ext) }
