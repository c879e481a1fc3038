package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gatewayd/internal/update"
)

func (a *app) updateKey() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make a key to sign updates with",
		Long: `Make a key to sign updates with, in FILE, which only you can read. Whoever has
it can make updates that your gateways take: keep it off the machines that build
and off the network, and keep a copy, for gateways trust no other.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return update.NewKey(args[0]) },
	}
}

func (a *app) updatePublic() *cobra.Command {
	return &cobra.Command{
		Use:   "public KEY",
		Short: "Print the public part of a key, which gateways check signatures with",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := update.LoadPrivateKey(args[0])
			if err != nil {
				return err
			}
			b, err := update.PublicPEM(k)
			if err != nil {
				return err
			}
			_, err = a.out.Write(b)
			return err
		},
	}
}

func (a *app) updateBundle() *cobra.Command {
	var keyFile string
	var m update.Manifest
	c := &cobra.Command{
		Use:     "bundle SLOT BUNDLE",
		Short:   "Make a signed update out of a slot's file system",
		Example: `  gatewayd update bundle --key signing.key --board raspberrypi --version 1.2 slot.vfat raspberrypi.update`,
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if keyFile == "" || m.Board == "" || m.Version == "" {
				return usageError{errors.New("want --key, --board and --version")}
			}
			k, err := update.LoadPrivateKey(keyFile)
			if err != nil {
				return err
			}
			slot, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer slot.Close()
			f, err := os.Create(args[1])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			return update.Bundle(f, slot, m, k)
		},
	}
	c.Flags().StringVar(&keyFile, "key", "", "file with the key to sign with")
	c.Flags().StringVar(&m.Board, "board", "", "board that the update is for")
	c.Flags().StringVar(&m.Version, "version", "", "version that it is: 1.2, 1.2-rc1, 1.2-14-g0123abc")
	c.Flags().StringVar(&m.Minimum, "minimum", "", "oldest version that takes it (default any)")
	return c
}

func (a *app) updateSign() *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use:   "sign BUNDLE",
		Short: "Put another signature on an update",
		Long: `Put another signature on an update, in place of the one it has: it can be built
on one machine and signed on another, which has the key and nothing else.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if keyFile == "" {
				return usageError{errors.New("want --key")}
			}
			k, err := update.LoadPrivateKey(keyFile)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			if err := update.Sign(f, k); err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(args[0]), err)
			}
			return nil
		},
	}
	c.Flags().StringVar(&keyFile, "key", "", "file with the key to sign with")
	return c
}
