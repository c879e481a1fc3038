package mac

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/keys"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

var (
	start      = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	networkKey = [16]byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	ours       = ieee802154.ExtAddr{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}
	theirs     = ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, 0, 0, 0, 2}
	stranger   = ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, 0, 0, 0, 3}
)

const (
	pan       = 0xface
	ourShort  = 0xec00
	childAddr = 0xec01
)

// rig is a MAC between a radio and an upper layer that are both slices.
type rig struct {
	*MAC
	clock    alarm.Clock
	keys     *keys.Manager
	table    neighbor.Table
	peer     *neighbor.Child
	settings radio.Settings
	tx       []radio.TxFrame
	scans    []uint8
	direct   []Frame // to send
	indirect []Frame
	sent     []bool
	again    bool
	got      []*Received
	polled   int
	failed   int
	pollOK   []bool
}

func (r *rig) Configure(_ time.Time, s radio.Settings) { r.settings = s }
func (r *rig) Transmit(_ time.Time, f radio.TxFrame) {
	f.PSDU = slices.Clone(f.PSDU)
	r.tx = append(r.tx, f)
}
func (r *rig) EnergyScan(_ time.Time, c uint8, _ time.Duration) { r.scans = append(r.scans, c) }
func (r *rig) Clock(now time.Time) (uint64, bool) {
	return uint64(now.Sub(start)/time.Microsecond) + 1e6, true
}
func (r *rig) NextDirect(f *Frame) bool                      { return pop(&r.direct, f) }
func (r *rig) NextIndirect(_ *neighbor.Child, f *Frame) bool { return pop(&r.indirect, f) }
func (r *rig) DirectSent(_ *Frame, ok bool)                  { r.sent = append(r.sent, ok) }
func (r *rig) FrameReceived(f *Received)                     { r.got = append(r.got, f) }
func (r *rig) Polled(*neighbor.Child, bool)                  { r.polled++ }
func (r *rig) LinkFailed(*neighbor.Neighbor)                 { r.failed++ }
func (r *rig) PollSent(ok, _ bool)                           { r.pollOK = append(r.pollOK, ok) }
func (r *rig) RadioUp(radio.Info)                            {}
func (r *rig) RadioDown()                                    {}
func (r *rig) IndirectSent(_ *neighbor.Child, _ *Frame, ok bool) bool {
	r.sent = append(r.sent, ok)
	return r.again && !ok
}

func pop(q *[]Frame, f *Frame) bool {
	if len(*q) == 0 {
		return false
	}
	*f, *q = (*q)[0], (*q)[1:]
	return true
}

const allCaps = radio.CapAckTimeout | radio.CapTransmitRetries | radio.CapCSMABackoff | radio.CapTransmitSecurity

func newRig(caps radio.Caps) *rig {
	r := &rig{}
	r.clock.Set(start)
	r.keys = keys.New(keys.Config{Clock: &r.clock, Save: func(keys.State) error { return nil }, Changed: func() {
		if r.MAC != nil {
			r.KeysChanged()
		}
	}})
	r.MAC = New(Config{Clock: &r.clock, Rand: rand.New(rand.NewPCG(1, 2)), Keys: r.keys, Table: &r.table, Source: r, Handler: r})
	r.MAC.SetRadio(r)
	r.keys.SetNetworkKey(networkKey, true)
	r.SetExt(ours)
	r.SetShort(ourShort)
	r.SetPANID(pan)
	r.SetChannel(15)
	r.peer = &neighbor.Child{Neighbor: neighbor.Neighbor{State: neighbor.Valid, Ext: theirs, RLOC16: childAddr, Mode: neighbor.ModeRxOnWhenIdle, Version: 5}}
	r.table.Children = []*neighbor.Child{r.peer}
	r.Enable(true)
	r.MAC.RadioUp(start, radio.Info{Caps: caps, RxSensitivity: -100, Channels: 0x07fff800})
	return r
}

// frame is a data frame to us from a source.
func frame(src ieee802154.Addr, counter uint32) ieee802154.Frame {
	return ieee802154.Frame{Type: ieee802154.FrameData, Version: ieee802154.Version2006, AckRequest: true, Seq: 7,
		DstPAN: pan, SrcPAN: pan, PANCompressed: true, Dst: ieee802154.ShortAddr(ourShort), Src: src, Secured: true,
		Security: ieee802154.Security{Level: ieee802154.LevelEncMIC32, KeyIDMode: 1, KeyIndex: 1, Counter: counter},
		Payload:  []byte("payload")}
}

func (r *rig) air(psdu []byte) int {
	n := len(r.got)
	r.MAC.Received(r.clock.Now(), radio.RxFrame{PSDU: slices.Clone(psdu), Channel: 15, RSSI: -50})
	return len(r.got) - n
}

func (r *rig) seal(f ieee802154.Frame, ext ieee802154.ExtAddr) []byte {
	return f.Seal(r.keys.MAC(0), ext, nil)
}

// Every combination of security level, key id mode and sender that is not
// meant to be lets nothing through (CVE-2023-2626 is the lesson).
func TestDefaultDeny(t *testing.T) {
	kek := [16]byte{1, 2, 3}
	allowed := map[string]bool{
		"level 5 mode 0 kek, known, ext":          true, // a joiner session's
		"level 5 mode 0 kek, unknown, ext":        true,
		"level 5 mode 1 network, known, ext":      true,
		"level 5 mode 1 network, known, short":    true,
		"level 5 mode 2 well-known, known, ext":   true, // passes as unsecured
		"level 5 mode 2 well-known, known, short": true,
		"level 5 mode 2 well-known, unknown, ext": true,
	}
	passed := 0
	for level := ieee802154.LevelNone + 1; level <= ieee802154.LevelEncMIC128; level++ {
		for mode := range ieee802154.KeyIDMode(4) {
			for _, key := range []string{"network", "kek", "well-known"} {
				for _, who := range []string{"known, ext", "known, short", "unknown, ext", "unknown, short"} {
					r := newRig(allCaps)
					r.keys.SetKEK(kek)
					src, ext := ieee802154.ExtendedAddr(theirs), theirs
					switch who {
					case "known, short":
						src = ieee802154.ShortAddr(childAddr)
					case "unknown, ext":
						src, ext = ieee802154.ExtendedAddr(stranger), stranger
					case "unknown, short":
						src, ext = ieee802154.ShortAddr(0x1234), stranger
					}
					f := frame(src, 1)
					f.Security.Level, f.Security.KeyIDMode = level, mode
					var ccm *ieee802154.CCM
					switch key {
					case "network":
						ccm = r.keys.MAC(0)
					case "kek":
						ccm, _ = r.keys.KEK()
					default:
						ccm, ext = r.keys.WellKnown(), keys.WellKnownExt
						f.Security.KeyIndex = keys.WellKnownIndex
					}
					name := fmt.Sprintf("level %d mode %d %s, %s", level, mode, key, who)
					got := r.air(f.Seal(ccm, ext, nil)) == 1
					if got != allowed[name] {
						t.Errorf("%s: received %v", name, got)
					}
					if got {
						passed++
						if secured := r.got[0].Info.Secured; secured != (mode != 2) {
							t.Errorf("%s: counts as secured: %v", name, secured)
						}
					}
				}
			}
		}
	}
	if passed != len(allowed) {
		t.Errorf("%d combinations passed, want %d", passed, len(allowed))
	}
}

func TestReplay(t *testing.T) {
	r := newRig(allCaps)
	for i, x := range []struct {
		counter uint32
		want    int
	}{{5, 1}, {5, 0}, {4, 0}, {6, 1}, {100, 1}, {99, 0}, {101, 1}} {
		if got := r.air(r.seal(frame(ieee802154.ShortAddr(childAddr), x.counter), theirs)); got != x.want {
			t.Errorf("step %d, counter %d: received %d, want %d", i, x.counter, got, x.want)
		}
	}
	if r.Counters.RxDuplicated != 1 || r.Counters.RxErrSecurity != 2 {
		t.Errorf("counted %d duplicates, %d security errors", r.Counters.RxDuplicated, r.Counters.RxErrSecurity)
	}
	bad := r.seal(frame(ieee802154.ShortAddr(childAddr), 200), theirs)
	bad[len(bad)-1] ^= 1
	if r.air(bad) != 0 {
		t.Error("a bad MIC got through")
	}
	if r.air(r.seal(frame(ieee802154.ShortAddr(childAddr), 102), theirs)) != 1 {
		t.Error("a forged frame moved the counter")
	}
	next := frame(ieee802154.ShortAddr(childAddr), 0) // the next key: counting begins again
	next.Security.KeyIndex = 2
	if r.air(next.Seal(r.keys.MAC(1), theirs, nil)) != 1 || r.keys.Sequence() != 1 {
		t.Errorf("the next key was not followed: sequence %d", r.keys.Sequence())
	}
	if r.air(r.seal(frame(ieee802154.ShortAddr(childAddr), 500), theirs)) != 0 {
		t.Error("the former key was taken after the next")
	}
}

// A child that was restored from storage may poll and nothing else before it
// has proved itself.
func TestRestoredChildMayOnlyPoll(t *testing.T) {
	r := newRig(allCaps)
	r.peer.State = neighbor.Restored
	r.peer.Mode = 0
	if r.air(r.seal(frame(ieee802154.ShortAddr(childAddr), 9), theirs)) != 0 {
		t.Error("data was received")
	}
	p := frame(ieee802154.ShortAddr(childAddr), 10)
	p.Type, p.Command, p.Payload = ieee802154.FrameCommand, ieee802154.CommandDataRequest, nil
	r.air(r.seal(p, theirs))
	if r.polled != 1 {
		t.Errorf("polled %d times", r.polled)
	}
	p.Secured = false
	r.air(p.Append(nil))
	if r.polled != 1 {
		t.Error("an unsecured poll counted")
	}
}

func TestAddressFilter(t *testing.T) {
	for name, change := range map[string]func(*ieee802154.Frame){
		"other PAN":   func(f *ieee802154.Frame) { f.DstPAN, f.SrcPAN = 0xbeef, 0xbeef },
		"other short": func(f *ieee802154.Frame) { f.Dst = ieee802154.ShortAddr(0xec02) },
		"other ext":   func(f *ieee802154.Frame) { f.Dst = ieee802154.ExtendedAddr(stranger) },
		"no short":    func(f *ieee802154.Frame) { f.Dst = ieee802154.ShortAddr(ieee802154.InvalidShort) },
		"ourselves":   func(f *ieee802154.Frame) { f.Src = ieee802154.ExtendedAddr(ours) },
	} {
		r := newRig(allCaps)
		f := frame(ieee802154.ExtendedAddr(theirs), 1)
		change(&f)
		ext := theirs
		if f.Src.Ext == ours {
			ext = ours
		}
		if r.air(r.seal(f, ext)) != 0 {
			t.Errorf("%s: received", name)
		}
	}
}

func TestTransmitOnARadioThatSecures(t *testing.T) {
	r := newRig(allCaps)
	r.direct = []Frame{{Dst: ieee802154.ShortAddr(childAddr), Src: ieee802154.ShortAddr(ourShort), Payload: []byte("x")}}
	r.Kick()
	tx := r.tx[0]
	f, err := ieee802154.Decode(tx.PSDU)
	if err != nil || tx.Secured || tx.HeaderSet || !f.Secured || !f.AckRequest || tx.MaxRetries != directRetries {
		t.Fatalf("%+v, %v, %+v", f, err, tx)
	}
	r.MAC.Transmitted(start, radio.TxResult{Status: radio.TxOK, HeaderSet: true, KeyIndex: 1, FrameCounter: 41,
		Ack: radio.RxFrame{PSDU: ieee802154.AppendImmAck(nil, f.Seq, false)}})
	if !slices.Equal(r.sent, []bool{true}) || r.keys.MACCounter() != 42 {
		t.Errorf("sent %v, counter %d", r.sent, r.keys.MACCounter())
	}
	before := r.settings.FrameCounter
	r.MAC.RadioDown(start)
	if r.settings.FrameCounter < before+keys.Reserve/2 {
		t.Errorf("after the radio vanished counting goes on at %d, was %d", r.settings.FrameCounter, before)
	}
}

func TestTransmitOnARadioThatDoesNothing(t *testing.T) {
	r := newRig(0)
	r.direct = []Frame{{Dst: ieee802154.ShortAddr(childAddr), Src: ieee802154.ShortAddr(ourShort), Payload: []byte("x")}}
	r.Kick()
	first := r.tx[0]
	f, _ := ieee802154.Decode(slices.Clone(first.PSDU))
	p := slices.Clone(first.PSDU)
	if g, _ := ieee802154.Decode(p); !first.Secured || g.Open(p, r.keys.MAC(0), ours) != nil || string(g.Payload) != "x" {
		t.Fatalf("frame %x", first.PSDU)
	}
	for i := range directRetries {
		r.MAC.Transmitted(start, radio.TxResult{Status: radio.TxNoAck})
		r.clock.Advance(r.clock.Now().Add(100 * time.Millisecond))
		if len(r.tx) != i+2 || !slices.Equal(r.tx[i+1].PSDU, first.PSDU) || !r.tx[i+1].Retransmit {
			t.Fatalf("retry %d: %d frames", i, len(r.tx))
		}
	}
	r.MAC.Transmitted(start, radio.TxResult{Status: radio.TxNoAck})
	if !slices.Equal(r.sent, []bool{false}) || r.failed != 1 || r.peer.Failures != 1 {
		t.Errorf("sent %v, %d link failures", r.sent, r.failed)
	}
	r.direct = []Frame{{Dst: ieee802154.ShortAddr(childAddr), Src: ieee802154.ShortAddr(ourShort)}}
	r.Kick()
	g, _ := ieee802154.Decode(r.tx[len(r.tx)-1].PSDU)
	if g.Security.Counter != f.Security.Counter+1 || g.Seq != f.Seq+1 {
		t.Errorf("next frame has counter %d and sequence %d after %d and %d", g.Security.Counter, g.Seq, f.Security.Counter, f.Seq)
	}
}

// A frame that a sleepy child did not take is the very same at its next poll.
func TestIndirectRetransmission(t *testing.T) {
	r := newRig(allCaps)
	r.peer.Mode, r.again = 0, true
	poll := func(counter uint32) {
		p := frame(ieee802154.ShortAddr(childAddr), counter)
		p.Type, p.Command, p.Payload = ieee802154.FrameCommand, ieee802154.CommandDataRequest, nil
		r.MAC.Received(start, radio.RxFrame{PSDU: r.seal(p, theirs), AckedPending: true})
	}
	r.indirect = []Frame{{Dst: ieee802154.ShortAddr(childAddr), Src: ieee802154.ShortAddr(ourShort), Payload: []byte("x")}}
	poll(1)
	r.MAC.Transmitted(start, radio.TxResult{Status: radio.TxNoAck, HeaderSet: true, KeyIndex: 1, FrameCounter: 77})
	poll(2)
	if len(r.tx) != 2 || !r.tx[1].HeaderSet || !r.tx[1].Retransmit || r.tx[1].MaxRetries != indirectRetries {
		t.Fatalf("%d frames: %+v", len(r.tx), r.tx)
	}
	f, _ := ieee802154.Decode(r.tx[0].PSDU)
	g, _ := ieee802154.Decode(r.tx[1].PSDU)
	if g.Seq != f.Seq || g.Security.Counter != 77 || g.Security.KeyIndex != 1 {
		t.Errorf("repeated with sequence %d for %d, counter %d, index %d", g.Seq, f.Seq, g.Security.Counter, g.Security.KeyIndex)
	}
}

func TestPollWaitsForWhatIsPending(t *testing.T) {
	r := newRig(allCaps)
	r.table.Children = nil
	r.table.Parent = neighbor.Parent{Neighbor: neighbor.Neighbor{State: neighbor.Valid, Ext: theirs, RLOC16: 0x4400}}
	r.SetShort(0x4401)
	r.SetRxOnWhenIdle(false)
	if r.settings.Receiving {
		t.Error("asleep, but receiving")
	}
	r.Poll()
	f, _ := ieee802154.Decode(r.tx[0].PSDU)
	if f.Command != ieee802154.CommandDataRequest || f.Dst != ieee802154.ShortAddr(0x4400) || !f.Secured {
		t.Fatalf("poll %+v", f)
	}
	r.MAC.Transmitted(start, radio.TxResult{Status: radio.TxOK, Ack: radio.RxFrame{PSDU: ieee802154.AppendImmAck(nil, f.Seq, true)}})
	if !r.settings.Receiving {
		t.Fatal("not receiving what was announced")
	}
	d := frame(ieee802154.ShortAddr(0x4400), 3)
	d.Dst = ieee802154.ShortAddr(0x4401)
	if r.air(r.seal(d, theirs)) != 1 || r.settings.Receiving {
		t.Errorf("received %d, still receiving %v", len(r.got), r.settings.Receiving)
	}
}

func TestScan(t *testing.T) {
	r := newRig(allCaps)
	var found []Beacon
	done := false
	if !r.ActiveScan(1<<11|1<<15, 300*time.Millisecond, func(b Beacon) { found = append(found, b) }, func() { done = true }) {
		t.Fatal("not begun")
	}
	if r.ActiveScan(1<<11, time.Second, nil, func() {}) {
		t.Error("a second scan began")
	}
	if r.settings.Channel != 11 || r.settings.PANID != ieee802154.BroadcastPAN {
		t.Errorf("settings %+v", r.settings)
	}
	b := ieee802154.Frame{Type: ieee802154.FrameBeacon, SrcPAN: 0xbeef, Src: ieee802154.ExtendedAddr(stranger)}
	r.MAC.Received(start, radio.RxFrame{PSDU: b.Append(nil), Channel: 11, RSSI: -40})
	for range 2 {
		r.clock.Advance(r.clock.Now().Add(300 * time.Millisecond))
	}
	if !done || len(found) != 1 || found[0].PANID != 0xbeef || found[0].Ext != stranger || r.settings.Channel != 15 || r.settings.PANID != pan {
		t.Errorf("done %v, found %+v, settings %+v", done, found, r.settings)
	}
}

func TestRoomAndSecurity(t *testing.T) {
	r := newRig(allCaps)
	short := Frame{Dst: ieee802154.ShortAddr(1), Src: ieee802154.ShortAddr(2)}
	if got := r.Room(&short); got != 127-2-9-6-4 {
		t.Errorf("room %d", got)
	}
	ext := Frame{Dst: ieee802154.ExtendedAddr(theirs), Src: ieee802154.ExtendedAddr(ours), Security: link.Unsecured}
	if got := r.Room(&ext); got != 127-2-21 {
		t.Errorf("room %d", got)
	}
}
