package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/api/web"
)

func (a *app) pageCommand() *cobra.Command {
	var listen, problems, notices, clock, ssh, name string
	var metrics bool
	c := &cobra.Command{
		Use:   "page",
		Short: "Serve a page that says what the gateway sees and what is missing",
		Long: `Serve a page for people that says in plain words what the gateway sees: the
dongle, the network of the devices, the network it is connected to, and what is
missing. It only shows. It is a process of its own, so that it can also tell
that the gateway does not run.

With --name the page is also found by the host's name, http://NAME.local, by
multicast DNS. If another host has that name, this one takes the next that is
free, NAME-2, becomes that and keeps it in the file.`,
		Example: `  gatewayd page --listen 127.0.0.1:8080`,
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			opt := web.Options{
				Version: version,
				Status: func(ctx context.Context) (api.Status, error) {
					cl, err := a.client(c)
					if err != nil {
						return api.Status{}, err
					}
					return cl.Status(ctx)
				},
				Links:    links,
				Problems: func() []string { return lines(problems) },
				Notices:  func() []string { return lines(notices) },
				NoTime:   func() []string { return lines(clock) },
				SSH:      func() string { return strings.Join(lines(ssh), " ") },
				Hostname: hostname,
				Local:    name != "",
			}
			if metrics {
				opt.Metrics = func(ctx context.Context) ([]byte, error) {
					cl, err := a.client(c)
					if err != nil {
						return nil, err
					}
					return cl.Metrics(ctx)
				}
			}
			p := web.New(opt)
			if name == "" {
				return p.ListenAndServe(c.Context(), listen)
			}
			port, err := listenPort(listen)
			if err != nil {
				return usageError{err}
			}
			return a.named(c.Context(), name, port, func(ctx context.Context) error { return p.ListenAndServe(ctx, listen) })
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address and port to answer on; without an address: on all")
	c.Flags().BoolVar(&metrics, "metrics", false, "also answer GET /metrics, for Prometheus")
	c.Flags().StringVar(&problems, "problems", "", "file with what is wrong in the settings, one a line")
	c.Flags().StringVar(&notices, "notices", "", "file with what else is wrong with this host, likewise")
	c.Flags().StringVar(&clock, "no-time", "", "file with the time servers that do not answer, if none does")
	c.Flags().StringVar(&ssh, "ssh", "", "file with the fingerprint of this host's SSH key, if there is SSH")
	c.Flags().StringVar(&name, "name", "", "publish the host's name, and keep in this file the one that it gets if it is taken")
	return c
}

// links are the host's interfaces towards other networks than the mesh.
func links() []web.Link {
	all, err := net.Interfaces()
	if err != nil {
		return nil // the page says that there is none
	}
	var out []web.Link
	for _, i := range all {
		// A mesh's interface is a tunnel.
		if i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
			continue
		}
		l := web.Link{Name: i.Name, Up: i.Flags&net.FlagRunning != 0}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				l.Addresses = append(l.Addresses, p.Addr())
			}
		}
		out = append(out, l)
	}
	return out
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "gateway"
	}
	return name
}

// lines of a file that may be missing.
func lines(file string) []string {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}
