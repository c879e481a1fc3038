package mdns

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// unhex reads hex with comments and blanks.
func unhex(s string) []byte {
	var b []byte
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		d, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		if err != nil {
			panic(err)
		}
		b = append(b, d...)
	}
	return b
}

func TestGolden(t *testing.T) {
	lampName := Name("\x0bLamp 2.5 \xc3\xbc\x04_hap\x04_udp\x05local\x00")
	tests := []struct {
		name string
		wire string
		want Message
	}{{
		name: "query with a known answer",
		wire: `0000 0000 0001 0001 0000 0000   # id, query, one question, one answer
		       045f686170 045f756470 056c6f63616c 00  000c 8001  # _hap._udp.local PTR, QU
		       c00c 000c 0001 00001194 000e                      # the same name, PTR, 4500 s
		       0b4c616d7020322e3520c3bc c00c`, // "Lamp 2.5 ü", whose dot is no separator
		want: Message{
			Questions: []Question{{name("_hap._udp.local."), TypePTR, ClassIN, true}},
			Answers:   []Record{{name("_hap._udp.local."), TypePTR, ClassIN, false, 4500 * time.Second, string(lampName)}},
		},
	}, {
		name: "announcement",
		wire: `0000 8400 0000 0004 0000 0001
		       0b4c616d7020322e3520c3bc 045f686170 045f756470 056c6f63616c 00
		       0021 8001 00000078 000b  0001 0002 1388 02 6877 c022  # SRV, cache flush; hw.local
		       c00c 0010 8001 00001194 0009 03613d31 0162 02c3bc     # TXT: a=1, b without value, ü
		       c039 001c 8001 00000078 0010 fd000000000000000000000000000007
		       c039 0001 0001 00000000 0004 c0000207                 # goodbye of an address
		       c039 002f 8001 00000078 0008 c039 0004 40000008       # NSEC: A, AAAA`,
		want: Message{
			Response: true, Authoritative: true,
			Answers: []Record{
				{lampName, TypeSRV, ClassIN, true, 120 * time.Second, "\x00\x01\x00\x02\x13\x88\x02hw\x05local\x00"},
				{lampName, TypeTXT, ClassIN, true, 4500 * time.Second, "\x03a=1\x01b\x02\xc3\xbc"},
				{name("hw.local."), TypeAAAA, ClassIN, true, 120 * time.Second, string(addrs("fd00::7")[0].AsSlice())},
				{name("hw.local."), TypeA, ClassIN, false, 0, "\xc0\x00\x02\x07"},
			},
			Additionals: []Record{
				{name("hw.local."), TypeNSEC, ClassIN, true, 120 * time.Second, "\x02hw\x05local\x00" + bitmap([]uint16{TypeA, TypeAAAA})},
			},
		},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(tt.wire)
			got, err := DecodeMessage(wire)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("decoded %+v, %v, want %+v", got, err, tt.want)
			}
			if b := tt.want.Append(nil); !bytes.Equal(b, wire) {
				t.Errorf("encoded\n%x, want\n%x", b, wire)
			}
		})
	}
}

func TestBadMessages(t *testing.T) {
	tests := []struct {
		name string
		wire string
		off  int
		err  error
	}{
		{"header cut", "0000 0000 0001", 0, ErrShort},
		{"question cut", "0000 0000 0001 0000 0000 0000 0161 00 00", 15, ErrShort},
		{"name without end", "0000 0000 0001 0000 0000 0000 0161", 14, ErrShort},
		{"label cut", "0000 0000 0001 0000 0000 0000 0561", 12, ErrShort},
		{"pointer to itself", "0000 0000 0001 0000 0000 0000 c00c 0001 0001", 12, ErrPointer},
		{"pointer forwards", "0000 0000 0001 0000 0000 0000 c00e 00 0001 0001", 12, ErrPointer},
		{"pointer into the header", "0000 0000 0001 0000 0000 0000 c002 0001 0001", 12, ErrPointer},
		{"pointers that are a loop", "0000 0000 0002 0000 0000 0000 0161 c00c 0001 0001", 14, ErrPointer},
		{"pointer cut", "0000 0000 0001 0000 0000 0000 c0", 12, ErrShort},
		{"label of an unknown kind", "0000 0000 0001 0000 0000 0000 4161 00 0001 0001", 12, ErrLabel},
		{"data cut", "0000 8400 0000 0001 0000 0000 00 0001 0001 00000000 0004 c00002", 23, ErrShort},
		{"A of three bytes", "0000 8400 0000 0001 0000 0000 00 0001 0001 00000000 0003 c00002", 23, ErrData},
		{"AAAA of four bytes", "0000 8400 0000 0001 0000 0000 00 001c 0001 00000000 0004 c0000201", 23, ErrData},
		{"TXT whose string is longer", "0000 8400 0000 0001 0000 0000 00 0010 0001 00000000 0002 0261", 23, ErrData},
		{"SRV without a target", "0000 8400 0000 0001 0000 0000 00 0021 0001 00000000 0004 00000000", 23, ErrData},
		{"PTR with more than a name", "0000 8400 0000 0001 0000 0000 00 000c 0001 00000000 0002 00 00", 23, ErrData},
		{"name beyond the data", "0000 8400 0000 0001 0000 0000 00 000c 0001 00000000 0001 0161 00", 23, ErrData},
		{"name of 256 bytes", "0000 0000 0001 0000 0000 0000 " + strings.Repeat("3f"+strings.Repeat("61", 63), 3) + "3f" + strings.Repeat("61", 63) + "00 0001 0001", 204, ErrName},
		{"9001 bytes", strings.Repeat("00", 9001), 9000, ErrLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeMessage(unhex(tt.wire))
			var de *DecodeError
			if !errors.As(err, &de) || de.Offset != tt.off || !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v at byte %d", err, tt.err, tt.off)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		labels []string
		text   string
	}{
		{[]string{"a", "local"}, "a.local."},
		{[]string{"Lamp 2.5", "_hap", "_udp", "local"}, `Lamp 2\.5._hap._udp.local.`},
		{[]string{`back\slash`, "é", "\x00\xff"}, `back\\slash.é.\000\255.`},
		{[]string{strings.Repeat("x", 63)}, strings.Repeat("x", 63) + "."},
		{nil, "."},
	} {
		n, err := MakeName(tt.labels...)
		if err != nil || n.String() != tt.text || !reflect.DeepEqual(n.Labels(), tt.labels) {
			t.Errorf("%q: %v, %v, %q", tt.labels, n, err, n.Labels())
		}
		if back, err := ParseName(tt.text); err != nil || back != n {
			t.Errorf("%s read as %q, %v", tt.text, back, err)
		}
	}
	for _, bad := range []string{"a..b", ".a", strings.Repeat("x", 64), strings.Repeat("abcdefg.", 32)} {
		if n, err := ParseName(bad); err == nil {
			t.Errorf("%q read as %v", bad, n)
		}
	}
	if a, b := name("Ä.LOCAL"), name("Ä.local"); !a.Equal(b) || a.Equal(name("ä.local")) {
		t.Error("case is not that of ASCII")
	}
}

// The module's other codec reads what this one writes.
func TestForeignCodec(t *testing.T) {
	m := Message{
		Response: true, Authoritative: true,
		Answers: []Record{
			{name("_hap._udp.local."), TypePTR, ClassIN, false, time.Hour, string(name(`Lamp 2\.5 ü._hap._udp.local.`))},
			{name(`Lamp 2\.5 ü._hap._udp.local.`), TypeSRV, ClassIN, true, time.Minute, "\x00\x01\x00\x02\x00\x50" + string(name("hw.local."))},
			{name(`Lamp 2\.5 ü._hap._udp.local.`), TypeTXT, ClassIN, true, time.Minute, "\x03a=1\x01b"},
			{name("hw.local."), TypeNSEC, ClassIN, true, time.Minute, string(name("hw.local.")) + bitmap([]uint16{TypeA, TypeAAAA})},
		},
	}
	var got dns.Msg
	if err := got.Unpack(m.Append(nil)); err != nil {
		t.Fatal(err)
	}
	ptr, srv := got.Answer[0].(*dns.PTR), got.Answer[1].(*dns.SRV)
	txt, nsec := got.Answer[2].(*dns.TXT), got.Answer[3].(*dns.NSEC)
	if ptr.Ptr != `Lamp\ 2\.5\ \195\188._hap._udp.local.` || srv.Target != "hw.local." || srv.Port != 80 ||
		!reflect.DeepEqual(txt.Txt, []string{"a=1", "b"}) || !reflect.DeepEqual(nsec.TypeBitMap, []uint16{dns.TypeA, dns.TypeAAAA}) {
		t.Errorf("read as %v", &got)
	}
	got.Compress = true
	b, err := got.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := DecodeMessage(b); err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("came back as %+v, %v, want %+v", back, err, m)
	}
}

func TestDenies(t *testing.T) {
	for _, tt := range []struct {
		data  string
		typ   uint16
		wants bool
	}{
		{"\x00" + bitmap([]uint16{TypeA}), TypeAAAA, true},
		{"\x00" + bitmap([]uint16{TypeA}), TypeA, false},
		{"\x00" + bitmap([]uint16{TypeA, TypeSRV}), TypeTXT, true},
		{"\x00" + bitmap([]uint16{TypeA, TypeAAAA}), TypeAAAA, false},
		{"\x00", TypeA, false},             // nothing said
		{"\x00\x00\x09\x40", TypeA, false}, // cut
		{"\x00\x01\x01\x40", TypeA, false}, // of other types
	} {
		if got := (Record{Type: TypeNSEC, Data: tt.data}).denies(tt.typ); got != tt.wants {
			t.Errorf("%x denies %v: %v", tt.data, typeName(tt.typ), got)
		}
	}
}

func TestNextLabel(t *testing.T) {
	long := strings.Repeat("ü", 31)
	for _, tt := range []struct{ typ, requested, current, want string }{
		{"", "gw", "gw", "gw-2"},
		{"", "gw", "gw-2", "gw-3"},
		{"", "gw", "gw-9", "gw-10"},
		{"", "sensor-7", "sensor-7", "sensor-7-2"}, // 7 is part of the name
		{"", "sensor-7", "sensor-7-2", "sensor-7-3"},
		{"_hap._udp", "Lamp", "Lamp", "Lamp (2)"},
		{"_hap._udp", "Lamp", "Lamp (2)", "Lamp (3)"},
		{"_hap._udp", "Lamp (2)", "Lamp (2)", "Lamp (3)"},
		{"_hap._udp", "Lamp (x)", "Lamp (x)", "Lamp (x) (2)"},
		{"_hap._udp", long, long, strings.Repeat("ü", 29) + " (2)"}, // of 62 bytes, and whole letters
		{"", "-2", "-2", "-2-2"},
	} {
		if got := NextLabel(Conflict{Type: tt.typ, Requested: tt.requested, Current: tt.current}); got != tt.want || len(got) > 63 {
			t.Errorf("after %q comes %q, want %q", tt.current, got, tt.want)
		}
	}
}
