package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"gatewayd/internal/appliance"
)

func (a *app) applianceReset() *cobra.Command {
	return &cobra.Command{
		Use:   "reset",
		Short: "Do the factory reset that a file on the boot partition asks for",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			card, err := appliance.FindCard(appliance.BootDir)
			if err != nil {
				return err
			}
			return card.Reset(appliance.EmptyData, func(what string) { fmt.Fprintln(a.out, "gatewayd:", what) })
		},
	}
}

func (a *app) applianceReboot() *cobra.Command {
	return &cobra.Command{
		Use:   "reboot ARGUMENT",
		Short: "Restart at once, with an argument for the firmware",
		Args:  args(cobra.ExactArgs(1)),
		RunE:  func(_ *cobra.Command, args []string) error { return appliance.Reboot(args[0]) },
	}
}

func (a *app) applianceTrial() *cobra.Command {
	var notices string
	var healthy, limit time.Duration
	c := &cobra.Command{
		Use:   "trial",
		Short: "Keep the slot that runs if it is on trial and is well, or restart into the other",
		Args:  args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := findSlots()
			if err != nil {
				return errors.Join(err, appliance.Abandon(appliance.AttemptFile, err, appliance.Restart))
			}
			t := appliance.Trial{
				Slot: s.running, Version: s.image.Version, Autoboot: s.autoboot, Attempt: appliance.AttemptFile,
				Health:     func(ctx context.Context) appliance.Health { return a.health(ctx, c) },
				HealthyFor: healthy, Limit: limit, Uptime: uptime,
				Keep: s.card.Keep, Restart: appliance.Restart,
				Notice: func(text string) {
					fmt.Fprintln(a.out, "gatewayd:", text)
					if err := appendLine(notices, text); err != nil {
						fmt.Fprintln(a.err, "gatewayd:", err)
					}
				},
			}
			return t.Run(c.Context())
		},
	}
	c.Flags().StringVar(&notices, "notices", "", "file for what the page is to say")
	c.Flags().DurationVar(&healthy, "healthy", time.Minute, "how long it has to be well on end")
	c.Flags().DurationVar(&limit, "limit", 10*time.Minute, "uptime after which the other slot comes back")
	return c
}

// uptime is since the kernel has started.
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // Linux has that clock
	}
	return time.Duration(ts.Nano())
}

func appendLine(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, text)
	return errors.Join(err, f.Close())
}
