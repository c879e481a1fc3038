package sntp

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPacket(t *testing.T) {
	tests := []struct {
		name, wire string
		want       Packet
	}{{
		name: "request",
		wire: `23 00 00 00             # no warning, version 4, client; stratum, poll, precision
		       00000000 00000000       # root delay and dispersion
		       00000000                # reference
		       0000000000000000        # reference time
		       0000000000000000 0000000000000000
		       0123456789abcdef        # transmitted: the nonce`,
		want: Request(0x0123456789abcdef),
	}, {
		name: "answer",
		wire: `24 02 06 00             # version 4, server; stratum 2, polled each 64 s
		       00000000 00000000
		       c0000201                # synchronised to 192.0.2.1
		       0000000000000000
		       0123456789abcdef        # originated: the nonce
		       ec000000 80000000       # received at .5 s
		       ec000000 c0000000       # answered at .75 s`,
		want: Packet{Version: 4, Mode: ModeServer, Stratum: 2, Poll: 6, RefID: [4]byte{192, 0, 2, 1}, Originate: 0x0123456789abcdef,
			Receive: 0xec000000_80000000, Transmit: 0xec000000_c0000000},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.wire)
			got, err := Decode(append(b[:len(b):len(b)], "authentication"...))
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v, want %+v", got, err, tt.want)
			}
			if enc := tt.want.Append(nil); string(enc) != string(b) {
				t.Errorf("encoded %x, want %x", enc, b)
			}
		})
	}
	var de *DecodeError
	if _, err := Decode(make([]byte, 47)); !errors.As(err, &de) || de.Offset != 47 || !errors.Is(err, ErrShort) {
		t.Errorf("47 bytes: %v", err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var digits string
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits += strings.Join(strings.Fields(line), "")
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTimestamp(t *testing.T) {
	for _, tt := range []struct {
		at, near string
		want     Timestamp
	}{
		{"1970-01-01T00:00:00Z", "1980-01-01T00:00:00Z", 0x83aa7e80_00000000}, // RFC 5905 Figure 4
		{"2026-11-23T12:00:00.5Z", "1970-01-01T00:00:00Z", 0xeeaea940_80000000},
		{"2036-02-07T06:28:15Z", "2026-01-01T00:00:00Z", 0xffffffff_00000000},
		{"2036-02-07T06:28:17Z", "2026-01-01T00:00:00Z", 0x00000001_00000000}, // the next era
		{"2050-06-01T00:00:00Z", "2100-01-01T00:00:00Z", 0x1aec0700_00000000},
	} {
		at, near := parse(t, tt.at), parse(t, tt.near)
		got := TimestampOf(at)
		if got != tt.want {
			t.Errorf("%s is %x, want %x", tt.at, got, tt.want)
		}
		if back := got.Time(near); !back.Equal(at) {
			t.Errorf("%s came back as %v", tt.at, back)
		}
	}
}

func parse(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCheck(t *testing.T) {
	const nonce = 42
	sent := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // by a clock that was never set
	came := sent.Add(100 * time.Millisecond)
	server := parse(t, "2026-11-23T12:00:00Z")
	good := Packet{Version: 4, Mode: ModeServer, Stratum: 2, Originate: nonce, Receive: TimestampOf(server), Transmit: TimestampOf(server.Add(20 * time.Millisecond))}
	s, err := Check(good, nonce, sent, came)
	// The way takes 40 ms each: the server's clock says server when the own one
	// says sent + 40 ms.
	want := server.Sub(sent.Add(40 * time.Millisecond))
	if d := s.Offset - want; err != nil || d.Abs() > time.Microsecond || (s.Delay-80*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("%+v, %v, want %v", s, err, want)
	}
	for _, tt := range []struct {
		name   string
		change func(*Packet)
		err    string
	}{
		{"another's answer", func(p *Packet) { p.Originate++ }, "no answer to the request"},
		{"a request", func(p *Packet) { p.Mode = ModeClient }, "no answer to the request"},
		{"version 0", func(p *Packet) { p.Version = 0 }, "no answer to the request"},
		{"sent away", func(p *Packet) { p.Stratum, p.RefID = 0, [4]byte{'R', 'A', 'T', 'E'} }, "refuses: RATE"},
		{"sent away with a beep", func(p *Packet) { p.Stratum, p.RefID = 0, [4]byte{7, 'X', 0, 0} }, "refuses: X"},
		{"not set", func(p *Packet) { p.Leap = 3 }, "has no time"},
		{"too far", func(p *Packet) { p.Stratum = 16 }, "has no time"},
		{"no time", func(p *Packet) { p.Transmit = 0 }, "has no time"},
	} {
		p := good
		tt.change(&p)
		if s, err := Check(p, nonce, sent, came); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %+v, %v, want %q", tt.name, s, err, tt.err)
		}
	}
}

// What is decoded survives encoding, but for what a simple client leaves out.
func FuzzDecode(f *testing.F) {
	f.Add(Request(1).Append(nil))
	f.Add(make([]byte, 68))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := Decode(in)
		if err != nil {
			return
		}
		again, err := Decode(p.Append(nil))
		if err != nil || again != p {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
		now := time.Unix(1.7e9, 0)
		if s, err := Check(p, p.Originate, now, now.Add(time.Second)); err == nil && s.Offset.Abs() > 70*366*24*time.Hour {
			t.Fatalf("off by %v", s.Offset)
		}
	})
}
