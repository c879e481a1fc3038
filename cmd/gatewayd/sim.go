package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/sim/scenario"
)

// simulation is what `sim` is told.
type simulation struct {
	seed    uint64
	seeds   uint64
	capture string
}

func (a *app) simCommand() *cobra.Command {
	var x simulation
	c := &cobra.Command{
		Use:   "sim FILE",
		Short: "Run a simulated mesh that a scenario file describes",
		Long: `Run a mesh of this program's own nodes on virtual time, as a scenario file says,
and report how it converged, what arrived and what was on air. The same file and
seed give the same run. It needs neither hardware nor a gateway.

Exits with 1 when a run is not as the scenario expects, which ` + "`--seed`" + ` repeats.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return usageError{fmt.Errorf("reading the scenario: %w", err)}
			}
			s, err := scenario.Parse(args[0], b)
			if err != nil {
				return usageError{err}
			}
			if c.Flags().Changed("seed") {
				s.Seed = x.seed
			}
			if x.capture != "" {
				s.Capture = x.capture
			}
			if x.seeds == 0 || x.seeds-1 > math.MaxUint64-s.Seed {
				return usageError{fmt.Errorf("--seeds: %d from seed %d on are none", x.seeds, s.Seed)}
			}
			return a.simulate(c.Context(), s, x.seeds)
		},
	}
	c.Flags().Uint64Var(&x.seed, "seed", 1, "seed of the run, in place of the scenario's")
	c.Flags().Uint64Var(&x.seeds, "seeds", 1, "how many runs, with this and the following seeds")
	c.Flags().StringVar(&x.capture, "capture", "", "write all frames to this file, in place of the scenario's; with several seeds its name gets the seed")
	return a.printsJSON(c)
}

// simulate runs seeds one after the other.
func (a *app) simulate(ctx context.Context, s *scenario.Scenario, seeds uint64) error {
	var reports []*scenario.Report
	var failed []string
	for seed := s.Seed; seed-s.Seed < seeds; seed++ {
		name := s.Capture
		if ext := filepath.Ext(name); name != "" && seeds > 1 {
			name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), seed, ext)
		}
		began := time.Now()
		r, err := simulateOnce(ctx, s, seed, name)
		if err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		if !r.Passed() {
			failed = append(failed, fmt.Sprint(seed))
		}
		reports = append(reports, r)
		if !a.json {
			if err := r.Print(a.out); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%-12s %.1fs for %s, %.0f times real time\n\n", "took", took, span(r.Duration), r.Duration/took)
		}
	}
	switch {
	case a.json && seeds == 1:
		if err := printJSON(a.out, reports[0]); err != nil {
			return err
		}
	case a.json:
		if err := printJSON(a.out, reports); err != nil {
			return err
		}
	case seeds > 1:
		fmt.Fprintf(a.out, "%d of %d seeds passed\n", len(reports)-len(failed), len(reports))
	}
	if len(failed) > 0 {
		return fmt.Errorf("not as expected with seed %s", strings.Join(failed, ", "))
	}
	return nil
}

// simulateOnce runs one seed, with a capture unless its name is empty.
func simulateOnce(ctx context.Context, s *scenario.Scenario, seed uint64, capture string) (*scenario.Report, error) {
	var o scenario.Options
	if capture == "" {
		return scenario.Run(ctx, s, seed, o)
	}
	f, err := os.Create(capture)
	if err != nil {
		return nil, fmt.Errorf("creating the capture: %w", err)
	}
	w := bufio.NewWriter(f)
	o.Capture = w
	r, err := scenario.Run(ctx, s, seed, o)
	return r, errors.Join(err, w.Flush(), f.Close())
}
