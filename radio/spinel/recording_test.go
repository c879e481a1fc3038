package spinel

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/radio"
	"gatewayd/radio/hdlc"
)

// The recordings in testdata are of OpenThread's host talking to OpenThread's
// simulated RCP. NAME.raw.jsonl has the bytes as they were read, in either
// direction: "h2r" is host to RCP. NAME.frames.jsonl has one frame a line, as
// another decoder saw it.

type recorded struct {
	toHost bool
	frame  Frame
	bytes  []byte // the frame's, without HDLC
}

func recording(t *testing.T, name string) (list []recorded) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".raw.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var decs [2]hdlc.Decoder
	for line := range strings.Lines(string(b)) {
		var rec struct{ Dir, Hex string }
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatal(err)
		}
		chunk, err := hex.DecodeString(rec.Hex)
		if err != nil {
			t.Fatal(err)
		}
		toHost := rec.Dir == "r2h"
		d := &decs[0]
		if toHost {
			d = &decs[1]
		}
		for f := range d.Frames(chunk) {
			f = bytes.Clone(f)
			frame, err := DecodeFrame(f)
			if err != nil {
				t.Fatalf("%x: %v", f, err)
			}
			list = append(list, recorded{toHost, frame, f})
		}
	}
	for _, d := range decs {
		if d.Stats.Errors() > 0 || d.Stats.Skipped > 0 {
			t.Errorf("%s: %v", name, d.Stats)
		}
	}
	return list
}

var recordings = []string{"form-leader", "join-sed", "rcp-reset"}

// Every recorded frame, and every structure in it, is the same after decoding
// and encoding.
func TestRecordedFrames(t *testing.T) {
	counts := make(map[string]int)
	for _, name := range recordings {
		for _, r := range recording(t, name) {
			if got := r.frame.Append(nil); !bytes.Equal(got, r.bytes) {
				t.Errorf("%v: %x, want %x", r.frame, got, r.bytes)
			}
			v := r.frame.Value
			again := v
			var err error
			kind := ""
			switch p := r.frame.Prop; {
			case !r.frame.Cmd.hasProp():
				continue
			case p == PropStreamRaw && !r.toHost:
				kind = "to transmit"
				var q TxRequest
				if q, err = DecodeTxRequest(v); err == nil {
					again = q.Append(nil)
				}
			case p == PropStreamRaw:
				kind = "received"
				var f RxFrame
				if f, err = DecodeRxFrame(v); err == nil {
					again = f.Append(nil)
				}
			case p == PropLastStatus && len(v) > 5:
				kind = "transmitted"
				var d TxDone
				if d, err = DecodeTxDone(v, true); err == nil {
					again = d.Append(nil)
				}
			case p == PropRCPMACKey && len(v) > 0:
				kind = "keys"
				var k MACKeys
				if k, err = DecodeMACKeys(v); err == nil {
					again = k.Append(nil)
				}
			case p == PropCaps && len(v) > 0:
				kind = "caps"
				var c []Cap
				if c, err = DecodeCaps(v); err == nil {
					again = AppendCaps(nil, c)
				}
			}
			if err != nil || !bytes.Equal(again, v) {
				t.Errorf("%s: %v became %x, %v", kind, r.frame, again, err)
			}
			counts[kind]++
		}
	}
	for kind, least := range map[string]int{"to transmit": 76, "received": 34, "transmitted": 76, "keys": 7, "caps": 3} {
		if counts[kind] < least {
			t.Errorf("only %d of kind %q", counts[kind], kind)
		}
	}
}

// Another decoder read the same in a fourth recording.
func TestAgainstOtherDecoder(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "restart.frames.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		var rec struct {
			OK       bool
			IID, TID uint8
			Cmd      string
			Prop     string
			PropID   Prop
			Val      string
		}
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatal(err)
		}
		if !rec.OK {
			continue
		}
		f := Frame{IID: rec.IID, TID: rec.TID, Prop: rec.PropID}
		for c, name := range commandNames {
			if name == rec.Cmd {
				f.Cmd = c
			}
		}
		if f.Value, err = hex.DecodeString(rec.Val); err != nil {
			t.Fatal(err)
		}
		got, err := DecodeFrame(f.Append(nil))
		if err != nil || got.Cmd.String() != rec.Cmd || got.TID != rec.TID || got.Prop != rec.PropID || !bytes.Equal(got.Value, f.Value) {
			t.Errorf("%s: %v, %v", line, got, err)
		}
		if f.Cmd.hasProp() && got.Prop.String() != rec.Prop {
			t.Errorf("property %d is called %v, want %s", rec.PropID, got.Prop, rec.Prop)
		}
		n++
	}
	if n < 60 {
		t.Errorf("only %d frames", n)
	}
}

// player answers a Link with what the recorded RCP answered to the recorded
// host: the next answer recorded for the same property.
type player struct {
	b       *bench
	answers map[Prop][]Frame // with the last one kept for repetition
	resets  []Frame
	txWant  [][]byte // values of the recorded STREAM_RAW requests
	txGot   [][]byte
	unasked []recorded // what the RCP sent of itself
}

func newPlayer(t *testing.T, b *bench, name string) *player {
	p := &player{b: b, answers: make(map[Prop][]Frame)}
	var open [16]*Frame
	for _, r := range recording(t, name) {
		f := r.frame
		switch {
		case !r.toHost && f.Cmd == CmdReset:
		case !r.toHost:
			open[f.TID] = &f
			if f.Prop == PropStreamRaw {
				p.txWant = append(p.txWant, f.Value)
			}
		case f.TID != 0 && open[f.TID] != nil:
			asked := open[f.TID].Prop
			p.answers[asked] = append(p.answers[asked], f)
			open[f.TID] = nil
		case f.Prop == PropLastStatus:
			p.resets = append(p.resets, f)
		default:
			p.unasked = append(p.unasked, r)
		}
	}
	return p
}

// run answers what the Link asks. Settings that were never recorded are
// confirmed.
func (p *player) run() {
	for {
		todo := p.b.take()
		if len(todo) == 0 {
			return
		}
		for _, f := range todo {
			p.b.now = p.b.now.Add(50 * time.Microsecond)
			if f.Cmd == CmdReset {
				p.b.reply(p.resets[0])
				continue
			}
			if f.Prop == PropStreamRaw {
				p.txGot = append(p.txGot, f.Value)
			}
			a := Frame{Cmd: CmdIs, Prop: PropLastStatus, Value: []byte{0}}
			if list := p.answers[f.Prop]; len(list) > 0 {
				a = list[0]
				if len(list) > 1 {
					p.answers[f.Prop] = list[1:]
				}
			}
			a.TID = f.TID
			p.b.reply(a)
		}
	}
}

// Our link comes up with the recorded RCP, sends the recorded host's frames
// byte for byte and hears what it heard.
func TestReplay(t *testing.T) {
	for _, name := range recordings {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := newPlayer(t, b, name)
			s := settingsA()
			s.SourceMatch, s.SourceMatchShort = true, []uint16{0x6402}
			b.link.Configure(b.now, s)
			b.link.Opened(b.now)
			p.run()
			b.wantState(Ready)
			if b.info.EUI64.String() != "18b4300000000001" || b.info.Caps != 0x7f || b.info.Channels != 0x07fff800 {
				t.Errorf("info %+v", b.info)
			}
			if !strings.HasPrefix(b.info.Version, "OPENTHREAD/3ae741f95; SIMULATION; ") {
				t.Errorf("version %q", b.info.Version)
			}
			if n := b.link.Stats().Malformed; n > 0 {
				t.Errorf("%d malformed", n)
			}

			answers := slices.Clone(p.answers[PropStreamRaw])
			for i, want := range p.txWant {
				q, err := DecodeTxRequest(want)
				if err != nil {
					t.Fatal(err)
				}
				b.tx = nil
				b.link.Transmit(b.now, radio.TxFrame{
					PSDU: q.PSDU[:len(q.PSDU)-fcsLen], Channel: q.Channel, RxChannel: q.RxChannel, CSMA: q.CSMA,
					MaxBackoffs: q.MaxCSMABackoffs, MaxRetries: q.MaxFrameRetries, Retransmit: q.Retransmission,
					HeaderSet: q.HeaderUpdated, Secured: q.SecurityProcessed, Power: q.Power,
				})
				p.run()
				// The FCS is the RCP's to make; the recorded host left whatever
				// was in its buffer.
				want, got := bytes.Clone(want), bytes.Clone(p.txGot[i])
				clear(want[len(q.PSDU):][:fcsLen])
				clear(got[len(q.PSDU):][:fcsLen])
				if !bytes.Equal(got, want) {
					t.Errorf("frame %d sent as\n%x, want\n%x", i, got, want)
				}
				if i < len(answers) {
					d, _ := DecodeTxDone(answers[i].Value, true)
					if len(b.tx) != 1 || (b.tx[0].Status == radio.TxOK) != (d.Status == StatusOK) ||
						(b.tx[0].Ack.PSDU != nil) != (len(d.Ack.PSDU) > 0) || b.tx[0].HeaderSet != (d.HasHeader && !q.HeaderUpdated) ||
						b.tx[0].HeaderSet && b.tx[0].FrameCounter != d.FrameCounter {
						t.Errorf("frame %d: %+v, recorded %+v", i, b.tx, d)
					}
				}
			}

			b.rx, b.log = nil, nil
			var heard [][]byte
			var scans []string
			for _, r := range p.unasked {
				switch r.frame.Prop {
				case PropStreamRaw:
					f, _ := DecodeRxFrame(r.frame.Value)
					heard = append(heard, f.PSDU[:len(f.PSDU)-fcsLen])
				case PropMACEnergyScanResult:
					scans = append(scans, fmt.Sprintf("scanned %d: %d", r.frame.Value[0], int8(r.frame.Value[1])))
					b.link.EnergyScan(b.now, r.frame.Value[0], 50*time.Millisecond)
					p.run()
				}
				b.link.Receive(b.now, hdlc.AppendFrame(nil, r.bytes))
			}
			var got [][]byte
			for _, f := range b.rx {
				got = append(got, f.PSDU)
				if f.Channel < 11 || f.Channel > 26 || f.RSSI != -20 || f.Timestamp == 0 {
					t.Errorf("received %+v", f)
				}
			}
			if !slices.EqualFunc(got, heard, bytes.Equal) {
				t.Errorf("heard %d frames, recorded %d", len(got), len(heard))
			}
			for _, scan := range scans {
				b.wantLog(scan)
			}
			if name == "join-sed" && (len(scans) != 16 || len(heard) != 34) {
				t.Errorf("%d scans, %d frames", len(scans), len(heard))
			}
			b.wantState(Ready)

			if name == "rcp-reset" {
				// The reference ends its process here.
				b.reply(p.resets[len(p.resets)-1])
				p.run()
				b.wantState(Ready)
				b.wantLog("radio reset by itself: RESET_POWER_ON", "down", "up")
			}
		})
	}
}
