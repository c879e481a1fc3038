package spinel

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/hdlc"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bench is a Link on a table: what it sends is collected, what it reports is
// written down, and time passes when told to.
type bench struct {
	t     testing.TB
	link  *Link
	clock alarm.Clock
	now   time.Time

	sent   []Frame  // not yet looked at
	log    []string // what the Link reported
	events []Event
	rx     []radio.RxFrame
	tx     []radio.TxResult
	info   radio.Info
	dec    hdlc.Decoder

	onDown, onTx func()
}

func newBench(t testing.TB, change ...func(*LinkConfig)) *bench {
	b := &bench{t: t, now: epoch}
	b.clock.Set(b.now)
	cfg := LinkConfig{
		Clock:   &b.clock,
		Handler: b,
		Send: func(wire []byte) {
			for f := range b.dec.Frames(wire) {
				d, err := DecodeFrame(bytes.Clone(f))
				if err != nil {
					t.Fatalf("the link sent %x: %v", f, err)
				}
				b.sent = append(b.sent, d)
			}
		},
		Notify: func(e Event) {
			b.events = append(b.events, e)
			b.log = append(b.log, e.String())
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	b.link = NewLink(cfg)
	return b
}

func (b *bench) RadioUp(_ time.Time, i radio.Info) {
	b.info = i
	b.log = append(b.log, "up")
}
func (b *bench) RadioDown(time.Time) {
	b.log = append(b.log, "down")
	if b.onDown != nil {
		b.onDown()
	}
}
func (b *bench) Received(_ time.Time, f radio.RxFrame) {
	b.rx = append(b.rx, f)
	b.log = append(b.log, fmt.Sprintf("received %x", f.PSDU))
}
func (b *bench) Transmitted(_ time.Time, r radio.TxResult) {
	b.tx = append(b.tx, r)
	b.log = append(b.log, "transmitted "+r.Status.String())
	if b.onTx != nil {
		b.onTx()
	}
}
func (b *bench) EnergyScanned(_ time.Time, channel uint8, rssi int8) {
	b.log = append(b.log, fmt.Sprintf("scanned %d: %d", channel, rssi))
}

// pass lets time go by.
func (b *bench) pass(d time.Duration) {
	end := b.now.Add(d)
	for {
		next := b.clock.Deadline()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(b.now) {
			b.now = next
		}
		b.clock.Advance(b.now)
	}
	b.now = end
	b.clock.Advance(b.now)
}

// reply gives the link a frame.
func (b *bench) reply(f Frame) {
	b.link.Receive(b.now, hdlc.AppendFrame(nil, f.Append(nil)))
}

// take returns what was sent and forgets it.
func (b *bench) take() []Frame {
	s := b.sent
	b.sent = nil
	return s
}

func (b *bench) wantState(s State) {
	b.t.Helper()
	if b.link.State() != s {
		b.t.Fatalf("state %v, want %v\n%s", b.link.State(), s, strings.Join(b.log, "\n"))
	}
}

// logged reports whether a line of the log has the text.
func (b *bench) logged(text string) bool {
	return slices.ContainsFunc(b.log, func(s string) bool { return strings.Contains(s, text) })
}

func (b *bench) wantLog(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if !b.logged(text) {
			b.t.Errorf("nothing says %q:\n%s", text, strings.Join(b.log, "\n"))
		}
	}
}

// fakeRCP answers like a simulated RCP of the recordings does: it holds the
// property values that it is given. hook may answer in its place.
type fakeRCP struct {
	b      *bench
	props  map[Prop][]byte
	hook   func(f Frame) bool // true: handled
	counts map[Prop]int       // of what was asked
	order  []string           // commands and properties
	short  []string           // source match tables, with the PAN ID at the time
	ext    []string
	room   int // in each
	muted  bool
}

func newFakeRCP(b *bench) *fakeRCP {
	r := &fakeRCP{b: b, room: 64, counts: make(map[Prop]int)}
	r.boot()
	return r
}

func (r *fakeRCP) boot() {
	hx := func(s string) []byte { v, _ := hex.DecodeString(s); return v }
	r.props = map[Prop][]byte{
		PropProtocolVersion:      {4, 3},
		PropNCPVersion:           append([]byte("OPENTHREAD/test; SIMULATION"), 0),
		PropCaps:                 hx("050c182281044041"),
		PropHWAddr:               hx("18b4300000000001"),
		PropRCPAPIVersion:        {11},
		PropRCPMinHostAPIVersion: {4},
		PropRadioCaps:            {0x7f},
		PropPhyChanSupported:     hx("0b0c0d0e0f101112131415161718191a"),
		PropPhyRxSensitivity:     {0x9c},
		PropRCPCSLAccuracy:       {20},
		PropRCPCSLUncertainty:    {10},
		PropMACPANID:             {0xff, 0xff},
	}
	r.short, r.ext = nil, nil
}

// run answers what the link sends until it is silent.
func (r *fakeRCP) run() {
	r.b.t.Helper()
	for range 1000 {
		todo := r.b.take()
		if len(todo) == 0 || r.muted {
			return
		}
		for _, f := range todo {
			r.b.now = r.b.now.Add(100 * time.Microsecond)
			r.answer(f)
		}
	}
	r.b.t.Fatal("link and RCP never stop talking")
}

// pass lets time go by while the RCP answers.
func (r *fakeRCP) pass(d time.Duration) {
	r.b.t.Helper()
	for end := r.b.now.Add(d); r.b.now.Before(end); {
		r.b.pass(500 * time.Millisecond)
		r.run()
	}
}

func (r *fakeRCP) status(f Frame, s Status) {
	r.b.reply(Frame{TID: f.TID, Cmd: CmdIs, Prop: PropLastStatus, Value: AppendPacked(nil, uint32(s))})
}

func (r *fakeRCP) is(f Frame, cmd Command, v []byte) {
	r.b.reply(Frame{TID: f.TID, Cmd: cmd, Prop: f.Prop, Value: v})
}

func (r *fakeRCP) answer(f Frame) {
	r.order = append(r.order, strings.TrimPrefix(f.Cmd.String(), "PROP_VALUE_")+" "+f.Prop.String())
	r.counts[f.Prop]++
	if r.hook != nil && r.hook(f) {
		return
	}
	table, pan := &r.short, string(r.props[PropMACPANID])
	if f.Prop == PropMACSrcMatchExt {
		table = &r.ext
	}
	isTable := f.Prop == PropMACSrcMatchExt || f.Prop == PropMACSrcMatchShort
	on := bytes.Equal(r.props[PropPhyEnabled], []byte{1})
	switch {
	case f.Cmd == CmdReset:
		r.boot()
		r.status(Frame{}, StatusResetPowerOn)
	case f.Cmd == CmdGet && f.Prop == PropRCPTimestamp:
		us := uint64(r.b.now.Sub(epoch)/time.Microsecond) + 5e9
		r.is(f, CmdIs, []byte{byte(us), byte(us >> 8), byte(us >> 16), byte(us >> 24), byte(us >> 32), 0, 0, 0})
	case f.Cmd == CmdGet:
		v, ok := r.props[f.Prop]
		if !ok {
			r.status(f, StatusPropNotFound)
			return
		}
		r.is(f, CmdIs, v)
	case f.Cmd == CmdSet && f.Prop == PropPhyEnabled:
		r.props[f.Prop] = f.Value
		r.is(f, CmdIs, f.Value)
	case !on:
		r.status(f, StatusInvalidState) // as OpenThread's do
	case f.Cmd == CmdSet && f.Prop == PropStreamRaw:
		r.b.reply(Frame{TID: f.TID, Cmd: CmdIs, Prop: PropLastStatus, Value: TxDone{Ack: RxFrame{Noise: -128}}.Append(nil)})
	case isTable && f.Cmd == CmdSet:
		size := 2
		if f.Prop == PropMACSrcMatchExt {
			size = 8
		}
		*table = nil
		for a := range slices.Chunk(f.Value, size) {
			if len(*table) == r.room {
				r.status(f, StatusNoMem)
				return
			}
			*table = append(*table, string(a)+pan)
		}
		r.status(f, StatusOK)
	case isTable && f.Cmd == CmdInsert:
		if len(*table) == r.room {
			r.status(f, StatusNoMem)
			return
		}
		*table = append(*table, string(f.Value)+pan)
		r.is(f, CmdInserted, f.Value)
	case isTable && f.Cmd == CmdRemove:
		i := slices.Index(*table, string(f.Value)+pan)
		if i < 0 {
			r.status(f, StatusItemNotFound)
			return
		}
		*table = slices.Delete(*table, i, i+1)
		r.is(f, CmdRemoved, f.Value)
	case f.Cmd == CmdSet:
		r.props[f.Prop] = f.Value
		r.is(f, CmdIs, f.Value)
	}
}

// settingsA are settings as a leader has them.
func settingsA() radio.Settings {
	return radio.Settings{
		Enabled: true, Receiving: true, Channel: 15, PANID: 0xface, Short: 0xfffe, AltShort: ieee802154.InvalidShort,
		Ext:          ieee802154.ExtAddr{0x9e, 0xda, 0xf7, 0x0c, 0xd1, 0x33, 0xe3, 0x1d},
		Keys:         radio.Keys{Index: 1, Current: [16]byte{1, 2, 3}},
		FrameCounter: 1000,
	}
}

// up is a link that is ready, with settings A.
func up(t testing.TB, change ...func(*LinkConfig)) (*bench, *fakeRCP) {
	t.Helper()
	b := newBench(t, change...)
	r := newFakeRCP(b)
	b.link.Configure(b.now, settingsA())
	b.link.Opened(b.now)
	r.run()
	b.wantState(Ready)
	return b, r
}

func TestStart(t *testing.T) {
	b, r := up(t)
	want := []string{
		"RESET LAST_STATUS",
		"GET PROTOCOL_VERSION", "GET NCP_VERSION", "GET CAPS",
		"GET HWADDR", "GET RCP_API_VERSION", "GET RCP_MIN_HOST_API_VERSION", "GET PHY_CHAN_SUPPORTED",
		"GET PHY_RX_SENSITIVITY", "GET RCP_CSL_ACCURACY", "GET RCP_CSL_UNCERTAINTY", "GET RADIO_CAPS",
		"SET PHY_ENABLED", "SET RCP_MAC_KEY", "SET RCP_MAC_FRAME_COUNTER",
		"SET MAC_15_4_PANID", "SET MAC_SRC_MATCH_ENABLED",
		"SET MAC_SRC_MATCH_SHORT_ADDRESSES", "SET MAC_SRC_MATCH_EXTENDED_ADDRESSES", "SET MAC_15_4_SADDR", "SET MAC_15_4_LADDR", "SET MAC_PROMISCUOUS_MODE",
		"SET PHY_CHAN", "SET MAC_RAW_STREAM_ENABLED",
		"GET RCP_TIMESTAMP", "GET RCP_TIMESTAMP", "GET RCP_TIMESTAMP",
	}
	if !slices.Equal(r.order, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(r.order, "\n"), strings.Join(want, "\n"))
	}
	if got := fmt.Sprintf("%x", r.props[PropRCPMACFrameCounter]); got != "e803000000" {
		t.Errorf("frame counter set to %s", got)
	}
	i := b.info
	if i.EUI64.String() != "18b4300000000001" || i.Channels != 0x07fff800 || i.RxSensitivity != -100 ||
		!i.Caps.Has(radio.CapTransmitSecurity|radio.CapTransmitTiming) || i.CSLAccuracy != 20 || i.CSLUncertain != 10 {
		t.Errorf("info %+v", i)
	}
	if us, ok := b.link.Clock(b.now); !ok || us < 5e9 || us > 5e9+20000 {
		t.Errorf("clock %d, %v", us, ok)
	}
	if b.link.Identity().API != 11 {
		t.Errorf("identity %+v", b.link.Identity())
	}
}
