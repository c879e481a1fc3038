package coap

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// unhex reads hex with blanks, line ends and "# comments".
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// path returns the options of a Uri-Path.
func path(p string) []Option {
	var m Message
	m.SetPath(p)
	return m.Options
}

// Recorded Thread management messages are marked with their capture.
var golden = []struct {
	name string
	wire string
	want Message
}{{
	name: "address solicit, attach-ftd",
	wire: `42 02 d18f             # CON, 2-byte token, POST
	       ad7c                   # token
	       b1 61  02 6173         # Uri-Path a, as
	       ff                     # payload
	       0108 6e57fc7342149af1  # extended address
	       0401 02                # too few routers`,
	want: Message{
		Type: Confirmable, Code: POST, MessageID: 0xd18f, Token: []byte{0xad, 0x7c}, Options: path("a/as"),
		Payload: []byte{1, 8, 0x6e, 0x57, 0xfc, 0x73, 0x42, 0x14, 0x9a, 0xf1, 4, 1, 2},
	},
}, {
	name: "its answer, attach-ftd",
	wire: `62 44 d18f  ad7c  ff      # ACK, 2.04
	       0401 00  0202 1800        # success, RLOC16
	       0709 31 0200000000010000  # router mask`,
	want: Message{
		Type: Acknowledgement, Code: Changed, MessageID: 0xd18f, Token: []byte{0xad, 0x7c},
		Payload: []byte{4, 1, 0, 2, 2, 0x18, 0, 7, 9, 0x31, 2, 0, 0, 0, 0, 1, 0, 0},
	},
}, {
	name: "address query, attach-ftd",
	wire: `52 02 b749  95b4  b161 026171 ff  # NON, POST a/aq
	       0010 fd000db8000a000b574ba3feadcc07d2`,
	want: Message{
		Type: NonConfirmable, Code: POST, MessageID: 0xb749, Token: []byte{0x95, 0xb4}, Options: path("a/aq"),
		Payload: []byte{0, 16, 0xfd, 0, 0x0d, 0xb8, 0, 0x0a, 0, 0x0b, 0x57, 0x4b, 0xa3, 0xfe, 0xad, 0xcc, 0x07, 0xd2},
	},
}, {
	name: "answer without payload, attach-ftd",
	wire: `62 44 d190 ebd5`,
	want: Message{Type: Acknowledgement, Code: Changed, MessageID: 0xd190, Token: []byte{0xeb, 0xd5}},
}, {
	name: "leader petition, commissioner-remote",
	wire: `42 02 ac80 34b4 b163 026c70 ff  # CON, POST c/lp
	       0a17 4f70656e54687265616420436f6d6d697373696f6e6572`,
	want: Message{
		Type: Confirmable, Code: POST, MessageID: 0xac80, Token: []byte{0x34, 0xb4}, Options: path("c/lp"),
		Payload: append([]byte{0x0a, 0x17}, "OpenThread Commissioner"...),
	},
}, {
	name: "relayed DTLS alert, commissioner-remote",
	wire: `52 02 828d  f5fc  b163 027278 ff              # NON, POST c/rx
	       1202 03e8  1308 90335c4b320830fb  1402 f400  # joiner port, IID, router
	       11ff001f 15fefd000100000000000200120001000000000002b8af85c99ffbd79deb41`,
	want: Message{
		Type: NonConfirmable, Code: POST, MessageID: 0x828d, Token: []byte{0xf5, 0xfc}, Options: path("c/rx"),
		Payload: []byte("\x12\x02\x03\xe8\x13\x08\x90\x33\x5c\x4b\x32\x08\x30\xfb\x14\x02\xf4\x00" +
			"\x11\xff\x00\x1f\x15\xfe\xfd\x00\x01\x00\x00\x00\x00\x00\x02\x00\x12\x00\x01\x00\x00\x00\x00\x00\x02" +
			"\xb8\xaf\x85\xc9\x9f\xfb\xd7\x9d\xeb\x41"),
	},
}, {
	name: "joiner finalize inside DTLS, joiner-1hop",
	wire: `42 02 96e7 6073 b163 026a66 ff 1001 01
	       210a 4f50454e544852454144`,
	want: Message{
		Type: Confirmable, Code: POST, MessageID: 0x96e7, Token: []byte{0x60, 0x73}, Options: path("c/jf"),
		Payload: []byte("\x10\x01\x01\x21\x0aOPENTHREAD"),
	},
}, {
	name: "empty acknowledgement",
	wire: `60 00 7d34`,
	want: Message{Type: Acknowledgement, MessageID: 0x7d34},
}, {
	name: "extended deltas and lengths, RFC 7252 Section 3.1",
	wire: `48 01 0001  0102030405060708
	       1d 00 61616161616161616161616161  # delta 1, length 13
	       cd 0e 6262626262626262626262626262626262626262626262626262 6c  # delta 12, length 27
	       d0 00                             # delta 13
	       d0 ff                             # delta 268
	       e0 0000                           # delta 269
	       e0 fcbf                           # delta 64972: option 65535`,
	want: Message{
		Type: Confirmable, Code: GET, MessageID: 1, Token: []byte{1, 2, 3, 4, 5, 6, 7, 8},
		Options: []Option{
			{1, []byte("aaaaaaaaaaaaa")},
			{13, []byte("bbbbbbbbbbbbbbbbbbbbbbbbbbl")},
			{26, []byte{}},
			{294, []byte{}},
			{563, []byte{}},
			{65535, []byte{}},
		},
	},
}}

func TestGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := Decode(wire)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("decoded %+v\nwant    %+v", got, tt.want)
			}
			if b := tt.want.Append(nil); !bytes.Equal(b, wire) {
				t.Errorf("encoded %x\nwant    %x", b, wire)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	tests := []struct {
		name string
		wire string
		err  error
		off  int
		mid  uint16 // when the header could be read
	}{
		{"nothing", ``, ErrShort, 0, 0},
		{"header cut", `40 01 00`, ErrShort, 3, 0},
		{"version 0", `00 01 1234`, ErrVersion, 0, 0},
		{"version 2", `80 01 1234`, ErrVersion, 0, 0},
		{"token length 9", `49 01 1234 010203040506070809`, ErrFormat, 0, 0x1234},
		{"token length 15", `4f 01 1234 010203040506070809101112131415`, ErrFormat, 0, 0x1234},
		{"token cut", `42 01 1234 01`, ErrShort, 5, 0x1234},
		{"empty with token", `41 00 1234 01`, ErrFormat, 4, 0x1234},
		{"empty with payload", `60 00 1234 ff01`, ErrFormat, 4, 0x1234},
		{"marker without payload", `40 01 1234 ff`, ErrFormat, 5, 0x1234},
		{"marker after an option, no payload", `40 01 1234 b161 ff`, ErrFormat, 7, 0x1234},
		{"delta 15", `40 01 1234 f1 61`, ErrFormat, 4, 0x1234},
		{"length 15", `40 01 1234 1f 61`, ErrFormat, 4, 0x1234},
		{"one-byte delta cut", `40 01 1234 d0`, ErrShort, 5, 0x1234},
		{"two-byte delta cut", `40 01 1234 e0 01`, ErrShort, 6, 0x1234},
		{"one-byte length cut", `40 01 1234 1d`, ErrShort, 5, 0x1234},
		{"two-byte length cut", `40 01 1234 1e 00`, ErrShort, 6, 0x1234},
		{"value cut", `40 01 1234 b2 61`, ErrShort, 6, 0x1234},
		{"number 65535", `40 01 1234 e0 fef2`, nil, 0, 0x1234},
		{"number over 65535", `40 01 1234 e0 fef2 10`, ErrFormat, 7, 0x1234},
		{"delta over 65535", `40 01 1234 e0 ffff`, ErrFormat, 4, 0x1234},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Decode(unhex(t, tt.wire))
			if m.MessageID != tt.mid {
				t.Errorf("message id %#x, want %#x", m.MessageID, tt.mid)
			}
			if tt.err == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var de *DecodeError
			if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.off {
				t.Errorf("got %v, want %v at byte %d", err, tt.err, tt.off)
			}
		})
	}
}

// Options may be given in any order; repeated ones keep theirs.
func TestAppendSorts(t *testing.T) {
	m := Message{Code: GET, Options: []Option{
		StringOption(OptionURIQuery, "q"), StringOption(OptionURIPath, "b"), StringOption(OptionURIPath, "a"),
	}}
	want := unhex(t, `40 01 0000 b162 0161 4171`)
	if got := m.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if m.Options[0].Number != OptionURIQuery {
		t.Error("Append changed the message")
	}
}

func TestAppendPanics(t *testing.T) {
	for name, m := range map[string]Message{
		"token":  {Token: make([]byte, 9)},
		"option": {Options: []Option{{1, make([]byte, 65805)}}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			m.Append(nil)
		})
	}
}

func TestPath(t *testing.T) {
	tests := []struct {
		path string
		segs []string
		back string // when it differs from path
	}{
		{"", nil, ""},
		{"/", nil, ""},
		{"a/as", []string{"a", "as"}, ""},
		{"/a/as", []string{"a", "as"}, "a/as"},
		{"//a", []string{"", "a"}, ""},
		{"//", []string{"", ""}, ""},
		{"a/", []string{"a", ""}, ""},
		{"a//b", []string{"a", "", "b"}, ""},
		{".well-known/core", []string{".well-known", "core"}, ""},
		{"a%2Fb/c", []string{"a/b", "c"}, ""},
		{"50%25", []string{"50%"}, ""},
		{"%252F", []string{"%2F"}, ""},
	}
	for _, tt := range tests {
		m := Message{Options: path("stale/path")}
		m.SetPath(tt.path)
		var segs []string
		for _, v := range m.Values(OptionURIPath) {
			segs = append(segs, string(v))
		}
		if !reflect.DeepEqual(segs, tt.segs) {
			t.Errorf("%q became %q, want %q", tt.path, segs, tt.segs)
		}
		want := tt.back
		if want == "" && tt.path != "/" {
			want = tt.path
		}
		if got := m.Path(); got != want {
			t.Errorf("path of %q is %q, want %q", tt.path, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	var m Message
	m.SetPath("x")
	m.SetContentFormat(FormatCBOR)
	m.SetObserve(1<<24 + 5)
	m.AddOption(StringOption(OptionURIQuery, "a=1"), StringOption(OptionURIQuery, "b"))
	m.AddOption(UintOption(OptionAccept, 0), Block{Num: 3, More: true, SZX: 2}.Option(OptionBlock2))
	m.AddOption(Option{OptionMaxAge, make([]byte, 5)}) // too long: as if absent

	if v, ok := m.ContentFormat(); v != FormatCBOR || !ok {
		t.Error("content format", v, ok)
	}
	if v, ok := m.Accept(); v != 0 || !ok {
		t.Error("accept", v, ok)
	}
	if v, ok := m.Observe(); v != 5 || !ok {
		t.Error("observe", v, ok)
	}
	if v, ok := m.Block2(); v != (Block{3, true, 2}) || !ok || v.Offset() != 192 {
		t.Error("block2", v, ok)
	}
	if v, ok := m.Block1(); ok {
		t.Error("block1", v)
	}
	if v, ok := m.Uint(OptionMaxAge); ok {
		t.Error("max-age", v)
	}
	if v := m.Queries(); !reflect.DeepEqual(v, []string{"a=1", "b"}) {
		t.Error("queries", v)
	}
	for key, want := range map[string]string{"a": "1true", "b": "true", "c": "false"} {
		if v, ok := m.Query(key); fmt.Sprint(v, ok) != want {
			t.Errorf("query %s: %q %v", key, v, ok)
		}
	}
	m.RemoveOption(OptionURIQuery)
	if m.Queries() != nil {
		t.Error("queries remain")
	}
	if _, bad := m.BadOption(nil); bad {
		t.Error("bad option")
	}
}

func TestUintOption(t *testing.T) {
	for v, want := range map[uint32]string{0: "", 1: "01", 255: "ff", 256: "0100", 1 << 16: "010000", 1<<32 - 1: "ffffffff"} {
		o := UintOption(OptionSize1, v)
		if got := hex.EncodeToString(o.Value); got != want {
			t.Errorf("%d: %s, want %s", v, got, want)
		}
		if back, ok := o.Uint(); back != v || !ok {
			t.Errorf("%d came back as %d, %v", v, back, ok)
		}
	}
	if v, ok := (Option{Value: []byte{0, 0, 7}}).Uint(); v != 7 || !ok {
		t.Error("leading zeros:", v, ok)
	}
	if _, ok := (Option{Value: make([]byte, 5)}).Uint(); ok {
		t.Error("five bytes accepted")
	}
}

func TestBadOption(t *testing.T) {
	tests := []struct {
		name string
		opts []Option
		want uint16
	}{
		{"none", path("a/b/c"), 0},
		{"unknown elective", []Option{{2048, nil}}, 0},
		{"unknown critical", []Option{{2049, nil}}, 2049},
		{"unknown critical, accepted", []Option{{9, nil}}, 0},
		{"elective of wrong length", []Option{{OptionObserve, make([]byte, 4)}}, 0},
		{"critical of wrong length", []Option{{OptionBlock1, make([]byte, 4)}}, OptionBlock1},
		{"critical twice", []Option{{OptionBlock1, nil}, {OptionBlock1, nil}}, OptionBlock1},
		{"elective twice", []Option{{OptionContentFormat, nil}, {OptionContentFormat, nil}}, 0},
	}
	for _, tt := range tests {
		o, _ := Message{Options: tt.opts}.BadOption(func(n uint16) bool { return n == 9 })
		if o.Number != tt.want {
			t.Errorf("%s: option %d, want %d", tt.name, o.Number, tt.want)
		}
	}
}

func TestStrings(t *testing.T) {
	m := Message{Type: NonConfirmable, Code: POST, MessageID: 7, Token: []byte{1, 2}, Options: path("a/as"), Payload: []byte{0}}
	if got, want := m.String(), "NON 0.02 a/as id 7 token 0102 (1 bytes)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for c, want := range map[Code]string{Changed: "2.04", Continue: "2.31", RequestEntityTooLarge: "4.13", Empty: "0.00", 255: "7.31"} {
		if c.String() != want {
			t.Errorf("%v, want %s", c, want)
		}
	}
	_, err := Decode([]byte{0x40, 1, 0, 0, 0xff})
	if got, want := err.Error(), "coap: payload at byte 5: message format error"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
