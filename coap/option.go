package coap

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Option numbers (RFC 7252 Section 5.10, RFC 7641 Section 2, RFC 7959
// Sections 2.1 and 4).
const (
	OptionIfMatch       uint16 = 1
	OptionURIHost       uint16 = 3
	OptionETag          uint16 = 4
	OptionIfNoneMatch   uint16 = 5
	OptionObserve       uint16 = 6
	OptionURIPort       uint16 = 7
	OptionLocationPath  uint16 = 8
	OptionURIPath       uint16 = 11
	OptionContentFormat uint16 = 12
	OptionMaxAge        uint16 = 14
	OptionURIQuery      uint16 = 15
	OptionAccept        uint16 = 17
	OptionLocationQuery uint16 = 20
	OptionBlock2        uint16 = 23
	OptionBlock1        uint16 = 27
	OptionSize2         uint16 = 28
	OptionProxyURI      uint16 = 35
	OptionProxyScheme   uint16 = 39
	OptionSize1         uint16 = 60
)

// Content formats (RFC 7252 Section 12.3).
const (
	FormatText        uint16 = 0
	FormatLink        uint16 = 40
	FormatOctetStream uint16 = 42
	FormatJSON        uint16 = 50
	FormatCBOR        uint16 = 60
)

const maxOptionLen = 65535 + 269

// optionRule is a row of RFC 7252 Table 4.
type optionRule struct {
	min, max   int // length of the value
	repeatable bool
}

var optionRules = map[uint16]optionRule{
	OptionIfMatch:       {0, 8, true},
	OptionURIHost:       {1, 255, false},
	OptionETag:          {1, 8, true},
	OptionIfNoneMatch:   {0, 0, false},
	OptionObserve:       {0, 3, false},
	OptionURIPort:       {0, 2, false},
	OptionLocationPath:  {0, 255, true},
	OptionURIPath:       {0, 255, true},
	OptionContentFormat: {0, 2, false},
	OptionMaxAge:        {0, 4, false},
	OptionURIQuery:      {0, 255, true},
	OptionAccept:        {0, 2, false},
	OptionLocationQuery: {0, 255, true},
	OptionBlock2:        {0, 3, false},
	OptionBlock1:        {0, 3, false},
	OptionSize2:         {0, 4, false},
	OptionProxyURI:      {1, 1034, false},
	OptionProxyScheme:   {1, 255, false},
	OptionSize1:         {0, 4, false},
}

// An Option is one option of a message (RFC 7252 Section 3.1).
type Option struct {
	Number uint16
	Value  []byte
}

// UintOption makes an option whose value is an integer in its shortest form
// (RFC 7252 Section 3.2).
func UintOption(number uint16, v uint32) Option {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	i := 0
	for i < len(b) && b[i] == 0 {
		i++
	}
	return Option{Number: number, Value: b[i:]}
}

// StringOption makes an option whose value is a string.
func StringOption(number uint16, s string) Option {
	return Option{Number: number, Value: []byte(s)}
}

// Critical reports whether a receiver that does not understand the option has
// to reject the message (RFC 7252 Section 5.4.1).
func (o Option) Critical() bool { return o.Number&1 != 0 }

// Uint returns the value as an integer. It fails on more than four bytes;
// leading zeros are accepted (RFC 7252 Section 3.2).
func (o Option) Uint() (v uint32, ok bool) {
	if len(o.Value) > 4 {
		return 0, false
	}
	for _, c := range o.Value {
		v = v<<8 | uint32(c)
	}
	return v, true
}

// valid reports whether the length is one the option's definition allows.
func (o Option) valid() bool {
	r, known := optionRules[o.Number]
	return !known || r.min <= len(o.Value) && len(o.Value) <= r.max
}

// Option returns the first option with a number. Options whose length their
// definition forbids are treated as absent (RFC 7252 Section 5.4.3).
func (m Message) Option(number uint16) (Option, bool) {
	for _, o := range m.Options {
		if o.Number == number && o.valid() {
			return o, true
		}
	}
	return Option{}, false
}

// Uint returns the value of an integer option.
func (m Message) Uint(number uint16) (uint32, bool) {
	o, ok := m.Option(number)
	if !ok {
		return 0, false
	}
	return o.Uint()
}

// Values returns the values of all options with a number, in order.
func (m Message) Values(number uint16) [][]byte {
	var vs [][]byte
	for _, o := range m.Options {
		if o.Number == number && o.valid() {
			vs = append(vs, o.Value)
		}
	}
	return vs
}

// AddOption adds options behind those with the same number. The slice of
// options it leaves is a new one, so that copies of the message keep theirs.
func (m *Message) AddOption(opts ...Option) {
	m.Options = slices.Concat(m.Options, opts)
	slices.SortStableFunc(m.Options, byNumber)
}

// SetOption replaces all options with the number of o by o.
func (m *Message) SetOption(o Option) {
	m.RemoveOption(o.Number)
	m.AddOption(o)
}

// RemoveOption removes all options with a number.
func (m *Message) RemoveOption(number uint16) {
	m.Options = slices.DeleteFunc(slices.Clone(m.Options), func(o Option) bool { return o.Number == number })
}

// BadOption returns the first critical option that has to be treated as
// unrecognized (RFC 7252 Section 5.4): its number is neither one this package
// defines nor accepted by known (may be nil), its length is out of range, or
// it is repeated although it must not be.
func (m Message) BadOption(known func(number uint16) bool) (Option, bool) {
	for i, o := range m.Options {
		if !o.Critical() {
			continue
		}
		r, defined := optionRules[o.Number]
		switch {
		case !defined && (known == nil || !known(o.Number)),
			!o.valid(),
			defined && !r.repeatable && i > 0 && m.Options[i-1].Number == o.Number:
			return o, true
		}
	}
	return Option{}, false
}

// pathEscape keeps a segment with a slash in it apart from two segments.
var (
	pathEscape   = strings.NewReplacer("%", "%25", "/", "%2F")
	pathUnescape = strings.NewReplacer("%25", "%", "%2F", "/", "%2f", "/")
)

// Path returns the Uri-Path without leading slash: "a/as". A slash or percent
// sign inside a segment is percent-encoded. A path that begins with an empty
// segment keeps its leading slash, to be told apart: "//a".
func (m Message) Path() string {
	var b strings.Builder
	for i, v := range m.Values(OptionURIPath) {
		if i > 0 {
			if b.Len() == 0 {
				b.WriteByte('/')
			}
			b.WriteByte('/')
		}
		pathEscape.WriteString(&b, string(v)) // never fails
	}
	return b.String()
}

// SetPath replaces the Uri-Path options by the segments of a path in the form
// Path returns; a leading slash is ignored.
func (m *Message) SetPath(path string) {
	m.RemoveOption(OptionURIPath)
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return
	}
	var segs []Option
	for seg := range strings.SplitSeq(path, "/") {
		segs = append(segs, StringOption(OptionURIPath, pathUnescape.Replace(seg)))
	}
	m.AddOption(segs...)
}

// Queries returns the Uri-Query options in order, "key=value" or "key".
func (m Message) Queries() []string {
	var qs []string
	for _, v := range m.Values(OptionURIQuery) {
		qs = append(qs, string(v))
	}
	return qs
}

// Query returns the value of the first query with a key; a key without value
// is present and empty.
func (m Message) Query(key string) (value string, ok bool) {
	for _, q := range m.Queries() {
		if k, v, _ := strings.Cut(q, "="); k == key {
			return v, true
		}
	}
	return "", false
}

// ContentFormat returns the Content-Format option.
func (m Message) ContentFormat() (uint16, bool) {
	v, ok := m.Uint(OptionContentFormat)
	return uint16(v), ok
}

// SetContentFormat sets the Content-Format option.
func (m *Message) SetContentFormat(format uint16) {
	m.SetOption(UintOption(OptionContentFormat, uint32(format)))
}

// Accept returns the Accept option.
func (m Message) Accept() (uint16, bool) {
	v, ok := m.Uint(OptionAccept)
	return uint16(v), ok
}

// Observe returns the Observe option: 0 register or 1 deregister in a request,
// a 24-bit sequence number in a notification (RFC 7641 Section 2).
func (m Message) Observe() (uint32, bool) { return m.Uint(OptionObserve) }

// SetObserve sets the Observe option to the lower 24 bits of v.
func (m *Message) SetObserve(v uint32) { m.SetOption(UintOption(OptionObserve, v&0xffffff)) }
