package appliance

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"strings"
)

// zones has of each time zone its name and its rule, one a line: what the tz
// database says of times to come, in a hundredth of its size.
//
//go:generate sh -c "go run ./zonegen $(go env GOROOT) >zones.txt"
//go:embed zones.txt
var zones string

// ZoneRule is the rule of a time zone by its name in the tz database,
// "CET-1CEST,M3.5.0,M10.5.0/3" of "Europe/Berlin" (RFC 9636 Section 3.3).
func ZoneRule(name string) (string, error) {
	for line := range strings.Lines(zones) {
		if n, rule, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); n == name {
			return rule, nil
		}
	}
	return "", fmt.Errorf("there is no time zone %q: want a name like Europe/Berlin or UTC", name)
}

// AppendLocaltime appends the file /etc/localtime of a rule (RFC 9636 Section
// 3): two data blocks, for readers of 32 and of 64 bits, and the rule, by which
// all times go that matter here. The one transition is there because a C
// library follows the rule only behind one.
func AppendLocaltime(b []byte, rule string) []byte {
	name, offset := standard(rule)
	for _, size := range []int{4, 8} {
		b = append(b, "TZif2"...)
		b = append(b, make([]byte, 15)...)
		for _, count := range []int{0, 0, 0, 1, 1, len(name) + 1} { // UT/local, standard/wall, leap, transitions, types, bytes of names
			b = binary.BigEndian.AppendUint32(b, uint32(count))
		}
		b = append(b, make([]byte, size)...) // the transition: 1970-01-01
		b = append(b, 0)                     // to the first type,
		b = binary.BigEndian.AppendUint32(b, uint32(offset))
		b = append(b, 0, 0) // which is standard time, with the first name
		b = append(append(b, name...), 0)
	}
	return append(append(append(b, '\n'), rule...), '\n')
}

// standard is a rule's standard time: its name, and its seconds east of UTC.
func standard(rule string) (name string, offset int) {
	if rest, ok := strings.CutPrefix(rule, "<"); ok {
		name, rule, _ = strings.Cut(rest, ">")
	} else {
		i := strings.IndexAny(rule, "+-0123456789")
		name, rule = rule[:max(i, 0)], rule[max(i, 0):]
	}
	sign := -1 // POSIX counts towards the west
	if rule != "" && (rule[0] == '-' || rule[0] == '+') {
		if rule[0] == '-' {
			sign = 1
		}
		rule = rule[1:]
	}
	unit, n := 3600, 0
	for _, c := range []byte(rule) {
		switch {
		case '0' <= c && c <= '9':
			n = n*10 + int(c-'0')
			continue
		case c == ':' && unit > 1:
			offset, unit, n = offset+n*unit, unit/60, 0
			continue
		}
		break // the name of summer time follows
	}
	return name, sign * (offset + n*unit)
}
