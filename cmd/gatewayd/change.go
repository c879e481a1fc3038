package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/api"
)

func (a *app) datasetSet() *cobra.Command {
	var in api.ChangeDataset
	var panID string
	var delay time.Duration
	c := &cobra.Command{
		Use:   "set",
		Short: "Change the whole network after a delay",
		Long: `Change the whole network, by a pending dataset: the leader tells it to every
device, and when the delay is over all of them change at once. The delay must be
long enough for devices that sleep; at least 30 s, with another network key at
least 5 minutes.`,
		Example: "  gatewayd dataset set --channel 20 --delay 5m",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if panID != "" {
				v, err := strconv.ParseUint(panID, 0, 16)
				if err != nil {
					return usageError{fmt.Errorf("--panid: %q is not a number of 16 bits", panID)}
				}
				in.PANID = new(uint16(v))
			}
			if delay <= 0 {
				return usageError{fmt.Errorf("--delay: %v is no delay", delay)}
			}
			in.Delay = delay.Seconds()
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			d, err := cl.ChangeDataset(c.Context(), in)
			if err != nil {
				return err
			}
			return a.printDataset(d)
		},
	}
	f := c.Flags()
	f.StringVar(&in.Name, "name", "", "network name, at most 16 bytes")
	f.Uint16Var(&in.Channel, "channel", 0, "channel, 11 to 26")
	f.StringVar(&panID, "panid", "", "PAN ID, as 0x1234")
	f.StringVar(&in.MeshLocalPrefix, "mesh-local-prefix", "", "mesh-local prefix, as fd12:3456:789a::/64")
	f.StringVar(&in.NetworkKey, "network-key", "", "network key, 32 hexadecimal digits; others may see it among the processes")
	f.BoolVar(&in.NewNetworkKey, "new-network-key", false, "a random network key")
	f.DurationVar(&delay, "delay", 5*time.Minute, "time until all devices change")
	return a.printsJSON(c)
}

func (a *app) datasetRevoke() *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke",
		Short: "Take a pending change of the network back",
		Long: `Take a pending change of the network back, by another pending dataset that
changes nothing: devices can only be told of newer ones.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			d, err := cl.RevokeDataset(c.Context())
			if err != nil {
				return err
			}
			return a.printDataset(d)
		},
	}
	return a.printsJSON(c)
}
