package zep

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"gatewayd/ieee802154"
)

// unhex reads hexadecimal digits with spaces and comments.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The first two are recorded of a RIOT node.
var goldens = []struct {
	name string
	wire string
	want Packet
}{{
	name: "hello",
	wire: `4558 02 ff             # EX, version 2, hello
	       00 0000 00 00          # channel, device, mode, LQI
	       0000000000000000 00000000
	       48454c4c4f 0000000000  # HELLO
	       08 0200000000000001    # EUI-64`,
	want: Packet{Version: 2, Type: Hello, Payload: []byte{2, 0, 0, 0, 0, 0, 0, 1}},
}, {
	name: "router solicitation",
	wire: `4558 02 01             # data
	       1a c140 01 ff          # channel 26, device, FCS at the end, LQI
	       eeaea48b 0054a0c6      # NTP time
	       00000000 00000000000000000000
	       2d 41d8792300ffff0a000000000000027b3b3a0285007a11000000000102020000000000000a000000000000 01e9`,
	want: Packet{Version: 2, Type: Data, Channel: 26, Device: 0xc140, FCS: true, LQI: 255, Time: 0xeeaea48b0054a0c6, Payload: []byte{
		0x41, 0xd8, 0x79, 0x23, 0, 0xff, 0xff, 0x0a, 0, 0, 0, 0, 0, 0, 2, 0x7b, 0x3b, 0x3a, 2, 0x85, 0, 0x7a, 0x11,
		0, 0, 0, 0, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0xe9}},
}, {
	name: "version 1",
	wire: `4558 01                # EX, version 1: always data
	       0b 1234 00 80          # channel 11, device, receiver's status at the end, LQI
	       00000000000000
	       05 020007 d0ec         # acknowledgment; RSSI, CRC was right`,
	want: Packet{Version: 1, Type: Data, Channel: 11, Device: 0x1234, LQI: 0x80, Payload: []byte{2, 0, 7, 0xd0, 0xec}},
}, {
	name: "acknowledgment",
	wire: `4558 02 02 00000102`,
	want: Packet{Version: 2, Type: Ack, Seq: 0x102},
}}

func TestGolden(t *testing.T) {
	for _, tt := range goldens {
		wire := unhex(t, tt.wire)
		got, err := Decode(wire)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s:\n%s", tt.name, d)
		}
		if b := tt.want.Append(nil); !bytes.Equal(b, wire) {
			t.Errorf("%s: encoded %x, want %x", tt.name, b, wire)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	data := "4558 02 01 1a 0000 01 ff 0000000000000000 00000000 00000000000000000000"
	tests := []struct {
		name, wire string
		err        error
		offset     int
	}{
		{"empty", "", ErrShort, 0},
		{"preamble", "4559 02 01", ErrPreamble, 0},
		{"three bytes", "4558 02", ErrShort, 3},
		{"version 3", "4558 03 01", ErrVersion, 2},
		{"type 3", "4558 02 03", ErrType, 3},
		{"acknowledgment cut", "4558 02 02 000000", ErrShort, 7},
		{"header cut", data, ErrShort, 31},
		{"header of version 1 cut", "4558 01 0b 0000 00 00 00000000000000", ErrShort, 15},
		{"payload cut", data + "03 0102", ErrShort, 34},
		{"too long for a frame", data + "80" + strings.Repeat("00", 128), ErrLength, 31},
	}
	for _, tt := range tests {
		_, err := Decode(unhex(t, tt.wire))
		var de *DecodeError
		if !errors.Is(err, tt.err) || !errors.As(err, &de) || de.Offset != tt.offset || !strings.HasPrefix(err.Error(), "zep: ") {
			t.Errorf("%s: %v, want %v at byte %d", tt.name, err, tt.err, tt.offset)
		}
	}
}

func TestPSDU(t *testing.T) {
	right := unhex(t, "020007 8b0d")
	fcs := ieee802154.FCS(right[:3])
	right[3], right[4] = byte(fcs), byte(fcs>>8)
	for _, tt := range []struct {
		name string
		p    Packet
		want []byte
	}{
		{"with FCS", Packet{Type: Data, FCS: true, Payload: right}, right},
		{"status says right", Packet{Type: Data, Payload: unhex(t, "020007 d0ec")}, right},
		{"status says wrong", Packet{Type: Data, Payload: unhex(t, "020007 d06c")}, nil},
		{"nothing but FCS", Packet{Type: Data, FCS: true, Payload: []byte{1, 2}}, nil},
		{"no data", Packet{Type: Hello, FCS: true, Payload: right}, nil},
	} {
		if got := tt.p.PSDU(); !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
	}
}

func TestTimestamp(t *testing.T) {
	for _, tm := range []time.Time{
		time.Unix(0, 0), time.Unix(1_795_000_000, 999_999_999), time.Unix(1_795_000_000, 1),
		time.Date(2036, 2, 7, 6, 28, 16, 5, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 123456789, time.UTC),
	} {
		if got := NewTimestamp(tm).Time(); !got.Equal(tm) {
			t.Errorf("%v became %v", tm, got)
		}
	}
}

// recorded are the datagrams of a recording of RIOT's border router with two
// hosts.
func recorded(t testing.TB) (all [][]byte) {
	f, err := os.Open("testdata/riot.pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, _, err := r.ReadPacketData()
		if err != nil {
			break
		}
		p := gopacket.NewPacket(b, r.LinkType(), gopacket.Default)
		if udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP); ok {
			all = append(all, udp.Payload)
		}
	}
	if len(all) != 171 {
		t.Fatalf("%d datagrams in the recording", len(all))
	}
	return all
}

// What RIOT sent is understood and written as RIOT writes it.
func TestRecording(t *testing.T) {
	acks := 0
	for i, b := range recorded(t) {
		p, err := Decode(b)
		if err != nil {
			t.Fatalf("datagram %d: %v", i, err)
		}
		if again := p.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("datagram %d: %x became %x", i, b, again)
		}
		if p.Type == Hello {
			continue
		}
		psdu := p.PSDU()
		if ieee802154.FCS(psdu) != 0 {
			t.Fatalf("datagram %d: FCS of %x", i, psdu)
		}
		h, err := ieee802154.Decode(psdu[:len(psdu)-2])
		if err != nil {
			t.Fatalf("datagram %d: %v", i, err)
		}
		if h.Type == ieee802154.FrameAck {
			acks++
		}
	}
	if acks == 0 {
		t.Error("nobody acknowledged anything")
	}
}

// What was decoded survives encoding and decoding again, and what Append wrote
// is decoded.
func FuzzDecode(f *testing.F) {
	for _, g := range goldens {
		f.Add(unhex(f, g.wire))
	}
	for _, b := range recorded(f)[:20] {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		p, err := Decode(in)
		if err != nil {
			return
		}
		again, err := Decode(p.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p, again); d != "" {
			t.Fatal(d)
		}
		if psdu := p.PSDU(); psdu != nil && !p.FCS && ieee802154.FCS(psdu) != 0 {
			t.Fatalf("PSDU %x has a wrong FCS", psdu)
		}
		if !bytes.Equal(in, before) {
			t.Fatal("the datagram was changed")
		}
	})
}
