package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/api"
)

func (a *app) datasetSet() *cobra.Command {
	var in api.ChangeDataset
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
			if delay <= 0 {
				return usageError{fmt.Errorf("--delay: %v is no delay", delay)}
			}
			in.Delay = delay.Seconds()
			return a.askDataset(c, func(cl *api.Client) (api.Dataset, error) { return cl.ChangeDataset(c.Context(), in) })
		},
	}
	f := c.Flags()
	networkFlags(c, &in.Name, &in.Channel, &in.PANID, &in.MeshLocalPrefix, &in.NetworkKey)
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
			return a.askDataset(c, func(cl *api.Client) (api.Dataset, error) { return cl.RevokeDataset(c.Context()) })
		},
	}
	return a.printsJSON(c)
}
