package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/thread/meshcop"
)

// askAgain is how long ownNetwork waits for a gateway that does not answer yet.
const askAgain = 500 * time.Millisecond

func (a *app) applianceNetwork() *cobra.Command {
	var notices string
	c := &cobra.Command{
		Use:   "network FILE",
		Short: "Have the gateway adopt the dataset in a file, or make a network, if it belongs to none",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			return ownNetwork(c.Context(), cl, args[0], func(err error) { fmt.Fprintln(a.err, "gatewayd:", plain(err.Error())) }, func(text string) error {
				fmt.Fprintln(a.err, "gatewayd:", text)
				if notices == "" {
					return nil
				}
				return appendLine(notices, text)
			})
		},
	}
	c.Flags().StringVar(&notices, "notices", "", "file for what the page is to say")
	return c
}

// ownNetwork waits until the gateway answers, and has it adopt the network of
// the dataset in a file, or make one if there is no such file. It takes the
// gateway out of no network that it belongs to; notice is told if that is
// another one than the file's. trouble is told what does not work meanwhile.
func ownNetwork(ctx context.Context, cl *api.Client, file string, trouble func(error), notice func(string) error) error {
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	wanted := strings.TrimSpace(string(b))
	for said := ""; ; {
		has, err := cl.Dataset(ctx, "active")
		var no *api.Error
		if errors.As(err, &no) && no.Code == http.StatusNotFound {
			if wanted == "" {
				_, err = cl.NewDataset(ctx, api.NewDataset{})
			} else {
				_, err = cl.ImportDataset(ctx, "active", api.TLVs{TLVs: wanted})
			}
			if err == nil {
				return nil
			}
		}
		var away *api.UnreachableError
		switch {
		case err == nil && wanted != "":
			return tellOther(wanted, &has, file, notice)
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.As(err, &away) && err.Error() != said: // one that starts is away
			said = err.Error()
			trouble(err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(askAgain):
		}
	}
}

// tellOther says it if a dataset, as hexadecimal TLVs, is of another network
// than the gateway's.
func tellOther(wanted string, has *api.Dataset, file string, notice func(string) error) error {
	b, err := hex.DecodeString(wanted)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	d, err := meshcop.DecodeDataset(b)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	other := api.DatasetOf(&d, false)
	if other.ExtPANID == has.ExtPANID {
		return nil
	}
	return notice(fmt.Sprintf("The dataset in the settings is of the network %q, and this gateway belongs to %q already, which it does not leave by itself. "+
		"To have it do that, on its command line: gatewayd dataset import --force - <%s", other.Name, has.Name, file))
}
