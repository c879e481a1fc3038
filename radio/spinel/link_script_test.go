package spinel

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/radio"
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

// What was received first says what it was when nothing answers.
func TestWhatIsThis(t *testing.T) {
	b := newBench(t)
	b.link.Opened(b.now)
	b.link.Receive(b.now, []byte("\x1a\xc1\x02\x0b\x0a\x52\x7e"))
	b.pass(10 * time.Second)
	b.wantLog("EZSP")
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
