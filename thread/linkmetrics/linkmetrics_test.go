package linkmetrics

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"gatewayd/radio"
)

const qmr = radio.MetricLQI | radio.MetricMargin | radio.MetricRSSI

// bytesOf reads hexadecimal digits with comments.
func bytesOf(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		code, _, _ := strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(code), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What OpenThread's nodes sent each other.
func TestRecorded(t *testing.T) {
	var decode = map[string]func(b []byte) (any, []byte, error){
		"query": func(b []byte) (any, []byte, error) {
			v, err := DecodeQuery(b)
			return v, v.Append(nil), err
		},
		"request": func(b []byte) (any, []byte, error) {
			v, err := DecodeRequest(b)
			if err != nil {
				return v, nil, err
			}
			return v, v.Append(nil), nil
		},
		"report": func(b []byte) (any, []byte, error) {
			v, err := DecodeReport(b)
			return v, v.Append(nil), err
		},
		"status": func(b []byte) (any, []byte, error) {
			v, err := DecodeStatus(b)
			return v, AppendStatus(nil, v), err
		},
	}
	for _, x := range []struct {
		name, kind, wire string
		want             any
	}{{
		"single probe", "query", `
		010100      # Query ID 0
		0203 090a0b # Query Options: LQI, margin, RSSI`,
		Query{Metrics: qmr},
	}, {
		"of a series", "query", `010101`, Query{Series: 1},
	}, {
		"report", "report", `
		0002 0900 # LQI 0
		0002 0a9d # margin 157/255 of 130 dB
		0002 0bd8 # RSSI 216/255 of 130 dB, from -130 dBm`,
		Report{Values: Values{Metrics: qmr, Margin: 80, RSSI: -20}},
	}, {
		"report of a series", "report", `
		0005 40 00000005 # five PDUs
		0002 0900 0002 0a9d 0002 0bd8`,
		Report{Values: Values{Metrics: qmr | radio.MetricPDUs, PDUs: 5, Margin: 80, RSSI: -20}},
	}, {
		"unknown series", "report", `0501 03`, Report{Status: UnknownSeries},
	}, {
		"begin a series", "request", `
		0306 01 0e   # Forward Probing Registration: series 1, data, data requests, acknowledgements
		40090a0b`,
		Request{Forward: &Forward{Series: 1, Flags: Data | DataRequests | Acks, Metrics: qmr | radio.MetricPDUs}},
	}, {
		"begin probing", "request", `
		0703 01 0a0b # Enhanced ACK Configuration: register margin, RSSI`,
		Request{EnhAck: &EnhAck{Register: true, Metrics: radio.MetricMargin | radio.MetricRSSI}},
	}, {
		"end probing", "request", `0701 00`, Request{EnhAck: &EnhAck{}},
	}, {
		"answer", "status", `0501 00`, Success,
	}} {
		b := bytesOf(t, x.wire)
		got, again, err := decode[x.kind](b)
		if err != nil || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, %v, want %+v", x.name, got, err, x.want)
			continue
		}
		if hex.EncodeToString(again) != hex.EncodeToString(b) {
			t.Errorf("%s: encoded %x", x.name, again)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, x := range []struct {
		name, wire string
		decode     func([]byte) error
		err        error
		off        int
	}{
		{"query without id", `0201 09`, query, ErrMissing, 3},
		{"query cut in its id", `0100`, query, ErrShort, 2},
		{"query cut in a TLV", `0101`, query, ErrShort, 0},
		{"one byte", `01`, query, ErrShort, 0},
		{"metric twice", `010100 0202 0909`, query, ErrInvalid, 6},
		{"two requests", `0302 0101 0701 00`, request, ErrInvalid, 6},
		{"no request", `0501 00`, request, ErrMissing, 3},
		{"series without flags", `0301 01`, request, ErrShort, 2},
		{"report and status", `0002 0900 0501 00`, report, ErrInvalid, 6},
		{"status and report", `0501 00 0002 0900`, report, ErrInvalid, 5},
		{"count of one byte", `0002 4000`, report, ErrShort, 2},
		{"empty report", ``, report, ErrMissing, 0},
		{"two statuses", `0501 00 0501 01`, status, ErrInvalid, 5},
		{"extended length cut", `05ff 01`, status, ErrShort, 0},
	} {
		err := x.decode(bytesOf(t, x.wire))
		var d *DecodeError
		if !errors.As(err, &d) || !errors.Is(err, x.err) || d.Offset != x.off {
			t.Errorf("%s: %v, want %v at byte %d", x.name, err, x.err, x.off)
		}
	}
}

func query(b []byte) error   { _, err := DecodeQuery(b); return err }
func request(b []byte) error { _, err := DecodeRequest(b); return err }
func report(b []byte) error  { _, err := DecodeReport(b); return err }
func status(b []byte) error  { _, err := DecodeStatus(b); return err }

// What is not known is passed over, and told of where it matters.
func TestUnknown(t *testing.T) {
	r, err := DecodeRequest(bytesOf(t, `
		63ff 0002 abcd # a type with an extended length
		4201 00        # another type
		0705 01 0a     # margin
		8512           # an extended identifier
		3c             # a reserved one`))
	want := Request{EnhAck: &EnhAck{Register: true, Metrics: radio.MetricMargin}, Reserved: true}
	if err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestElement(t *testing.T) {
	v, ok := DecodeElement([]byte{0, 0x9d, 0xd8}, radio.MetricMargin|radio.MetricRSSI)
	if want := (Values{Metrics: radio.MetricMargin | radio.MetricRSSI, Margin: 80, RSSI: -20}); !ok || v != want {
		t.Errorf("%+v, %v", v, ok)
	}
	for _, b := range [][]byte{{}, {0}, {0, 1}, {1, 2, 3}} {
		if v, ok := DecodeElement(b, radio.MetricLQI|radio.MetricRSSI); ok {
			t.Errorf("% x is %+v", b, v)
		}
	}
}

func TestStretch(t *testing.T) {
	for dB := -10; dB <= 140; dB++ {
		if got, want := shrink(stretch(dB)), min(max(dB, 0), 130); got != want {
			t.Errorf("%d dB became %d", dB, got)
		}
	}
}

func TestSeries(t *testing.T) {
	s := Series{ID: 1, Flags: LinkProbes | Acks, Metrics: qmr | radio.MetricPDUs}
	if r := s.Report(-100); r.Status != NoFrames {
		t.Errorf("of no frame: %+v", r)
	}
	s.Count(Data, 200, -90) // not asked for
	s.Count(LinkProbes, 100, -40)
	s.Count(Acks, 50, -60)
	if r, want := s.Report(-100), (Values{Metrics: s.Metrics, PDUs: 2, LQI: 75, Margin: 50, RSSI: -50}); r.Status != Success || r.Values != want {
		t.Errorf("%+v, want %+v", r, want)
	}
	for range 100 {
		s.Count(Acks, 10, -80)
	}
	if v := s.Report(-100).Values; v.PDUs != 102 || v.LQI != 10 || v.RSSI != -80 {
		t.Errorf("after 100 other frames: %+v", v)
	}
	d := Series{Flags: LinkProbes | Data}
	d.Count(LinkProbes, 1, -1)
	if d.Count(Data, 1, -1); d.pdus != 1 {
		t.Errorf("a link probe, which is a data frame, counted %d times", d.pdus)
	}
}

// What was decoded survives encoding and decoding again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"00090b01010102037f0a02", "0101000203090a0b", "0306010e40090a0b", "0703010a0b", "050103", "0005400000000500020900"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if q, err := DecodeQuery(in); err == nil {
			if again, err := DecodeQuery(q.Append(nil)); err != nil || again != q {
				t.Fatalf("%+v became %+v, %v", q, again, err)
			}
		}
		if r, err := DecodeRequest(in); err == nil {
			r.Reserved = false
			if again, err := DecodeRequest(r.Append(nil)); err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("%+v became %+v, %v", r, again, err)
			}
		}
		if r, err := DecodeReport(in); err == nil && (r.Status != Success || r.Values.Metrics != 0) {
			if again, err := DecodeReport(r.Append(nil)); err != nil || again != r {
				t.Fatalf("%+v became %+v, %v", r, again, err)
			}
		}
		if s, err := DecodeStatus(in); err == nil {
			if again, err := DecodeStatus(AppendStatus(nil, s)); err != nil || again != s {
				t.Fatalf("%v became %v, %v", s, again, err)
			}
		}
	})
}
