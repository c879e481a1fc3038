package spinel

import (
	"reflect"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/hdlc"
)

// What was decoded survives encoding and decoding again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x80, 6, 0, 0x70}, byte(0))
	f.Add(RxFrame{PSDU: []byte{1, 2, 3, 4, 5}, Error: 300}.Append(nil), byte(1))
	f.Add(TxDone{HeaderUpdated: true, HasHeader: true, Ack: RxFrame{PSDU: []byte{1, 2, 3}}}.Append(nil), byte(2))
	f.Add(TxRequest{PSDU: []byte{1}, Channel: 11}.Append(nil), byte(3))
	f.Add(MACKeys{Index: 3}.Append(nil), byte(4))
	f.Add([]byte{5, 0x0c, 0x81, 4}, byte(5))
	f.Fuzz(func(t *testing.T, in []byte, kind byte) {
		var a, b any
		var err, err2 error
		switch kind % 6 {
		case 0:
			var v Frame
			v, err = DecodeFrame(in)
			a = v
			b, err2 = DecodeFrame(v.Append(nil))
		case 1:
			var v RxFrame
			v, err = DecodeRxFrame(in)
			a = v
			b, err2 = DecodeRxFrame(v.Append(nil))
		case 2:
			var v TxDone
			v, err = DecodeTxDone(in, true)
			a = v
			b, err2 = DecodeTxDone(v.Append(nil), true)
			if v.Status == StatusOK && v.Ack.PSDU == nil {
				return // a status alone, which Append does not make
			}
		case 3:
			var v TxRequest
			v, err = DecodeTxRequest(in)
			a = v
			b, err2 = DecodeTxRequest(v.Append(nil))
		case 4:
			var v MACKeys
			v, err = DecodeMACKeys(in)
			a = v
			b, err2 = DecodeMACKeys(v.Append(nil))
		case 5:
			var v []Cap
			v, err = DecodeCaps(in)
			a = v
			b, err2 = DecodeCaps(AppendCaps(nil, v))
		}
		if err == nil && (err2 != nil || !reflect.DeepEqual(a, b)) {
			t.Fatalf("%+v became %+v, %v", a, b, err2)
		}
	})
}

// The recogniser takes anything, and says something.
func FuzzRecognise(f *testing.F) {
	f.Add([]byte("\x1a\xc1\x02\x0b\x0a\x52\x7e"))
	f.Add([]byte("\xfe\x02\x61\x01\x79\x07\x1c"))
	f.Add([]byte("Gecko Bootloader"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if g := Recognise(in); g.Looks == "" || g.Kind == KindSilent && len(in) > 0 {
			t.Fatalf("%x: %+v", in, g)
		}
	})
}

// Whatever an RCP sends and however it misbehaves: once it reboots as a good
// one, the link makes it what it should be. Meanwhile nothing grows without bound,
// and every frame and scan is answered.
func FuzzLink(f *testing.F) {
	f.Add([]byte{0, 5, 1, 3, 2, 1, 4, 9, 5, 0}, []byte{0x80, 6, 0, 0x70})
	f.Add([]byte{9, 2, 3, 7, 3, 2, 6, 3, 8, 3}, []byte{0x81, 6, 0, 4, 0x80, 6, 0x71, 0xff, 0xff})
	f.Add([]byte{4, 4, 4, 1, 0, 7, 1, 5, 2, 0, 0, 0}, []byte("\x7e\x7d\x7e hello"))
	f.Fuzz(func(t *testing.T, ops, noise []byte) {
		b := newBench(t)
		r := newFakeRCP(b)
		s := settingsA()
		b.link.Configure(b.now, s)
		b.link.Opened(b.now)
		take := func(n byte) []byte {
			k := min(int(n)%24+1, len(noise))
			v := noise[:k]
			noise = noise[k:]
			return v
		}
		asked := 0
		for i, op := range ops[:min(len(ops), 200)] {
			arg := byte(i * 7)
			if i > 0 {
				arg ^= ops[i-1]
			}
			switch op % 12 {
			case 0:
				r.run()
			case 1: // it says something, correctly framed
				b.link.Receive(b.now, hdlc.AppendFrame(nil, take(arg)))
			case 2:
				b.link.Receive(b.now, take(arg))
			case 3:
				b.pass(time.Duration(arg) * 20 * time.Millisecond)
			case 4: // it answers with nonsense
				for _, f := range b.take() {
					b.reply(Frame{TID: f.TID, Cmd: CmdIs, Prop: f.Prop, Value: take(arg)})
				}
			case 5: // it refuses
				for _, f := range b.take() {
					r.status(f, Status(arg))
				}
			case 6:
				b.take() // it hears nothing
			case 7:
				asked++
				b.link.Transmit(b.now, radio.TxFrame{PSDU: []byte{1, 2, arg}, Channel: 11 + arg%16, At: uint64(arg)})
			case 8:
				asked++
				b.link.EnergyScan(b.now, 11+arg%16, time.Duration(arg)*time.Millisecond)
			case 9:
				s.SourceMatch = arg&1 != 0
				s.SourceMatchShort = []uint16{uint16(arg), uint16(arg) + 1}[:arg%3]
				s.SourceMatchExt = []ieee802154.ExtAddr{{arg}, {arg + 1}}[:arg>>4%3]
				s.Channel = 11 + arg%16
				s.PANID = 0xfacc + uint16(arg%4)
				s.Enabled = arg%5 != 0
				s.Keys.Current[0] = arg
				b.link.Configure(b.now, s)
			case 10:
				b.link.Closed(b.now, nil)
				b.link.Opened(b.now)
			case 11:
				r.boot()
				r.status(Frame{}, StatusResetCrash)
			}
			if n := len(b.link.requests.queue); n > 2000 {
				t.Fatalf("%d requests are queued", n)
			}
			if len(b.link.first) > keptFirst || len(b.link.reported) > maxMalformed {
				t.Fatal("something grows")
			}
		}
		s.Enabled = true
		b.link.Configure(b.now, s)
		r.boot()
		r.status(Frame{}, StatusResetPowerOn)
		for range 400 { // beyond the longest time that it may wait
			r.pass(500 * time.Millisecond)
		}
		b.wantState(Ready)
		checkRCP(t, r, s)
		answered := len(b.tx)
		for _, line := range b.log {
			if len(line) > 7 && line[:7] == "scanned" {
				answered++
			}
		}
		if answered != asked {
			t.Fatalf("%d of %d frames and scans were answered", answered, asked)
		}
	})
}
