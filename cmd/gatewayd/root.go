package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/gateway"
)

// app is what the commands share.
type app struct {
	streams
	config string // file
	socket string
	json   bool
}

func newRoot(s streams) *cobra.Command {
	a := &app{streams: s}
	root := &cobra.Command{
		Use:   "gatewayd",
		Short: "A border router for Thread networks, on a bare 802.15.4 dongle",
		Long: `gatewayd turns a Linux host with an 802.15.4 dongle into a gateway to a Thread
network. ` + "`gatewayd run`" + ` is the gateway; most other commands talk to a running one.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no running gateway answers.`,
		SilenceErrors: true, SilenceUsage: true,
	}
	group(root)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&a.config, "config", "",
		fmt.Sprintf("configuration file (default %s, if there is one)", gateway.DefaultConfigFile))
	root.PersistentFlags().StringVar(&a.socket, "socket", gateway.Defaults().Socket, key("socket").Usage)
	root.AddCommand(a.runCommand(), a.statusCommand(), a.datasetCommand(), a.joinerCommand(), a.pingCommand(), a.topologyCommand(),
		a.borderCommand(), a.servicesCommand(), a.nat64Command(), a.trelCommand(), a.panaCommand(), a.credentialCommand(), a.radiusCommand(), a.ndCommand(), a.leasesCommand(), a.pacCommand(),
		a.eventsCommand(), a.ctlCommand(), a.radioCommand(), a.rcpCommand(), a.nodeCommand(), a.demoCommand(), a.simCommand(), a.doctorCommand(),
		a.pageCommand(), a.updateCommand(), a.factoryReset(), a.applianceCommand(), a.versionCommand())
	return root
}

// group makes a command that only has others below it.
func group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs // so that RunE says what is wrong
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			c.SetOut(c.ErrOrStderr())
			_ = c.Help()
			return usageError{&failure{}}
		}
		text := fmt.Sprintf("there is no command %q", c.CommandPath()+" "+args[0])
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			text += fmt.Sprintf(", did you mean %q?", near[0])
		}
		return usageError{errors.New(text)}
	}
	c.SuggestionsMinimumDistance = 2
	return c
}

// args makes what a validator finds a usage error.
func args(v cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := v(c, args); err != nil {
			return usageError{fmt.Errorf("%w; usage: %s", err, c.UseLine())}
		}
		return nil
	}
}

// printsJSON gives a command --json.
func (a *app) printsJSON(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.json, "json", false, "print JSON, for programs")
	return c
}

func key(name string) gateway.Key {
	for _, k := range gateway.Keys {
		if k.Name == name {
			return k
		}
	}
	panic("gatewayd: no setting " + name)
}

// load reads the configuration file: the one that was named, or the default
// one if it exists.
func (a *app) load() (gateway.Config, error) {
	if a.config != "" {
		return gateway.LoadConfig(a.config)
	}
	cfg, err := gateway.LoadConfig(gateway.DefaultConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return gateway.Defaults(), nil
	}
	return cfg, err
}

// client reaches the gateway on the socket that the flag names, or else the
// configuration file.
func (a *app) client(c *cobra.Command) (*api.Client, error) {
	if c.Flags().Changed("socket") {
		return api.NewClient(a.socket), nil
	}
	cfg, err := a.load()
	if errors.Is(err, fs.ErrPermission) && a.config == "" {
		cfg, err = gateway.Defaults(), nil // it is the gateway's, not the caller's
	}
	if err != nil {
		return nil, err
	}
	return api.NewClient(cfg.Socket), nil
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print this program's version", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.out, "gatewayd", version)
			return err
		},
	}
}
