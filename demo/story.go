package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// story is the timeline that a person reads. It may be told by several at a
// time.
type story struct {
	mu    sync.Mutex
	out   io.Writer
	color bool
	began time.Time
	roles map[string]int
}

func newStory(out io.Writer, color bool) *story {
	return &story{out: out, color: color, began: time.Now(), roles: map[string]int{}}
}

// Colors, of ANSI terminals.
const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	reset = "\x1b[0m"
)

var roleColors = [...]string{"\x1b[36m", "\x1b[33m", "\x1b[35m", "\x1b[34m", "\x1b[32m"}

func (s *story) paint(how, text string) string {
	if !s.color {
		return text
	}
	return how + text + reset
}

// title begins the story.
func (s *story) title(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\n%s\n\n", s.paint(bold, text))
}

// say tells what happened to one of the roles.
func (s *story) say(role, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.roles[role]
	if !ok {
		c = len(s.roles) % len(roleColors)
		s.roles[role] = c
	}
	fmt.Fprintf(s.out, "%s  %s %s\n", s.paint(faint, fmt.Sprintf("%6.2f s", s.elapsed().Seconds())),
		s.paint(roleColors[c], fmt.Sprintf("%-8s", role)), fmt.Sprintf(format, args...))
}

func (s *story) elapsed() time.Duration { return time.Since(s.began) }

// fail ends the story badly.
func (s *story) fail(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\n%s %s\n", s.paint(red, "It did not work:"), fmt.Sprintf(format, args...))
}

// table prints rows under a heading, in columns; the first row is the titles.
func (s *story) table(heading string, rows [][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], len(cell))
		}
	}
	fmt.Fprintf(s.out, "\n%s\n\n", s.paint(green, heading))
	for n, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			fmt.Fprintf(&line, "  %-*s", widths[i], cell)
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 {
			text = s.paint(faint, text)
		}
		fmt.Fprintln(s.out, text)
	}
	fmt.Fprintln(s.out)
}
