package otcli

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatewayd/thread/mle"
)

// column is the title of a table's column and its width between the bars.
type column struct {
	title string
	width int
}

// header shows the titles and the line under them.
func (c *CLI) header(columns ...column) {
	var titles, rule strings.Builder
	for _, x := range columns {
		if len(x.title)+2 <= x.width {
			fmt.Fprintf(&titles, "| %-*s", x.width-1, x.title)
		} else {
			fmt.Fprintf(&titles, "|%-*.*s", x.width, x.width, x.title)
		}
		rule.WriteString("+" + strings.Repeat("-", x.width))
	}
	c.line("%s|", titles.String())
	c.line("%s+", rule.String())
}

// address is all eight groups of an address: no run of zeros is left out.
func address(a netip.Addr) string {
	return groups(a, 8)
}

func groups(a netip.Addr, n int) string {
	b := a.As16()
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprintf("%x", uint16(b[2*i])<<8|uint16(b[2*i+1]))
	}
	return strings.Join(s, ":")
}

// prefix is the groups that a prefix has bits in, and its length.
func prefix(p netip.Prefix) string {
	n := (p.Bits() + 15) / 16
	s := groups(p.Addr(), n)
	if n < 8 {
		s += "::"
	}
	return fmt.Sprintf("%s/%d", s, p.Bits())
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// age is how long ago something was, in seconds; 0 if it never was.
func (c *CLI) age(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return int64(max(0, c.now().Sub(t)) / time.Second)
}

// clockTime is a duration as hours, minutes and seconds, with days if any.
func clockTime(d time.Duration) string {
	s := int64(d / time.Second)
	t := fmt.Sprintf("%02d:%02d:%02d", s/3600%24, s/60%60, s%60)
	if days := s / 86400; days > 0 {
		return fmt.Sprintf("%dd.%s", days, t)
	}
	return t
}

// disabled fails unless the node takes part in no network.
func (c *CLI) disabled() error {
	if c.node.MLE().Role() != mle.Disabled {
		return InvalidState
	}
	return nil
}
