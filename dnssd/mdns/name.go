package mdns

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Name is a domain name as on the wire, without compression: labels, each
// after its length, and a zero. Labels are any bytes. The zero value is not a
// name.
type Name string

// Specification constants (RFC 1035 Section 2.3.4).
const (
	maxName  = 255
	maxLabel = 63
)

// Errors of names.
var (
	ErrLabel = errors.New("label is empty or longer than 63 bytes")
	ErrName  = errors.New("name is longer than 255 bytes")
)

// local is the domain of multicast DNS (RFC 6762 Section 3).
const local = Name("\x05local\x00")

// MakeName makes a name of labels, outermost last.
func MakeName(labels ...string) (Name, error) {
	var b []byte
	for _, l := range labels {
		if l == "" || len(l) > maxLabel {
			return "", fmt.Errorf("mdns: name %q: label %q: %w", labels, l, ErrLabel)
		}
		b = append(append(b, byte(len(l))), l...)
	}
	b = append(b, 0)
	if len(b) > maxName {
		return "", fmt.Errorf("mdns: name %q: %w", labels, ErrName)
	}
	return Name(b), nil
}

// ParseName reads the form of RFC 1035 Section 5.1: labels with dots between
// them, "\." and "\\" for these bytes in a label, "\007" for any byte. A final
// dot may be left out.
func ParseName(s string) (Name, error) {
	var labels []string
	var label []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			if len(label) == 0 && s != "." {
				return "", fmt.Errorf("mdns: name %q: byte %d: %w", s, i, ErrLabel)
			}
			labels, label = append(labels, string(label)), nil
		case c == '\\' && i+3 < len(s) && digits(s[i+1:i+4]) >= 0:
			label = append(label, byte(digits(s[i+1:i+4])))
			i += 3
		case c == '\\' && i+1 < len(s):
			i++
			label = append(label, s[i])
		default:
			label = append(label, c)
		}
	}
	if len(label) > 0 {
		labels = append(labels, string(label))
	}
	if s == "." {
		labels = nil
	}
	return MakeName(labels...)
}

// digits is the byte that three digits stand for, or -1.
func digits(s string) int {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	if n > 255 {
		return -1
	}
	return n
}

// Labels are the name's labels, outermost last.
func (n Name) Labels() []string {
	var labels []string
	for len(n) > 1 {
		l := int(n[0])
		labels = append(labels, string(n[1:1+l]))
		n = n[1+l:]
	}
	return labels
}

// String is what ParseName reads, with a final dot. UTF-8 stays as it is.
func (n Name) String() string {
	if len(n) <= 1 {
		return "."
	}
	var b strings.Builder
	for _, label := range n.Labels() {
		for i := 0; i < len(label); {
			r, size := utf8.DecodeRuneInString(label[i:])
			switch {
			case r == '.' || r == '\\':
				b.WriteByte('\\')
				b.WriteRune(r)
			case r < ' ' || r == 0x7f || r == utf8.RuneError && size == 1:
				fmt.Fprintf(&b, `\%03d`, label[i])
			default:
				b.WriteString(label[i : i+size])
			}
			i += size
		}
		b.WriteByte('.')
	}
	return b.String()
}

// Equal reports whether two names are the same (RFC 6762 Section 16: letters
// of ASCII have no case).
func (n Name) Equal(o Name) bool { return fold(string(n)) == fold(string(o)) }

// first is the innermost label and the name without it.
func (n Name) first() (label string, rest Name) {
	if len(n) <= 1 {
		return "", n
	}
	l := int(n[0])
	return string(n[1 : 1+l]), n[1+l:]
}

// key is the name as a map's key.
func (n Name) key() string { return fold(string(n)) }

// fold makes ASCII's capitals small. A label's length is never a letter.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if c := b[i]; 'A' <= c && c <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
