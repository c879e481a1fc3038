package dhcp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What OpenThread's client and agent said, with agents and clients of ours.
const (
	theirSolicit = `01 d3d369  0008 0002 0000                          # elapsed
		0001 000c 0003001b 18b430000000000e                    # client, DUID-LL, EUI-64
		0003 0028 00000000 00000000 00000000                   # IA_NA
		 0005 0018 fd110022000000000000000000000000 00000000 00000000
		000e 0000                                              # rapid commit`
	theirReply = `07 2b17c7  0002 000c 0003001b 18b430000000000b    # agent
		0001 000c 0003001b 18b430000000000c                    # client
		0003 002e 00000000 ffffffff ffffffff                   # IA_NA
		 000d 0002 0000                                        # success
		 0005 0018 fd110022000000001ab430000000000c ffffffff ffffffff
		000e 0000`
)

// comments removes what follows a # in each line.
func comments(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i], _, _ = strings.Cut(l, "#")
	}
	return strings.Join(lines, "\n")
}

func TestRecorded(t *testing.T) {
	elapsed := time.Duration(0)
	eui64 := func(last byte) ieee802154.ExtAddr { return ieee802154.ExtAddr{0x18, 0xb4, 0x30, 7: last} }
	for _, x := range []struct {
		wire string
		want Message
	}{
		{theirSolicit, Message{Type: Solicit, Transaction: [3]byte{0xd3, 0xd3, 0x69}, Elapsed: &elapsed, ClientID: DUID(eui64(0x0e)), RapidCommit: true,
			IA: &IA{Addresses: []IAAddress{{Addr: netip.MustParseAddr("fd11:22::")}}}}},
		{theirReply, Message{Type: Reply, Transaction: [3]byte{0x2b, 0x17, 0xc7}, ServerID: DUID(eui64(0x0b)), ClientID: DUID(eui64(0x0c)), RapidCommit: true,
			IA: &IA{T1: Forever, T2: Forever, Addresses: []IAAddress{{netip.MustParseAddr("fd11:22::1ab4:3000:0:c"), Forever, Forever}}}}},
	} {
		b := unhex(t, comments(x.wire))
		m, err := Decode(b)
		if err != nil || !reflect.DeepEqual(m, x.want) {
			t.Errorf("%+v, %v, want %+v", m, err, x.want)
		}
		if again := m.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	}
	if e, ok := EUI64Of(DUID(eui64(7))); !ok || e != eui64(7) {
		t.Errorf("%v, %v", e, ok)
	}
	if _, ok := EUI64Of(unhex(t, "00010001 2a2b2c2d 020304050607")); ok {
		t.Error("EUI-64 of a DUID-LLT")
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, x := range []struct {
		wire string
		at   int
		err  error
	}{
		{"01 0000", 0, ErrShort},
		{"01 000000 0001", 4, ErrShort},
		{"01 000000 0001 0004 0003", 4, ErrShort},
		{"01 000000 000e 0000 0001 0002 0003", 12, ErrLength},
		{"01 000000 0008 0001 00", 8, ErrLength},
		{"01 000000 000d 0001 00", 8, ErrLength},
		{"01 000000 0003 0004 00000000", 8, ErrLength},
		{"01 000000 0003 000f 00000000 00000000 00000000 000500", 20, ErrShort},
		{"01 000000 0003 0012 00000000 00000000 00000000 0005 0002 fd00", 24, ErrLength},
	} {
		_, err := Decode(unhex(t, x.wire))
		var d *DecodeError
		if !errors.Is(err, x.err) || !errors.As(err, &d) || d.Offset != x.at {
			t.Errorf("%s: %v, want %v at %d", x.wire, err, x.err, x.at)
		}
	}
}

// What was decoded survives encoding and decoding again.
func FuzzDecode(f *testing.F) {
	f.Add(unhex(f, comments(theirSolicit)))
	f.Add(unhex(f, comments(theirReply)))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Decode(in)
		if err != nil || m.Type != Solicit && m.Type != Reply {
			return
		}
		if m.Type == Solicit && m.IA != nil {
			m.IA.Status = 0 // only answers have one
		}
		again, err := Decode(m.Append(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
