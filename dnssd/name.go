package dnssd

import (
	"strings"

	"github.com/miekg/dns"
)

// DefaultDomain is the domain of services that were registered without naming
// one (RFC 9665 Section 10.1).
const DefaultDomain = "default.service.arpa."

// Limits of names (RFC 1035 Section 2.3.4).
const (
	MaxLabel = 63  // bytes of a label
	MaxName  = 255 // bytes of a name on the wire
)

// Fold is a name with the case of its ASCII letters taken away: names that are
// the same to DNS are the same string (RFC 4343).
func Fold(name string) string {
	for i := 0; i < len(name); i++ {
		if 'A' <= name[i] && name[i] <= 'Z' {
			b := []byte(name)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return name
}

// SplitName returns the labels of a name in presentation format, as the bytes
// they have on the wire: `Kitchen\.Lamp._hap._udp.` begins with "Kitchen.Lamp".
func SplitName(name string) []string {
	labels := dns.SplitDomainName(name)
	for i, l := range labels {
		labels[i] = unescape(l)
	}
	return labels
}

// JoinName is the opposite of SplitName; the name is absolute.
func JoinName(labels ...string) string {
	var b strings.Builder
	for _, l := range labels {
		escape(&b, l)
		b.WriteByte('.')
	}
	if b.Len() == 0 {
		return "."
	}
	return b.String()
}

func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b = append(b, s[i])
		case i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]):
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
		default:
			b = append(b, s[i+1])
			i++
		}
	}
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func escape(b *strings.Builder, label string) {
	for i := 0; i < len(label); i++ {
		switch c := label[i]; {
		case strings.IndexByte(`. '@;()"\`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			writeDecimal(b, c)
		default:
			b.WriteByte(c)
		}
	}
}

// escapeText is a string of a TXT record as the codec wants it.
func escapeText(text []byte) string {
	var b strings.Builder
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			writeDecimal(&b, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// writeDecimal writes a byte as \DDD (RFC 1035 Section 5.1).
func writeDecimal(b *strings.Builder, c byte) {
	b.Write([]byte{'\\', '0' + c/100, '0' + c/10%10, '0' + c%10})
}
