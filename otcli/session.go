package otcli

import "slices"

// shared is what the command lines of one node have in common.
type shared struct {
	settings
	open []*CLI // those that show what happens by itself
}

// A SessionConfig is what a further command line of a node needs.
type SessionConfig struct {
	// Out takes what is to be shown; lines end with CR LF. There is no prompt.
	Out func(text string)
	// Ended is told the error that a command ended with, or 0, in place of a
	// line that says so.
	Ended func(e Error)
	// Exit ends the session.
	Exit func()
}

// Session returns another command line of the same node. Its commands and their
// output are its own; the dataset that is edited, the UDP socket and the filters
// are those of c. Close ends it.
func (c *CLI) Session(cfg SessionConfig) *CLI {
	s := &CLI{node: c.node, cfg: c.cfg, shared: c.shared}
	s.cfg.Out, s.cfg.Ended = cfg.Out, cfg.Ended
	s.cfg.Exit = func() {
		s.finish(nil)
		cfg.Exit()
	}
	s.shared.open = append(s.shared.open, s)
	return s
}

// Close ends a session: a ping stops, and what other commands still find is not
// shown.
func (c *CLI) Close() {
	c.stopPing()
	c.pending = false
	c.cfg.Out = nil
	c.open = slices.DeleteFunc(c.open, func(o *CLI) bool { return o == c })
}

// tell shows a line in all sessions.
func (c *CLI) tell(format string, args ...any) {
	for _, o := range c.open {
		o.line(format, args...)
	}
}
