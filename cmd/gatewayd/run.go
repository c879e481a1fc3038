package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/gateway"
	"gatewayd/internal/filepages"
)

func (a *app) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the gateway until it is told to stop",
		Long: `Run the gateway until it gets SIGINT or SIGTERM.

Each setting is a key of the configuration file and a flag; the flag wins. A
service manager that sets NOTIFY_SOCKET is told when the gateway is ready.`,
		Example: `  gatewayd run --radio spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800
  gatewayd run --radio sim:1 --tun "" --data-dir /tmp/gw --socket /tmp/gw.sock`,
		Args: args(cobra.NoArgs),
	}
	defaults := gateway.Defaults()
	for _, k := range gateway.Keys {
		if k.Name != "socket" { // which every command has
			c.Flags().String(k.Name, k.Get(&defaults), k.Usage)
		}
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.load()
		if err != nil {
			return usageError{err}
		}
		for _, k := range gateway.Keys {
			if f := c.Flags().Lookup(k.Name); f.Changed {
				k.Set(&cfg, f.Value.String())
			}
		}
		if err := cfg.Validate(); err != nil {
			return usageError{err}
		}
		return a.serve(c.Context(), cfg)
	}
	return c
}

// oneProcessor is for a program in which one goroutine does the work, packet by
// packet. On several processors handing each packet to it costs more than the
// packet does.
func oneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// startTime is longer than starting takes, the attaching to a stored network
// included.
const startTime = 10 * time.Second

// serve runs a gateway and answers commands to it.
func (a *app) serve(ctx context.Context, cfg gateway.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	oneProcessor()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // the heap is a few MB: memory is scarcer than time
	}
	events := &api.Events{}
	level := cfg.Level()
	log := slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}), events.Handler(level)))

	l, err := api.Listen(ctx, cfg.Socket)
	if err != nil {
		return err
	}
	defer l.Close() // if Serve does not come to it
	defer context.AfterFunc(ctx, func() { _ = notify("STOPPING=1") })()

	log.Info("starting", "id", "GW-START", "version", version, "radio", cfg.Radio, "socket", cfg.Socket)
	var served error // written before Run returns
	err = gateway.Run(ctx, cfg, gateway.Options{Log: log, Version: "gatewayd " + version, Ready: func(g *gateway.Gateway) {
		if err := notify("READY=1"); err != nil {
			log.Warn("the service manager was not told", "id", "GW-NOTIFY", "err", err)
		}
		defer time.AfterFunc(startTime, func() {
			if err := filepages.Unmap(); err != nil {
				log.Debug("what starting needed stays mapped", "id", "GW-MEMORY", "err", err)
			}
		}).Stop()
		srv := api.NewServer(g, api.ServerConfig{Version: version, Log: log, Events: events})
		served = srv.Serve(ctx, l)
		cancel() // a gateway that nobody can command is of no use
	}})
	if err := errors.Join(err, served); err != nil {
		return err
	}
	log.Info("stopped", "id", "GW-STOP")
	return nil
}
