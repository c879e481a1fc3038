package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/thread/meshcop"
)

func (a *app) datasetCommand() *cobra.Command {
	c := &cobra.Command{Use: "dataset", Short: "The network's operational dataset: make, change, show, import, export"}
	c.AddCommand(a.datasetNew(), a.datasetSet(), a.datasetRevoke(), a.datasetShow(), a.datasetImport(), a.datasetExport())
	return group(c)
}

func (a *app) datasetNew() *cobra.Command {
	var in api.NewDataset
	c := &cobra.Command{
		Use:   "new",
		Short: "Form a new network",
		Long: `Form a new network and start it at once. What is not given is random; keys come
from the operating system's random source. A gateway that belongs to a network
does not leave it without --force.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.askDataset(c, func(cl *api.Client) (api.Dataset, error) { return cl.NewDataset(c.Context(), in) })
		},
	}
	f := c.Flags()
	networkFlags(c, &in.Name, &in.Channel, &in.PANID, &in.MeshLocalPrefix, &in.NetworkKey)
	f.StringVar(&in.ExtPANID, "extpanid", "", "extended PAN ID, 16 hexadecimal digits")
	f.StringVar(&in.PSKc, "pskc", "", "commissioner's key, 32 hexadecimal digits; likewise")
	f.BoolVar(&in.Force, "force", false, "leave the network the gateway belongs to")
	return a.printsJSON(c)
}

// networkFlags are those of a network that is made or changed.
func networkFlags(c *cobra.Command, name *string, channel *uint16, panID **uint16, meshLocalPrefix, key *string) {
	f := c.Flags()
	f.StringVar(name, "name", "", "network name, at most 16 bytes")
	f.Uint16Var(channel, "channel", 0, "channel, 11 to 26")
	f.Func("panid", "PAN ID, as 0x1234", func(s string) error {
		v, err := strconv.ParseUint(s, 0, 16)
		if err != nil {
			return errors.New("not a number of 16 bits")
		}
		*panID = new(uint16(v))
		return nil
	})
	f.StringVar(meshLocalPrefix, "mesh-local-prefix", "", "mesh-local prefix, as fd12:3456:789a::/64")
	f.StringVar(key, "network-key", "", "network key, 32 hexadecimal digits; others may see it among the processes")
}

// askDataset asks the gateway for something whose answer is a dataset, and
// prints that.
func (a *app) askDataset(c *cobra.Command, ask func(cl *api.Client) (api.Dataset, error)) error {
	cl, err := a.client(c)
	if err != nil {
		return err
	}
	d, err := ask(cl)
	if err != nil {
		return err
	}
	return a.printDataset(d)
}

// which adds --pending to a command and says which dataset is meant.
func which(c *cobra.Command) func() string {
	pending := c.Flags().Bool("pending", false, "the pending dataset, not the active one")
	return func() string {
		if *pending {
			return "pending"
		}
		return "active"
	}
}

func (a *app) datasetShow() *cobra.Command {
	c := &cobra.Command{Use: "show", Short: "Show the dataset", Args: args(cobra.NoArgs)}
	what := which(c)
	reveal := c.Flags().Bool("reveal", false, "show network key and PSKc")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		if !*reveal {
			d, err := cl.Dataset(c.Context(), what())
			if err != nil {
				return err
			}
			return a.printDataset(d)
		}
		t, err := cl.ExportDataset(c.Context(), what())
		if err != nil {
			return err
		}
		b, err := hex.DecodeString(t.TLVs)
		if err != nil {
			return fmt.Errorf("the gateway's dataset: %w", err)
		}
		d, err := meshcop.DecodeDataset(b)
		if err != nil {
			return fmt.Errorf("the gateway's dataset: %w", err)
		}
		return a.printDataset(api.DatasetOf(&d, true))
	}
	return a.printsJSON(c)
}

func (a *app) datasetImport() *cobra.Command {
	c := &cobra.Command{
		Use:   "import HEX",
		Short: "Take a network over, by its dataset as hexadecimal TLVs",
		Long: `Take a network over by its dataset as hexadecimal TLVs, and start attaching to it.
With - the dataset is read from the standard input, where others cannot see it.`,
		Example: "  ot-ctl dataset active -x | head -1 | gatewayd dataset import -",
		Args:    args(cobra.ExactArgs(1)),
	}
	what := which(c)
	force := c.Flags().Bool("force", false, "leave the network the gateway belongs to")
	c.RunE = func(c *cobra.Command, args []string) error {
		text := args[0]
		if text == "-" {
			b, err := io.ReadAll(io.LimitReader(a.in, api.MaxBody))
			if err != nil {
				return fmt.Errorf("reading the dataset: %w", err)
			}
			text = string(b)
		}
		return a.askDataset(c, func(cl *api.Client) (api.Dataset, error) {
			return cl.ImportDataset(c.Context(), what(), api.TLVs{TLVs: strings.TrimSpace(text), Force: *force})
		})
	}
	return a.printsJSON(c)
}

func (a *app) datasetExport() *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Print the dataset as hexadecimal TLVs, keys and all",
		Args:  args(cobra.NoArgs),
	}
	what := which(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		t, err := cl.ExportDataset(c.Context(), what())
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.out, t)
		}
		_, err = fmt.Fprintln(a.out, t.TLVs)
		return err
	}
	return a.printsJSON(c)
}

func (a *app) printDataset(d api.Dataset) error {
	if a.json {
		return printJSON(a.out, d)
	}
	var p pairs
	timestamp := func(name string, t *uint64) {
		if t != nil {
			p.add(name, fmt.Sprint(*t))
		}
	}
	networkPairs(&p, &d.Network)
	p.add("network key", d.NetworkKey)
	p.add("PSKc", d.PSKc)
	p.add("channels", ranges(d.Channels))
	if d.WakeupChannel != 0 {
		p.add("wake-up channel", fmt.Sprint(d.WakeupChannel))
	}
	if d.Policy != nil {
		p.add("security policy", fmt.Sprintf("new key every %d h; allowed: %s", d.Policy.RotationHours, orDash(strings.Join(d.Policy.Flags, ", "))))
	}
	timestamp("active timestamp", d.ActiveTimestamp)
	timestamp("pending timestamp", d.PendingTimestamp)
	if d.PendingTimestamp != nil {
		p.add("active in", span(d.Delay))
	}
	if d.Unknown > 0 {
		p.add("unknown TLVs", fmt.Sprint(d.Unknown))
	}
	p.print(a.out)
	return nil
}
