// Package gateway puts a border router together: configuration in, running
// gateway out.
package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// DefaultConfigFile is read when no other is named, if it exists.
const DefaultConfigFile = "/etc/gatewayd.toml"

// A Config is what the configuration file and the flags say.
type Config struct {
	Radio    string `toml:"radio"`     // URL of the radio
	TUN      string `toml:"tun"`       // name of the mesh's interface
	DataDir  string `toml:"data-dir"`  // where durable state is kept
	Socket   string `toml:"socket"`    // Unix socket for the command line
	Infra    string `toml:"infra"`     // interface towards the infrastructure network, or empty for none
	Network  string `toml:"network"`   // of a gateway without one: NetworkNew, a dataset's file, or empty for none
	LogLevel string `toml:"log-level"` // debug, info, warn or error
	Mode     string `toml:"mode"`      // ModeThread or ModeLowpan
	Inbound  string `toml:"inbound"`   // who may talk to devices unasked: local, all or none
	Egress   string `toml:"egress"`    // what devices may send out unasked: accept or drop
	// NoFirewall is what becomes of traffic between the mesh and elsewhere if
	// the kernel cannot filter it: open or closed.
	NoFirewall string `toml:"no-firewall"`
	NAT64      string `toml:"nat64"`    // on or off
	PD         string `toml:"pd"`       // ask for a delegated prefix: on or off
	Backbone   string `toml:"backbone"` // be a Backbone Router: on or off
	TREL       string `toml:"trel"`     // reach nodes by the infrastructure, too: on, off, or by which interfaces
	// Domain is the prefix of the Thread domain, which the Backbone Router
	// publishes; empty: another one does, or there is none.
	Domain string `toml:"domain"`

	Lowpan LowpanConfig `toml:"lowpan"` // of ModeLowpan

	// InboundRules come before Inbound, EgressRules before Egress.
	InboundRules []PolicyRule `toml:"inbound-rule"`
	EgressRules  []PolicyRule `toml:"egress-rule"`
}

// Defaults is the configuration with nothing said.
func Defaults() Config {
	return Config{
		TUN:        "wpan0",
		DataDir:    "/var/lib/gatewayd",
		Socket:     "/run/gatewayd.sock",
		LogLevel:   "info",
		Mode:       ModeThread,
		Inbound:    "local",
		Egress:     "accept",
		NoFirewall: failOpen,
		NAT64:      "on",
		PD:         "on",
		Backbone:   "on",
		TREL:       "on",
		Lowpan:     defaultLowpan(),
	}
}

// LoadConfig reads a configuration file over the defaults. The error names
// every unknown key, every value of the wrong type and every rule that makes no
// sense, by file, line and column, but Validate judges the other values: flags
// may yet override them.
func LoadConfig(file string) (Config, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("gateway: reading the configuration: %w", err)
	}
	return ParseConfig(file, b)
}

// ParseConfig is LoadConfig for a file's contents; file is its name in
// errors.
func ParseConfig(file string, b []byte) (Config, error) {
	c := Defaults()
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // some editors begin a file so
	err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&c)
	var unknown *toml.StrictMissingError
	var at *toml.DecodeError
	switch {
	case err == nil:
		if errs := c.checkRules(ruleLines(file, b)); errs != nil {
			return Config{}, errors.Join(errs...)
		}
		return c, nil
	case errors.As(err, &unknown):
		var errs []error
		for i := range unknown.Errors {
			key := strings.Join(unknown.Errors[i].Key(), ".")
			errs = append(errs, positioned(file, &unknown.Errors[i], fmt.Sprintf("no such key %q%s", key, suggest(key))))
		}
		return Config{}, errors.Join(errs...)
	case errors.As(err, &at):
		what := plain(strings.TrimPrefix(at.Error(), "toml: "))
		if key := strings.Join(at.Key(), "."); key != "" {
			what = key + ": " + what
		}
		return Config{}, positioned(file, at, what)
	default:
		return Config{}, fmt.Errorf("gateway: %s: %w", file, err)
	}
}

// plain words a mismatch of types without this program's own names.
func plain(what string) string {
	if got, ok := strings.CutPrefix(what, "cannot decode TOML "); ok {
		if got, want, ok := strings.Cut(got, " into "); ok {
			return "want a " + want[strings.LastIndexByte(want, ' ')+1:] + ", not " + got
		}
	}
	return what
}

// positioned is an error that begins where editors can jump to.
func positioned(file string, at *toml.DecodeError, what string) error {
	row, col := at.Position()
	return fmt.Errorf("gateway: %s:%d:%d: %s", file, row, col, what)
}

// Validate checks every value and reports all that is wrong.
func (c *Config) Validate() error {
	var errs []error
	for _, k := range Keys {
		if err := k.check(k.Get(c)); err != nil {
			errs = append(errs, fmt.Errorf("gateway: %s: %w", k.Name, err))
		}
	}
	if slices.Contains(c.infraNames(), c.TUN) {
		errs = append(errs, fmt.Errorf("gateway: infra: %s is the mesh's own interface (tun)", c.TUN))
	}
	errs = append(errs, c.checkRules(func(string, int) string { return "" })...)
	if infra := c.infraNames(); c.trel() && c.TREL != "on" && infra != nil {
		for name := range strings.SplitSeq(c.TREL, ",") {
			if !slices.Contains(infra, name) {
				errs = append(errs, fmt.Errorf("gateway: trel: %s is none of the interfaces of infra", name))
			}
		}
	}
	if c.Mode == ModeLowpan {
		if c.Network != "" {
			errs = append(errs, errors.New("gateway: network: is of Thread only: a plain 6LoWPAN network is what [lowpan] says"))
		}
		errs = append(errs, c.Lowpan.check()...)
	}
	return errors.Join(errs...)
}

// translates reports whether the gateway is to have a NAT64.
func (c *Config) translates() bool { return c.NAT64 == "on" && c.Mode == ModeThread }

// asksPrefix reports whether the gateway is to ask for a prefix of the mesh's
// own: not if the configuration has one.
func (c *Config) asksPrefix() bool {
	return c.Infra != "" && c.PD == "on" && (c.Mode == ModeThread || c.Lowpan.Prefix == "")
}

// Level returns the log level of a valid configuration.
func (c *Config) Level() slog.Level {
	var l slog.Level
	l.UnmarshalText([]byte(c.LogLevel)) // Validate has seen it
	return l
}
