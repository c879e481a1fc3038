package spinel

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/radio"
)

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

// The RCP is told which neighbours probe, again after a reset, and when one
// does no more.
func TestProbes(t *testing.T) {
	b, r := up(t)
	var told []string
	r.hook = func(f Frame) bool {
		if f.Prop == PropRCPEnhAckProbing {
			told = append(told, fmt.Sprintf("%x", f.Value))
			r.status(f, StatusOK)
			return true
		}
		return false
	}
	want := func(what string, s ...string) {
		t.Helper()
		r.run()
		if !slices.Equal(told, s) {
			t.Errorf("%s: told %v, want %v", what, told, s)
		}
		told = nil
	}
	s := b.link.want
	s.Probes = []radio.Probe{
		{Short: 0x4401, Ext: ieee802154.ExtAddr{1}, Metrics: radio.MetricLQI | radio.MetricRSSI},
		{Short: 0x4402, Ext: ieee802154.ExtAddr{2}, Metrics: radio.MetricMargin},
	}
	b.link.Configure(b.now, s)
	want("two", "0144"+"0100000000000000"+"0a", "0244"+"0200000000000000"+"04")
	b.link.Configure(b.now, s)
	want("the same")
	s.Probes = s.Probes[1:]
	b.link.Configure(b.now, s)
	want("one", "0144"+"0100000000000000"+"00")
	b.reply(Frame{Cmd: CmdIs, Prop: PropLastStatus, Value: []byte{byte(StatusResetCrash)}})
	want("after a crash", "0244"+"0200000000000000"+"04")
}
