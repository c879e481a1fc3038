package backbone

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"gatewayd/thread/tmf"
)

// wire reads hexadecimal with blanks and comments.
func wire(s string) []byte {
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		panic(err)
	}
	return b
}

func addrs(s ...string) (all []netip.Addr) {
	for _, a := range s {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

func ptr[T any](v T) *T { return &v }

func TestRegistration(t *testing.T) {
	for _, x := range []struct {
		name, wire string
		want       Registration
	}{{
		name: "a node's",
		wire: `0e20 ff04 0000 0000 0000 0000 0000 0000 0123  # IPv6 Addresses
		            ff05 0000 0000 0000 0000 0000 0000 0001`,
		want: Registration{Groups: addrs("ff04::123", "ff05::1")},
	}, {
		name: "the commissioner's",
		wire: `0e10 ff04 0000 0000 0000 0000 0000 0000 0123
		       0f02 1234                                      # session
		       0b04 0000 0e10                                 # timeout`,
		want: Registration{Groups: addrs("ff04::123"), Session: ptr[uint16](0x1234), Timeout: ptr[uint32](3600)},
	}, {
		name: "no groups",
		wire: "0e00",
	}} {
		b := wire(x.wire)
		got, err := DecodeRegistration(b)
		if err != nil || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, %v", x.name, got, err)
		}
		if out := x.want.Append(nil); !bytes.Equal(out, b) {
			t.Errorf("%s: % x", x.name, out)
		}
	}
	var missing *tmf.MissingError
	if r, err := DecodeRegistration(wire("0f021234")); !errors.As(err, &missing) || *r.Session != 0x1234 {
		t.Errorf("without groups: %v %v", r, err)
	}
	var bad *GroupsError
	for _, n := range []int{1, 15, 17, 16 * 16} {
		b := append([]byte{14, 0xff, byte(n >> 8), byte(n)}, make([]byte, n)...)
		if _, err := DecodeRegistration(b); !errors.As(err, &bad) || bad.Len != n {
			t.Errorf("%d bytes of groups: %v", n, err)
		}
	}
	if _, err := DecodeRegistration(append([]byte{14, 240}, make([]byte, 240)...)); err != nil {
		t.Errorf("as many groups as go: %v", err)
	}
}

func TestAnswer(t *testing.T) {
	for _, x := range []struct {
		wire string
		want Answer
		err  bool
	}{
		{wire: "0401 00", want: Answer{}},
		{wire: "0401 02 0e10 ff02 0000 0000 0000 0000 0000 0000 0001", want: Answer{Status: Invalid, Failed: addrs("ff02::1")}},
		{wire: "", err: true},
		{wire: "0401 02 0e03 ff0200", err: true},
	} {
		got, err := DecodeAnswer(wire(x.wire))
		if (err != nil) != x.err || !x.err && !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, %v", x.wire, got, err)
		}
		if out := x.want.Append(nil); !x.err && !bytes.Equal(out, wire(x.wire)) {
			t.Errorf("%s: % x", x.wire, out)
		}
	}
	for s, want := range map[Status]string{Success: "success", NoResources: "no resources", 9: "status 9"} {
		if s.String() != want {
			t.Errorf("%d is %q", s, s)
		}
	}
}

// What is decoded is encoded, and decoded again the same.
func FuzzMessages(f *testing.F) {
	f.Add(wire("0e10ff0400000000000000000000000001230f0212340b0400000e10"))
	f.Add(wire("0401020e10ff020000000000000000000000000001"))
	f.Add(wire("0eff0010ff040000000000000000000000000123"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeRegistration(b); err == nil {
			if len(r.Groups) > MaxGroups {
				t.Fatalf("%d groups", len(r.Groups))
			}
			if again, err := DecodeRegistration(r.Append(nil)); err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("%+v became %+v, %v", r, again, err)
			}
		}
		if a, err := DecodeAnswer(b); err == nil {
			if again, err := DecodeAnswer(a.Append(nil)); err != nil || again.Status != a.Status || len(again.Failed) != len(a.Failed) {
				t.Fatalf("%+v became %+v, %v", a, again, err)
			}
		}
	})
}
