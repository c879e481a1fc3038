// Package clishape reads transcripts of a command line and tells their shape:
// what is the same of two replies when addresses, keys and numbers are not. It
// is for tests.
package clishape

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Exchange is a command and its reply, with Done or the error at its end.
type Exchange struct {
	Command string
	Reply   []string
	// Wait is how long the reply, and what comes by itself after it, may take.
	Wait time.Duration
}

// Parse reads a transcript: "> command" lines, each followed by its reply. A
// line "# 10s" sets the Wait of the next command.
func Parse(transcript string) ([]Exchange, error) {
	var out []Exchange
	var wait time.Duration
	for i, l := range strings.Split(strings.TrimRight(transcript, "\n"), "\n") {
		if c, ok := strings.CutPrefix(l, "> "); ok {
			out = append(out, Exchange{Command: c, Wait: wait})
			wait = 0
			continue
		}
		if w, ok := strings.CutPrefix(l, "# "); ok {
			var err error
			if wait, err = time.ParseDuration(w); err != nil {
				return nil, fmt.Errorf("clishape: line %d: %w", i+1, err)
			}
			continue
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("clishape: line %d: no command yet", i+1)
		}
		x := &out[len(out)-1]
		x.Reply = append(x.Reply, l)
	}
	return out, nil
}

var (
	ipv6   = regexp.MustCompile(`\b[0-9a-f]{1,4}(:[0-9a-f]{1,4}){2,7}(::)?`)
	secret = regexp.MustCompile(`\b[0-9a-f]{12,}\b`)
	hex    = regexp.MustCompile(`\b0x[0-9a-f]+\b`)
	number = regexp.MustCompile(`-?\b([0-9]+\.[0-9]+|[0-9a-f]*[0-9][0-9a-f]*)(ms|s)?\b`)
)

func words(s string) string {
	s = ipv6.ReplaceAllString(s, "ADDRESS")
	s = secret.ReplaceAllString(s, "HEX")
	s = hex.ReplaceAllString(s, "0xN")
	return number.ReplaceAllString(s, "N$2")
}

// Line is the shape of one line. Of a table's row it has the widths of the
// columns and the side on which their values stand.
func Line(l string) string {
	l = strings.TrimRight(l, "\r\n")
	if !strings.HasPrefix(l, "|") || !strings.HasSuffix(l, "|") {
		return words(l)
	}
	var out strings.Builder
	for _, cell := range strings.Split(l[1:len(l)-1], "|") {
		value := strings.TrimSpace(cell)
		left := len(cell) - len(strings.TrimLeft(cell, " "))
		right := len(cell) - len(strings.TrimRight(cell, " "))
		shape := words(value)
		if shape == "N" || shape == "0xN" { // numbers stand on the right
			left = -1
		} else {
			right = -1
		}
		fmt.Fprintf(&out, "|%d,%d,%d %s", len(cell), left, right, shape)
	}
	return out.String() + "|"
}

// Lines is the shape of a reply. Empty lines do not count.
func Lines(reply []string) []string {
	var out []string
	for _, l := range reply {
		if strings.TrimSpace(l) != "" {
			out = append(out, Line(l))
		}
	}
	return out
}
