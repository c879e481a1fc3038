package pcap

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/wireshark"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"
)

const captures = "../testdata/captures"

func readAll(t *testing.T, r io.Reader) []Packet {
	t.Helper()
	rd, err := NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	var ps []Packet
	for {
		p, err := rd.Next()
		if err == io.EOF {
			return ps
		}
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

func unhex(t *testing.T, s string) []byte {
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

// The head of form-leader.pcap, as recorded from the air.
func TestReadRecording(t *testing.T) {
	f, err := os.Open(filepath.Join(captures, "form-leader.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ps := readAll(t, f)
	if len(ps) != 12 {
		t.Fatalf("%d packets, want 12", len(ps))
	}
	p := ps[0]
	if p.Channel != 15 || !p.HasFCS || p.LinkType != LinkTAP || p.Truncated || p.Time.Year() != 2026 {
		t.Errorf("first packet: %+v", p)
	}
	if len(p.PSDU)+2+20 != len(p.Data) {
		t.Errorf("PSDU of %d octets in %d", len(p.PSDU), len(p.Data))
	}
	for i := 1; i < len(ps); i++ {
		if ps[i].Time.Before(ps[i-1].Time) {
			t.Errorf("packet %d goes back in time", i)
		}
	}
}

// Every link type and byte order, in files as short as they get.
func TestReadPcap(t *testing.T) {
	tests := []struct {
		name string
		file string
		want Packet
	}{{
		name: "with FCS, microseconds",
		file: `d4c3b2a1 0200 0400 00000000 00000000 ffff0000 c3000000  # 195
		       01000000 02000000 05000000 05000000  0200 07 3412`,
		want: Packet{Time: time.Unix(1, 2000), LinkType: LinkWithFCS, PSDU: []byte{2, 0, 7}, HasFCS: true, FCS: 0x1234,
			Data: []byte{2, 0, 7, 0x34, 0x12}},
	}, {
		name: "without FCS, big endian, nanoseconds",
		file: `a1b23c4d 0002 0004 00000000 00000000 0000ffff 000000e6  # 230
		       00000001 00000002 00000003 00000003  0200 07`,
		want: Packet{Time: time.Unix(1, 2), LinkType: LinkNoFCS, PSDU: []byte{2, 0, 7}, Data: []byte{2, 0, 7}},
	}, {
		name: "with FCS, cut short by the capturer",
		file: `d4c3b2a1 0200 0400 00000000 00000000 ffff0000 c3000000
		       00000000 00000000 03000000 05000000  0200 07`,
		want: Packet{Time: time.Unix(0, 0), LinkType: LinkWithFCS, PSDU: []byte{2, 0, 7}, Data: []byte{2, 0, 7}, Truncated: true},
	}, {
		name: "Ethernet is bytes",
		file: `d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000
		       00000000 00000000 03000000 03000000  010203`,
		want: Packet{Time: time.Unix(0, 0), LinkType: 1, Data: []byte{1, 2, 3}},
	}, {
		name: "TAP with RSS and LQI",
		file: `d4c3b2a1 0200 0400 00000000 00000000 ffff0000 1b010000  # 283
		       00000000 00000000 25000000 25000000
		       00 00 2200                  # version, reserved, length 34
		       0000 0100 01000000          # FCS type: 16 bit
		       0100 0400 000092c2          # RSS -73 dBm
		       0a00 0100 c8000000          # LQI 200
		       6300 0200 abcd              # an unknown one, not padded
		       02 3412`,
		want: Packet{Time: time.Unix(0, 0), LinkType: LinkTAP, HasRSSI: true, RSSI: -73, HasLQI: true, LQI: 200,
			PSDU: []byte{2}, HasFCS: true, FCS: 0x1234},
	}, {
		name: "TAP that does not fit",
		file: `d4c3b2a1 0200 0400 00000000 00000000 ffff0000 1b010000
		       00000000 00000000 04000000 04000000  0000ff00`,
		want: Packet{Time: time.Unix(0, 0), LinkType: LinkTAP, Data: []byte{0, 0, 0xff, 0}},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := readAll(t, bytes.NewReader(unhex(t, tt.file)))
			if len(got) != 1 {
				t.Fatalf("%d packets, want 1", len(got))
			}
			if tt.want.Data == nil {
				tt.want.Data = got[0].Data
			}
			tt.want.Time = tt.want.Time.UTC()
			if d := cmp.Diff(tt.want, got[0]); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// A big-endian file with two interfaces of different clocks, a block type
// that is not known, and a simple packet.
func TestReadPcapng(t *testing.T) {
	got := readAll(t, bytes.NewReader(unhex(t, `
		0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c
		00000001 00000014 00c3 0000 00000000 00000014             # interface 0: with FCS, microseconds
		00000001 0000002c 00e6 0000 00000000                      # interface 1: no FCS
		  0009 0001 8a000000  000e 0008 0000000000000064 00000000 0000002c  # 2^-10 s, from second 100
		00000bad 00000010 00000000 00000010
		00000006 00000030 00000001 00000000 00000600 00000003 00000003 02000700
		  0002 0004 00000002  00000000 00000030                   # 1.5 s, outbound
		00000003 00000018 00000005 02000734 12000000 00000018     # simple, interface 0`)))
	want := []Packet{
		{Time: time.Unix(101, 5e8).UTC(), LinkType: LinkNoFCS, PSDU: []byte{2, 0, 7}, Data: []byte{2, 0, 7}, Direction: Outbound},
		{LinkType: LinkWithFCS, PSDU: []byte{2, 0, 7}, HasFCS: true, FCS: 0x1234, Data: []byte{2, 0, 7, 0x34, 0x12}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestReadErrors(t *testing.T) {
	const head = "d4c3b2a1 0200 0400 00000000 00000000 ffff0000 c3000000"
	const ngHead = "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"
	tests := []struct {
		name string
		file string
		off  int64
		err  error
	}{
		{"empty", "", 0, ErrShort},
		{"cut magic", "d4c3", 2, ErrShort},
		{"something else", "7f454c46", 0, ErrFormat},
		{"cut file header", "d4c3b2a1 0200", 6, ErrShort},
		{"cut record", head + "00000000", 28, ErrShort},
		{"no data", head + "00000000 00000000 03000000 03000000", 40, ErrShort},
		{"cut data", head + "00000000 00000000 03000000 03000000 01", 41, ErrShort},
		{"giant record", head + "00000000 00000000 ffffff7f ffffff7f", 32, ErrLength},
		{"byte-order magic", "0a0d0d0a 1c000000 00000000", 8, ErrFormat},
		{"cut section", "0a0d0d0a 1c000000 4d3c2b1a", 12, ErrShort},
		{"tiny section", "0a0d0d0a 08000000 4d3c2b1a", 4, ErrLength},
		{"tiny block", ngHead + "01000000 08000000", 32, ErrLength},
		{"giant block", ngHead + "01000000 f0ffffff", 32, ErrLength},
		{"two lengths", ngHead + "01000000 0c000000 10000000", 36, ErrLength},
		{"short interface", ngHead + "01000000 0c000000 0c000000", 28, ErrShort},
		{"resolution", ngHead + "01000000 1c000000 c300 0000 00000000 0900 0100 7f000000 1c000000", 28, ErrLength},
		{"no such interface", ngHead + "06000000 20000000 00000000 00000000 00000000 00000000 00000000 20000000", 36, ErrLength},
		{"simple without interface", ngHead + "03000000 10000000 00000000 10000000", 28, ErrShort},
		{"short packet block", ngHead + "06000000 0c000000 0c000000", 28, ErrShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(unhex(t, tt.file)))
			for err == nil {
				_, err = r.Next()
			}
			var de *DecodeError
			if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.off {
				t.Errorf("got %v, want %v at byte %d", err, tt.err, tt.off)
			}
		})
	}
}

var samples = []Packet{{
	Time: time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC), Channel: 15, HasRSSI: true, RSSI: -61, HasLQI: true, LQI: 180,
	Direction: Inbound, PSDU: []byte{2, 0, 7}, HasFCS: true, FCS: 0x1234, Comment: "first",
}, {
	Time: time.Date(2026, 11, 23, 12, 0, 1, 0, time.UTC), Channel: 26, Direction: Outbound, PSDU: []byte{3, 8, 1, 0xff, 0xff, 0xff, 0xff, 7},
}, {
	Time: time.Date(2026, 11, 23, 12, 0, 2, 0, time.UTC), PSDU: []byte{},
}}

func write(t *testing.T, o Options, ps []Packet) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ps {
		if err := w.Write(&ps[i]); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, o := range []Options{
		{},
		{Hardware: "a dongle", OS: "Linux", Application: "gatewayd 1.0", Interface: "wpan0", Nanoseconds: true},
	} {
		got := readAll(t, bytes.NewReader(write(t, o, samples)))
		for i := range got {
			if got[i].LinkType != LinkTAP || got[i].Truncated || len(got[i].Data) == 0 {
				t.Errorf("packet %d: %+v", i, got[i])
			}
			got[i].LinkType, got[i].Data = 0, nil
		}
		if d := cmp.Diff(samples, got); d != "" {
			t.Errorf("%+v: -want +got:\n%s", o, d)
		}
	}
}

// A time that needs its nanoseconds keeps them.
func TestNanoseconds(t *testing.T) {
	at := time.Unix(1795430775, 123456789).UTC()
	ps := []Packet{{Time: at, PSDU: []byte{1}}}
	if got := readAll(t, bytes.NewReader(write(t, Options{Nanoseconds: true}, ps)))[0].Time; !got.Equal(at) {
		t.Errorf("nanoseconds: %v became %v", at, got)
	}
	if got, want := readAll(t, bytes.NewReader(write(t, Options{}, ps)))[0].Time, at.Truncate(time.Microsecond); !got.Equal(want) {
		t.Errorf("microseconds: %v became %v, want %v", at, got, want)
	}
}

type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

func TestWriteErrors(t *testing.T) {
	for after := range 3 {
		w, err := NewWriter(&failing{after: after}, Options{})
		if err == nil {
			err = w.Write(&samples[0])
		}
		if !errors.Is(err, io.ErrClosedPipe) || !strings.HasPrefix(err.Error(), "pcap: ") {
			t.Errorf("write %d fails: got %v", after, err)
		}
	}
}

// gopacket's reader, which shares nothing with ours, sees the same packets.
func TestGopacketReads(t *testing.T) {
	file := write(t, Options{Interface: "wpan0", Nanoseconds: true}, samples)
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	own := readAll(t, bytes.NewReader(file))
	for i, p := range own {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, p.Data) || !ci.Timestamp.Equal(p.Time) {
			t.Errorf("packet %d: %x at %v, want %x at %v", i, data, ci.Timestamp, p.Data, p.Time)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("after the last packet: %v", err)
	}
}

// Wireshark reads what we write: channel, signal, FCS verdict and comment.
func TestTsharkReads(t *testing.T) {
	wireshark.Program(t)
	src, err := os.Open(filepath.Join(captures, "attach-mtd.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	ps := readAll(t, src)
	for i := range ps {
		ps[i].HasRSSI, ps[i].RSSI = true, -int8(40+i%50)
		ps[i].HasLQI, ps[i].LQI = true, uint8(i)
	}
	ps[3].Comment = "the fourth"
	path := filepath.Join(t.TempDir(), "out.pcapng")
	if err := os.WriteFile(path, write(t, Options{Hardware: "test", Interface: "wpan0"}, ps), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := wireshark.Read(t, path, []string{"frame.number", "wpan-tap.ch_num", "wpan-tap.rss", "wpan-tap.lqi", "wpan.fcs_ok", "wpan.seq_no", "frame.comment"},
		"-o", "wpan.fcs_format:ITU-T CRC-16")
	if len(lines) != len(ps) {
		t.Fatalf("tshark sees %d packets, want %d: %q", len(lines), len(ps), lines)
	}
	for i, line := range lines {
		f := strings.Split(line+"||||||", "|")
		if f[1] != "15" || f[2] != strconv.Itoa(int(ps[i].RSSI)) || f[3] != strconv.Itoa(i) || f[4] != "1" && f[4] != "True" || f[5] != strconv.Itoa(int(ps[i].PSDU[2])) {
			t.Errorf("packet %d: tshark says %q", i+1, line)
		}
		if want := ps[i].Comment; f[6] != want {
			t.Errorf("packet %d: comment %q, want %q", i+1, f[6], want)
		}
	}
}

// Any bytes are read to an end or an error, and packets that were read survive
// being written and read again.
func FuzzReader(f *testing.F) {
	for _, name := range []string{"form-leader.pcap", "discover.pcap"} {
		b, err := os.ReadFile(filepath.Join(captures, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 400)])
	}
	var buf bytes.Buffer
	w, _ := NewWriter(&buf, Options{Interface: "wpan0", Nanoseconds: true})
	for i := range samples {
		_ = w.Write(&samples[i])
	}
	f.Add(buf.Bytes())
	f.Add(binary.BigEndian.AppendUint32(nil, blockSection))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := NewReader(bytes.NewReader(in))
		if err != nil {
			return
		}
		var ps []Packet
		for {
			p, err := r.Next()
			if err != nil {
				break
			}
			// A Writer has room for 64 bits of nanoseconds after 1970, for
			// comments of its limit, and for frames that fit one read.
			if y := p.Time.Year(); p.PSDU == nil || y < 1970 || y > 2200 || len(p.Comment) > maxText || len(p.PSDU) > 1<<16 {
				continue
			}
			ps = append(ps, p)
		}
		got := readAll(t, bytes.NewReader(write(t, Options{Nanoseconds: true}, ps)))
		for i := range ps {
			ps[i].LinkType, ps[i].Data, ps[i].Truncated = LinkTAP, nil, false
		}
		for i := range got {
			got[i].Data = nil
		}
		if d := cmp.Diff(ps, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
}
