package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/radio"
	"gatewayd/radio/medium/udp"
	"gatewayd/radio/rcpd"
	"gatewayd/radio/transport"
)

func (a *app) radioCommand() *cobra.Command {
	c := &cobra.Command{Use: "radio", Short: "Look at radios"}
	c.AddCommand(a.radioProbe(), a.radioFind())
	return group(c)
}

// probed is what `radio probe` prints for programs.
type probed struct {
	Usable bool      `json:"usable"`
	Kind   string    `json:"kind"`
	Baud   uint32    `json:"baud,omitempty"`
	Took   float64   `json:"took"`  // seconds
	Tried  []attempt `json:"tried"` // in this order
	api.Radio
}

type attempt struct {
	Baud        uint32 `json:"baud,omitempty"`
	FlowControl bool   `json:"flow_control"`
	Reset       bool   `json:"reset"`
	Kind        string `json:"kind"`
}

func (a *app) radioProbe() *cobra.Command {
	c := &cobra.Command{
		Use:   "probe URL",
		Short: "Find out what a dongle is, and its baud rate",
		Long: `Find out what is at the other end of a radio URL: firmware, versions and
capabilities of a co-processor, or what else it seems to be. On a serial line all
usual baud rates are tried, with and without flow control. No gateway may be
using the radio. It fails if the radio is of no use to the gateway.`,
		Example: `  gatewayd radio probe /dev/ttyACM0
  gatewayd radio probe 'spinel+hdlc+uart:///dev/ttyUSB0?uart-baudrate=1000000'`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			u, err := radio.ParseURL(args[0])
			if err != nil {
				return usageError{err}
			}
			if u.Bus == radio.BusSim || u.Bus == radio.BusZEP {
				return usageError{errors.New("a simulated radio is part of the gateway: there is nothing to probe")}
			}
			if u.Bus == radio.BusAuto {
				return usageError{errors.New("auto is for the gateway: name the device to be probed, such as /dev/ttyACM0")}
			}
			r, err := transport.Probe(c.Context(), u)
			if err != nil {
				return err
			}
			if a.json {
				err = printJSON(a.out, probedOf(&r))
			} else {
				printProbe(a.out, &r)
			}
			if err == nil && !r.Usable() {
				err = &failure{}
			}
			return err
		},
	}
	return a.printsJSON(c)
}

func probedOf(r *transport.Report) probed {
	p := probed{Usable: r.Usable(), Kind: r.Guess.Kind.String(), Baud: r.URL.Baud, Took: math.Round(1000*r.Took.Seconds()) / 1000, Tried: []attempt{},
		Radio: api.RadioOf(r.Identity)}
	p.URL, p.State, p.Problem = r.URL.String(), "probed", r.Problem
	p.Looks, p.Hint = r.Guess.Looks, r.Guess.Advice
	for _, t := range r.Attempts {
		p.Tried = append(p.Tried, attempt{t.Baud, t.FlowControl, t.Reset, t.Guess.Kind.String()})
	}
	return p
}

func printProbe(w io.Writer, r *transport.Report) {
	id := api.RadioOf(r.Identity)
	var p pairs
	p.add("radio", r.URL.String())
	if r.URL.Bus == radio.BusUART && id.EUI64 != "" {
		flow := "without flow control"
		if r.URL.FlowControl {
			flow = "with flow control"
		}
		p.add("line", fmt.Sprintf("%d baud, %s", r.URL.Baud, flow))
	}
	p.add("found", r.Guess.String())
	p.add("problem", r.Problem)
	identityPairs(&p, &id)
	tried := fmt.Sprintf("%d way", len(r.Attempts))
	if len(r.Attempts) != 1 {
		tried += "s"
	}
	p.add("tried", fmt.Sprintf("%s of talking to it, in %s", tried, r.Took.Round(time.Millisecond)))
	verdict := "no use to the gateway"
	if r.Usable() {
		verdict = "usable: gatewayd run --radio '" + r.URL.String() + "'"
	}
	p.add("verdict", verdict)
	p.print(w)
}

func (a *app) rcpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rcp NODEID|URL",
		Short: "Be a simulated co-processor on the standard streams",
		Long: `Be a co-processor, as a dongle is one, whose host is at the other end of the
standard input and output and whose air is that of OpenThread's simulation:
datagrams on this machine's loopback interface. NODEID is 1 to 33, different for
each node. PORT_OFFSET in the environment chooses among several airs.

With a URL that begins with zep:// the air is one of ZEP datagrams, to another
node or to a dispatcher of RIOT's.`,
		Example: `  gatewayd run --radio 'spinel+hdlc+forkpty:///usr/bin/gatewayd?forkpty-arg=rcp&forkpty-arg=1'
  gatewayd rcp 'zep://[::1]:17754?local=:17755'`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			u, err := mediumURL(args[0])
			if err != nil {
				return err
			}
			return rcp(c.Context(), u)
		},
	}
}

func nodeID(s string) (int, error) {
	n, err := strconv.ParseInt(s, 0, 32)
	if err != nil || n < 1 || n > udp.MaxNode {
		return 0, usageError{fmt.Errorf("node id %q is not a number from 1 to %d", s, udp.MaxNode)}
	}
	return int(n), nil
}

// mediumURL is the URL of a place in a medium, which may be the number of a
// node.
func mediumURL(s string) (radio.URL, error) {
	if strings.HasPrefix(s, "zep:") {
		u, err := radio.ParseURL(s)
		if err != nil {
			return radio.URL{}, usageError{err}
		}
		return u, nil
	}
	node, err := nodeID(s)
	return radio.URL{Bus: radio.BusSim, Path: strconv.Itoa(node)}, err
}

func rcp(ctx context.Context, u radio.URL) error {
	m, err := rcpd.Open(u)
	if err != nil {
		return err
	}
	defer m.Close()
	host, err := rcpd.Stdio()
	if err != nil {
		return err
	}
	err = rcpd.Serve(ctx, host, rcpd.Config{Medium: m, Version: "gatewayd simulated RCP " + version})
	if ctx.Err() != nil {
		return nil // told to stop
	}
	return err
}
