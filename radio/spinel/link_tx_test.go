package spinel

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"gatewayd/radio"
	"gatewayd/radio/hdlc"
)

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
		Retransmission: true, Delay: 30160, Base: uint32(us), // the end of the SFD, 160 us after the first bit
		RxChannel: 15, Power: 127}
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

func TestSecondTransmit(t *testing.T) {
	b, r := up(t)
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, 3}, Channel: 15})
	b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{4, 5, 6}, Channel: 15})
	r.run()
	if len(b.tx) != 2 || b.tx[0].Status != radio.TxAborted || b.tx[1].Status != radio.TxOK {
		t.Errorf("results %+v", b.tx)
	}
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

func (q *quiet) RadioUp(time.Time, radio.Info) {}

func (q *quiet) RadioDown(time.Time) {}

func (q *quiet) Received(time.Time, radio.RxFrame) { q.n++ }

func (q *quiet) Transmitted(time.Time, radio.TxResult) { q.n++ }

func (q *quiet) EnergyScanned(time.Time, uint8, int8) {}

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
