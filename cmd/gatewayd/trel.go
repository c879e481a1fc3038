package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gatewayd/api"
)

func (a *app) trelCommand() *cobra.Command {
	c := &cobra.Command{Use: "trel", Short: "List which Thread nodes are reached over the infrastructure (TREL)", Args: args(cobra.NoArgs)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		t, err := cl.TREL(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, t)
		}
		a.printTREL(&t)
		return nil
	}
	return a.printsJSON(c)
}

func (a *app) printTREL(x *api.TREL) {
	state := "off"
	switch {
	case x.Enabled && x.Up:
		state = fmt.Sprintf("up, UDP port %d", x.Port)
	case x.Enabled:
		state = "has no interface"
	}
	var p pairs
	p.add("TREL", state)
	p.add("received", fmt.Sprintf("%d packets, %d bytes, %d refused", x.Received, x.ReceivedBytes, x.Refused))
	p.add("sent", fmt.Sprintf("%d packets, %d bytes, %d failed", x.Sent, x.SentBytes, x.Unsent))
	p.add("frames", fmt.Sprintf("%d acknowledged, %d lost, %d retries", x.Acked, x.Lost, x.Retries))
	p.print(a.out)
	if len(x.Peers) == 0 {
		return
	}
	t := table{}
	t.row("PEER", "NETWORK", "ADDRESS", "HEARD", "mDNS", "15.4", "TREL")
	for _, n := range x.Peers {
		heard, announced := "never", "no"
		if n.Heard != nil {
			heard = span(*n.Heard) + " ago"
		}
		if n.Announced {
			announced = "yes"
		}
		t.row(n.ExtAddress, n.ExtPANID, n.Address, heard, announced, preference(n.Air), preference(n.Infra))
	}
	t.print(a.out, "")
}

func preference(v *uint8) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}
