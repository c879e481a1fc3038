package otcli

import (
	"fmt"
	"time"

	"gatewayd/thread/ip"
)

// What a ping is unless told otherwise.
const (
	pingSize     = 8
	pingCount    = 1
	pingInterval = time.Second
	pingTimeout  = 3 * time.Second
	pingHops     = 64
	icmpHeader   = 8 // part of the size that is shown
)

// pingStats sums up a series.
type pingStats struct {
	count              int
	total, least, most time.Duration
}

func (s *pingStats) add(d time.Duration) {
	d = d.Truncate(time.Millisecond)
	if s.count == 0 || d < s.least {
		s.least = d
	}
	s.most = max(s.most, d)
	s.total += d
	s.count++
}

// ping is
//
//	ping [async] [-I source] [-m] address [size [count [interval [hops [timeout]]]]]
//	ping stop
func ping(c *CLI, args []string) error {
	if word(args, 0) == "stop" {
		c.stopPing()
		return nil
	}
	w := wordList{args}
	async := false
	if w.peek() == "async" {
		w.next()
		async = true
	}
	p, err := c.parsePing(&w)
	if err != nil {
		return err
	}
	if c.ping != nil {
		return Busy
	}
	var stats pingStats
	p.Reply = func(r ip.Reply) {
		stats.add(r.RTT)
		c.line("%d bytes from %s: icmp_seq=%d hlim=%d time=%dms", r.Size+icmpHeader, address(r.From), r.Seq, r.HopLimit,
			r.RTT.Milliseconds())
	}
	p.Done = func(sent, received int) {
		c.ping = nil
		c.pingSummary(p, stats, sent, received)
		if !async {
			c.finish(nil)
		}
	}
	c.ping = p
	if !c.node.IP().Ping(p) {
		c.ping = nil
		return Busy
	}
	if async {
		return nil
	}
	return Pending
}

func (c *CLI) parsePing(w *wordList) (*ip.Ping, error) {
	p := &ip.Ping{Size: pingSize, Count: pingCount, Interval: pingInterval, Timeout: pingTimeout, HopLimit: pingHops}
	var err error
	if w.peek() == "-I" {
		w.next()
		if p.Src, err = parseAddr(w.next()); err != nil {
			return nil, err
		}
	}
	if w.peek() == "-m" {
		w.next()
		p.Loop = true
	}
	if p.Dst, err = parseAddr(w.next()); err != nil {
		return nil, err
	}
	for _, v := range []struct {
		bits int
		to   *int
	}{{16, &p.Size}, {16, &p.Count}} {
		if w.empty() {
			break
		}
		n, err := parseUint(w.next(), v.bits)
		if err != nil {
			return nil, err
		}
		if n > 0 { // 0 is the default
			*v.to = int(n)
		}
	}
	if !w.empty() {
		if err := parseTime(w.next(), &p.Interval); err != nil {
			return nil, err
		}
	}
	if !w.empty() {
		n, err := parseUint(w.next(), 8)
		if err != nil {
			return nil, err
		}
		p.HopLimit = uint8(n)
		p.NoHops = n == 0
	}
	if !w.empty() {
		if err := parseTime(w.next(), &p.Timeout); err != nil {
			return nil, err
		}
	}
	if !w.empty() {
		return nil, InvalidArgs
	}
	return p, nil
}

// parseTime reads seconds; 0 leaves the default.
func parseTime(s string, to *time.Duration) error {
	d, err := parseSeconds(s)
	if err == nil && d > 0 {
		*to = d
	}
	return err
}

// stopPing ends a series without a summary.
func (c *CLI) stopPing() {
	if p := c.ping; p != nil {
		p.Done = nil
		p.Stop()
		c.ping = nil
	}
}

func (c *CLI) pingSummary(p *ip.Ping, s pingStats, sent, received int) {
	out := fmt.Sprintf("%d packets transmitted, %d packets received.", sent, received)
	if sent > 0 && !p.Dst.IsMulticast() && received <= sent {
		lost := 1000 * (sent - received) / sent
		out += fmt.Sprintf(" Packet loss = %d.%d%%.", lost/10, lost%10)
	}
	if received > 0 {
		mean := 1000 * s.total.Milliseconds() / int64(received)
		out += fmt.Sprintf(" Round-trip min/avg/max = %d/%d.%d/%d ms.", s.least.Milliseconds(), mean/1000, mean%1000,
			s.most.Milliseconds())
	}
	c.line("%s", out)
}
