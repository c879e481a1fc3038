package netdata

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func wire(t testing.TB, commented string) []byte {
	t.Helper()
	var s strings.Builder
	for line := range strings.Lines(commented) {
		code, _, _ := strings.Cut(line, "#")
		s.WriteString(strings.Join(strings.Fields(code), ""))
	}
	b, err := hex.DecodeString(s.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, commented string) Data {
	t.Helper()
	d, err := Decode(wire(t, commented))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Network data of a leader with a border router and an SRP server at e800.
const srpWire = `
	08 04  0b02 5c2a                             # commissioning data: session 5c2a
	03 14  00 40 fd11002200000000                # prefix fd11:22::/64
	  05 04  e800 3300                           #   border router: paros
	  07 02  11 40                               #   context 1, 64 bits, compress
	0b 19  80 01 5d                              # service 0 of Thread: 5d
	  0d 14  e800 fd000db8000a000bec1681155fc12122 d120`

func captured(t testing.TB) [][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/captured.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 {
			out = append(out, wire(t, f[1]))
		}
	}
	return out
}

func TestCapturedRoundTrip(t *testing.T) {
	all := captured(t)
	if len(all) < 15 {
		t.Fatalf("only %d recordings", len(all))
	}
	for _, in := range all {
		d, err := Decode(in)
		if err != nil {
			t.Errorf("%x: %v", in, err)
			continue
		}
		if out := d.Append(nil); !bytes.Equal(in, out) {
			t.Errorf("%x\nbecame %x", in, out)
		}
		if d.Len() != len(in) || len(d.Unknown) != 0 {
			t.Errorf("%x: length %d, unknown %v", in, d.Len(), d.Unknown)
		}
		if _, err := d.Commissioning.Decode(); err != nil {
			t.Errorf("%x: %v", in, err)
		}
	}
}

func TestDecode(t *testing.T) {
	d := decode(t, srpWire)
	p := d.Prefixes[0]
	if p.Prefix != netip.MustParsePrefix("fd11:22::/64") || p.Domain != 0 || !p.Stable() {
		t.Errorf("prefix %+v", p)
	}
	want := BorderRouter{RLOC16: 0xe800, Flags: FlagPreferred | FlagSLAAC | FlagDefault | FlagOnMesh, Stable: true}
	if len(p.BorderRouters) != 1 || p.BorderRouters[0] != want || want.Flags.String() != "paro" || want.Flags.Preference() != Medium {
		t.Errorf("border routers %+v", p.BorderRouters)
	}
	if *p.Context != (Context{ID: 1, Compress: true, Bits: 64, Stable: true}) {
		t.Errorf("context %+v", p.Context)
	}
	s := d.Services[0]
	if s.ID != 0 || s.Enterprise != ThreadEnterprise || !bytes.Equal(s.Data, []byte{0x5d}) || len(s.Servers) != 1 ||
		s.Servers[0].RLOC16 != 0xe800 || len(s.Servers[0].Data) != 18 || !s.Stable() {
		t.Errorf("service %+v", s)
	}
	c, err := d.Commissioning.Decode()
	if err != nil || *c.SessionID != 0x5c2a || d.Commissioning.Stable {
		t.Errorf("commissioning data %+v, %v", c, err)
	}
	if c, err := (*Commissioning)(nil).Decode(); err != nil || !reflect.DeepEqual(c.Append(nil), []byte(nil)) {
		t.Errorf("no commissioning data: %+v, %v", c, err)
	}
}

// Prefixes that do not end on a byte, and their neighbours.
func TestPrefixLengths(t *testing.T) {
	for _, s := range []string{
		"::/0", "8000::/1", "fc00::/7", "fd00::/8", "fd11:22::/57", "fd11:22:0:ff00::/60", "fd11:22::/63", "fd11:22::/64",
		"fd11:22:0:0:8000::/65", "64:ff9b::/96", "fd11::fffe/127", "fd11::ffff/128",
	} {
		d := Data{Prefixes: []Prefix{{Prefix: netip.MustParsePrefix(s), HasRoutes: []HasRoute{{RLOC16: 0x0400}}}}}
		b := d.Append(nil)
		got, err := Decode(b)
		if err != nil || got.Prefixes[0].Prefix != d.Prefixes[0].Prefix {
			t.Errorf("%s became %v, %v", s, got.Prefixes, err)
		}
		if want := 4 + (d.Prefixes[0].Prefix.Bits()+7)/8 + 5; len(b) != want {
			t.Errorf("%s takes %d bytes, want %d", s, len(b), want)
		}
	}
	// Bits beyond the length do not make another prefix.
	d := decode(t, "02 0a 00 3c fd1100220000000f")
	if d.Prefixes[0].Prefix != netip.MustParsePrefix("fd11:22::/60") {
		t.Errorf("prefix %v", d.Prefixes[0].Prefix)
	}
}

func TestLayoutIsKept(t *testing.T) {
	for _, in := range []string{
		// Unknown types, prefix, commissioning data and service in turn;
		// the context first; a temporary route before stable ones, which
		// are in two TLVs.
		`7e 01 aa
		 03 20 00 40 fd11002200000000
		   07 02 12 40
		   00 03 0400 00
		   01 03 0800 40
		   01 03 0c00 c0
		   21 01 55
		 08 00
		 0b 0b 02 00000001 01 ff 0d 02 0400`,
		`0a 0d 02 00000001 01 ff 40 00 0c 02 0400`, // another sub-TLV before the server
	} {
		b := wire(t, in)
		d, err := Decode(b)
		if err != nil {
			t.Errorf("%x: %v", b, err)
			continue
		}
		if got := d.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%x\nbecame %x", b, got)
		}
	}
}

// Once entries come or go the order is a fixed one and nothing is lost.
func TestLayoutIsDropped(t *testing.T) {
	d := decode(t, srpWire)
	p := &d.Prefixes[0]
	p.HasRoutes = append(p.HasRoutes, HasRoute{RLOC16: 0x0400, Flags: RouteFlags(0).With(Low)})
	p.BorderRouters = append(p.BorderRouters, BorderRouter{RLOC16: 0x0401, Flags: FlagOnMesh})
	d.Services = append(d.Services, Service{ID: 1, Enterprise: 7, Data: []byte{1}, Servers: []Server{{RLOC16: 0x0400}}})
	want := wire(t, `
		08 04  0b02 5c2a
		03 1f  00 40 fd11002200000000
		  05 04  e800 3300
		  04 04  0401 0100
		  07 02  11 40
		  00 03  0400 c0
		0b 19  80 01 5d
		  0d 14  e800 fd000db8000a000bec1681155fc12122 d120
		0a 0b  01 00000007 01 01
		  0c 02  0400`)
	if got := d.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("%x\nwant %x", got, want)
	}
}

func TestDecodeErrors(t *testing.T) {
	tests := []struct {
		name, wire string
		err        error
		off        int
	}{
		{"header cut", "08 00 03", ErrShort, 2},
		{"value cut", "08 00 03 05 00", ErrShort, 4},
		{"prefix without length", "03 01 00", ErrShort, 2},
		{"prefix of 129 bits", "03 02 00 81", ErrInvalid, 3},
		{"prefix cut", "08 00 03 04 00 40 fd11", ErrShort, 6},
		{"sub-TLV cut", "03 05 00 00 05 04 ec", ErrShort, 6},
		{"half a border router", "03 07 00 00 05 03 ec0033", ErrInvalid, 6},
		{"half a route", "03 06 00 00 01 02 ec00", ErrInvalid, 6},
		{"half a context", "03 05 00 00 07 01 11", ErrShort, 6},
		{"empty service", "0b 00", ErrShort, 2},
		{"service without enterprise", "0b 03 00 0000", ErrShort, 3},
		{"service without data length", "0b 01 80", ErrShort, 3},
		{"service data cut", "0b 03 80 02 5d", ErrShort, 4},
		{"server without locator", "0b 06 80 01 5d 0d 01 ec", ErrShort, 7},
		{"255 bytes", "08 fd" + strings.Repeat("00", 253), ErrLong, 254},
	}
	for _, tt := range tests {
		_, err := Decode(wire(t, tt.wire))
		var de *DecodeError
		if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.off || !strings.HasPrefix(err.Error(), "netdata: ") {
			t.Errorf("%s: %v, want %v at %d", tt.name, err, tt.err, tt.off)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, p := range []Preference{Low, Medium, High} {
		if got := PrefixFlags(0x3fff).With(p); got.Preference() != p || got&0x3fff != 0x3fff {
			t.Errorf("%v: %04x", p, uint16(got))
		}
		if got := RouteFlags(0xff).With(p); got.Preference() != p || got&0x3f != 0x3f {
			t.Errorf("%v: %02x", p, uint8(got))
		}
	}
	if p := RouteFlags(0x80).Preference(); p != Medium {
		t.Errorf("reserved preference is %v", p)
	}
	if s := PrefixFlags(0x3fc0).String(); s != "padcronD" {
		t.Errorf("letters %s", s)
	}
	if s := (RouteNAT64 | RouteAdvPIO).String(); s != "na" {
		t.Errorf("letters %s", s)
	}
	if Low.String() != "low" || Medium.String() != "med" || High.String() != "high" {
		t.Error("names of preferences")
	}
}

func TestStableSubset(t *testing.T) {
	d := decode(t, `
		08 04  0b02 5c2a
		03 23  00 40 fd11002200000000
		  05 08  e800 3300 ec00 0900         # SLAAC router; on-mesh by DHCPv6
		  04 04  0401 0100
		  07 02  11 40
		  00 03  0400 00
		02 0d  00 30 fd3300000000 00 03 ec00 00   # temporary route
		03 0d  00 30 fd4400000000 01 03 ec00 40   # stable route
		0b 0c  83 02 5c07  0c 02 0400  0d 02 0800
		0a 07  84 01 01  0c 02 0400
		7f 01 aa
		7e 01 bb`)
	want := wire(t, `
		03 18  00 40 fd11002200000000
		  05 08  fffe 3300 fc01 0900
		  07 02  11 40
		03 0d  00 30 fd4400000000 01 03 fffe 40
		0b 08  83 02 5c07  0d 02 fc13
		7f 01 aa`)
	s := d.StableSubset()
	if got := s.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("%x\nwant %x", got, want)
	}
	again := s.StableSubset()
	if got := again.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("the stable subset of it: %x", got)
	}
}

// What decodes, encodes to something no longer that decodes to the same; from
// then on the bytes stay. The stable subset is not greater and is its own
// stable subset, and no lookup panics.
func FuzzDecode(f *testing.F) {
	for _, b := range captured(f) {
		f.Add(b)
	}
	f.Add(wire(f, "7e01aa 03200040fd11002200000000070212400003040000010308004001030c00c0210155 0800 0b0b0200000001 01ff0d020400"))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := Decode(in)
		if err != nil {
			return
		}
		out := d.Append(nil)
		e, err := Decode(out)
		if err != nil || len(out) > len(in) || !bytes.Equal(e.Append(nil), out) {
			t.Fatalf("%x became %x, then %x, %v", in, out, e.Append(nil), err)
		}
		s := d.StableSubset()
		small := s.Append(nil)
		if len(small) > len(out) {
			t.Fatalf("stable subset of %x is %x", out, small)
		}
		sd, err := Decode(small)
		if err != nil {
			t.Fatalf("stable subset of %x: %v", out, err)
		}
		ss := sd.StableSubset()
		if ss.Len() != len(small) { // the order may differ
			t.Fatalf("stable subset %x has the subset %x", small, ss.Append(nil))
		}
		a := netip.MustParseAddr("fd11:22::1")
		d.Route(a, a, nil)
		d.NAT64Prefix()
		d.BackboneRouters()
		d.SRPAnycasts()
		d.SRPUnicasts()
		d.BorderRouters()
		for aloc := uint16(0xfc00); aloc < 0xfc50; aloc++ {
			d.Anycast(aloc, nil)
		}
		for range d.SLAACPrefixes() {
		}
	})
}

func TestClone(t *testing.T) {
	in := wire(t, srpWire)
	d, _ := Decode(in)
	c := d.Clone()
	want := slices.Clone(in)
	for i := range in {
		in[i] = 0xff
	}
	if got := c.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("the clone shares memory: %x", got)
	}
}
