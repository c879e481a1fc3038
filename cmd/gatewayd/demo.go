package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"gatewayd/demo"
	"gatewayd/gateway"
)

func (a *app) demoCommand() *cobra.Command {
	var cfg demo.Config
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show a gateway and devices that join it, without hardware or root",
		Long: `Run a gateway and three devices on a simulated air: the network forms, the
devices join, get addresses and are pinged. Where the kernel allows it, it runs
in a network namespace of its own and the kernel pings; nothing else on this
host is touched.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Mode != gateway.ModeThread && cfg.Mode != gateway.ModeLowpan {
				return usageError{fmt.Errorf("--mode: %q is neither %s nor %s", cfg.Mode, gateway.ModeThread, gateway.ModeLowpan)}
			}
			cfg.Out, cfg.Color = a.out, isTerminal(a.out) && os.Getenv("NO_COLOR") == ""
			if err := demo.Run(c.Context(), cfg); err != nil {
				return &failure{} // it has said what
			}
			return nil
		},
	}
	c.Flags().BoolVar(&cfg.Stay, "stay", false, "stay up afterwards, until interrupted")
	c.Flags().StringVar(&cfg.Mode, "mode", gateway.ModeThread, "kind of network: thread, or lowpan for a plain 6LoWPAN network with EAP")
	c.Flags().BoolVar(&cfg.InProcess, "in-process", false, "use no network namespace: the gateway pings, not the kernel")
	return c
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
