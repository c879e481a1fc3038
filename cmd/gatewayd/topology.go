package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gatewayd/api"
)

func (a *app) topologyCommand() *cobra.Command {
	var addresses bool
	c := &cobra.Command{
		Use:   "topology",
		Short: "Ask every router of the mesh for its links and its children",
		Args:  args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			t, err := cl.Topology(c.Context(), addresses)
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(a.out, t)
			}
			printTopology(a.out, &t)
			return nil
		},
	}
	c.Flags().BoolVar(&addresses, "addresses", false, "show the routers' addresses, too")
	return a.printsJSON(c)
}

func printTopology(w io.Writer, t *api.Topology) {
	routers := table{}
	routers.row("ROUTER", "EXT ADDRESS", "VERSION", "HEARS", "")
	children := table{}
	children.row("CHILD", "PARENT", "MODE", "LQ", "")
	addresses := table{}
	addresses.row("ROUTER", "ADDRESSES")
	for _, r := range t.Routers {
		routers.row(r.RLOC16, r.ExtAddress, fmt.Sprint(r.Version), hears(t, r.RLOC16),
			marks(mark{"this gateway", r.Self}, mark{"leader", r.Leader}, mark{"parent", r.Parent}, mark{"border router", r.BorderRouter}))
		for _, c := range r.Children {
			children.row(c.RLOC16, r.RLOC16, c.Mode, quality(c.QualityIn),
				marks(mark{"this gateway", c.Self}, mark{"border router", c.BorderRouter}))
		}
		for i, at := range r.Addresses {
			name := ""
			if i == 0 {
				name = r.RLOC16
			}
			addresses.row(name, at)
		}
	}
	for _, m := range t.Missing {
		routers.row(m, "-", "-", "-", "no answer")
	}
	routers.print(w, "")
	for _, more := range []*table{&children, &addresses} {
		if len(more.rows) > 1 {
			printTable(w, more)
		}
	}
}

// hears is what a router hears of which others: their RLOC16 and, behind a
// colon, the quality.
func hears(t *api.Topology, router string) string {
	var out []string
	for _, l := range t.Links {
		switch {
		case l.A == router && l.QualityA > 0:
			out = append(out, fmt.Sprintf("%s:%d", l.B, l.QualityA))
		case l.B == router && l.QualityB > 0:
			out = append(out, fmt.Sprintf("%s:%d", l.A, l.QualityB))
		}
	}
	if out == nil {
		return "-"
	}
	return strings.Join(out, " ")
}

// mark is a remark and whether it is true.
type mark struct {
	text string
	is   bool
}

func marks(all ...mark) string {
	var out []string
	for _, m := range all {
		if m.is {
			out = append(out, m.text)
		}
	}
	return strings.Join(out, ", ")
}
