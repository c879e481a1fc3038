package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gatewayd/radio/medium/udp"
	"gatewayd/simnode"
)

func (a *app) nodeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "node [flags] NODEID",
		Short: "Be a simulated Thread device with a command line",
		Long: `Be a Thread device on the air of OpenThread's simulation, with OpenThread's
command line on the standard input and output. Flags are those of OpenThread's
ot-cli-ftd, which it can stand in for. NODEID is 1 to 33, different for each
node. PORT_OFFSET in the environment chooses among several airs.`,
		Args: args(cobra.ExactArgs(1)),
	}
	f := c.Flags()
	var cfg simnode.Config
	f.IntVarP(&cfg.TimeSpeed, "time-speed", "s", 1, "let time pass so many times as fast")
	f.StringVarP(&cfg.LogFile, "log-file", "l", "", "file to log to")
	f.StringVarP(&cfg.Interface, "local-interface", "L", "", "name or address of the interface the air is on (default 127.0.0.1)")
	profile := f.String("profile", "", "limits and delays of another build: toranj, as OpenThread's tests of this name need them")
	f.BoolP("enable-energy-scan", "E", false, "accepted for compatibility: the radio can always do it")
	f.BoolP("sleep-to-tx", "t", false, "accepted for compatibility: the radio can always do it")
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := nodeID(args[0])
		if err != nil {
			return err
		}
		if cfg.TimeSpeed < 1 {
			return usageError{fmt.Errorf("--time-speed: %d is not positive", cfg.TimeSpeed)}
		}
		if cfg.Profile, err = simnode.ProfileOf(*profile); err != nil {
			return usageError{err}
		}
		if cfg.PortOffset, err = udp.OffsetFromEnv(); err != nil {
			return err
		}
		cfg.ID, cfg.In, cfg.Out = id, a.in, a.out
		oneProcessor()
		return simnode.Run(c.Context(), cfg)
	}
	return c
}
