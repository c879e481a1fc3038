package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/enrol"
)

func (a *app) panaCommand() *cobra.Command {
	c := &cobra.Command{Use: "pana", Short: "Devices that authenticated to a plain 6LoWPAN network: sessions, disconnect, reauth"}
	c.AddCommand(a.panaSessions(), a.panaDisconnect(), a.panaReauth(), a.panaPermit(), a.panaRotate())
	return group(c)
}

func (a *app) panaSessions() *cobra.Command {
	c := &cobra.Command{Use: "sessions", Aliases: []string{"ls"}, Short: "List the sessions", Args: args(cobra.NoArgs)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		list, err := cl.Sessions(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, list)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(a.out, "no sessions")
			return err
		}
		t := table{}
		t.row("SESSION", "IDENTITY", "METHOD", "DEVICE", "RELAY", "STATE", "SINCE", "ENDS")
		for _, s := range list {
			t.row(s.ID, s.Identity, s.Method, s.Device, orDash(s.Relay), s.State, span(s.Age)+" ago", inOrNever(s.Left))
		}
		t.print(a.out, "")
		return nil
	}
	return a.printsJSON(c)
}

func (a *app) panaDisconnect() *cobra.Command {
	c := &cobra.Command{
		Use: "disconnect SESSION|IDENTITY|DEVICE", Short: "End a device's session: it is told, and may join again",
		Long: `End a device's session. The device is told, and may join again while it has its
credential: remove that first, to keep it out. A device that does not obey still
has the network key; --rotate-key gives all others another one.`,
		Args: args(cobra.ExactArgs(1)),
	}
	rotate := c.Flags().Bool("rotate-key", false, "give all other devices a new network key")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		k, err := cl.Disconnect(c.Context(), args[0], *rotate)
		if err != nil || !*rotate {
			return err
		}
		return a.printRotation(k)
	}
	return c
}

func (a *app) panaReauth() *cobra.Command {
	return &cobra.Command{
		Use: "reauth SESSION|IDENTITY|DEVICE", Short: "Let a device prove itself again", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			return cl.Reauthenticate(c.Context(), args[0])
		},
	}
}

func (a *app) printRotation(k api.KeyRotation) error {
	_, err := fmt.Fprintf(a.out, "key %d is on its way, and in use in half a minute\n", k.Index)
	return err
}

// firstOrJSON ends a command that failed, or that prints JSON.
func firstOrJSON(a *app, err error, v any) error {
	if err != nil {
		return err
	}
	return printJSON(a.out, v)
}

func inOrNever(seconds float64) string {
	if seconds == 0 {
		return "never"
	}
	return "in " + span(seconds)
}

func (a *app) panaPermit() *cobra.Command {
	return &cobra.Command{
		Use: "permit on|off", Short: "Let new devices join, or not", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] != "on" && args[0] != "off" {
				return usageError{fmt.Errorf("%q is neither on nor off", args[0])}
			}
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			return cl.Permit(c.Context(), args[0] == "on")
		},
	}
}

func (a *app) panaRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate-key", Short: "Give all devices a new network key", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			k, err := cl.RotateKey(c.Context())
			if err != nil {
				return err
			}
			return a.printRotation(k)
		},
	}
}

func (a *app) ndCommand() *cobra.Command {
	c := &cobra.Command{Use: "nd", Short: "Neighbour discovery of a plain 6LoWPAN network: table, routes"}
	nd := &cobra.Command{Use: "table", Short: "List the registered addresses", Args: args(cobra.NoArgs)}
	nd.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		list, err := cl.Registrations(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, list)
		}
		t := table{}
		t.row("ADDRESS", "OWNER", "ROUTER", "ENDS")
		for _, r := range list {
			t.row(r.Address, r.Owner, orDash(r.Router), "in "+span(r.Left))
		}
		t.print(a.out, "")
		return nil
	}
	routes := &cobra.Command{Use: "routes", Short: "List the ways that RPL knows to the nodes", Args: args(cobra.NoArgs)}
	routes.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		list, err := cl.Routes(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, list)
		}
		t := table{}
		t.row("TARGET", "HOPS", "ENDS")
		for _, r := range list {
			t.row(r.Target, orDash(strings.Join(r.Hops, " ")), inOrNever(r.Left))
		}
		t.print(a.out, "")
		return nil
	}
	c.AddCommand(a.printsJSON(nd), a.printsJSON(routes))
	return group(c)
}

func (a *app) leasesCommand() *cobra.Command {
	c := &cobra.Command{Use: "leases", Short: "List the addresses handed out by DHCPv6", Args: args(cobra.NoArgs)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		list, err := cl.Leases(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, list)
		}
		t := table{}
		t.row("ADDRESS", "CLIENT", "IAID", "STATE", "ENDS")
		for _, l := range list {
			t.row(l.Address, l.DUID, fmt.Sprint(l.IAID), l.State, "in "+span(l.Left))
		}
		t.print(a.out, "")
		return nil
	}
	return a.printsJSON(c)
}

func (a *app) radiusCommand() *cobra.Command {
	c := &cobra.Command{Use: "radius", Short: "The RADIUS servers: test"}
	test := &cobra.Command{
		Use: "test IDENTITY", Short: "Ask the RADIUS servers about an identity",
		Long: `Ask the RADIUS servers about an identity, and say which answer, and what. Whether
the identity may join is not found out: that takes its credential, see
` + "`gatewayd pac`.",
		Args: args(cobra.ExactArgs(1)),
	}
	test.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		r, err := cl.TestRADIUS(c.Context(), args[0])
		if err != nil || a.json {
			return firstOrJSON(a, err, r)
		}
		for _, s := range r.Servers {
			state := "answers"
			if !s.Alive {
				state = "does not answer"
			}
			fmt.Fprintf(a.out, "%s %s\n", s.Name, state)
		}
		switch {
		case r.Outcome == "continue":
			fmt.Fprintf(a.out, "%s is asked for its credential: the servers take it (%.0f ms)\n", args[0], 1000*r.Elapsed)
			return nil
		case r.Reason != "":
			fmt.Fprintf(a.out, "%s: %s\n", args[0], r.Reason)
		default:
			fmt.Fprintf(a.out, "%s: %s\n", args[0], r.Outcome)
		}
		return &failure{}
	}
	c.AddCommand(a.printsJSON(test))
	return group(c)
}

func (a *app) credentialCommand() *cobra.Command {
	c := &cobra.Command{Use: "credential", Short: "Who may join a plain 6LoWPAN network by EAP: add, list, remove"}
	c.AddCommand(a.credentialAdd(), a.credentialList(), a.credentialRemove())
	return group(c)
}

func (a *app) credentialAdd() *cobra.Command {
	c := &cobra.Command{
		Use:   "add IDENTITY",
		Short: "Let an identity join: by a pre-shared key, or by a certificate",
		Long: `Let an identity join by EAP-PSK or, with --tls, by a certificate whose subject or
alternative name it is; * is every certificate of the certificate authority.

The key, 32 hexadecimal digits, is read from a file or from the terminal, and is
never shown again.`,
		Example: `  gatewayd credential add pump-7 --psk-file pump-7.key
  gatewayd credential add meter.example --tls --eui64 18b4300000000002 --for 720h`,
		Args: args(cobra.ExactArgs(1)),
	}
	f := c.Flags()
	tls := f.Bool("tls", false, "by certificate, EAP-TLS")
	file := f.String("psk-file", "", "file with the key; - is standard input, which is the default")
	eui64 := f.String("eui64", "", "only the device with this EUI-64")
	lifetime := f.Duration("for", 0, "how long it may join; 0 is without end")
	replace := f.Bool("replace", false, "in place of what there is for that identity")
	c.RunE = func(c *cobra.Command, args []string) error {
		in := api.NewCredential{Identity: args[0], Method: "psk", EUI64: *eui64, Lifetime: lifetime.Seconds(), Replace: *replace}
		if err := enrol.CheckIdentity(args[0]); err != nil {
			return usageError{errors.New(strings.TrimPrefix(err.Error(), "enrol: "))}
		}
		if *lifetime < 0 || *lifetime > 0 && *lifetime < time.Second {
			return usageError{fmt.Errorf("--for: %v is less than a second", *lifetime)}
		}
		if *tls {
			if *file != "" {
				return usageError{errors.New("--tls and --psk-file exclude each other")}
			}
			in.Method = "tls"
		} else {
			var err error
			if in.PSK, err = a.readKey(*file); err != nil {
				return err
			}
		}
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		out, err := cl.AddCredential(c.Context(), in)
		if err != nil || a.json {
			return firstOrJSON(a, err, out)
		}
		_, err = fmt.Fprintf(a.out, "%s may join by %s\n", out.Identity, out.Method)
		return err
	}
	return a.printsJSON(c)
}

// readKey reads a key's line from a file, or from standard input.
func (a *app) readKey(file string) (string, error) {
	in := a.in
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	} else if f, ok := a.in.(*os.File); ok {
		if fi, err := f.Stat(); err == nil && fi.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprint(a.err, "pre-shared key (32 hexadecimal digits): ")
		}
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("no key was given: %w", errors.Join(err, usageError{errors.New("want 32 hexadecimal digits")}))
	}
	if _, err := parseKey(line); err != nil {
		return "", err
	}
	return line, nil
}

func parseKey(s string) (enrol.PSK, error) {
	k, err := enrol.ParsePSK(s)
	if err != nil {
		return k, usageError{errors.New(strings.TrimPrefix(err.Error(), "enrol: "))}
	}
	return k, nil
}

func (a *app) credentialList() *cobra.Command {
	c := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List who may join, and what became of it", Args: args(cobra.NoArgs)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		list, err := cl.Credentials(c.Context())
		if err != nil || a.json {
			return firstOrJSON(a, err, list)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(a.out, "nobody may join")
			return err
		}
		t := table{}
		t.row("IDENTITY", "METHOD", "EUI-64", "ENDS", "LAST ATTEMPT")
		for _, x := range list {
			ends, last := inOrNever(x.Left), "-"
			if x.Ended {
				ends = "has ended"
			}
			if x.Tried != "" {
				last = fmt.Sprintf("%s ago by %s: %s", span(x.Ago), x.Device, x.Tried)
			}
			t.row(x.Identity, x.Method, orDash(x.EUI64), ends, last)
		}
		t.print(a.out, "")
		return nil
	}
	return a.printsJSON(c)
}

func (a *app) credentialRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove IDENTITY", Aliases: []string{"rm"}, Short: "Let an identity join no more; a session that it has stays, see `gatewayd pana disconnect`",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			return cl.RemoveCredential(c.Context(), args[0])
		},
	}
}
