package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatewayd/api"
)

func (a *app) borderCommand() *cobra.Command {
	c := &cobra.Command{Use: "border", Short: "Show how the mesh is joined to the host's networks: prefixes, routes, routers", Args: args(cobra.NoArgs)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		b, err := cl.Border(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, b)
		}
		a.printBorder(&b)
		return nil
	}
	return a.printsJSON(c)
}

func (a *app) printBorder(b *api.Border) {
	var p pairs
	p.add("border routing", b.State)
	p.add("devices' prefix", orDash(b.OMR))
	delegated := orDash(b.Delegated)
	if b.Delegation != "" {
		delegated += ", " + b.Delegation
	}
	p.add("delegated", delegated)
	p.add("route for the mesh", orDash(b.Route))
	nat64 := orDash(b.NAT64)
	if b.Translates {
		nat64 += ", here"
	}
	p.add("NAT64", nat64)
	p.add("other border routers", orDash(strings.Join(b.Peers, " ")))
	if b.PeersElsewhere {
		p.add("", "some of them are on none of our links: are these one network?")
	}
	if f := b.Filter; f != nil {
		what := "inbound " + f.Inbound + ", egress " + f.Egress
		if !f.InForce {
			passes := "everything passes"
			if f.Closed {
				passes = "nothing passes"
			}
			what = "none, " + passes + ": " + f.Problem
		}
		p.add("packet filter", what)
		for _, d := range f.Devices {
			p.add("  rules for "+d.EUI64, strings.Join(d.Addresses, " "))
		}
		if c := f.Dropped; c != nil {
			p.add("  dropped", fmt.Sprintf("%d inbound, %d egress, %d spoofed, %d other", c.Inbound, c.Egress, c.Spoofed, c.Other))
		}
	}
	for _, l := range b.Links {
		state := "down"
		if l.Up {
			state = "up"
		}
		if l.SameAs != "" {
			state += ", the same link as " + l.SameAs
		}
		p.add("link "+l.Name, state)
		p.add("  on-link prefix", orDash(l.OnLink)+", ours is "+l.OnLinkState)
		for _, r := range l.Routers {
			what := r.Address
			if r.Peer {
				what += ", border router of this mesh"
			}
			if !r.Reachable {
				what += ", not reachable"
			}
			p.add("  router", what+", heard "+span(r.Age)+" ago")
		}
	}
	p.print(a.out)
}

func (a *app) servicesCommand() *cobra.Command {
	c := &cobra.Command{Use: "services", Short: "List what devices have registered, and is published on the host's networks", Args: args(cobra.NoArgs)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		list, err := cl.Services(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, list)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(a.out, "nothing is registered")
			return err
		}
		t := table{}
		t.row("HOST", "SERVICE", "TYPE", "PORT", "ENDS", "ADDRESSES")
		for _, h := range list {
			ends := "in " + span(h.Left)
			if h.Left == 0 {
				ends = "has ended"
			}
			t.row(h.Name, "", "", "", ends, strings.Join(h.Addresses, " "))
			for _, s := range h.Services {
				t.row("", s.Instance, s.Type, fmt.Sprint(s.Port), "", "")
			}
		}
		t.print(a.out, "")
		return nil
	}
	return a.printsJSON(c)
}

func (a *app) nat64Command() *cobra.Command {
	c := &cobra.Command{Use: "nat64", Short: "List which devices talk to IPv4 hosts", Args: args(cobra.NoArgs)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		list, err := cl.NAT64(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, list)
		}
		t := table{}
		t.row("PROTOCOL", "DEVICE", "AS", "WITH")
		for _, m := range list {
			t.row(m.Protocol, m.Inside, m.Outside, strings.Join(m.Remotes, " "))
		}
		t.print(a.out, "")
		return nil
	}
	return a.printsJSON(c)
}
