package main

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/pacd"
	"gatewayd/pana"
	"gatewayd/radio"
	"gatewayd/wpan"
)

func (a *app) pacCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pac [ADDRESS]",
		Short: "Authenticate like a device: a PANA client for tests and field checks",
		Long: `Authenticate like a device, by any EAP method there is, and say what happens:

  with an address, to the PANA agent or relay there, over this host's UDP;
  with --radio, as a device of a plain 6LoWPAN network: it finds the network,
  authenticates, gets an address, answers pings, and stays until interrupted.

Keys that the agent hands out are named, not shown.`,
		Example: `  gatewayd pac 192.0.2.7 --identity pump-7 --psk-file pump-7.key
  gatewayd pac '[2001:db8::7]:716' --identity meter --cert meter.pem --key meter.key --ca ca.pem
  gatewayd pac --radio sim:5 --router --identity pump-7 --psk-file pump-7.key`,
		Args: args(cobra.MaximumNArgs(1)),
	}
	var in pacFlags
	f := c.Flags()
	f.StringVar(&in.identity, "identity", "", "who to be")
	f.StringVar(&in.pskFile, "psk-file", "", "file with a pre-shared key, 32 hexadecimal digits; - is standard input")
	f.StringVar(&in.cert, "cert", "", "PEM file of a certificate, for EAP-TLS")
	f.StringVar(&in.key, "key", "", "PEM file of its key")
	f.StringVar(&in.ca, "ca", "", "PEM file of the authority that the server's certificate is from")
	f.BoolVar(&in.tls12, "tls12", false, "TLS 1.2 at most")
	f.BoolVar(&in.zigbee, "zigbee-ip", false, "PANA as ZigBee IP has it")
	f.BoolVar(&in.noPiggyback, "no-piggyback", false, "send EAP responses in requests of its own")
	f.BoolVar(&in.stay, "stay", false, "keep the session until interrupted")
	f.DurationVar(&in.timeout, "timeout", 30*time.Second, "how long to wait for an agent that does not answer")
	f.StringVar(&in.radio, "radio", "", "URL of a radio to join with")
	f.BoolVar(&in.router, "router", false, "with --radio: be a router, which takes others further")
	f.BoolVar(&in.open, "open", false, "with --radio: the network has no link security")
	f.StringVar(&in.network, "network", "", "with --radio: the network's name; default any")
	f.IntVar(&in.channel, "channel", 0, "with --radio: the network's channel; default all")
	f.StringVar(&in.pan, "pan-id", "", "with --radio and --open: the network's PAN id, for one without beacons")
	f.StringVar(&in.dataDir, "data-dir", "", "with --radio: where frame counters are kept; default in your configuration directory")
	c.RunE = func(c *cobra.Command, args []string) error {
		if (len(args) == 0) == (in.radio == "") {
			return usageError{errors.New("want either an address or --radio")}
		}
		if in.timeout <= 0 {
			return usageError{fmt.Errorf("--timeout: %v is no time to wait", in.timeout)}
		}
		cred, err := a.pacCredential(&in)
		if err != nil {
			return err
		}
		if in.radio != "" {
			return a.pacDevice(c.Context(), &in, cred)
		}
		return a.pacUDP(c.Context(), args[0], &in, cred)
	}
	return c
}

// pacFlags are what the command line says.
type pacFlags struct {
	identity, pskFile, cert, key, ca, radio, network, pan, dataDir string
	tls12, zigbee, noPiggyback, stay, router, open                 bool
	channel                                                        int
	timeout                                                        time.Duration
}

func (in *pacFlags) profile() pana.Profile {
	if in.zigbee {
		return pana.ZigBeeIP
	}
	return pana.Standard
}

func (a *app) pacCredential(in *pacFlags) (pacd.Credential, error) {
	cred := pacd.Credential{Identity: in.identity, Certificate: in.cert, Key: in.key, CA: in.ca}
	if in.open {
		return cred, nil
	}
	if in.identity == "" {
		return cred, usageError{errors.New("--identity is missing: who to be")}
	}
	if given := in.cert != "" || in.key != "" || in.ca != ""; given && (in.cert == "" || in.key == "" || in.ca == "") {
		return cred, usageError{errors.New("EAP-TLS needs all of --cert, --key and --ca")}
	}
	if in.tls12 {
		cred.MaxTLS = stdtls.VersionTLS12
	}
	if in.pskFile == "" && in.cert == "" {
		return cred, usageError{errors.New("--psk-file or --cert is missing: what to authenticate by")}
	}
	if in.pskFile != "" {
		k, err := a.readKey(in.pskFile)
		if err != nil {
			return cred, err
		}
		if cred.PSK, err = parseKey(k); err != nil {
			return cred, err
		}
	}
	return cred, nil
}

// agentOf reads an address with or without a port; the default is PANA's.
func agentOf(s string) (netip.AddrPort, error) {
	if p, err := netip.ParseAddrPort(s); err == nil {
		return p, nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(ip, 716), nil
	}
	host, port := s, "716"
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = h, p
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no address and port", s)
	}
	ips, err := net.LookupIP(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, _ := netip.AddrFromSlice(ips[0])
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
}

func (a *app) pacUDP(ctx context.Context, to string, in *pacFlags, cred pacd.Credential) error {
	agent, err := agentOf(to)
	if err != nil {
		return usageError{err}
	}
	began := time.Now()
	fmt.Fprintf(a.out, "asking the PANA agent at %v\n", agent)
	return pacd.RunUDP(ctx, pacd.UDPConfig{Agent: agent, Credential: cred, Profile: in.profile(), NoPiggyback: in.noPiggyback, Stay: in.stay, Timeout: in.timeout,
		Event: func(e pana.Event) { a.pacEvent(began, e) },
		Keys: func(ks []pana.NetworkKey) {
			for _, k := range ks {
				fmt.Fprintf(a.out, "%8.3f s  got network key %d\n", time.Since(began).Seconds(), k.Index)
			}
		}})
}

// pacEvent tells what happened to the client's session.
func (a *app) pacEvent(began time.Time, e pana.Event) {
	s := e.Session
	text := e.Kind.String()
	if e.Kind == pana.SessionAuthorized {
		text = fmt.Sprintf("authorized by %v, session 0x%08x, %v", s.Method, s.ID, s.Suite)
		if !s.Expires.IsZero() {
			text += fmt.Sprintf(", for %v", s.Lifetime)
		}
	}
	if e.Reason != nil {
		text += ": " + printable(e.Reason.Error())
	}
	fmt.Fprintf(a.out, "%8.3f s  %s\n", time.Since(began).Seconds(), text)
}

func (a *app) pacDevice(ctx context.Context, in *pacFlags, cred pacd.Credential) error {
	u, err := radio.ParseURL(in.radio)
	if err != nil {
		return usageError{err}
	}
	cfg := pacd.DeviceConfig{Radio: u, Credential: cred, Open: in.open, Profile: in.profile(), DataDir: in.dataDir}
	if in.router {
		cfg.Role = wpan.Router
	}
	if cfg.Network, err = wpan.ParseNetworkID(in.network); err != nil {
		return usageError{err}
	}
	if in.channel != 0 {
		if in.channel < 11 || in.channel > 26 {
			return usageError{fmt.Errorf("--channel: %d is none of 11 to 26", in.channel)}
		}
		cfg.Channels = 1 << in.channel
	}
	if in.pan != "" {
		v, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(in.pan), "0x"), 16, 16)
		if err != nil || !in.open || in.channel == 0 {
			return usageError{errors.New("--pan-id is four hexadecimal digits, and goes with --open and --channel")}
		}
		cfg.PANID, cfg.Channel = uint16(v), uint8(in.channel)
	}
	if cfg.DataDir == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("--data-dir: %w", err)
		}
		cfg.DataDir = filepath.Join(dir, "gatewayd-pac")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	began := time.Now()
	cfg.Event = func(e wpan.Event) {
		text := e.Text
		for _, x := range e.Attrs {
			text += fmt.Sprintf(" %s=%s", x.Key, printable(fmt.Sprint(x.Value)))
		}
		if e.Err != nil {
			text += ": " + printable(e.Err.Error())
		}
		fmt.Fprintf(a.out, "%8.3f s  %s\n", time.Since(began).Seconds(), text)
	}
	cfg.Ready = func(n *wpan.Node) {
		fmt.Fprintf(a.out, "%8.3f s  in the network as %v\n", time.Since(began).Seconds(), n.Addresses())
	}
	return pacd.RunDevice(ctx, cfg)
}
