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
	"gatewayd/thread"
)

// simulation is what `sim` is told.
type simulation struct {
	seed    uint64
	seeds   uint64
	capture string
	log     string
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
			return a.simulate(c.Context(), s, x)
		},
	}
	c.Flags().Uint64Var(&x.seed, "seed", 1, "seed of the run, in place of the scenario's")
	c.Flags().Uint64Var(&x.seeds, "seeds", 1, "how many runs, with this and the following seeds")
	c.Flags().StringVar(&x.capture, "capture", "", "write all frames to this file, in place of the scenario's; with several seeds its name gets the seed")
	c.Flags().StringVar(&x.log, "log", "", "write what nodes log to this file; with several seeds its name gets the seed")
	return a.printsJSON(c)
}

// withSeed is a file's name for one of several seeds.
func withSeed(name string, seed, seeds uint64) string {
	if name == "" || seeds == 1 {
		return name
	}
	ext := filepath.Ext(name)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), seed, ext)
}

// simulate runs seeds one after the other.
func (a *app) simulate(ctx context.Context, s *scenario.Scenario, x simulation) error {
	seeds := x.seeds
	var reports []*scenario.Report
	var failed []string
	for seed := s.Seed; seed-s.Seed < seeds; seed++ {
		began := time.Now()
		r, err := simulateOnce(ctx, s, seed, withSeed(s.Capture, seed, seeds), withSeed(x.log, seed, seeds))
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

// simulateOnce runs one seed, with a capture and a log unless their names are
// empty.
func simulateOnce(ctx context.Context, s *scenario.Scenario, seed uint64, capture, log string) (r *scenario.Report, err error) {
	var o scenario.Options
	if capture != "" {
		f, err := createFile(capture, "capture")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		o.Capture = f
	}
	if log != "" {
		f, err := createFile(log, "log")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		o.Log = f.event
	}
	return scenario.Run(ctx, s, seed, o)
}

// outFile is a file that is written to.
type outFile struct {
	*bufio.Writer
	f *os.File
}

func createFile(name, what string) (*outFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("creating the %s: %w", what, err)
	}
	return &outFile{bufio.NewWriter(f), f}, nil
}

func (o *outFile) close() error { return errors.Join(o.Flush(), o.f.Close()) }

// event writes a line. What fails is told in the end: a Writer that failed once
// does so again.
func (o *outFile) event(at time.Duration, node string, e thread.Event) {
	fmt.Fprintf(o, "%.6f %s %s %s", at.Seconds(), node, e.ID, e.Text)
	for _, a := range e.Attrs {
		fmt.Fprintf(o, " %s=%v", a.Key, a.Value)
	}
	if e.Err != nil {
		fmt.Fprintf(o, ": %v", e.Err)
	}
	fmt.Fprintln(o)
}
