package mac

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
)

var (
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	us    = ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 1}
	peer  = ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 2}
	key1  = [16]byte{1, 1, 1}
	key2  = [16]byte{2, 2, 2}
)

const (
	testChannel = 15
	testPAN     = 0xabcd
)

// desk is a MAC whose radio and upper layer are the test's.
type desk struct {
	t     testing.TB
	clock alarm.Clock
	mac   *MAC
	set   radio.Settings
	sent  []radio.TxFrame

	queue    []Frame
	results  []string
	received []Received
	heard    []uint8
	missing  []uint8
}

func newDesk(t testing.TB, caps radio.Caps, save func(uint32) error) *desk {
	d := &desk{t: t}
	d.clock.Set(began)
	d.mac = New(Config{Clock: &d.clock, Rand: rand.New(rand.NewPCG(1, 2)), Upper: d, Counter: NewCounter(0, save)})
	d.mac.seq = 0x40
	d.mac.SetRadio(d)
	d.mac.SetNetwork(testChannel, testPAN)
	d.mac.SetExt(us)
	d.mac.Enable(true)
	d.mac.RadioUp(d.clock.Now(), radio.Info{EUI64: us, Caps: caps})
	return d
}

func (d *desk) Configure(_ time.Time, s radio.Settings)    { d.set = s }
func (d *desk) Transmit(_ time.Time, f radio.TxFrame)      { d.sent = append(d.sent, f) }
func (d *desk) EnergyScan(time.Time, uint8, time.Duration) {}
func (d *desk) Clock(time.Time) (uint64, bool)             { return 0, false }
func (d *desk) FrameReceived(r Received)                   { d.received = append(d.received, r) }
func (d *desk) KeyHeard(index uint8)                       { d.heard = append(d.heard, index) }
func (d *desk) KeyMissing(index uint8)                     { d.missing = append(d.missing, index) }
func (d *desk) RadioUp(radio.Info)                         {}
func (d *desk) RadioDown()                                 {}
func (d *desk) FrameSent(f *Frame, ok bool, transmissions int) {
	d.results = append(d.results, fmt.Sprintf("%s %v %d", f.Payload, ok, transmissions))
}

func (d *desk) NextFrame(f *Frame) bool {
	if len(d.queue) == 0 {
		return false
	}
	*f, d.queue = d.queue[0], d.queue[1:]
	return true
}

// send queues a frame to the peer.
func (d *desk) send(payload string) {
	d.queue = append(d.queue, Frame{Dst: ieee802154.ExtendedAddr(peer), Payload: []byte(payload)})
	d.mac.Kick()
}

func (d *desk) answer(s radio.TxStatus) {
	d.mac.Transmitted(d.clock.Now(), radio.TxResult{Status: s})
}

// pass lets time pass.
func (d *desk) pass(t time.Duration) {
	end := d.clock.Now().Add(t)
	for at := d.clock.Deadline(); !at.IsZero() && !at.After(end); at = d.clock.Deadline() {
		d.clock.Advance(at)
	}
	d.clock.Advance(end)
}

// from is a frame that src sends to us.
func from(src ieee802154.ExtAddr, seq uint8, payload string, secure ...uint32) []byte {
	f := ieee802154.Frame{Type: ieee802154.FrameData, Version: ieee802154.Version2006, Seq: seq, AckRequest: true,
		DstPAN: testPAN, SrcPAN: testPAN, Dst: ieee802154.ExtendedAddr(us), Src: ieee802154.ExtendedAddr(src), Payload: []byte(payload)}
	f.CompressPAN()
	if len(secure) == 0 {
		return f.Append(nil)
	}
	f.Secured = true
	f.Security = ieee802154.Security{Level: ieee802154.LevelEncMIC32, KeyIDMode: ieee802154.KeyIDIndex, KeyIndex: uint8(secure[0]), Counter: secure[1]}
	key := key1
	if secure[0] == 2 {
		key = key2
	}
	return f.Seal(ieee802154.NewCCM(key), src, nil)
}

func (d *desk) hear(psdu []byte) {
	d.mac.Received(d.clock.Now(), radio.RxFrame{PSDU: psdu, Channel: testChannel, RSSI: -50})
}

// payloads is what was received, and forgets it.
func (d *desk) payloads() string {
	var list []string
	for _, r := range d.received {
		s := string(r.Payload)
		if r.Secured {
			s += fmt.Sprintf("/%d", r.KeyIndex)
		}
		list = append(list, s)
	}
	d.received = nil
	return strings.Join(list, " ")
}

// flip changes the last octet.
func flip(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var clean strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		clean.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(clean.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	d := newDesk(t, 0, nil)
	d.send("hi")
	want := unhex(t, `
		61dc                # data, acknowledge, one PAN id, 2006, extended addresses
		40                  # sequence number
		cdab                # PAN
		0200000000000002    # to
		0100000000000002    # from
		6869`)
	// The first address is read from the air lowest octet first.
	copy(want[5:], []byte{2, 0, 0, 0, 0, 0, 0, 2})
	if got := d.sent[0].PSDU; !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	d.answer(radio.TxOK)

	d.mac.SetKey(1, key1)
	d.mac.UseKey(1)
	d.send("hi")
	head := unhex(t, `
		69dc 41 cdab 0200000000000002 0100000000000002
		0d                  # ENC-MIC-32, key index
		00000000 01         # counter, index`)
	got := d.sent[1].PSDU
	if !bytes.HasPrefix(got, head) || len(got) != len(head)+2+4 {
		t.Fatalf("%x, want %x and 2+4 octets", got, head)
	}
	f, err := ieee802154.Decode(got)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Open(bytes.Clone(got), ieee802154.NewCCM(key1), us); err != nil {
		t.Errorf("%v", err)
	}
	if bytes.Contains(got, []byte("hi")) {
		t.Error("in the clear")
	}
	if r := d.mac.Room(&Frame{Dst: ieee802154.ExtendedAddr(peer)}); r != ieee802154.MaxPSDU-2-len(head)-4 {
		t.Errorf("room for %d", r)
	}
	if r := d.mac.Room(&Frame{Dst: ieee802154.ExtendedAddr(peer), Unsecured: true}); r != MaxPayload {
		t.Errorf("room for %d without security, want %d", r, MaxPayload)
	}
	d.answer(radio.TxOK)
	d.queue = append(d.queue, Frame{Dst: ieee802154.ShortAddr(ieee802154.BroadcastShort), Payload: []byte("all")})
	d.mac.Kick()
	if f := d.sent[2]; f.MaxRetries != 0 || f.PSDU[0]&0x20 != 0 {
		t.Errorf("to all with an acknowledgement: %+v", f)
	}
}

func TestRetries(t *testing.T) {
	const all = radio.CapTransmitRetries | radio.CapCSMABackoff
	tests := []struct {
		name   string
		caps   radio.Caps
		answer []radio.TxStatus
		sent   int
		result string
	}{
		{"acknowledged", 0, []radio.TxStatus{radio.TxOK}, 1, "x true 1"},
		{"at the third", 0, []radio.TxStatus{radio.TxNoAck, radio.TxNoAck, radio.TxOK}, 3, "x true 3"},
		{"never", 0, []radio.TxStatus{1, 1, 1, 1, 1, 1, 1, 1}, 8, "x false 8"},
		{"the radio retries", all, []radio.TxStatus{radio.TxNoAck}, 1, "x false 8"},
		{"busy, then free", 0, []radio.TxStatus{radio.TxChannelBusy, radio.TxOK}, 2, "x true 2"},
		{"busy", 0, []radio.TxStatus{2, 2, 2, 2, 2}, 5, "x false 5"},
		{"the radio backs off", all, []radio.TxStatus{radio.TxChannelBusy}, 1, "x false 1"},
		{"aborted", 0, []radio.TxStatus{radio.TxAborted}, 1, "x false 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, tt.caps, nil)
			d.send("x")
			for _, s := range tt.answer {
				d.answer(s)
				d.pass(50 * time.Millisecond)
			}
			if len(d.sent) != tt.sent || len(d.results) != 1 || d.results[0] != tt.result {
				t.Errorf("%d transmissions, %q; want %d, %q", len(d.sent), d.results, tt.sent, tt.result)
			}
			for i, f := range d.sent {
				if !bytes.Equal(f.PSDU, d.sent[0].PSDU) || f.Retransmit != (i > 0) {
					t.Errorf("transmission %d: %+v", i, f)
				}
			}
			d.send("y") // the next one goes
			if len(d.sent) != tt.sent+1 {
				t.Error("stuck")
			}
		})
	}
}

// A radio that goes away in the middle holds nothing up.
func TestRadioGoes(t *testing.T) {
	d := newDesk(t, 0, nil)
	d.send("x")
	d.answer(radio.TxNoAck) // another try is due
	d.mac.RadioDown(d.clock.Now())
	d.pass(time.Second)
	if fmt.Sprint(d.results) != "[x false 1]" || len(d.sent) != 1 {
		t.Errorf("%q, %d sent", d.results, len(d.sent))
	}
	d.send("y")
	if len(d.sent) != 1 {
		t.Error("sends without a radio")
	}
	d.mac.RadioUp(d.clock.Now(), radio.Info{EUI64: us})
	if len(d.sent) != 2 {
		t.Error("what waited does not go")
	}
}

func TestSecurity(t *testing.T) {
	d := newDesk(t, 0, nil)
	d.mac.SetKey(1, key1)
	d.mac.UseKey(1)
	steps := []struct {
		name string
		psdu []byte
		want string
	}{
		{"first", from(peer, 1, "a", 1, 7), "a/1"},
		{"retry of it", from(peer, 1, "a", 1, 7), ""},
		{"before it", from(peer, 2, "b", 1, 6), ""},
		{"after it", from(peer, 3, "c", 1, 8), "c/1"},
		{"much later", from(peer, 4, "d", 1, 1000), "d/1"},
		{"another's counters are its own", from(ieee802154.ExtAddr{9}, 4, "e", 1, 3), "e/1"},
		{"a key that is not known", from(peer, 5, "f", 2, 2000), ""},
		{"without a key", from(peer, 6, "g"), "g"},
		{"the last counter there is", from(peer, 7, "h", 1, 1<<32-1), ""},
		{"changed on the way", flip(from(peer, 8, "i", 1, 1001)), ""},
		{"a MIC that is wrong moves no counter", from(peer, 9, "j", 1, 1001), "j/1"},
	}
	for _, s := range steps {
		d.hear(s.psdu)
		if got := d.payloads(); got != s.want {
			t.Errorf("%s: %q, want %q", s.name, got, s.want)
		}
	}
	if c := d.mac.Counters; c.Duplicates != 1 || c.Replayed != 1 || c.NoKey != 1 || c.BadMIC != 1 {
		t.Errorf("%+v", c)
	}
	if fmt.Sprint(d.missing) != "[2]" {
		t.Errorf("missing keys: %v", d.missing)
	}

	// The next key: heard, then in use; counters of each are apart.
	d.mac.SetKey(2, key2)
	d.hear(from(peer, 10, "k", 2, 0))
	d.hear(from(peer, 11, "l", 2, 0))
	d.hear(from(peer, 12, "m", 1, 1002))
	if got := d.payloads(); got != "k/2 m/1" || fmt.Sprint(d.heard) != "[2]" {
		t.Errorf("%q, heard %v", got, d.heard)
	}
	d.mac.UseKey(2)
	d.mac.UseKey(3) // not known
	if d.mac.ActiveKey() != 2 {
		t.Errorf("uses key %d", d.mac.ActiveKey())
	}
	d.mac.DropKey(1)
	d.hear(from(peer, 13, "n", 1, 1003))
	d.hear(from(peer, 14, "o", 2, 1))
	if got := d.payloads(); got != "o/2" {
		t.Errorf("%q", got)
	}
	// An index that comes again is of another key, whose counters begin anew.
	d.mac.SetKey(1, key1)
	d.hear(from(peer, 15, "p", 1, 0))
	if got := d.payloads(); got != "p/1" {
		t.Errorf("%q", got)
	}
	d.mac.DropKey(2)
	if d.mac.ActiveKey() != 0 {
		t.Error("uses a key that was dropped")
	}
}

func TestDuplicates(t *testing.T) {
	d := newDesk(t, 0, nil)
	d.hear(from(peer, 1, "a"))
	d.hear(from(peer, 1, "a"))
	d.hear(from(ieee802154.ExtAddr{9}, 1, "b"))
	d.hear(from(peer, 2, "c"))
	d.pass(duplicateTime)
	d.hear(from(peer, 2, "d"))
	if got := d.payloads(); got != "a b c d" {
		t.Errorf("%q", got)
	}
}

func TestAddresses(t *testing.T) {
	d := newDesk(t, 0, nil)
	for name, change := range map[string]func(*ieee802154.Frame){
		"another PAN":     func(f *ieee802154.Frame) { f.DstPAN, f.SrcPAN = 1, 1 },
		"another node":    func(f *ieee802154.Frame) { f.Dst = ieee802154.ExtendedAddr(peer) },
		"a short address": func(f *ieee802154.Frame) { f.Dst = ieee802154.ShortAddr(1) },
		"nobody":          func(f *ieee802154.Frame) { f.Dst = ieee802154.Addr{} },
		"from ourselves":  func(f *ieee802154.Frame) { f.Src = ieee802154.ExtendedAddr(us) },
		"from nobody":     func(f *ieee802154.Frame) { f.Src = ieee802154.Addr{} },
	} {
		f, err := ieee802154.Decode(from(peer, 1, name))
		if err != nil {
			t.Fatal(err)
		}
		change(&f)
		d.hear(f.Append(nil))
		if got := d.payloads(); got != "" {
			t.Errorf("takes what is for or from %s", name)
		}
	}
	d.mac.Enable(false)
	d.hear(from(peer, 9, "off"))
	if got := d.payloads(); got != "" {
		t.Error("hears while off")
	}
}

// However many addresses are made up, memory is bounded, and those that have
// shown a key keep their counters.
func TestNeighbours(t *testing.T) {
	d := newDesk(t, 0, nil)
	d.mac.SetKey(1, key1)
	d.mac.UseKey(1)
	ext := func(i int) ieee802154.ExtAddr { return ieee802154.ExtAddr{4, 0, 0, 0, 0, 0, byte(i >> 8), byte(i)} }
	d.hear(from(peer, 1, "a", 1, 5))
	for i := range 2 * maxNeighbors {
		d.hear(from(ext(i), 1, "x"))
		d.pass(time.Millisecond)
	}
	if n := len(d.mac.neighbors); n > maxNeighbors {
		t.Errorf("%d neighbours", n)
	}
	d.received = nil
	d.hear(from(peer, 1, "a", 1, 5))
	if got := d.payloads(); got != "" {
		t.Error("a replay passes after a flood of made-up addresses")
	}
	// With a key there is always room: it is a device of the network.
	for i := range 2 * maxNeighbors {
		d.hear(from(ext(10000+i), 1, "s", 1, 1))
	}
	if n, got := len(d.mac.neighbors), len(d.received); n > maxNeighbors || got != 2*maxNeighbors {
		t.Errorf("%d neighbours, %d frames of %d", n, got, 2*maxNeighbors)
	}
}

func TestCounter(t *testing.T) {
	var saved uint32
	var fail error
	save := func(limit uint32) error {
		if fail == nil {
			saved = limit
		}
		return fail
	}
	used := map[uint32]bool{}
	take := func(c *Counter, n int) {
		t.Helper()
		for range n {
			v, ok := c.Next()
			if !ok || used[v] || v >= saved {
				t.Fatalf("%d %v; reserved below %d", v, ok, saved)
			}
			used[v] = true
		}
	}
	c := NewCounter(0, save)
	take(c, 3*Reserve/2)
	for range 5 { // restarts
		c = NewCounter(saved, save)
		take(c, 10)
	}
	fail = errors.New("disk full")
	for {
		v, ok := c.Next()
		if !ok {
			break
		}
		if v >= saved || used[v] {
			t.Fatalf("uses %d, reserved below %d", v, saved)
		}
		used[v] = true
	}
	fail = nil
	take(c, 10)

	c = NewCounter(exhausted-3, save)
	n := 0
	for range 10 {
		if v, ok := c.Next(); ok {
			if v == exhausted {
				t.Error("the last counter is not to be used")
			}
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d counters before the end, want 3", n)
	}
	c.Continue(7)
	if v, ok := c.Next(); v != 7 || !ok {
		t.Errorf("%d %v", v, ok)
	}
}

// When counters cannot be had, nothing is sent, and nothing is stuck.
func TestNoCounter(t *testing.T) {
	fail := errors.New("disk full")
	d := newDesk(t, 0, func(uint32) error { return fail })
	d.mac.SetKey(1, key1)
	d.mac.UseKey(1)
	for i := range 5 {
		d.queue = append(d.queue, Frame{Dst: ieee802154.ExtendedAddr(peer), Payload: []byte{'0' + byte(i)}})
	}
	d.mac.Kick()
	if len(d.sent) != 0 || len(d.results) != 5 {
		t.Errorf("%d sent, %q", len(d.sent), d.results)
	}
	d.queue = append(d.queue, Frame{Dst: ieee802154.ExtendedAddr(peer), Payload: []byte("clear"), Unsecured: true})
	d.mac.Kick()
	if len(d.sent) != 1 || d.sent[0].MaxRetries != plainRetries {
		t.Errorf("%d sent", len(d.sent))
	}
	d.answer(radio.TxOK)
	fail = nil
	d.send("x")
	if len(d.sent) != 2 {
		t.Error("does not recover")
	}
}

func beaconOf(src ieee802154.ExtAddr, pan uint16, payload string) []byte {
	b := ieee802154.Beacon{Superframe: 0x8fff, Payload: []byte(payload)}
	f := ieee802154.Frame{Type: ieee802154.FrameBeacon, Version: ieee802154.Version2003, SrcPAN: pan,
		Src: ieee802154.ExtendedAddr(src), Payload: b.Append(nil)}
	return f.Append(nil)
}

func TestScan(t *testing.T) {
	d := newDesk(t, 0, nil)
	var found []Beacon
	done := 0
	if !d.mac.Scan(1<<11|1<<20, 100*time.Millisecond, func(b []Beacon) { found, done = b, done+1 }) {
		t.Fatal("no scan")
	}
	if d.mac.Scan(1<<11, time.Second, nil) {
		t.Error("two scans at a time")
	}
	// 0308 seq ffff ffff 07: a beacon request.
	request := d.sent[0].PSDU
	if len(request) != 8 || request[0] != 3 || request[1] != 8 || request[7] != 7 || d.set.Channel != 11 || d.set.PANID != ieee802154.BroadcastPAN {
		t.Errorf("%x on channel %d, PAN %x", request, d.set.Channel, d.set.PANID)
	}
	d.pass(10 * time.Second) // the request waits for the radio, the scan for the request
	if len(d.sent) != 1 {
		t.Error("a second frame while the first is under way")
	}
	d.answer(radio.TxOK)
	d.send("later")
	hear := func(channel uint8, psdu []byte) {
		d.mac.Received(d.clock.Now(), radio.RxFrame{PSDU: psdu, Channel: channel, RSSI: -40})
	}
	hear(11, beaconOf(peer, 0x1111, "one"))
	hear(11, beaconOf(peer, 0x1111, "again"))
	hear(12, beaconOf(peer, 0x2222, "elsewhere"))
	hear(11, beaconOf(peer, 0x1111, "")[:8])
	d.hear(from(peer, 1, "data"))
	d.pass(100 * time.Millisecond)
	if d.set.Channel != 20 {
		t.Fatalf("channel %d", d.set.Channel)
	}
	d.answer(radio.TxChannelBusy)
	hear(20, beaconOf(ieee802154.ExtAddr{9}, 0x3333, "two"))
	d.pass(100 * time.Millisecond)
	if done != 1 || len(found) != 2 || string(found[0].Payload) != "again" || found[1].PANID != 0x3333 || found[1].Channel != 20 {
		t.Errorf("%d: %+v", done, found)
	}
	if d.set.Channel != testChannel || d.set.PANID != testPAN {
		t.Errorf("back on %d, %x", d.set.Channel, d.set.PANID)
	}
	if len(d.received) != 0 || len(d.sent) != 3 {
		t.Errorf("received %q, sent %d", d.payloads(), len(d.sent))
	}
	d.answer(radio.TxOK)

	// Beacons do not fill memory.
	d.mac.Scan(1<<testChannel, 100*time.Millisecond, func(b []Beacon) { found = b })
	d.answer(radio.TxOK)
	for i := range 3 * maxBeacons {
		hear(testChannel, beaconOf(ieee802154.ExtAddr{1, byte(i)}, uint16(i), ""))
	}
	d.pass(time.Second)
	if len(found) != maxBeacons {
		t.Errorf("%d beacons", len(found))
	}
	// No channel is no error.
	done = 0
	d.mac.Scan(0, time.Second, func([]Beacon) { done++ })
	if done != 1 {
		t.Error("a scan of no channels does not end")
	}
}

func TestBeacon(t *testing.T) {
	d := newDesk(t, 0, nil)
	request := []byte{0x03, 0x08, 0x01, 0xff, 0xff, 0xff, 0xff, 0x07}
	d.hear(request)
	d.pass(time.Second)
	if len(d.sent) != 0 {
		t.Error("answers without having something to say")
	}
	says := true
	d.mac.BeaconReply = func() (ieee802154.Beacon, bool) {
		return ieee802154.Beacon{Superframe: 0xcfff, Payload: []byte("lab")}, says
	}
	for range 10 {
		d.hear(request)
	}
	d.pass(beaconJitter)
	want := unhex(t, `
		00c0 40 cdab 0100000000000002  # beacon of an extended address
		ffcf 00 00                     # superframe: none, coordinator, may join
		6c6162`)
	if len(d.sent) != 1 || !bytes.Equal(d.sent[0].PSDU, want) {
		t.Fatalf("%d frames, %x, want %x", len(d.sent), d.sent[0].PSDU, want)
	}
	d.answer(radio.TxChannelBusy)
	d.pass(time.Second)
	d.answer(radio.TxOK)
	if len(d.results) != 0 {
		t.Errorf("%q", d.results)
	}
	says = false
	d.hear(request)
	d.pass(time.Second)
	if n := len(d.sent); n != 2 {
		t.Errorf("%d frames", n)
	}
}

// Whatever comes from the air, the MAC does not panic, keeps within its bounds,
// takes nothing as secured that is not, and sends again afterwards.
func FuzzReceived(f *testing.F) {
	f.Add(from(peer, 1, "plain"), true)
	f.Add(from(peer, 1, "secured", 1, 7), true)
	f.Add(from(peer, 1, "unknown", 2, 7), false)
	f.Add(beaconOf(peer, 1, "beacon"), true)
	f.Add([]byte{0x03, 0x08, 0x01, 0xff, 0xff, 0xff, 0xff, 0x07}, false)
	f.Fuzz(func(t *testing.T, in []byte, scanning bool) {
		d := newDesk(t, 0, nil)
		d.mac.SetKey(1, key1)
		d.mac.UseKey(1)
		d.mac.BeaconReply = func() (ieee802154.Beacon, bool) { return ieee802154.Beacon{}, true }
		if scanning {
			d.mac.Scan(1<<testChannel, time.Second, func([]Beacon) {})
			d.answer(radio.TxOK)
		}
		for n := 1; len(in) > 0; in = in[n:] {
			n = min(len(in), 1+int(in[0]))
			d.hear(bytes.Clone(in[:n]))
			d.hear(bytes.Clone(in[:n]))
		}
		for _, r := range d.received {
			if r.Secured && r.KeyIndex != 1 {
				t.Errorf("key %d", r.KeyIndex)
			}
		}
		if len(d.mac.neighbors) > maxNeighbors {
			t.Error("too many neighbours")
		}
		d.pass(2 * time.Second)
		before := len(d.sent)
		if d.mac.op != idle {
			d.answer(radio.TxOK)
		}
		d.send("x")
		if len(d.sent) == before {
			t.Error("stuck")
		}
	})
}
