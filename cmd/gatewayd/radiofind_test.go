package main

import (
	"testing"

	"gatewayd/api"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
)

func TestFoundSentence(t *testing.T) {
	zbt1 := transport.SerialPort{Path: "/dev/ttyUSB0", Vendor: 0x10c4, Product: 0xea60, Maker: "Nabu Casa", Name: "SkyConnect v1.0"}
	base := found{Port: zbt1.Path, Name: zbt1.String()}
	report := func(g spinel.Guess, problem string) found {
		f := base
		f.probed = probedOf(&transport.Report{Guess: zbt1.Advise(g), Problem: problem})
		return f
	}
	usable := base
	usable.probed = probed{Usable: true, Radio: api.Radio{URL: "spinel+hdlc+uart:///dev/ttyUSB0?uart-baudrate=460800", Version: "OPENTHREAD/1"}}
	for _, tt := range []struct {
		f    found
		want string
	}{
		{report(spinel.Recognise([]byte("\x1a\xc1\x02\x0b\x0a\x52\x7e")), "no answer to PROTOCOL_VERSION"),
			"/dev/ttyUSB0, SkyConnect v1.0 by Nabu Casa: it looks like Silicon Labs Zigbee (EZSP) firmware; flash OpenThread RCP firmware for this dongle: " +
				"Home Assistant's page for Connect ZBT-1 (SkyConnect) flashes it from a browser: choose OpenThread"},
		{report(spinel.RecogniseCaps([]spinel.Cap{spinel.CapMACRaw}), "its RCP API is too old"),
			"/dev/ttyUSB0, SkyConnect v1.0 by Nabu Casa: it is an OpenThread RCP; its RCP API is too old"},
		{report(spinel.Recognise(nil), "no answer"),
			"/dev/ttyUSB0, SkyConnect v1.0 by Nabu Casa: nothing answers; check that this is the right device, that it is flashed with RCP firmware, its baud rate and its flow control"},
		{usable, "/dev/ttyUSB0, SkyConnect v1.0 by Nabu Casa: it is an OpenThread RCP, OPENTHREAD/1: gatewayd run --radio 'spinel+hdlc+uart:///dev/ttyUSB0?uart-baudrate=460800'"},
		{found{Port: zbt1.Path, Name: zbt1.String(), Error: "/dev/ttyUSB0: permission denied"}, "/dev/ttyUSB0, SkyConnect v1.0 by Nabu Casa: permission denied"},
	} {
		if got := tt.f.sentence(); got != tt.want {
			t.Errorf("%q\nwant %q", got, tt.want)
		}
	}
}
