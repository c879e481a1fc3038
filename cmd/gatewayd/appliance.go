package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"gatewayd/internal/appliance"
)

func (a *app) applianceCommand() *cobra.Command {
	c := &cobra.Command{Use: "appliance", Short: "What the scripts of the flashable image need", Hidden: true}
	c.AddCommand(a.applianceSettings(), a.applianceGrow(), a.applianceSlot(), a.applianceTime(), a.applianceReset(), a.applianceTrial(), a.applianceReboot())
	return group(c)
}

func (a *app) applianceSettings() *cobra.Command {
	return &cobra.Command{
		Use:   "settings BOOT DIR",
		Short: "Read the settings on the boot partition into files below a folder",
		Long: `Read gatewayd.conf and what Raspberry Pi Imager has written in the folder BOOT,
and write each setting to a file of its own below DIR. What is wrong is named and
passed over; it fails only if DIR cannot be written.`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			s, errs := appliance.LoadSettings(args[0])
			for _, err := range errs {
				fmt.Fprintln(a.err, "gatewayd:", plain(err.Error()))
			}
			return s.Write(args[1], errs)
		},
	}
}

func (a *app) applianceGrow() *cobra.Command {
	return &cobra.Command{
		Use:   "grow DIR",
		Short: "Grow the mounted data partition to the end of its card",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			before, after, err := appliance.Grow(args[0])
			if err != nil {
				return err
			}
			if before != after {
				fmt.Fprintf(a.out, "grew %s from %d to %d MiB\n", args[0], before>>20, after>>20)
			}
			return nil
		},
	}
}

func (a *app) applianceSlot() *cobra.Command {
	return &cobra.Command{
		Use:   "slot",
		Short: "Print the partition that the running system was started from",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			n, err := appliance.Booted()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, n)
			return err
		},
	}
}

func (a *app) applianceTime() *cobra.Command {
	var save, trouble string
	c := &cobra.Command{
		Use:   "time FILE...",
		Short: "Keep the clock by the time servers in the first file that names some",
		Args:  args(cobra.ArbitraryArgs),
		RunE: func(c *cobra.Command, args []string) error {
			return appliance.KeepTime(c.Context(), appliance.Time{Save: save, Trouble: trouble, Log: slog.New(slog.NewTextHandler(a.err, nil)),
				Servers: func() []string {
					for _, file := range args {
						if l := lines(file); len(l) > 0 {
							return l
						}
					}
					return nil
				}})
		},
	}
	c.Flags().StringVar(&trouble, "trouble", "/run/gatewayd/time", "file that is there while no server answers")
	c.Flags().StringVar(&save, "save", "/data/clock", "file to save the time in")
	return c
}
