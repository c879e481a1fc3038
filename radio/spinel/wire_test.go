package spinel

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gatewayd/radio/hdlc"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPacked(t *testing.T) {
	for _, tt := range []struct {
		v    uint32
		wire string
	}{
		{0, "00"}, {127, "7f"}, {128, "8001"}, {513, "8104"}, {1337, "b90a"}, // the draft's example
		{16383, "ff7f"}, {2097151, "ffff7f"}, {0xffffffff, "ffffffff0f"},
	} {
		if got := hex.EncodeToString(AppendPacked(nil, tt.v)); got != tt.wire {
			t.Errorf("%d is %s, want %s", tt.v, got, tt.wire)
		}
		if got := NewReader(unhex(t, tt.wire), 0).Packed(""); got != tt.v {
			t.Errorf("%s is %d, want %d", tt.wire, got, tt.v)
		}
	}
	for _, tt := range []struct {
		wire string
		err  error
	}{
		{"", ErrShort}, {"80", ErrShort}, {"ffffffff1f", ErrOverflow}, {"808080808001", ErrOverflow},
	} {
		r := NewReader(unhex(t, tt.wire), 0)
		if r.Packed("x"); !errors.Is(r.Err(), tt.err) {
			t.Errorf("%q: %v, want %v", tt.wire, r.Err(), tt.err)
		}
	}
}

func TestFrame(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want Frame
	}{
		{"80 01 02", Frame{Cmd: CmdReset, Value: []byte{2}}},
		{"81 02 01", Frame{TID: 1, Cmd: CmdGet, Prop: PropProtocolVersion, Value: []byte{}}},
		{"8a 03 8426 0264", Frame{TID: 10, Cmd: CmdSet, Prop: PropMACSrcMatchShort, Value: []byte{2, 0x64}}},
		{"b0 06 00 70", Frame{IID: 3, Cmd: CmdIs, Prop: PropLastStatus, Value: []byte{0x70}}},
	} {
		wire := unhex(t, tt.wire)
		got, err := DecodeFrame(wire)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v", tt.wire, got, err)
		}
		if again := got.Append(nil); !bytes.Equal(again, wire) {
			t.Errorf("%s: encoded %x", tt.wire, again)
		}
	}
	for _, tt := range []struct{ wire, want string }{
		{"", "spinel: header at byte 0: too short"},
		{"41", "spinel: header at byte 0: not a Spinel header"},
		{"81", "spinel: command at byte 1: too short"},
		{"8106", "spinel: property at byte 2: too short"},
		{"810680", "spinel: property at byte 2: too short"},
	} {
		if _, err := DecodeFrame(unhex(t, tt.wire)); err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, want %s", tt.wire, err, tt.want)
		}
	}
}

// A received frame, recorded from OpenThread's RCP; and what older and newer
// ones would make of it.
func TestRxFrame(t *testing.T) {
	const full = `0500 0200074b5d           # frame with FCS
		ec 80 3000                 # RSSI -20, noise floor, both acknowledgement flags
		0a00 0f 63 c826f9bc00000000 # PHY data: channel 15, LQI 99, timestamp
		0100 00                    # vendor data: no error
		0500 01 39300000           # MAC data: key 1, counter 12345`
	strip := func(s string) string {
		var b strings.Builder
		for line := range strings.Lines(s) {
			line, _, _ = strings.Cut(line, "#")
			b.WriteString(line)
		}
		return b.String()
	}
	wire := unhex(t, strip(full))
	want := RxFrame{PSDU: unhex(t, "0200074b5d"), RSSI: -20, Noise: -128, Flags: FlagAckedPending | FlagAckedSecured,
		Channel: 15, LQI: 99, Timestamp: 0xbcf926c8, AckKeyIndex: 1, AckCounter: 12345}
	got, err := DecodeRxFrame(wire)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if again := got.Append(nil); !bytes.Equal(again, wire) {
		t.Errorf("encoded %x", again)
	}
	newer := append(bytes.Clone(wire), 3, 0, 1, 2, 3, 9)
	if got, err := DecodeRxFrame(newer); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("with more fields: %+v, %v", got, err)
	}
	for _, tt := range []struct {
		n    int // bytes left
		want RxFrame
	}{
		{7, RxFrame{PSDU: want.PSDU, Noise: -128}},
		{11, RxFrame{PSDU: want.PSDU, RSSI: -20, Noise: -128, Flags: want.Flags}},
		{23, RxFrame{PSDU: want.PSDU, RSSI: -20, Noise: -128, Flags: want.Flags, Channel: 15, LQI: 99, Timestamp: want.Timestamp}},
		{26, RxFrame{PSDU: want.PSDU, RSSI: -20, Noise: -128, Flags: want.Flags, Channel: 15, LQI: 99, Timestamp: want.Timestamp}},
	} {
		if got, err := DecodeRxFrame(wire[:tt.n]); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%d bytes: %+v, %v", tt.n, got, err)
		}
	}
	for n := range wire {
		_, err := DecodeRxFrame(wire[:n])
		var de *DecodeError
		if err != nil && (!errors.As(err, &de) || de.Offset > n) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if ok := n == 7 || n == 11 || n == 23 || n == 26; (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestTxDone(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		macData    bool
		want       TxDone
	}{
		{"no acknowledgement wanted, recorded", "0000000000008000000a000000000000000000000001000005000000000000", true,
			TxDone{Ack: RxFrame{PSDU: []byte{}, Noise: -128}}},
		{"status alone", "04", true, TxDone{Status: StatusInvalidState}},
		{"no ack, header set", "11 00 01 02 05000000", true,
			TxDone{Status: StatusNoAck, HeaderUpdated: true, HasHeader: true, KeyIndex: 2, FrameCounter: 5}},
		{"without MAC data", "00 01 00 0300 020007 ec80 0000", false,
			TxDone{FramePending: true, Ack: RxFrame{PSDU: []byte{2, 0, 7}, RSSI: -20, Noise: -128}}},
	} {
		got, err := DecodeTxDone(unhex(t, tt.wire), tt.macData)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	for _, bad := range []string{"", "80", "0000", "00 00 00 0900 01"} {
		if got, err := DecodeTxDone(unhex(t, bad), true); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestTxRequestDefaults(t *testing.T) {
	got, err := DecodeTxRequest(unhex(t, "0300 010203 0f"))
	want := TxRequest{PSDU: []byte{1, 2, 3}, Channel: 15, MaxCSMABackoffs: 4, MaxFrameRetries: 3, CSMA: true, RxChannel: 15, Power: PowerDefault}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "03", "0300 0102", "0300 010203"} {
		if got, err := DecodeTxRequest(unhex(t, bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestMACKeysErrors(t *testing.T) {
	good := MACKeys{Index: 1}.Append(nil)
	for name, change := range map[string]func([]byte) []byte{
		"key id mode 2": func(b []byte) []byte { b[0] = 0x10; return b },
		"short key":     func(b []byte) []byte { b[2] = 15; return b },
		"cut":           func(b []byte) []byte { return b[:len(b)-1] },
	} {
		if k, err := DecodeMACKeys(change(bytes.Clone(good))); err == nil {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

func TestString(t *testing.T) {
	r := NewReader([]byte("ab\xff\x00cd"), 5)
	if got := r.String("text"); got != "ab\ufffd" || r.Len() != 2 {
		t.Errorf("%q, %d left", got, r.Len())
	}
	if r.String("text"); !errors.Is(r.Err(), ErrString) || r.Err().Error() != "spinel: text at byte 9: string without end" {
		t.Errorf("%v", r.Err())
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[fmt.Stringer]string{
		PropRCPMACKey: "RCP_MAC_KEY", Prop(0x4000): "PROP_0x4000", CmdGet: "PROP_VALUE_GET", StatusNoAck: "NO_ACK",
		Status(0x400a): "STATUS_0x400a", CapMACRaw: "MAC_RAW", ResetStack: "stack", ResetType(9): "reset type 9",
		Ready: "ready", State(99): "state 99", KindEZSP: "ezsp", EventLog: "log", EventKind(99): "event 99", Kind(99): "kind 99",
	} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRecognise(t *testing.T) {
	ash := func(frame ...byte) []byte {
		sum := crc16(0xffff, frame)
		return append(append([]byte{0x1a}, frame...), byte(sum>>8), byte(sum), 0x7e)
	}
	cpc := []byte{0x14, 0x00, 0x0a, 0x00, 0xc4}
	sum := crc16(0, cpc)
	cpc = append(cpc, byte(sum), byte(sum>>8))
	var noise []byte
	for i := range 200 {
		noise = append(noise, byte(i*i*7)|0x80)
	}
	for _, tt := range []struct {
		name  string
		first []byte
		want  Kind
		says  string
	}{
		{"nothing", nil, KindSilent, "nothing answers; check"},
		{"RSTACK of EZSP", []byte("\x1a\xc1\x02\x0b\x0a\x52\x7e"), KindEZSP, "flash OpenThread RCP firmware"},
		{"ASH error frame after noise", append([]byte{0xfe, 0x00}, ash(0xc2, 0x02, 0x51)...), KindEZSP, "EZSP"},
		{"RSTACK with a flipped bit", []byte("\x1a\xc1\x02\x0a\x0a\x52\x7e"), KindNoise, "baud rate is probably wrong"},
		{"CPC", append([]byte{0xff}, cpc...), KindCPC, "CPC"},
		// Version 0x26580700: command, sequence, status, length 9, version, checksum.
		{"deCONZ version", []byte("\xc0\x0d\x01\x00\x09\x00\x00\x07\x58\x26\x64\xff\xc0"), KindDeconz, "deCONZ"},
		{"deCONZ, wrong sum", []byte("\xc0\x0d\x01\x00\x09\x00\x00\x07\x58\x26\x65\xff\xc0"), KindNoise, ""},
		// Type 8010, length 5, checksum, sequence and version 0003 031e, signal.
		{"ZiGate version", []byte("\x01\x80\x10\x02\x10\x02\x15\x88\x02\x10\x02\x13\x02\x13\x1e\x02\x13\x03"), KindZiGate, "ZiGate"},
		{"ZNP pong", []byte("\xfe\x02\x61\x01\x79\x07\x1c"), KindZNP, "ZNP"},
		{"bootloader", []byte("\r\nGecko Bootloader v2.4.2\r\n1. upload gbl\r\n2. run\r\n3. ebl info\r\nBL > "), KindBootloader, "bootloader"},
		{"ESP32 boot", []byte("\xff\x00ESP-ROM:esp32h2-20221101\r\nBuild:Nov  1 2022\r\nrst:0x1 (POWERON)"), KindText, "boot log of an Espressif chip"},
		{"Zephyr shell", []byte("\x1b[1;32muart:~$ \x1b[m"), KindCLI, "Zephyr shell"},
		{"OpenThread CLI", []byte("\x1a\xc0\r\nError 35: InvalidCommand\r\n> "), KindCLI, "OpenThread command line"},
		{"some text", []byte("hello world\r\nloading\r\n"), KindText, `it sends text: "hello world"`},
		{"Spinel", hdlc.AppendFrame(nil, []byte{0x80, 6, 0, 0x70}), KindSpinel, "Spinel"},
		{"noise", noise, KindNoise, "makes no sense"},
		{"zeros", make([]byte, 100), KindNoise, "baud"},
	} {
		got := Recognise(tt.first)
		if got.Kind != tt.want || !strings.Contains(got.String(), tt.says) {
			t.Errorf("%s: %v: %v", tt.name, got.Kind, got)
		}
	}
	for _, tt := range []struct {
		caps []Cap
		want Kind
	}{
		{[]Cap{CapConfigRadio, CapMACRaw}, KindRCP}, {[]Cap{CapConfigFTD, 52}, KindNCP}, {[]Cap{1}, KindSpinel}, {nil, KindSpinel},
	} {
		if got := RecogniseCaps(tt.caps); got.Kind != tt.want {
			t.Errorf("%v: %v", tt.caps, got)
		}
	}
}
