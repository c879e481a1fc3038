package radio

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func ptr[T any](v T) *T { return &v }

func TestParseURL(t *testing.T) {
	tests := []struct {
		in        string
		want      URL
		canonical string // if it differs
	}{
		{"spinel+hdlc+uart:///dev/ttyACM0", URL{Path: "/dev/ttyACM0"}, ""},
		{"/dev/ttyACM0", URL{Path: "/dev/ttyACM0"}, "spinel+hdlc+uart:///dev/ttyACM0"},
		{"spinel+hdlc:///dev/ttyUSB0?", URL{Path: "/dev/ttyUSB0"}, "spinel+hdlc+uart:///dev/ttyUSB0"},
		{
			"spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800&uart-parity=even&uart-stop=2&uart-flow-control&uart-init-deassert",
			URL{Path: "/dev/ttyACM0", Baud: 460800, Parity: ParityEven, StopBits: 2, FlowControl: true, InitDeassert: true}, "",
		},
		{
			"spinel+hdlc+uart:///dev/serial/by-id/usb-Nabu_Casa_ZBT-2_abc-if00?uart-reset&uart-exclusive&uart-parity=&uart-stop=",
			URL{Path: "/dev/serial/by-id/usb-Nabu_Casa_ZBT-2_abc-if00"}, "spinel+hdlc+uart:///dev/serial/by-id/usb-Nabu_Casa_ZBT-2_abc-if00",
		},
		{"spinel+hdlc+forkpty:///usr/bin/ot-rcp?forkpty-arg=--a%26b&forkpty-arg=2", URL{Bus: BusPTY, Path: "/usr/bin/ot-rcp", Args: []string{"--a&b", "2"}}, ""},
		{"spinel+hdlc+tcp://slzb.local:6638", URL{Bus: BusTCP, Addr: "slzb.local:6638"}, ""},
		{"spinel+hdlc+tcp://_slzb-06._tcp.local", URL{Bus: BusTCP, Addr: "_slzb-06._tcp.local"}, ""},
		{"spinel+hdlc+tcp://Attic%20radio._slzb-06._tcp.local?iid=1", URL{Bus: BusTCP, Addr: "Attic radio._slzb-06._tcp.local", IID: 1}, ""},
		{"spinel+hdlc+tcp://[fe80::1%25eth0]:6638", URL{Bus: BusTCP, Addr: "[fe80::1%eth0]:6638"}, ""},
		{"spinel+hdlc+tcp://[fd00::1]:6638/", URL{Bus: BusTCP, Addr: "[fd00::1]:6638"}, "spinel+hdlc+tcp://[fd00::1]:6638"},
		{"spinel+hdlc+unix:///run/rcp.sock", URL{Bus: BusUnix, Path: "/run/rcp.sock"}, ""},
		{"auto", URL{Bus: BusAuto}, ""},
		{"sim:demo?seed=1", URL{Bus: BusSim, Path: "demo?seed=1"}, ""},
		{"zep://[::1]:17754", URL{Bus: BusZEP, Addr: "[::1]:17754"}, ""},
		{"zep://riot.local/", URL{Bus: BusZEP, Addr: "riot.local:17754"}, "zep://riot.local:17754"},
		{"zep://[fe80::1%25tap0]", URL{Bus: BusZEP, Addr: "[fe80::1%tap0]:17754"}, "zep://[fe80::1%25tap0]:17754"},
		{
			"zep://127.0.0.1:5000?local=:0&eui64=02000000000000fe&no-reset",
			URL{Bus: BusZEP, Addr: "127.0.0.1:5000", Local: ":0", EUI64: [8]byte{2, 7: 0xfe}, NoReset: true}, "",
		},
		{
			"spinel+hdlc+uart:///dev/ttyACM0?no-reset&skip-rcp-compatibility-check&iid=2&bus-latency=1500&region=us&cca-threshold=-60&fem-lnagain=11&enable-coex=0&max-power-table=20,18,-3,0x7f&iid-list=0,2",
			URL{Path: "/dev/ttyACM0", NoReset: true, SkipVersionCheck: true, IID: 2, BusLatency: 1500 * time.Microsecond, Tuning: Tuning{
				Region: "US", CCAThreshold: ptr(int8(-60)), FEMLNAGain: ptr(int8(11)), Coex: ptr(false), MaxPower: []int8{20, 18, -3, 127},
			}},
			"spinel+hdlc+uart:///dev/ttyACM0?no-reset&skip-rcp-compatibility-check&iid=2&bus-latency=1500&region=US&cca-threshold=-60&fem-lnagain=11&enable-coex=0&max-power-table=20,18,-3,127",
		},
	}
	for _, tt := range tests {
		if tt.want.StopBits == 0 {
			tt.want.StopBits = 1
		}
		got, err := ParseURL(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.in, got, tt.want)
		}
		canonical := tt.canonical
		if canonical == "" {
			canonical = tt.in
		}
		if got.String() != canonical {
			t.Errorf("%s: canonical %s, want %s", tt.in, got, canonical)
		}
	}
}

func TestParseURLErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "must be auto or begin like"},
		{"ttyACM0", "must be auto or begin like"},
		{"http://x", `unknown scheme "http"`},
		{"spinel+spi:///dev/spidev0.0?spi-mode=0", "SPI are not supported"},
		{"spinel+hdlc+uart://dev/ttyACM0", "must be absolute"},
		{"spinel+hdlc+tcp://host", "host:port"},
		{"spinel+hdlc+tcp://host:0", "host:port"},
		{"spinel+hdlc+tcp://:1", "host:port"},
		{"zep://", "after zep:// there must be host:port"},
		{"zep://:1", "after zep:// there must be host:port"},
		{"zep://h:0", "after zep:// there must be host:port"},
		{"zep://::1:17754", "in brackets"},
		{"zep://h?local=5", "parameter local"},
		{"zep://h?local=:65536", "parameter local"},
		{"zep://h?eui64=0", "parameter eui64"},
		{"zep://h?eui64=0000000000000000", "parameter eui64"},
		{"zep://h?uart-stop=1", "another kind"},
		{"spinel+hdlc+tcp://h:1?local=:1", "another kind"},
		{"spinel+hdlc+uart:///dev/x?uart-baud=1", "parameter uart-baud: there is no such parameter"},
		{"spinel+hdlc+uart:///dev/x?uart-baudrate", "parameter uart-baudrate: it needs a value"},
		{"spinel+hdlc+uart:///dev/x?uart-baudrate=fast", `parameter uart-baudrate: "fast" is not a number`},
		{"spinel+hdlc+uart:///dev/x?uart-baudrate=0", "is not a number from 50"},
		{"spinel+hdlc+uart:///dev/x?uart-stop=3", "parameter uart-stop"},
		{"spinel+hdlc+uart:///dev/x?uart-parity=mark", "neither even nor odd"},
		{"spinel+hdlc+uart:///dev/x?forkpty-arg=1", "another kind"},
		{"spinel+hdlc+tcp://h:1?uart-flow-control", "another kind"},
		{"spinel+hdlc+uart:///dev/x?region=USA", "two letters"},
		{"spinel+hdlc+uart:///dev/x?cca-threshold=-200", "parameter cca-threshold"},
		{"spinel+hdlc+uart:///dev/x?max-power-table=1,,2", "parameter max-power-table"},
		{"spinel+hdlc+uart:///dev/x?iid=4", "parameter iid"},
		{"spinel+hdlc+uart:///dev/x?iid-list=0,9", "parameter iid-list"},
		{"spinel+hdlc+uart:///dev/x%2", "within an escape"},
		{"spinel+hdlc+uart:///dev/x?region=%zz", "not an escape"},
		{"spinel+hdlc+uart:///dev/x?&", "there is no such parameter"},
	}
	for _, tt := range tests {
		_, err := ParseURL(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "radio: ") {
			t.Errorf("%q: %v, want %q", tt.in, err, tt.want)
		}
	}
}

// The canonical form of a URL means the same.
func FuzzParseURL(f *testing.F) {
	f.Add("spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800&uart-flow-control")
	f.Add("spinel+hdlc+forkpty:///bin/ot-rcp?forkpty-arg=1&forkpty-arg=%26")
	f.Add("spinel+hdlc+tcp://h:1?max-power-table=1,2&region=de&enable-coex=1")
	f.Add("sim:x")
	f.Add("zep://[::1]?local=[::1]:5&eui64=02000000000000fe")
	f.Add("zep://h:1?region=de")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s)
		if err != nil {
			return
		}
		again, err := ParseURL(u.String())
		if err != nil || !reflect.DeepEqual(u, again) {
			t.Fatalf("%q is %+v, but %q is %+v, %v", s, u, u, again, err)
		}
	})
}

func TestBusTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"/dev/ttyACM0": 13020833 * time.Nanosecond, // 150 bytes of 10 bits at 115200 baud
		"spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=1000000":                                  1500 * time.Microsecond,
		"spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=1000000&uart-parity=even&bus-latency=250": 1900 * time.Microsecond,
		"spinel+hdlc+forkpty:///usr/bin/ot-rcp?forkpty-arg=1":                                    0,
		"spinel+hdlc+unix:///run/rcp?bus-latency=1000":                                           time.Millisecond,
	} {
		u, err := ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.BusTime(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
