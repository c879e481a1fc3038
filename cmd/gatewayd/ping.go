package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/api"
)

func (a *app) pingCommand() *cobra.Command {
	var in api.Ping
	c := &cobra.Command{
		Use:   "ping ADDRESS",
		Short: "Let the gateway's node ping an address through the mesh",
		Long: `Let the gateway's own node ping an address through the mesh, whatever the host's
routes are. It fails if nobody answers. With --json each reply is a line, and
the last line is the sum.`,
		Args: args(cobra.ExactArgs(1)),
	}
	f := c.Flags()
	f.IntVarP(&in.Count, "count", "c", 3, "how many requests")
	f.IntVarP(&in.Size, "size", "s", 16, "bytes of data")
	f.Uint8Var(&in.HopLimit, "hop-limit", 0, "hop limit (default 64)")
	interval := f.DurationP("interval", "i", time.Second, "between requests")
	timeout := f.DurationP("timeout", "W", 3*time.Second, "to wait after the last request")
	c.RunE = func(c *cobra.Command, args []string) error {
		if in.Count < 1 {
			return usageError{errors.New("--count: at least one request")}
		}
		in.Address, in.Interval, in.Timeout = args[0], interval.Seconds(), timeout.Seconds()
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		var p pinger
		if err := cl.Ping(c.Context(), in, func(l api.PingLine) error {
			p.count(l)
			if a.json {
				return json.NewEncoder(a.out).Encode(l)
			}
			return p.print(a.out, l)
		}); err != nil {
			return err
		}
		switch {
		case !p.done:
			return errors.New("the gateway ended the ping")
		case p.replies == 0:
			return &failure{}
		}
		return nil
	}
	return a.printsJSON(c)
}

// pinger sums replies up.
type pinger struct {
	done           bool
	replies        int
	min, max, mean float64 // ms
}

func (p *pinger) count(l api.PingLine) {
	if l.Done {
		p.done = true
		return
	}
	if p.replies == 0 {
		p.min = math.Inf(1)
	}
	p.replies++
	p.min, p.max = math.Min(p.min, l.RTT), math.Max(p.max, l.RTT)
	p.mean += (l.RTT - p.mean) / float64(p.replies)
}

func (p *pinger) print(w io.Writer, l api.PingLine) error {
	if !l.Done {
		_, err := fmt.Fprintf(w, "%d bytes from %s: seq=%d hop limit=%d time=%.1f ms\n", l.Size, l.From, l.Seq, l.HopLimit, l.RTT)
		return err
	}
	text := fmt.Sprintf("%d sent, %d received", l.Sent, l.Received)
	if lost := l.Sent - l.Received; lost > 0 && l.Sent > 0 { // a group may answer more than once
		text += fmt.Sprintf(", %d %% lost", 100*lost/l.Sent)
	}
	if p.replies > 0 {
		text += fmt.Sprintf("; min/avg/max %.1f/%.1f/%.1f ms", p.min, p.mean, p.max)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
