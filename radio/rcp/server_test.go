package rcp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/hdlc"
	"gatewayd/radio/spinel"
)

// host is the other end of a Server, on a world's air.
type host struct {
	*Server
	w   *world
	dec hdlc.Decoder
	got []spinel.Frame
}

func (w *world) serve() *host {
	h := &host{w: w}
	station := w.air.Add()
	for _, o := range w.nodes {
		w.air.Link(station, o.station, -60, 0)
	}
	h.Server = NewServer(ServerConfig{
		Config: Config{
			Clock: w.clock, Rand: rand.New(rand.NewPCG(9, 9)), Port: station,
			EUI64: extOf(1), Version: "test", CSLUncertain: 255,
		},
		Send: func(b []byte) {
			for p := range h.dec.Frames(b) {
				f, err := spinel.DecodeFrame(bytes.Clone(p))
				if err != nil {
					w.t.Fatal(err)
				}
				h.got = append(h.got, f)
			}
		},
	})
	h.Server.Start(w.clock.Now())
	return h
}

// ask sends a command and returns what comes back at once.
func (h *host) ask(f spinel.Frame) []spinel.Frame {
	h.got = nil
	h.Receive(h.w.clock.Now(), hdlc.AppendFrame(nil, f.Append(nil)))
	return h.got
}

// must sends a command that has to succeed.
func (h *host) must(cmd spinel.Command, p spinel.Prop, value ...byte) []byte {
	h.w.t.Helper()
	got := h.ask(spinel.Frame{TID: 1, Cmd: cmd, Prop: p, Value: value})
	if len(got) == 0 || got[0].TID != 1 || got[0].Prop == spinel.PropLastStatus && !bytes.Equal(got[0].Value, []byte{0}) {
		h.w.t.Fatalf("%v %v %x: %v", cmd, p, value, got)
	}
	return got[0].Value
}

// up makes the co-processor node 1 on channel 15.
func (h *host) up() {
	h.must(spinel.CmdSet, spinel.PropPhyEnabled, 1)
	h.must(spinel.CmdSet, spinel.PropMACPANID, 0xce, 0xfa)
	h.must(spinel.CmdSet, spinel.PropMACShortAddr, 1, 0x10)
	ext := extOf(1)
	h.must(spinel.CmdSet, spinel.PropMACLongAddr, ext[:]...)
	h.must(spinel.CmdSet, spinel.PropPhyChan, 15)
	h.must(spinel.CmdSet, spinel.PropMACRawStreamEnabled, 1)
	h.must(spinel.CmdSet, spinel.PropRCPMACKey, spinel.MACKeys{
		Index: testKeys.Index, Previous: testKeys.Previous, Current: testKeys.Current, Next: testKeys.Next,
	}.Append(nil)...)
}

// The session of a real host: every answer is what its own co-processor said.
func TestHostSession(t *testing.T) {
	text, err := os.ReadFile("testdata/host.txt")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 1, nil)
	h := w.serve()
	h.cfg.EUI64 = ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, 0, 0, 0, 1}
	var asked string
	for line := range strings.Lines(string(text)) {
		code, comment, _ := strings.Cut(strings.TrimSpace(line), "#")
		dir, digits, ok := strings.Cut(strings.TrimSpace(code), " ")
		if !ok {
			continue
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if dir == ">" {
			asked = comment
			h.got = nil
			h.Receive(w.clock.Now(), hdlc.AppendFrame(nil, b))
			continue
		}
		if len(h.got) != 1 || !bytes.Equal(h.got[0].Append(nil), b) {
			t.Errorf("%s: answered %v, want %x", asked, h.got, b)
		}
		w.run(time.Second)
	}
}

func TestServerTransmit(t *testing.T) {
	w := newWorld(t, 1, nil)
	a := w.add()
	h := w.serve()
	h.up()
	send := func(f ieee802154.Frame, change func(*spinel.TxRequest)) spinel.TxDone {
		t.Helper()
		q := spinel.TxRequest{
			PSDU: append(f.Append(nil), 0xaa, 0xbb), Channel: 15, MaxCSMABackoffs: 4, MaxFrameRetries: 3,
			CSMA: true, RxChannel: 15, Power: spinel.PowerDefault,
		}
		change(&q)
		h.ask(spinel.Frame{TID: 7, Cmd: spinel.CmdSet, Prop: spinel.PropStreamRaw, Value: q.Append(nil)})
		w.run(5 * time.Second)
		if len(h.got) != 1 || h.got[0].TID != 7 || h.got[0].Prop != spinel.PropLastStatus {
			t.Fatalf("answers: %v", h.got)
		}
		d, err := spinel.DecodeTxDone(h.got[0].Value, true)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	same := func(*spinel.TxRequest) {}

	f := data(1, 0, 40, 5)
	d := send(f, same)
	if d.Status != spinel.StatusOK || d.HeaderUpdated || len(d.Ack.PSDU) != 5 || ieee802154.FCS(d.Ack.PSDU) != 0 || d.Ack.Channel != 15 {
		t.Errorf("%+v", d)
	}
	if len(a.rx) != 1 || !bytes.Equal(a.rx[0].PSDU, f.Append(nil)) {
		t.Fatalf("received %+v", a.rx)
	}

	a.reconfigure(func(s *radio.Settings) { s.SourceMatch = false })
	if d := send(f, same); !d.FramePending {
		t.Errorf("frame pending lost: %+v", d)
	}

	d = send(secured(f), same)
	if d.Status != spinel.StatusOK || !d.HeaderUpdated || !d.HasHeader || d.KeyIndex != 5 || d.FrameCounter != 0 {
		t.Errorf("secured: %+v", d)
	}
	last := a.rx[len(a.rx)-1]
	got, _ := ieee802154.Decode(last.PSDU)
	if err := got.Open(last.PSDU, ieee802154.NewCCM(testKeys.Current), extOf(1)); err != nil {
		t.Error(err)
	}

	// The header is the host's.
	g := secured(f)
	g.Security.KeyIndex, g.Security.Counter = 5, 4711
	if d := send(g, func(q *spinel.TxRequest) { q.HeaderUpdated = true }); !d.HeaderUpdated || d.KeyIndex != 5 || d.FrameCounter != 4711 {
		t.Errorf("header by the host: %+v", d)
	}

	f.Dst.Short = 0x4321
	if d := send(f, same); d.Status != spinel.StatusNoAck || d.HasHeader {
		t.Errorf("to nobody: %+v", d)
	}
	if d := send(f, func(q *spinel.TxRequest) { q.Channel = 9 }); d.Status != statusNativeAbort {
		t.Errorf("on channel 9: %+v", d)
	}

	// A time is that of the end of the SFD, on the low half of the clock.
	r := spinel.NewReader(h.must(spinel.CmdGet, spinel.PropRCPTimestamp, make([]byte, 8)...), 0)
	base, start := r.Uint64("clock"), w.clock.Now()
	w.seen = nil
	f.AckRequest = false
	send(f, func(q *spinel.TxRequest) { q.CSMA, q.Base, q.Delay = false, uint32(base), 250_000 })
	if at := w.seen[0].At.Sub(start); at != 250*time.Millisecond-160*time.Microsecond {
		t.Errorf("left after %v", at)
	}

	// Only one at a time, and only when enabled.
	q := spinel.TxRequest{PSDU: append(f.Append(nil), 0, 0), Channel: 15, CSMA: true, MaxCSMABackoffs: 4}.Append(nil)
	tx := spinel.Frame{TID: 3, Cmd: spinel.CmdSet, Prop: spinel.PropStreamRaw, Value: q}
	h.ask(tx)
	if got := h.ask(tx); len(got) != 1 || got[0].Value[0] != byte(spinel.StatusBusy) {
		t.Errorf("a second frame: %v", got)
	}
	w.run(time.Second)
	h.must(spinel.CmdSet, spinel.PropPhyEnabled, 0)
	if got := h.ask(tx); len(got) != 1 || got[0].Value[0] != byte(spinel.StatusInvalidState) {
		t.Errorf("disabled: %v", got)
	}
	tx.Value = []byte{200, 0, 1}
	h.must(spinel.CmdSet, spinel.PropPhyEnabled, 1)
	if got := h.ask(tx); len(got) != 1 || got[0].Value[0] != byte(spinel.StatusParseError) {
		t.Errorf("malformed: %v", got)
	}
}

func TestServerReceive(t *testing.T) {
	w := newWorld(t, 1, nil)
	a := w.add()
	h := w.serve()
	h.up()
	h.got = nil
	f := data(0, 1, 9, 5)
	f.Version = ieee802154.Version2015
	f = secured(f)
	a.send(f)
	w.run(time.Second)
	if len(h.got) != 1 || h.got[0].TID != 0 || h.got[0].Prop != spinel.PropStreamRaw {
		t.Fatalf("%v", h.got)
	}
	rx, err := spinel.DecodeRxFrame(h.got[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	want := spinel.FlagAckedPending | spinel.FlagAckedSecured // source match is off
	if ieee802154.FCS(rx.PSDU) != 0 || rx.RSSI != -60 || rx.Flags != want || rx.Channel != 15 || rx.AckKeyIndex != 5 {
		t.Errorf("%+v", rx)
	}
	if a.tx[0].Status != radio.TxOK {
		t.Errorf("acknowledgment: %v", a.tx[0].Status)
	}

	h.must(spinel.CmdSet, spinel.PropMACSrcMatchEnabled, 1)
	h.got = nil
	a.send(f)
	w.run(time.Second)
	if rx, _ := spinel.DecodeRxFrame(h.got[0].Value); rx.Flags != spinel.FlagAckedSecured {
		t.Errorf("flags %#x", rx.Flags)
	}
	h.must(spinel.CmdSet, spinel.PropMACRawStreamEnabled, 0)
	h.got = nil
	a.send(f)
	w.run(5 * time.Second)
	if len(h.got) != 0 {
		t.Errorf("asleep: %v", h.got)
	}
}

func TestServerScan(t *testing.T) {
	w := newWorld(t, 1, nil)
	h := w.serve()
	h.up()
	h.must(spinel.CmdSet, spinel.PropMACScanMask, 20, 21)
	h.must(spinel.CmdSet, spinel.PropMACScanPeriod, 50, 0)
	if v := h.must(spinel.CmdSet, spinel.PropMACScanState, scanEnergy); v[0] != scanEnergy {
		t.Errorf("scan state %d", v[0])
	}
	h.got = nil
	w.run(time.Second)
	var got []string
	for _, f := range h.got {
		got = append(got, fmt.Sprintf("%v %x", f.Prop, f.Value))
	}
	want := []string{"MAC_ENERGY_SCAN_RESULT 149c", "MAC_ENERGY_SCAN_RESULT 159c", "MAC_SCAN_STATE 00"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if v := h.must(spinel.CmdGet, spinel.PropMACScanState); v[0] != scanIdle {
		t.Errorf("scan state %d", v[0])
	}
}

func TestServerErrors(t *testing.T) {
	w := newWorld(t, 1, nil)
	h := w.serve()
	tests := []struct {
		name string
		f    spinel.Frame
		want spinel.Status
	}{
		{"get of nothing", spinel.Frame{Cmd: spinel.CmdGet, Prop: 0x7777}, spinel.StatusPropNotFound},
		{"get of a write-only one", spinel.Frame{Cmd: spinel.CmdGet, Prop: spinel.PropRCPMACKey}, spinel.StatusPropNotFound},
		{"set of nothing", spinel.Frame{Cmd: spinel.CmdSet, Prop: spinel.PropRadioCoexEnable}, spinel.StatusPropNotFound},
		{"set of a read-only one", spinel.Frame{Cmd: spinel.CmdSet, Prop: spinel.PropCaps}, spinel.StatusPropNotFound},
		{"insert into no table", spinel.Frame{Cmd: spinel.CmdInsert, Prop: spinel.PropPhyChan}, spinel.StatusPropNotFound},
		{"too short", spinel.Frame{Cmd: spinel.CmdSet, Prop: spinel.PropMACPANID, Value: []byte{1}}, spinel.StatusParseError},
		{"channel 27", spinel.Frame{Cmd: spinel.CmdSet, Prop: spinel.PropPhyChan, Value: []byte{27}}, spinel.StatusInvalidArgument},
		{"scan while disabled", spinel.Frame{Cmd: spinel.CmdSet, Prop: spinel.PropMACScanState, Value: []byte{2}}, spinel.StatusInvalidState},
		{"scan for beacons", spinel.Frame{Cmd: spinel.CmdSet, Prop: spinel.PropMACScanState, Value: []byte{1}}, spinel.StatusUnimplemented},
		{"keys of another mode", spinel.Frame{Cmd: spinel.CmdSet, Prop: spinel.PropRCPMACKey, Value: []byte{0, 1}}, spinel.StatusInvalidArgument},
		{"half an address", spinel.Frame{Cmd: spinel.CmdSet, Prop: spinel.PropMACSrcMatchShort, Value: []byte{1, 2, 3}}, spinel.StatusParseError},
		{"an answer", spinel.Frame{Cmd: spinel.CmdIs, Prop: spinel.PropPhyChan}, spinel.StatusInvalidCommand},
		{"a command nobody knows", spinel.Frame{Cmd: 99}, spinel.StatusInvalidCommand},
		{"another interface", spinel.Frame{IID: 1, Cmd: spinel.CmdGet, Prop: spinel.PropCaps}, spinel.StatusInvalidInterface},
		{"bootloader", spinel.Frame{Cmd: spinel.CmdReset, Value: []byte{3}}, spinel.StatusInvalidArgument},
		{"nothing to do", spinel.Frame{Cmd: spinel.CmdNoop}, spinel.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.f.TID = 5
			got := h.ask(tt.f)
			want := spinel.Frame{
				TID: 5, Cmd: spinel.CmdIs, Prop: spinel.PropLastStatus, Value: spinel.AppendPacked(nil, uint32(tt.want)),
			}
			if len(got) != 1 || got[0].String() != want.String() {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func TestServerReset(t *testing.T) {
	w := newWorld(t, 1, nil)
	h := w.serve()
	h.up()
	h.must(spinel.CmdSet, spinel.PropPhyTxPower, 8)
	h.must(spinel.CmdInsert, spinel.PropMACSrcMatchShort, 1, 2)
	f := data(1, 0, 1, 0)
	q := spinel.TxRequest{PSDU: append(f.Append(nil), 0, 0), Channel: 15, CSMA: true, MaxCSMABackoffs: 4}.Append(nil)
	h.ask(spinel.Frame{TID: 3, Cmd: spinel.CmdSet, Prop: spinel.PropStreamRaw, Value: q})
	got := h.ask(spinel.Frame{Cmd: spinel.CmdReset, Value: []byte{byte(spinel.ResetStack)}})
	if len(got) != 1 || got[0].TID != 0 || !spinel.Status(got[0].Value[0]).IsReset() {
		t.Fatalf("%v", got)
	}
	h.got = nil
	w.run(time.Second)
	if len(h.got) != 0 || len(w.seen) != 0 {
		t.Errorf("a frame survived the reset: %v", h.got)
	}
	for p, want := range map[spinel.Prop]string{
		spinel.PropPhyEnabled: "00", spinel.PropPhyTxPower: "00", spinel.PropMACPANID: "ffff", spinel.PropMACShortAddr: "feff",
		spinel.PropMACRawStreamEnabled: "00",
	} {
		if v := hex.EncodeToString(h.must(spinel.CmdGet, p)); v != want {
			t.Errorf("%v is %s after a reset, want %s", p, v, want)
		}
	}
	if got := h.ask(spinel.Frame{TID: 1, Cmd: spinel.CmdRemove, Prop: spinel.PropMACSrcMatchShort, Value: []byte{1, 2}}); got[0].Prop != spinel.PropLastStatus {
		t.Error("source match table survived the reset")
	}
	h.got = nil
	h.Restart(w.clock.Now(), spinel.StatusResetCrash)
	if len(h.got) != 1 || h.got[0].Value[0] != byte(spinel.StatusResetCrash) {
		t.Errorf("%v", h.got)
	}
}

func TestServerSettings(t *testing.T) {
	w := newWorld(t, 1, nil)
	h := w.serve()
	for _, tt := range []struct {
		p     spinel.Prop
		value string
	}{
		{spinel.PropPhyCCAThreshold, "b0"}, {spinel.PropPhyTxPower, "f8"}, {spinel.PropPhyFEMLNAGain, "03"},
		{spinel.PropPhyRegionCode, "5355"}, {spinel.PropMACAltShortAddr, "0044"}, {spinel.PropMACPromiscuousMode, "01"},
		{spinel.PropMACScanMask, "0c0d"}, {spinel.PropPhyChan, "1a"},
	} {
		v, err := hex.DecodeString(tt.value)
		if err != nil {
			t.Fatal(err)
		}
		h.must(spinel.CmdSet, tt.p, v...)
		if got := hex.EncodeToString(h.must(spinel.CmdGet, tt.p)); got != tt.value {
			t.Errorf("%v: %s, set to %s", tt.p, got, tt.value)
		}
	}
	if got := hex.EncodeToString(h.must(spinel.CmdGet, spinel.PropPhyFreq)); got != "80d72500" { // 2480 MHz
		t.Errorf("frequency %s kHz", got)
	}
	probing := func(i int, m radio.Metrics) []byte {
		ext := extOf(i)
		return append(append([]byte{0, 0x10}, ext[:]...), byte(m))
	}
	for i := range maxProbes {
		h.must(spinel.CmdSet, spinel.PropRCPEnhAckProbing, probing(i, radio.MetricRSSI)...)
	}
	full := h.ask(spinel.Frame{TID: 1, Cmd: spinel.CmdSet, Prop: spinel.PropRCPEnhAckProbing, Value: probing(maxProbes, radio.MetricLQI)})
	if full[0].Value[0] != byte(spinel.StatusNoMem) {
		t.Errorf("one more neighbour that probes: %v", full)
	}
	h.must(spinel.CmdSet, spinel.PropRCPEnhAckProbing, probing(0, 0)...)
	h.must(spinel.CmdSet, spinel.PropRCPEnhAckProbing, probing(maxProbes, radio.MetricLQI)...)
	h.must(spinel.CmdSet, spinel.PropPhyChanMaxPower, 15, 5)
	if p := h.radio.power(15, 20); p != 5 {
		t.Errorf("power %d dBm above the limit", p)
	}

	// The tables do not grow without end.
	for i := range maxMatches {
		h.must(spinel.CmdInsert, spinel.PropMACSrcMatchShort, byte(i), byte(i>>8))
	}
	got := h.ask(spinel.Frame{TID: 1, Cmd: spinel.CmdInsert, Prop: spinel.PropMACSrcMatchShort, Value: []byte{0xff, 0xee}})
	if got[0].Value[0] != byte(spinel.StatusNoMem) {
		t.Errorf("one more: %v", got)
	}
}

// Whatever a host sends, the co-processor goes on, in step from the next flag.
func FuzzServer(f *testing.F) {
	f.Add([]byte("\x7e\x80\x01\x02\xea\xf0\x7e"))
	frame := func(c spinel.Frame) []byte { return hdlc.AppendFrame(nil, c.Append(nil)) }
	psdu := append(txFrame(data(1, 0, 1, 3)).PSDU, 0, 0)
	enabled := frame(spinel.Frame{TID: 1, Cmd: spinel.CmdSet, Prop: spinel.PropPhyEnabled, Value: []byte{1}})
	for _, c := range []spinel.Frame{
		{TID: 2, Cmd: spinel.CmdSet, Prop: spinel.PropStreamRaw, Value: spinel.TxRequest{PSDU: psdu, Channel: 15, CSMA: true}.Append(nil)},
		{TID: 2, Cmd: spinel.CmdSet, Prop: spinel.PropMACScanState, Value: []byte{2}},
		{TID: 2, Cmd: spinel.CmdInsert, Prop: spinel.PropMACSrcMatchExt, Value: make([]byte, 8)},
		{TID: 2, Cmd: spinel.CmdSet, Prop: spinel.PropRCPMACKey, Value: spinel.MACKeys{Index: 1}.Append(nil)},
	} {
		f.Add(append(bytes.Clone(enabled), frame(c)...))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		w := newWorld(t, 1, nil)
		h := w.serve()
		h.Receive(w.clock.Now(), in)
		w.run(time.Second)
		got := h.ask(spinel.Frame{TID: 9, Cmd: spinel.CmdGet, Prop: spinel.PropProtocolVersion})
		// What was cut off at the end of in swallows the flag before it.
		if len(got) == 0 {
			got = h.ask(spinel.Frame{TID: 9, Cmd: spinel.CmdGet, Prop: spinel.PropProtocolVersion})
		}
		if len(got) == 0 || !bytes.Equal(got[len(got)-1].Value, []byte{4, 3}) {
			t.Fatalf("answers %v after %x", got, in)
		}
	})
}
