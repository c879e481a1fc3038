package spinel

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/hdlc"
)

func TestOldRCP(t *testing.T) {
	// Without API version, RCP timestamps and transmit security.
	b := newBench(t)
	r := newFakeRCP(b)
	old := func() {
		r.props[PropCaps] = AppendCaps(nil, []Cap{CapConfigRadio, CapMACRaw})
		r.props[PropRadioCaps] = []byte{byte(radio.CapAckTimeout | radio.CapEnergyScan)}
		delete(r.props, PropRCPCSLAccuracy)
	}
	r.hook = func(f Frame) bool {
		old()
		switch f.Prop {
		case PropRCPTimestamp, PropMACPromiscuousMode:
			r.status(f, StatusPropNotFound)
			return true
		case PropRCPMACKey, PropRCPMACFrameCounter, PropRCPAPIVersion:
			t.Errorf("it was asked for %v", f.Prop)
		}
		return false
	}
	b.link.Configure(b.now, settingsA())
	b.link.Opened(b.now)
	r.run()
	b.wantState(Ready)
	b.wantLog("radio refused MAC_PROMISCUOUS_MODE: PROP_NOT_FOUND")
	if _, ok := b.link.Clock(b.now); ok {
		t.Error("there is a clock")
	}
}

// RCPs that do not answer resets, or not the first kind, still come up.
func TestResetUnanswered(t *testing.T) {
	for _, answers := range []int{0, 1, 2} { // resets that it needs; 0: never answers
		b := newBench(t)
		r := newFakeRCP(b)
		var kinds []byte
		r.hook = func(f Frame) bool {
			if f.Cmd != CmdReset {
				return false
			}
			kinds = append(kinds, f.Value[0])
			return len(kinds) != answers
		}
		b.link.Configure(b.now, settingsA())
		b.link.Opened(b.now)
		for range 3 {
			r.run()
			b.pass(2 * time.Second)
		}
		r.run()
		b.wantState(Ready)
		want := []byte{byte(ResetStack), byte(ResetPlatform)}[:min(2, max(answers, 2*(1-answers)))]
		if !bytes.Equal(kinds, want) {
			t.Errorf("answering reset %d: resets %v, want %v", answers, kinds, want)
		}
	}
}

func TestNoReset(t *testing.T) {
	b, r := up(t, func(c *LinkConfig) { c.NoReset = true })
	if slices.Contains(r.order, "RESET LAST_STATUS") {
		t.Error("it was reset")
	}
	_ = b
}

func TestUnusable(t *testing.T) {
	tests := []struct {
		name string
		prop Prop
		v    []byte
		want string
	}{
		{"an NCP", PropCaps, AppendCaps(nil, []Cap{CapConfigFTD, 52}), "OpenThread NCP"},
		{"Spinel 5", PropProtocolVersion, []byte{5, 0}, "it speaks Spinel 5.0, this host 4.3"},
		{"too new", PropRCPMinHostAPIVersion, []byte{12}, "wants a host with RCP API version 12, this host has 11"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			r := newFakeRCP(b)
			flashed := false
			r.hook = func(f Frame) bool {
				if f.Prop == tt.prop && !flashed {
					r.is(f, CmdIs, tt.v)
					return true
				}
				return false
			}
			b.link.Opened(b.now)
			r.run()
			b.wantState(Unusable)
			b.wantLog(tt.want)
			if b.logged("up") {
				t.Error("the radio came up")
			}
			// Somebody flashes it.
			flashed = true
			b.pass(time.Minute)
			r.run()
			b.wantState(Ready)
		})
	}
}

func TestNewerAPIIsFine(t *testing.T) {
	b := newBench(t)
	r := newFakeRCP(b)
	r.hook = func(f Frame) bool {
		switch f.Prop {
		case PropRCPAPIVersion:
			r.is(f, CmdIs, []byte{40})
		case PropCaps:
			r.is(f, CmdIs, AppendCaps(nil, []Cap{CapMACRaw, CapConfigRadio, CapRCPAPIVersion, 99999}))
		default:
			return false
		}
		return true
	}
	b.link.Opened(b.now)
	r.run()
	b.wantState(Ready)
}

// Whatever is asked, an RCP that reboots instead of answering is made what it
// should be.
func TestResetInTheMiddle(t *testing.T) {
	_, r := up(t)
	steps := len(r.order)
	for at := 1; at < steps; at++ {
		b := newBench(t)
		r := newFakeRCP(b)
		n := 0
		r.hook = func(f Frame) bool {
			if n++; n-1 != at {
				return false
			}
			r.boot()
			r.status(Frame{}, StatusResetWatchdog)
			return true
		}
		b.link.Configure(b.now, settingsA())
		b.link.Opened(b.now)
		for range 4 {
			r.run()
			b.pass(2 * time.Second)
		}
		if b.link.State() != Ready {
			t.Fatalf("reset at %s: %v\n%s", r.order[at], b.link.State(), strings.Join(b.log, "\n"))
		}
		checkRCP(t, r, settingsA())
	}
}

// checkRCP compares what the RCP was told with the settings.
func checkRCP(t *testing.T, r *fakeRCP, s radio.Settings) {
	t.Helper()
	for p, want := range map[Prop]string{
		PropPhyEnabled:          "01",
		PropPhyChan:             fmt.Sprintf("%02x", s.Channel),
		PropMACRawStreamEnabled: "01",
		PropMACPANID:            fmt.Sprintf("%02x%02x", byte(s.PANID), s.PANID>>8),
		PropMACShortAddr:        fmt.Sprintf("%02x%02x", byte(s.Short), s.Short>>8),
		PropMACLongAddr:         s.Ext.String(),
		PropRCPMACKey:           fmt.Sprintf("%x", MACKeys(s.Keys).Append(nil)),
		PropMACSrcMatchEnabled:  map[bool]string{true: "01", false: "00"}[s.SourceMatch],
	} {
		if got := fmt.Sprintf("%x", r.props[p]); got != want {
			t.Errorf("%v is %s, want %s", p, got, want)
		}
	}
	var short, ext []string
	if s.SourceMatch {
		pan := string([]byte{byte(s.PANID), byte(s.PANID >> 8)})
		for _, a := range s.SourceMatchShort {
			short = append(short, string([]byte{byte(a), byte(a >> 8)})+pan)
		}
		for _, a := range s.SourceMatchExt {
			ext = append(ext, string(a[:])+pan)
		}
	}
	slices.Sort(short)
	slices.Sort(ext)
	slices.Sort(r.short)
	slices.Sort(r.ext)
	if !slices.Equal(short, r.short) || !slices.Equal(ext, r.ext) {
		t.Errorf("source match tables %x and %x, want %x and %x", r.short, r.ext, short, ext)
	}
}

func TestUnexpectedReset(t *testing.T) {
	b, r := up(t)
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15})
	b.take() // it gets lost in the reboot
	b.onDown = func() {
		s := settingsA()
		s.FrameCounter = 5000 // as a MAC does that lost sight of the counter
		b.link.Configure(b.now, s)
	}
	b.log = nil
	before := b.link.Stats()
	r.boot()
	r.status(Frame{}, StatusResetFault)
	r.run()
	b.wantState(Ready)
	if i, j := slices.Index(b.log, "down"), slices.Index(b.log, "transmitted aborted"); i < 0 || j < i || slices.Index(b.log, "up") < j {
		t.Errorf("want down, transmitted aborted, up:\n%s", strings.Join(b.log, "\n"))
	}
	b.wantLog("radio reset by itself: RESET_FAULT")
	checkRCP(t, r, settingsA())
	if got := fmt.Sprintf("%x", r.props[PropRCPMACFrameCounter]); got != "8813000000" {
		t.Errorf("frame counter %s after the reset", got)
	}
	after := b.link.Stats()
	if after.SelfResets != before.SelfResets+1 || after.Resets != before.Resets || after.Recoveries != before.Recoveries+1 {
		t.Errorf("stats %+v", after)
	}
}

// An RCP that reboots as soon as it is ready is left alone for longer and
// longer, up to half a minute.
func TestCrashLoop(t *testing.T) {
	b, r := up(t)
	var at []time.Time
	b.now = b.now.Add(time.Second)
	for range 14 {
		r.boot()
		r.status(Frame{}, StatusResetCrash)
		r.run()
		for b.link.State() != Ready {
			b.pass(10 * time.Millisecond)
			r.run()
			if b.now.Sub(epoch) > time.Hour {
				t.Fatal("it does not come back")
			}
		}
		at = append(at, b.now)
	}
	if first := at[1].Sub(at[0]); first > time.Second {
		t.Errorf("the second time took %v", first)
	}
	if last := at[13].Sub(at[12]); last < 29*time.Second || last > 33*time.Second {
		t.Errorf("the last time took %v", last)
	}
	b.wantLog("reopen: reset by itself")
	// Once it has been well for a while, all is forgotten.
	r.pass(time.Minute)
	b.log = nil
	r.boot()
	r.status(Frame{}, StatusResetCrash)
	r.run()
	b.wantState(Ready)
}

func TestStall(t *testing.T) {
	b, r := up(t)
	r.muted = true
	b.log = nil
	b.pass(15*time.Second + 2*time.Second + 100*time.Millisecond)
	b.wantState(Ready) // asked once more
	b.wantLog("radio did not answer MAC_15_4_PANID")
	b.pass(2 * time.Second)
	b.wantLog("down", "no answer to MAC_15_4_PANID")
	b.pass(5 * time.Minute) // it stays away
	if b.link.State() == Ready {
		t.Fatal("it is ready")
	}
	resets := 0
	for _, f := range b.take() {
		if f.Cmd == CmdReset {
			resets++
		}
	}
	if resets < 5 || resets > 40 {
		t.Errorf("%d resets in five minutes", resets)
	}
	b.wantLog("reopen:")
	r.muted = false
	for range 20 {
		b.pass(2 * time.Second)
		r.run()
	}
	b.wantState(Ready)
	checkRCP(t, r, settingsA())
}

// A reset that nobody heard of shows at the next sign of life.
func TestSilentReset(t *testing.T) {
	b, r := up(t)
	r.boot()
	b.log = nil
	b.pass(15 * time.Second)
	r.run()
	b.wantState(Ready)
	b.wantLog("it has forgotten its settings")
	checkRCP(t, r, settingsA())
}

// One lost answer to a question is no reason to reset anything.
func TestLostAnswer(t *testing.T) {
	b, r := up(t)
	lost := 0
	r.hook = func(f Frame) bool {
		if f.Prop == PropMACPANID && f.Cmd == CmdGet && lost == 0 {
			lost++
			return true
		}
		return false
	}
	before := b.link.Stats()
	b.pass(15 * time.Second)
	r.run()
	b.pass(2 * time.Second)
	r.run()
	b.pass(10 * time.Second)
	b.wantState(Ready)
	after := b.link.Stats()
	if after.Timeouts != before.Timeouts+1 || after.Resets != before.Resets {
		t.Errorf("stats %+v", after)
	}
}

// A lost answer to a setting means that nothing is known for certain.
func TestLostSetting(t *testing.T) {
	b, r := up(t)
	lost := 0
	r.hook = func(f Frame) bool {
		if f.Prop == PropPhyChan && lost == 0 {
			lost++
			return true
		}
		return false
	}
	s := settingsA()
	s.Channel = 20
	b.link.Configure(b.now, s)
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 20})
	r.run()
	if slices.Contains(r.order, "SET STREAM_RAW") {
		t.Error("a frame was sent before its setting was confirmed")
	}
	b.pass(2 * time.Second)
	r.run()
	b.wantState(Ready)
	b.wantLog("no answer to PHY_CHAN", "transmitted aborted")
	checkRCP(t, r, s)
}

func TestLateAnswers(t *testing.T) {
	b, r := up(t)
	var late []Frame
	r.hook = func(f Frame) bool {
		if f.Cmd == CmdGet && f.Prop == PropMACPANID {
			late = append(late, f)
			return true
		}
		return false
	}
	b.pass(15 * time.Second)
	r.run()
	b.pass(2 * time.Second)
	r.run()
	b.pass(2 * time.Second) // given up
	for _, f := range late {
		r.is(f, CmdIs, []byte{0, 0})
		r.status(f, StatusFailure)
	}
	r.hook = nil
	r.run()
	b.wantState(Ready)
	if n := b.link.Stats().Unmatched; n != 4 {
		t.Errorf("%d unmatched answers, want 4", n)
	}
}

func TestGarbage(t *testing.T) {
	b, r := up(t)
	noise := bytes.Repeat([]byte{0x00, 0x7e, 0x7d, 0x80, 0xff, 0x13}, 500)
	b.link.Receive(b.now, noise)
	b.reply(Frame{Cmd: CmdIs, Prop: PropStreamRaw, Value: []byte{0xff, 0xff, 1}})
	b.reply(Frame{Cmd: CmdIs, Prop: PropStreamRaw, Value: []byte{0xff, 0xff, 1}})
	b.reply(Frame{Cmd: CmdIs, Prop: 0x3fff, Value: []byte{1}})
	b.reply(Frame{Cmd: 99})
	b.reply(Frame{Cmd: CmdIs, Prop: PropMACEnergyScanResult})
	b.reply(Frame{IID: 2, Cmd: CmdIs, Prop: PropLastStatus, Value: []byte{byte(StatusResetCrash)}})
	b.reply(Frame{TID: 9, Cmd: CmdIs, Prop: PropLastStatus, Value: []byte{0}})
	b.wantState(Ready)
	s := b.link.Stats()
	if s.Malformed != 3 || s.Ignored != 3 || s.Unmatched != 1 {
		t.Errorf("stats %+v", s)
	}
	if b.link.LineStats().BadFCS == 0 {
		t.Error("no line errors were counted")
	}
	told := 0
	for _, e := range b.events {
		if e.Kind == EventMalformed && e.Prop == PropStreamRaw {
			told++
			if e.String() != "radio sent a malformed STREAM_RAW: spinel: frame at byte 2: too short" {
				t.Errorf("it says %q", e)
			}
		}
	}
	if told != 1 {
		t.Errorf("STREAM_RAW was reported %d times", told)
	}
	r.run()
	checkRCP(t, r, settingsA())
}

func TestClosed(t *testing.T) {
	b, r := up(t)
	b.link.EnergyScan(b.now, 11, 50*time.Millisecond)
	b.log = nil
	b.link.Closed(b.now, io.EOF)
	b.wantState(Absent)
	b.wantLog("ready -> absent: EOF", "down", fmt.Sprintf("scanned 11: %d", radio.RSSIInvalid))
	b.take()
	b.pass(time.Hour)
	if got := b.take(); len(got) > 0 {
		t.Errorf("it sends %v to nobody", got)
	}
	if !b.clock.Deadline().IsZero() {
		t.Error("a timer is running")
	}
	b.link.Receive(b.now, []byte{0x7e})
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}})
	b.wantLog("transmitted aborted")
	// Another one is plugged in.
	r.boot()
	b.link.Opened(b.now)
	r.run()
	b.wantState(Ready)
	checkRCP(t, r, settingsA())
}

func TestRefusedSetting(t *testing.T) {
	b, r := up(t)
	s := settingsA()
	s.Channel = 27
	r.hook = func(f Frame) bool {
		if f.Prop == PropPhyChan && f.Value[0] == 27 {
			r.status(f, StatusInvalidArgument)
			return true
		}
		return false
	}
	b.link.Configure(b.now, s)
	r.run()
	b.wantState(Ready) // a channel that does not exist is not the RCP's fault
	b.wantLog("radio refused PHY_CHAN: INVALID_ARGUMENT")
	n := r.counts[PropPhyChan]
	b.link.Configure(b.now, s)
	r.run()
	if r.counts[PropPhyChan] != n {
		t.Error("it asks again and again")
	}
	// A refusal that is the RCP's fault.
	r.hook = func(f Frame) bool {
		if f.Prop == PropMACShortAddr && f.Cmd == CmdSet && r.counts[f.Prop] < 3 {
			r.status(f, StatusInternalError)
			return true
		}
		return false
	}
	s.Channel, s.Short = 11, 0x0400
	b.link.Configure(b.now, s)
	r.run()
	b.wantState(Ready)
	b.wantLog("it refused MAC_15_4_SADDR: INTERNAL_ERROR")
	checkRCP(t, r, s)
}

func TestDisable(t *testing.T) {
	b, r := up(t)
	b.link.Configure(b.now, radio.Settings{})
	r.run()
	b.wantState(Ready)
	if !bytes.Equal(r.props[PropPhyEnabled], []byte{0}) {
		t.Error("it is on")
	}
	// What an RCP remembers while it is off is its own affair: all is said again.
	enabled := r.props[PropPhyEnabled]
	r.boot()
	r.props[PropPhyEnabled] = enabled
	b.link.Configure(b.now, settingsA())
	r.run()
	checkRCP(t, r, settingsA())
}

func TestOnlyDifferences(t *testing.T) {
	b, r := up(t)
	for _, tt := range []struct {
		change func(*radio.Settings)
		want   string
	}{
		{func(s *radio.Settings) {}, ""},
		{func(s *radio.Settings) { s.FrameCounter = 99999 }, ""},
		{func(s *radio.Settings) { s.Short = 0x8800 }, "SET MAC_15_4_SADDR"},
		{func(s *radio.Settings) { s.Channel, s.PANID = 12, 0xffff }, "SET MAC_15_4_PANID,SET PHY_CHAN"},
		{func(s *radio.Settings) { s.Receiving = false }, "SET MAC_RAW_STREAM_ENABLED"},
		{func(s *radio.Settings) { s.Keys.Index, s.Keys.Current = 2, [16]byte{9} }, "SET RCP_MAC_KEY,SET RCP_MAC_FRAME_COUNTER"},
		{func(s *radio.Settings) { s.Promiscuous = true }, "SET MAC_PROMISCUOUS_MODE"},
	} {
		base := settingsA()
		b.link.Configure(b.now, base)
		r.run()
		r.order = nil
		tt.change(&base)
		b.link.Configure(b.now, base)
		r.run()
		if got := strings.Join(r.order, ","); got != tt.want {
			t.Errorf("asked %q, want %q", got, tt.want)
		}
	}
}

func TestFrameCounter(t *testing.T) {
	b, r := up(t)
	counter := func() string { return fmt.Sprintf("%x", r.props[PropRCPMACFrameCounter]) }
	// The RCP reports counters in acknowledgements and in what it sent.
	r.hook = func(f Frame) bool {
		if f.Prop != PropStreamRaw {
			return false
		}
		b.reply(Frame{TID: f.TID, Cmd: CmdIs, Prop: PropLastStatus, Value: TxDone{
			HeaderUpdated: true, HasHeader: true, KeyIndex: 1, FrameCounter: 0x2000}.Append(nil)})
		return true
	}
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15})
	r.run()
	if got := b.tx[0]; !got.HeaderSet || got.KeyIndex != 1 || got.FrameCounter != 0x2000 {
		t.Errorf("result %+v", got)
	}
	b.reply(Frame{Cmd: CmdIs, Prop: PropStreamRaw, Value: RxFrame{PSDU: []byte{1, 2, 3, 0, 0},
		Flags: FlagAckedSecured | FlagAckedPending, AckKeyIndex: 1, AckCounter: 0x2001}.Append(nil)})
	if got := b.rx[0]; !got.AckedSecured || !got.AckedPending || got.AckCounter != 0x2001 {
		t.Errorf("received %+v", got)
	}
	// After a reset it goes on behind them, though Settings say less.
	r.hook = nil
	r.boot()
	r.status(Frame{}, StatusResetCrash)
	r.run()
	if got := counter(); got != "0220000000" {
		t.Errorf("counter after a reset %s", got)
	}
	// A new key begins where Settings say.
	s := settingsA()
	s.Keys = radio.Keys{Index: 2, Previous: s.Keys.Current, Current: [16]byte{7}}
	s.FrameCounter = 0
	b.link.Configure(b.now, s)
	r.run()
	if got := counter(); got != "0000000000" {
		t.Errorf("counter of a new key %s", got)
	}
}

func TestSourceMatch(t *testing.T) {
	b, r := up(t)
	ext := func(n byte) ieee802154.ExtAddr { return ieee802154.ExtAddr{0x92, 0, 0, 0, 0, 0, 0, n} }
	s := settingsA()
	step := func(want string, short []uint16, exts ...ieee802154.ExtAddr) {
		t.Helper()
		s.SourceMatch, s.SourceMatchShort, s.SourceMatchExt = true, short, exts
		r.order = nil
		b.link.Configure(b.now, s)
		r.run()
		b.wantState(Ready)
		got := strings.Join(r.order, ",")
		for long, brief := range map[string]string{"MAC_SRC_MATCH_SHORT_ADDRESSES": "short", "MAC_SRC_MATCH_EXTENDED_ADDRESSES": "ext", "MAC_SRC_MATCH_ENABLED": "on"} {
			got = strings.ReplaceAll(got, long, brief)
		}
		if got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		checkRCP(t, r, s)
	}
	step("INSERT short,INSERT ext,SET on", []uint16{0x6402}, ext(1))
	step("INSERT short", []uint16{0x6402, 0x6403}, ext(1))
	step("REMOVE short,INSERT short", []uint16{0x6403, 0x6404, 0x6404}[:2], ext(1))
	step("INSERT ext", []uint16{0x6403, 0x6404}, ext(1), ext(2))
	// Extended addresses are never removed: OpenThread's RCPs want them
	// backwards then. The whole table is set.
	step("SET ext", []uint16{0x6403, 0x6404}, ext(2))
	// RCPs hash the PAN ID into their entries.
	s.PANID = 0xffff // for a scan
	step("SET MAC_15_4_PANID,SET short,SET ext", []uint16{0x6403, 0x6404}, ext(2))
	s.PANID = settingsA().PANID
	step("SET MAC_15_4_PANID,SET short,SET ext", []uint16{0x6403}, ext(2))
	step("REMOVE short,SET ext", nil)
	// After a reset whole tables are set.
	s.SourceMatchShort, s.SourceMatchExt = []uint16{1, 2}, []ieee802154.ExtAddr{ext(3)}
	b.link.Configure(b.now, s)
	r.run()
	r.order = nil
	r.boot()
	r.status(Frame{}, StatusResetCrash)
	r.run()
	if slices.ContainsFunc(r.order, func(o string) bool { return strings.HasPrefix(o, "INSERT") }) {
		t.Errorf("after a reset: %v", r.order)
	}
	checkRCP(t, r, s)
}

// When not all children fit into the RCP's table, it must tell all of them that
// there may be more, and start matching again when they fit.
func TestSourceMatchFull(t *testing.T) {
	for _, wholeSet := range []bool{false, true} {
		b, r := up(t)
		r.room = 3
		s := settingsA()
		s.SourceMatch = true
		if wholeSet {
			s.SourceMatchShort = []uint16{1, 2, 3, 4, 5}
			b.link.Configure(b.now, s)
			r.boot()
			r.status(Frame{}, StatusResetCrash)
			b.take()
			b.link.Closed(b.now, nil)
			b.link.Opened(b.now)
			r.run()
		} else {
			for n := range uint16(5) {
				s.SourceMatchShort = append(s.SourceMatchShort, n+1)
				b.link.Configure(b.now, s)
				r.run()
			}
		}
		b.wantState(Ready)
		b.wantLog("radio refused MAC_SRC_MATCH_SHORT_ADDRESSES: NOMEM")
		if r.props[PropMACSrcMatchEnabled][0] != 0 || len(r.short) != 3 {
			t.Errorf("full: enabled %x with %x", r.props[PropMACSrcMatchEnabled], r.short)
		}
		refused := len(r.order)
		b.link.Configure(b.now, s)
		r.run()
		if len(r.order) != refused {
			t.Errorf("it asks again: %v", r.order[refused:])
		}
		s.SourceMatchShort = []uint16{5, 4}
		b.link.Configure(b.now, s)
		r.run()
		checkRCP(t, r, s)
	}
}

// A long table is set in part, and the rest inserted.
func TestSourceMatchLong(t *testing.T) {
	b, r := up(t)
	s := settingsA()
	s.SourceMatch = true
	for n := range byte(60) {
		s.SourceMatchExt = append(s.SourceMatchExt, ieee802154.ExtAddr{n})
	}
	b.link.Configure(b.now, s)
	r.boot()
	r.status(Frame{}, StatusResetCrash)
	longest := 0
	r.hook = func(f Frame) bool { longest = max(longest, len(f.Value)); return false }
	r.run()
	checkRCP(t, r, s)
	if longest > maxMatchSet {
		t.Errorf("a value of %d bytes", longest)
	}
}

// An RCP without source matching is used without.
func TestNoSourceMatch(t *testing.T) {
	b := newBench(t)
	r := newFakeRCP(b)
	r.hook = func(f Frame) bool {
		switch f.Prop {
		case PropMACSrcMatchEnabled, PropMACSrcMatchShort, PropMACSrcMatchExt:
			r.status(f, StatusPropNotFound)
			return true
		}
		return false
	}
	s := settingsA()
	s.SourceMatch, s.SourceMatchShort = true, []uint16{1, 2}
	b.link.Configure(b.now, s)
	b.link.Opened(b.now)
	r.run()
	b.wantState(Ready)
}

func TestTransmit(t *testing.T) {
	b, r := up(t)
	b.pass(20 * time.Millisecond)
	us, _ := b.link.Clock(b.now)
	var got TxRequest
	answer := TxDone{Ack: RxFrame{PSDU: []byte{0x12, 0, 7, 0, 0}, RSSI: -20, Noise: -128, Channel: 15, LQI: 99, Timestamp: 77}}
	r.hook = func(f Frame) bool {
		if f.Prop != PropStreamRaw {
			return false
		}
		var err error
		if got, err = DecodeTxRequest(f.Value); err != nil {
			t.Fatal(err)
		}
		b.reply(Frame{TID: f.TID, Cmd: CmdIs, Prop: PropLastStatus, Value: answer.Append(nil)})
		return true
	}
	frame := radio.TxFrame{PSDU: []byte{0x61, 0xd8, 1}, Channel: 15, CSMA: true, MaxBackoffs: 4, MaxRetries: 15,
		Retransmit: true, At: us + 30000, Power: radio.PowerDefault}
	b.link.Transmit(b.now, frame)
	r.run()
	want := TxRequest{PSDU: []byte{0x61, 0xd8, 1, 0, 0}, Channel: 15, MaxCSMABackoffs: 4, MaxFrameRetries: 15, CSMA: true,
		Retransmission: true, Delay: 30000, Base: uint32(us), RxChannel: 15, Power: 127}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("sent\n%+v, want\n%+v", got, want)
	}
	if len(b.tx) != 1 || b.tx[0].Status != radio.TxOK || !bytes.Equal(b.tx[0].Ack.PSDU, []byte{0x12, 0, 7}) || b.tx[0].Ack.Timestamp != 77 {
		t.Errorf("result %+v", b.tx)
	}
	for status, want := range map[Status]radio.TxStatus{
		StatusNoAck: radio.TxNoAck, StatusCCAFailure: radio.TxChannelBusy, StatusBusy: radio.TxAborted, 0x4009: radio.TxAborted,
	} {
		b.tx = nil
		answer = TxDone{Status: status}
		b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15, Secured: true})
		r.run()
		if len(b.tx) != 1 || b.tx[0].Status != want || b.tx[0].Ack.PSDU != nil {
			t.Errorf("%v became %+v", status, b.tx)
		}
		if !got.HeaderUpdated || !got.SecurityProcessed || got.Delay != 0 {
			t.Errorf("sent %+v", got)
		}
	}
	// On another channel: the RCP is brought back.
	answer = TxDone{}
	r.order = nil
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 20})
	r.run()
	if want := []string{"SET STREAM_RAW", "SET PHY_CHAN"}; !slices.Equal(r.order, want) {
		t.Errorf("asked %v, want %v", r.order, want)
	}
	for _, bad := range [][]byte{nil, make([]byte, 126)} {
		b.tx = nil
		b.link.Transmit(b.now, radio.TxFrame{PSDU: bad, Channel: 15})
		if len(b.tx) != 1 || b.tx[0].Status != radio.TxAborted {
			t.Errorf("a frame of %d bytes: %+v", len(bad), b.tx)
		}
	}
	b.wantState(Ready)
}

func TestTransmitTimeout(t *testing.T) {
	b, r := up(t)
	r.hook = func(f Frame) bool { return f.Prop == PropStreamRaw }
	again := 0
	b.onTx = func() { // a MAC that tries at once
		if again++; again < 5 {
			b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{4}, Channel: 15})
		}
	}
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15})
	for range 10 {
		b.pass(490 * time.Millisecond)
		r.run()
	}
	if len(b.tx) != 0 {
		t.Fatal("too soon")
	}
	b.pass(200 * time.Millisecond)
	if again != 5 {
		t.Errorf("%d answers", again)
	}
	b.wantLog("no answer to a frame to transmit", "down")
	r.hook = nil
	r.run()
	b.wantState(Ready)
}

// An RCP that keeps refusing frames is not what it was told to be.
func TestTransmitRefused(t *testing.T) {
	b, r := up(t)
	refusing := true
	r.hook = func(f Frame) bool {
		if f.Cmd == CmdReset {
			refusing = false
		}
		if f.Prop != PropStreamRaw || !refusing {
			return false
		}
		r.status(f, StatusInvalidState)
		return true
	}
	for range 3 {
		b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15})
		r.run()
	}
	b.wantLog("it refuses to transmit")
	b.wantState(Ready)
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15})
	r.run()
	if last := b.tx[len(b.tx)-1]; last.Status != radio.TxOK {
		t.Errorf("result %+v", last)
	}
}

func TestEnergyScan(t *testing.T) {
	b, r := up(t)
	b.log = nil
	b.link.EnergyScan(b.now, 11, 50*time.Millisecond)
	r.run()
	if got := fmt.Sprintf("%x %x %x", r.props[PropMACScanMask], r.props[PropMACScanPeriod], r.props[PropMACScanState]); got != "0b 3200 02" {
		t.Errorf("asked for %s", got)
	}
	b.reply(Frame{Cmd: CmdIs, Prop: PropMACEnergyScanResult, Value: []byte{0x0c, 0x9e}}) // another channel's
	if b.logged("scanned") {
		t.Error("the wrong channel's result was taken")
	}
	b.reply(Frame{Cmd: CmdIs, Prop: PropMACEnergyScanResult, Value: []byte{0x0b, 0x9e}})
	b.reply(Frame{Cmd: CmdIs, Prop: PropMACScanState, Value: []byte{0}})
	b.wantLog("scanned 11: -98")
	// Refused.
	r.hook = func(f Frame) bool {
		if f.Prop == PropMACScanState {
			r.status(f, StatusInvalidState)
			return true
		}
		return false
	}
	b.link.EnergyScan(b.now, 12, 50*time.Millisecond)
	r.run()
	b.wantLog("scanned 12: 127")
	b.wantState(Ready)
	// Never ending.
	r.hook = nil
	b.link.EnergyScan(b.now, 13, 50*time.Millisecond)
	r.run()
	b.pass(6 * time.Second)
	r.run()
	b.wantLog("scanned 13: 127", "an energy scan did not end")
	b.wantState(Ready)
}

func TestDroppedFrames(t *testing.T) {
	b, _ := up(t)
	good := RxFrame{PSDU: []byte{1, 2, 3, 0, 0}, RSSI: -20, Noise: -128, Channel: 15}
	for _, change := range []func(*RxFrame){
		func(f *RxFrame) { f.Flags = FlagBadFCS },
		func(f *RxFrame) { f.Flags = FlagTransmitted },
		func(f *RxFrame) { f.Error = 17 },
		func(f *RxFrame) { f.PSDU = f.PSDU[:2] },
	} {
		f := good
		change(&f)
		b.reply(Frame{Cmd: CmdIs, Prop: PropStreamRaw, Value: f.Append(nil)})
	}
	if len(b.rx) != 0 || b.link.Stats().Dropped != 4 {
		t.Errorf("received %v, stats %+v", b.rx, b.link.Stats())
	}
	b.reply(Frame{Cmd: CmdIs, Prop: PropStreamRaw, Value: good.Append(nil)})
	if len(b.rx) != 1 || !bytes.Equal(b.rx[0].PSDU, []byte{1, 2, 3}) {
		t.Errorf("received %v", b.rx)
	}
}

func TestLogLines(t *testing.T) {
	b, _ := up(t)
	b.reply(Frame{Cmd: CmdIs, Prop: PropStreamDebug, Value: []byte("[N] Mac: hello\x1b[0m\r\n")})
	b.reply(Frame{Cmd: CmdIs, Prop: PropStreamLog, Value: append([]byte("crash\x00"), 3, 1, 2, 3)})
	b.reply(Frame{Cmd: CmdIs, Prop: PropStreamDebug, Value: bytes.Repeat([]byte{0xff}, 2000)})
	var got []Event
	for _, e := range b.events {
		if e.Kind == EventLog {
			got = append(got, e)
		}
	}
	if len(got) != 3 || got[0].Text != "[N] Mac: hello [0m" || got[1].Text != "crash" || got[1].Level != 3 || len(got[2].Text) > 600 {
		t.Errorf("log lines %+v", got)
	}
}

// The clock follows an RCP whose clock runs fast, and round trips that vary.
func TestClockDrift(t *testing.T) {
	b, r := up(t)
	boot := b.now.Add(-time.Second)
	const fast = 80e-6
	n := 0
	r.hook = func(f Frame) bool {
		if f.Prop != PropRCPTimestamp {
			return false
		}
		b.now = b.now.Add(time.Duration(200+n%3*150) * time.Microsecond) // the way there
		n++
		us := uint64(float64(b.now.Sub(boot)/time.Microsecond) * (1 + fast))
		b.now = b.now.Add(time.Duration(200+n%2*150) * time.Microsecond) // and back
		r.is(f, CmdIs, []byte{byte(us), byte(us >> 8), byte(us >> 16), byte(us >> 24), byte(us >> 32), 0, 0, 0})
		return true
	}
	r.pass(30 * time.Minute)
	b.wantState(Ready)
	got, ok := b.link.Clock(b.now)
	want := uint64(float64(b.now.Sub(boot)/time.Microsecond) * (1 + fast))
	if off := int64(got - want); !ok || off < -500 || off > 500 {
		t.Errorf("clock is off by %d us", off)
	}
	if d := b.link.remote.drift; d < 60e-6 || d > 100e-6 {
		t.Errorf("drift %g, want %g", d, fast)
	}
}

func TestTuning(t *testing.T) {
	cca, coex := int8(-60), false
	_, r := up(t, func(c *LinkConfig) {
		c.Tuning = radio.Tuning{Region: "US", CCAThreshold: &cca, Coex: &coex, MaxPower: []int8{20, 18}}
	})
	for p, want := range map[Prop]string{PropPhyRegionCode: "5355", PropPhyCCAThreshold: "c4", PropRadioCoexEnable: "00", PropPhyChanMaxPower: "1a12"} {
		if got := fmt.Sprintf("%x", r.props[p]); got != want {
			t.Errorf("%v is %s, want %s", p, got, want)
		}
	}
	if r.counts[PropPhyChanMaxPower] != 16 {
		t.Errorf("%d channels have a limit", r.counts[PropPhyChanMaxPower])
	}
}

// What was received first says what it was when nothing answers.
func TestWhatIsThis(t *testing.T) {
	b := newBench(t)
	b.link.Opened(b.now)
	b.link.Receive(b.now, []byte("\x1a\xc1\x02\x0b\x0a\x52\x7e"))
	b.pass(10 * time.Second)
	b.wantLog("EZSP")
}

func TestSecondTransmit(t *testing.T) {
	b, r := up(t)
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15})
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{4, 5, 6}, Channel: 15})
	r.run()
	if len(b.tx) != 2 || b.tx[0].Status != radio.TxAborted || b.tx[1].Status != radio.TxOK {
		t.Errorf("results %+v", b.tx)
	}
}

// A process that was held up reads its answers before it complains.
func TestOverslept(t *testing.T) {
	b, r := up(t)
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15})
	b.link.Configure(b.now, radio.Settings{})
	b.now = b.now.Add(time.Minute)
	b.clock.Advance(b.now)
	r.run()
	b.wantState(Ready)
	if len(b.tx) != 1 || b.tx[0].Status != radio.TxOK {
		t.Errorf("results %+v", b.tx)
	}
}

func TestCrashDump(t *testing.T) {
	b := newBench(t)
	r := newFakeRCP(b)
	r.hook = func(f Frame) bool {
		switch f.Prop {
		case PropCaps:
			r.is(f, CmdIs, AppendCaps(nil, []Cap{CapConfigRadio, CapMACRaw, CapRCPLogCrashDump}))
		case PropRCPLogCrashDump:
			r.status(f, StatusOK)
			r.is(Frame{Prop: PropStreamLog}, CmdIs, append([]byte("fault at 0x1234\x00"), 2))
		default:
			return false
		}
		return true
	}
	b.link.Opened(b.now)
	r.run()
	b.wantState(Ready)
	b.wantLog("log: fault at 0x1234")
}

func benchmarkLink(b *testing.B, step func(*bench, *fakeRCP)) {
	bn, r := up(b)
	bn.log, bn.rx, bn.tx = nil, nil, nil
	b.ReportAllocs()
	for b.Loop() {
		step(bn, r)
	}
}

// quiet is a handler that costs nothing.
type quiet struct{ n int }

func (q *quiet) RadioUp(time.Time, radio.Info)         {}
func (q *quiet) RadioDown(time.Time)                   {}
func (q *quiet) Received(time.Time, radio.RxFrame)     { q.n++ }
func (q *quiet) Transmitted(time.Time, radio.TxResult) { q.n++ }
func (q *quiet) EnergyScanned(time.Time, uint8, int8)  {}

func BenchmarkReceive(b *testing.B) {
	q := &quiet{}
	psdu := make([]byte, 127)
	wire := hdlc.AppendFrame(nil, Frame{Cmd: CmdIs, Prop: PropStreamRaw, Value: RxFrame{PSDU: psdu, Channel: 15}.Append(nil)}.Append(nil))
	benchmarkLink(b, func(bn *bench, _ *fakeRCP) {
		bn.link.cfg.Handler = q
		bn.link.Receive(bn.now, wire)
	})
	if q.n == 0 {
		b.Fatal("nothing was received")
	}
}

func BenchmarkTransmit(b *testing.B) {
	q := &quiet{}
	psdu := make([]byte, 125)
	value := TxDone{HeaderUpdated: true, HasHeader: true}.Append(nil)
	var tid uint8
	var wire []byte
	benchmarkLink(b, func(bn *bench, _ *fakeRCP) {
		bn.link.cfg.Handler = q
		bn.link.cfg.Send = func(b []byte) { tid = b[1] & maxTID }
		bn.link.Transmit(bn.now, radio.TxFrame{PSDU: psdu, Channel: 15})
		wire = hdlc.AppendFrame(wire[:0], Frame{TID: tid, Cmd: CmdIs, Prop: PropLastStatus, Value: value}.Append(nil))
		bn.link.Receive(bn.now, wire)
	})
	if q.n == 0 {
		b.Fatal("nothing was sent")
	}
}
