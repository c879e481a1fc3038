package pana

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// unhex reads hex with blanks and comments behind #.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var clean strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		clean.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(clean.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	header := `0000 0010 0000 0001 00000000 00000000`
	tests := []struct {
		name string
		wire string
		want *Message
		err  error // with off, when decoding must fail
		off  int
	}{{
		name: "initiation",
		wire: header,
		want: &Message{Type: Initiation},
	}, {
		name: "answer with a nonce that is padded and a vendor's AVP",
		wire: `0000 0034 4000 0002 01020304 05060708  # PAN, S, session, sequence number
		       0005 0000 0009 0000                    # Nonce, nine octets
		       000102030405060708 000000              # and three of padding
		       0002 8000 0002 0000 0000917c           # vendor 37244, code 2, two octets
		       0105 0000                              # and two of padding`,
		want: &Message{Flags: FlagStart, Type: Auth, SessionID: 0x01020304, Seq: 0x05060708, AVPs: AVPs{
			{Code: CodeNonce, Value: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8}},
			{Code: CodeKeyRequest, Vendor: VendorZigBee, Value: []byte{1, 5}},
		}},
	}, {
		name: "reserved flags of an AVP are kept, reserved fields are not",
		wire: `ffff 001c 0000 0002 00000000 00000000
		       0007 4001 0004 ffff 00000000`,
		want: &Message{Type: Auth, AVPs: AVPs{{Code: CodeResultCode, Flags: 0x4001, Value: make([]byte, 4)}}},
	}, {
		name: "no value",
		wire: `0000 0018 0000 0002 00000000 00000000  0005 0000 0000 0000`,
		want: &Message{Type: Auth, AVPs: AVPs{{Code: CodeNonce, Value: []byte{}}}},
	},
		{name: "nothing", wire: ``, err: ErrShort, off: 0},
		{name: "header cut", wire: `0000 0010 0000 0001 00000000 000000`, err: ErrShort, off: 0},
		{name: "longer than it is", wire: `0000 0014 0000 0001 00000000 00000000`, err: ErrShort, off: 2},
		{name: "shorter than it is", wire: header + `00000000`, err: ErrLength, off: 2},
		{name: "shorter than a header", wire: `0000 000f 0000 0001 00000000 00000000`, err: ErrLength, off: 2},
		{name: "AVP header cut", wire: `0000 0014 0000 0002 00000000 00000000 0005 0000`, err: ErrShort, off: 16},
		{name: "AVP value cut", wire: `0000 001c 0000 0002 00000000 00000000 0005 0000 0005 0000 00000000`, err: ErrShort, off: 24},
		{name: "padding cut", wire: `0000 001b 0000 0002 00000000 00000000 0005 0000 0003 0000 000000`, err: ErrShort, off: 24},
		{name: "vendor cut", wire: `0000 0018 0000 0002 00000000 00000000 0005 8000 0000 0000`, err: ErrShort, off: 24},
		{name: "vendor nobody", wire: `0000 001c 0000 0002 00000000 00000000 0005 8000 0000 0000 00000000`, err: ErrInvalid, off: 24},
		{name: "length of 64 KiB", wire: `0000 0018 0000 0002 00000000 00000000 0005 0000 ffff 0000`, err: ErrShort, off: 24},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.wire)
			m, err := Decode(b)
			if tt.err != nil {
				var de *DecodeError
				if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.off {
					t.Fatalf("%v, want %v at byte %d", err, tt.err, tt.off)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again := m.Append(nil)
			m.raw = nil
			if !reflect.DeepEqual(m, tt.want) {
				t.Errorf("%+v, want %+v", m, tt.want)
			}
			n, err := Decode(again)
			if err != nil {
				t.Fatal(err)
			}
			n.raw = nil
			if !reflect.DeepEqual(n, m) {
				t.Errorf("%+v became %+v", m, n)
			}
		})
	}
}

func TestPaCInformation(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want PaCInformation
		ok   bool
	}{
		{"fe80000000000000000000000000000502cc", PaCInformation{netip.MustParseAddrPort("[fe80::5]:716"), false}, true},
		{"fe80000000000000000000000000000502cc0000", PaCInformation{netip.MustParseAddrPort("[fe80::5]:716"), true}, true},
		{"7f000001e0ff", PaCInformation{netip.MustParseAddrPort("127.0.0.1:57599"), false}, true},
		{"7f000001e0ff0000", PaCInformation{netip.MustParseAddrPort("127.0.0.1:57599"), true}, true},
		{"7f000001e0", PaCInformation{}, false},
		{"7f000001e0ff00000000", PaCInformation{}, false},
		{"fe80000000000000000000000000000502cc00", PaCInformation{}, false},
	} {
		b := unhex(t, tt.wire)
		p, err := DecodePaCInformation(b)
		if p != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s: %+v, %v", tt.wire, p, err)
		}
		if got := tt.want.Append(nil); tt.ok && !bytes.Equal(got, b) {
			t.Errorf("%+v is encoded %x, want %s", tt.want, got, tt.wire)
		}
	}
}

// Where each AVP may be, and how often (RFC 5191 Section 8.10).
func TestOccurrences(t *testing.T) {
	kinds := []struct {
		name string
		m    Message
	}{
		{"PAR", Message{Type: Auth, Flags: FlagRequest}},
		{"PAN", Message{Type: Auth}},
		{"PTR", Message{Type: Termination, Flags: FlagRequest, AVPs: AVPs{avpUint32(CodeTerminationCause, 1)}}},
		{"PTA", Message{Type: Termination}},
		{"PNR", Message{Type: Notification, Flags: FlagRequest | FlagPing}},
		{"PNA", Message{Type: Notification, Flags: FlagPing}},
		{"PCI", Message{Type: Initiation}},
	}
	for code, table := range map[Code]string{ // PAR PAN PTR PTA PNR PNA PCI
		CodeAuth:                "1 1 1 1 1 1 0",
		CodeEAPPayload:          "1 1 0 0 0 0 0",
		CodeIntegrityAlgorithm:  "+ 1 0 0 0 0 0",
		CodeKeyID:               "1 1 0 0 0 0 0",
		CodeNonce:               "1 1 0 0 0 0 0",
		CodePRFAlgorithm:        "+ 1 0 0 0 0 0",
		CodeResultCode:          "1 0 0 0 0 0 0",
		CodeSessionLifetime:     "1 0 0 0 0 0 0",
		CodeTerminationCause:    "0 0 0 0 0 0 0", // PTR has its one already
		CodePaCInformation:      "0 0 0 0 0 0 0",
		CodeRelayedMessage:      "0 0 0 0 0 0 0",
		CodeEncryptionEncap:     "1 1 1 1 1 1 0",
		CodeEncryptionAlgorithm: "+ 1 0 0 0 0 0",
		14:                      "0 0 0 0 0 0 0",
		0:                       "0 0 0 0 0 0 0",
	} {
		n := 4
		if code == CodeNonce {
			n = 16
		}
		a := AVP{Code: code, Value: make([]byte, n)}
		for i, c := range strings.Fields(table) {
			k := kinds[i]
			for times, ok := range []bool{true, c != "0", c == "+"} {
				m := k.m
				for range times {
					m.AVPs = append(m.AVPs[:len(m.AVPs):len(m.AVPs)], a)
				}
				if err := m.Check(); (err == nil) != ok {
					t.Errorf("AVP %d, %d times in %s: %v", code, times, k.name, err)
				}
			}
		}
	}
	for _, m := range []Message{
		{Type: Auth, Flags: FlagStart | FlagComplete},
		{Type: Auth, Flags: FlagPing},
		{Type: Notification},
		{Type: Notification, Flags: FlagPing | FlagReauth},
		{Type: Termination, Flags: FlagComplete},
		{Type: Termination, Flags: FlagRequest},
		{Type: Initiation, Flags: FlagRequest},
		{Type: Initiation, Seq: 1},
		{Type: Relay, Flags: FlagRequest},
		{Type: 6},
	} {
		if err := m.Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", &m, err)
		}
	}
	// Bits that nobody has defined yet, and the one that says what comes later.
	m := Message{Type: Auth, Flags: FlagRequest | FlagReconfig | 0x03ff}
	if err := m.Check(); err != nil {
		t.Errorf("reserved bits: %v", err)
	}
}
