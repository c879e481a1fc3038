package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"gatewayd/gateway"
	"gatewayd/ipv6"
	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/wpan"
)

// Limits and defaults of a ping.
const (
	maxPingSize    = ip.MTU - ipv6.HeaderLen - 8
	maxPingCount   = 10000
	maxPingWait    = time.Hour
	minPingPeriod  = 10 * time.Millisecond
	pingInterval   = time.Second
	pingTimeout    = 3 * time.Second
	pingLinesAhead = 256 // of replies that wait to be written; more are dropped
)

// check fills in the defaults.
func (in *Ping) check() (*ip.Ping, error) {
	dst, err := netip.ParseAddr(in.Address)
	if err != nil || !dst.Is6() || dst.Is4In6() || dst.Zone() != "" {
		return nil, badRequest("%q is not an IPv6 address", in.Address)
	}
	p := &ip.Ping{Dst: dst, Size: in.Size, Count: max(in.Count, 1), HopLimit: in.HopLimit, Interval: pingInterval, Timeout: pingTimeout}
	if in.Size < 0 || in.Size > maxPingSize {
		return nil, badRequest("a ping has 0 to %d bytes", maxPingSize)
	}
	if in.Count < 0 || in.Count > maxPingCount {
		return nil, badRequest("at most %d pings at a time", maxPingCount)
	}
	for _, d := range []struct {
		what  string
		in    float64
		out   *time.Duration
		least time.Duration
	}{
		{"interval", in.Interval, &p.Interval, minPingPeriod},
		{"timeout", in.Timeout, &p.Timeout, minPingPeriod},
	} {
		if d.in == 0 {
			continue
		}
		if !(d.in >= d.least.Seconds() && d.in <= maxPingWait.Seconds()) {
			return nil, badRequest("the %s is not between %v and %v", d.what, d.least, maxPingWait)
		}
		*d.out = time.Duration(d.in * float64(time.Second))
	}
	return p, nil
}

// ping streams the replies to pings that the node itself sends.
func (s *Server) ping(w http.ResponseWriter, r *http.Request) (any, error) {
	var in Ping
	if err := body(r, &in); err != nil {
		return nil, err
	}
	p, err := in.check()
	if err != nil {
		return nil, err
	}
	lines := make(chan PingLine, pingLinesAhead)
	done := make(chan PingLine, 1)
	p.Reply = func(a ip.Reply) {
		line := PingLine{From: a.From.String(), Seq: a.Seq, Size: a.Size, HopLimit: a.HopLimit,
			RTT: float64(a.RTT.Microseconds()) / 1000}
		select {
		case lines <- line:
		default:
		}
	}
	p.Done = func(sent, received int) { done <- PingLine{Done: true, Sent: sent, Received: received} }
	stop, err := s.startPing(r.Context(), in.Address, p)
	if err != nil {
		return nil, err
	}
	// However this ends, the series does too.
	defer stop()
	s.pingLines(r.Context(), newStream(w), lines, done)
	return nil, nil
}

// startPing starts a series on the node of either kind of network, and returns
// what stops it.
func (s *Server) startPing(ctx context.Context, to string, p *ip.Ping) (stop func(), err error) {
	busy := &Error{Code: http.StatusTooManyRequests, Text: "too many pings are under way"}
	var failed error
	err = s.gw.Do(ctx, func(n *thread.Node) {
		if _, ok := n.IP().SourceFor(p.Dst); !ok {
			failed = conflict("this gateway has no address to reach "+to+" from", "it is "+n.MLE().Role().String()+": see `gatewayd status`")
		} else if !n.IP().Ping(p) {
			failed = busy
		}
	})
	stop = func() { _ = s.gw.Do(context.WithoutCancel(ctx), func(*thread.Node) { p.Stop() }) }
	if errors.Is(err, gateway.ErrMode) {
		q := &wpan.Ping{Dst: p.Dst, Size: p.Size, Count: p.Count, Interval: p.Interval, Timeout: p.Timeout, HopLimit: p.HopLimit,
			Reply: func(a wpan.Reply) { p.Reply(ip.Reply(a)) }, Done: p.Done}
		err = s.gw.DoLowpan(ctx, func(l *gateway.Lowpan) {
			if _, ok := l.Node.SourceFor(p.Dst); !ok {
				failed = conflict("this gateway has no address to reach "+to+" from", "its radio is not there: see `gatewayd status`")
			} else if !l.Node.Ping(q) {
				failed = busy
			}
		})
		stop = func() { _ = s.gw.DoLowpan(context.WithoutCancel(ctx), func(*gateway.Lowpan) { q.Stop() }) }
	}
	return stop, errors.Join(err, failed)
}

func (s *Server) pingLines(ctx context.Context, out *stream, lines, done <-chan PingLine) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-lines:
			if out.line(l) != nil {
				return
			}
		case end := <-done:
			for len(lines) > 0 {
				if out.line(<-lines) != nil {
					return
				}
			}
			_ = out.line(end) // the last one
			return
		}
	}
}
