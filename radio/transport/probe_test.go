package transport

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatewayd/radio"
	"gatewayd/radio/hdlc"
	"gatewayd/radio/spinel"
)

// answers are what a device says when it hears something, and the baud rate
// that it has.
type answers struct {
	baud uint32 // 0: any
	flow bool   // hears nothing without
	hear func(b []byte) []byte
	hang bool // the line goes away when it is spoken to
}

// hearing is held while a device of either of two successive connections hears.
var hearing sync.Mutex

func (a answers) dial(_ context.Context, u radio.URL) (Conn, error) {
	near, far := net.Pipe()
	said := make(chan []byte, 100) // a pipe has no buffer, as lines have
	go func() {
		for b := range said {
			far.Write(b)
		}
	}()
	go func() {
		defer close(said)
		defer far.Close()
		b := make([]byte, 1000)
		for {
			n, err := far.Read(b)
			if err != nil || a.hang {
				return
			}
			var out []byte
			switch {
			case a.flow && !u.FlowControl:
			case a.baud != 0 && u.Baud != a.baud:
				out = bytes.Repeat([]byte{0xf8, 0x80}, n/8) // what another rate makes of it
			default:
				hearing.Lock()
				out = a.hear(b[:n])
				hearing.Unlock()
			}
			if len(out) > 0 {
				said <- out
			}
		}
	}()
	return &conn{Conn: near, name: "device"}, nil
}

// speaker is a Spinel device with property values; what is set it confirms.
func speaker(props map[spinel.Prop][]byte) func([]byte) []byte {
	var dec hdlc.Decoder
	return func(b []byte) (out []byte) {
		for f := range dec.Frames(b) {
			f, err := spinel.DecodeFrame(f)
			if err != nil {
				continue
			}
			a := spinel.Frame{TID: f.TID, Cmd: spinel.CmdIs, Prop: f.Prop, Value: props[f.Prop]}
			switch {
			case f.Cmd == spinel.CmdReset:
				a.Prop, a.Value = spinel.PropLastStatus, []byte{byte(spinel.StatusResetSoftware)}
			case f.Cmd == spinel.CmdSet:
				a.Value = f.Value
			case a.Value == nil:
				a.Prop, a.Value = spinel.PropLastStatus, []byte{byte(spinel.StatusPropNotFound)}
			}
			out = append(out, hdlc.AppendFrame(nil, a.Append(nil))...)
		}
		return out
	}
}

func rcpProps() map[spinel.Prop][]byte {
	return map[spinel.Prop][]byte{
		spinel.PropProtocolVersion: {4, 3},
		spinel.PropNCPVersion:      []byte("SL-OPENTHREAD/2.4.4.0; EFR32\x00"),
		spinel.PropCaps:            spinel.AppendCaps(nil, []spinel.Cap{spinel.CapConfigRadio, spinel.CapMACRaw, spinel.CapRCPAPIVersion, spinel.CapRCPMinHostAPI}),
		spinel.PropHWAddr:          {0x0c, 0x43, 0x14, 0xff, 0xfe, 1, 2, 3},
		spinel.PropRadioCaps:       {0x7f}, spinel.PropRCPAPIVersion: {10}, spinel.PropRCPMinHostAPIVersion: {4},
	}
}

func TestProbe(t *testing.T) {
	ncp := rcpProps()
	ncp[spinel.PropCaps] = spinel.AppendCaps(nil, []spinel.Cap{spinel.CapConfigFTD})
	picky := rcpProps()
	picky[spinel.PropRCPMinHostAPIVersion] = []byte{99}
	needsReset := speaker(rcpProps())
	awake := false
	started, logged := time.Time{}, false
	starts := speaker(rcpProps())
	const bootLog = "ESP-ROM:esp32h2-20221101\r\nBuild:Nov  1 2022\r\nrst:0x1 (POWERON)"

	tests := []struct {
		name    string
		u       radio.URL
		device  answers
		kind    spinel.Kind
		baud    uint32
		flow    bool
		says    string
		usable  bool
		atMost  time.Duration
		attempt int
	}{
		{"RCP at the given rate", radio.URL{Baud: 230400}, answers{baud: 230400, hear: speaker(rcpProps())},
			spinel.KindRCP, 230400, false, "SL-OPENTHREAD/2.4.4.0; EFR32, EUI-64 0c4314fffe010203, RCP API 10", true, time.Second, 1},
		{"RCP at another rate", radio.URL{Baud: 115200}, answers{baud: 1000000, hear: speaker(rcpProps())},
			spinel.KindRCP, 1000000, false, "OpenThread RCP", true, 4 * time.Second, 3},
		{"RCP with flow control", radio.URL{}, answers{baud: 460800, flow: true, hear: speaker(rcpProps())},
			spinel.KindRCP, 460800, true, "OpenThread RCP", true, 10 * time.Second, 7},
		{"RCP behind TCP", radio.URL{Bus: radio.BusTCP, Addr: "h:1"}, answers{hear: speaker(rcpProps())},
			spinel.KindRCP, 0, false, "OpenThread RCP", true, time.Second, 1},
		{"RCP that must be reset", radio.URL{Bus: radio.BusTCP, Addr: "h:1"}, answers{hear: func(b []byte) []byte {
			awake = awake || bytes.HasPrefix(b, []byte{0x7e, 0x80, 1, 2})
			if !awake {
				return nil
			}
			return needsReset(b)
		}}, spinel.KindRCP, 0, false, "OpenThread RCP", true, 4 * time.Second, 2},
		{"RCP that is too new", radio.URL{}, answers{hear: speaker(picky)},
			spinel.KindRCP, 460800, false, "wants a host with RCP API version 99", false, time.Second, 1},
		{"NCP", radio.URL{}, answers{baud: 115200, hear: speaker(ncp)},
			spinel.KindNCP, 115200, false, "OpenThread NCP", false, 3 * time.Second, 2},
		{"Zigbee firmware", radio.URL{}, answers{baud: 115200, hear: func(b []byte) []byte {
			if bytes.Contains(b, []byte{0x1a, 0xc0, 0x38, 0xbc, 0x7e}) {
				return []byte{0x1a, 0xc1, 0x02, 0x0b, 0x0a, 0x52, 0x7e}
			}
			return nil
		}}, spinel.KindEZSP, 115200, false, "EZSP", false, 3 * time.Second, 2},
		{"bootloader", radio.URL{}, answers{baud: 115200, hear: func(b []byte) []byte {
			if bytes.ContainsRune(b, '\n') {
				return []byte("\r\nGecko Bootloader v2.4.2\r\n1. upload gbl\r\nBL > ")
			}
			return nil
		}}, spinel.KindBootloader, 115200, false, "bootloader", false, 3 * time.Second, 2},
		{"RCP that has just been plugged in", radio.URL{Baud: 115200}, answers{hear: func(b []byte) []byte {
			switch {
			case !logged:
				started, logged = time.Now(), true
				return []byte(bootLog)
			case time.Since(started) < time.Second:
				return nil
			}
			return starts(b)
		}}, spinel.KindRCP, 115200, false, "OpenThread RCP", true, 4 * time.Second, 2},
		{"restarts over and over", radio.URL{Baud: 115200}, answers{hear: func([]byte) []byte { return []byte(bootLog) }},
			spinel.KindText, 115200, false, "boot log of an Espressif chip", false, 5 * time.Second, 2},
		{"noise at every rate", radio.URL{}, answers{baud: 57600}, spinel.KindNoise, 460800, false, "baud rate is probably wrong", false, 20 * time.Second, 13},
		{"silence", radio.URL{Baud: 115200}, answers{hear: func([]byte) []byte { return nil }},
			spinel.KindSilent, 115200, false, "nothing answers", false, 20 * time.Second, 13},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := probe(t.Context(), tt.u, tt.device.dial)
				if err != nil {
					t.Fatal(err)
				}
				if r.Guess.Kind != tt.kind || r.URL.Baud != tt.baud || r.URL.FlowControl != tt.flow || r.Usable() != tt.usable ||
					!strings.Contains(r.String(), tt.says) || r.Took > tt.atMost || len(r.Attempts) != tt.attempt {
					t.Errorf("%v, %v, %d attempts in %v", r.Guess.Kind, r, len(r.Attempts), r.Took)
				}
			})
		})
	}
}

func TestProbeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := probe(t.Context(), radio.URL{}, answers{hang: true}.dial); !errors.Is(err, ErrHungUp) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := probe(ctx, radio.URL{}, answers{hear: func([]byte) []byte { return nil }}.dial)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	if _, err := Probe(t.Context(), radio.URL{Path: "/dev/no-such-dongle"}); err == nil || !strings.Contains(err.Error(), "plugged in") {
		t.Errorf("%v", err)
	}
}
