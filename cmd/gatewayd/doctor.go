package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/gateway"
	"gatewayd/host/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	var probe, list bool
	c := a.printsJSON(&cobra.Command{
		Use:   "doctor",
		Short: "Find what on this host keeps a border router from working",
		Long: `Examine this host: settings, firewalls, interfaces, other programs, the kernel
and the container around it. Each finding has a code, a sentence and the command
that mends it. The gateway need not run; if it does, what it has set up is
examined too.

The exit code is 1 if there is a problem, and 0 if there are only warnings.`,
		Example: `  gatewayd doctor
  gatewayd doctor --probe --json`,
		Args: args(cobra.NoArgs),
	})
	c.Flags().BoolVar(&probe, "probe", false, "also send a few packets, to see which way they go")
	c.Flags().BoolVar(&list, "list", false, "only list the codes and what they are about")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if list {
			return a.listChecks()
		}
		cfg, err := a.load()
		if errors.Is(err, fs.ErrPermission) && a.config == "" {
			cfg, err = gateway.Defaults(), nil // it is the gateway's, not the caller's
		}
		if err != nil {
			return usageError{err}
		}
		o := cfg.Examination()
		o.Probe = probe
		return a.report(append(doctor.Run(c.Context(), o), a.seenInside(c)...))
	}
	return c
}

// seenInside is what only a gateway that runs can see; nothing if none answers.
func (a *app) seenInside(c *cobra.Command) []doctor.Finding {
	client, err := a.client(c)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context(), 3*time.Second)
	defer cancel()
	h, err := client.Health(ctx)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(h.Findings, func(f doctor.Finding) bool { return !doctor.Inside(f.Code) })
}

// report prints findings and fails if one is a problem.
func (a *app) report(findings []doctor.Finding) error {
	if a.json {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		if findings == nil {
			findings = []doctor.Finding{}
		}
		if err := enc.Encode(findings); err != nil {
			return err
		}
	} else if len(findings) == 0 {
		fmt.Fprintln(a.out, "nothing is wrong")
	}
	var problem error
	for _, f := range findings {
		if f.Level == doctor.Problem {
			problem = &failure{}
		}
		if !a.json {
			fmt.Fprintf(a.out, "%-14s %s: %s\n", f.Code, f.Level, f.Text)
			if f.Fix != "" {
				fmt.Fprintf(a.out, "%-14s %s\n", "", f.Fix)
			}
		}
	}
	return problem
}

func (a *app) listChecks() error {
	if a.json {
		type row struct {
			Code  string `json:"code"`
			About string `json:"about"`
		}
		var rows []row
		for _, c := range doctor.Checks() {
			rows = append(rows, row{c.Code, c.About})
		}
		return json.NewEncoder(a.out).Encode(rows)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, c := range doctor.Checks() {
		fmt.Fprintf(w, "%s\t%s\n", c.Code, c.About)
	}
	return w.Flush()
}
