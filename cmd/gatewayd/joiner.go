package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/thread/meshcop"
)

func (a *app) joinerCommand() *cobra.Command {
	c := &cobra.Command{Use: "joiner", Short: "Who may join the network: add, list, remove"}
	c.AddCommand(a.joinerAdd(), a.joinerList(), a.joinerRemove())
	return group(c)
}

func (a *app) joinerAdd() *cobra.Command {
	c := &cobra.Command{
		Use:   "add EUI64|* PSKD",
		Short: "Let a device join, by its EUI-64 and its joining credential",
		Long: `Let a device join, by its EUI-64 and its joining device credential (PSKd), both
usually on its label. * lets any device join that knows the PSKd; 0xabc/12 those
with that discerner. The gateway becomes the network's commissioner if it is not.`,
		Example: `  gatewayd joiner add 18b4300000000002 J01NME
  gatewayd joiner add '*' J01NME --timeout 10m`,
		Args: args(cobra.ExactArgs(2)),
	}
	timeout := c.Flags().Duration("timeout", 2*time.Minute, "how long it may join")
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, err := api.ParseWho(args[0]); err != nil {
			return usageError{err}
		}
		if err := meshcop.ValidPSKd(args[1]); err != nil {
			return usageError{err}
		}
		if *timeout < time.Second {
			return usageError{fmt.Errorf("--timeout: %v is less than a second", *timeout)}
		}
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		j, err := cl.AddJoiner(c.Context(), api.NewJoiner{EUI64: args[0], PSKd: args[1], Timeout: timeout.Seconds()})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.out, j)
		}
		_, err = fmt.Fprintf(a.out, "%s may join for %s\n", joinerName(j.ID), span(j.Expires))
		return err
	}
	return a.printsJSON(c)
}

func joinerName(id string) string {
	if id == "*" {
		return "any device"
	}
	return id
}

func (a *app) joinerList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List who may join, and what became of those who tried", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			j, err := cl.Joiners(c.Context())
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(a.out, j)
			}
			printJoiners(a.out, &j)
			return nil
		},
	}
	return a.printsJSON(c)
}

func printJoiners(w io.Writer, j *api.Joiners) {
	fmt.Fprintf(w, "commissioner: %s\n", j.Commissioner)
	if len(j.Joiners)+len(j.History) == 0 {
		fmt.Fprintln(w, "nobody may join")
		return
	}
	t := table{}
	t.row("JOINER", "PROGRESS", "EXPIRES", "REFUSED", "LAST ATTEMPT")
	for _, x := range j.Joiners {
		t.row(joinerRow(&x, "in "+span(x.Expires))...)
	}
	for _, x := range j.History {
		t.row(joinerRow(&x, "-")...)
	}
	printTable(w, &t)
}

func joinerRow(x *api.Joiner, expires string) []string {
	last := "-"
	if n := len(x.Attempts); n > 0 {
		at := x.Attempts[n-1]
		parts := []string{at.Progress}
		for _, s := range []string{at.Vendor, at.Reason} {
			if s != "" {
				parts = append(parts, s)
			}
		}
		last = fmt.Sprintf("%s ago by %s: %s", span(at.Age), at.Router, strings.Join(parts, ", "))
	}
	return []string{x.ID, x.Progress, expires, fmt.Sprint(x.Refused), last}
}

func (a *app) joinerRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove EUI64|*", Aliases: []string{"rm"}, Short: "Let a device join no more", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := api.ParseWho(args[0]); err != nil {
				return usageError{err}
			}
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			return cl.RemoveJoiner(c.Context(), args[0])
		},
	}
}
