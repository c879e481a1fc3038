package gateway

import (
	"errors"
	"fmt"
	"strings"

	"gatewayd/host"
	"gatewayd/host/firewall"
	"gatewayd/radio"
)

// A Key is one setting: in the file under its name, on the command line as a
// flag of the same name, which overrides the file.
type Key struct {
	Name  string
	Usage string // one line, for --help
	field func(*Config) *string
	check func(string) error
}

// Get returns the setting's value in c.
func (k Key) Get(c *Config) string { return *k.field(c) }

// Set changes the setting's value in c; Validate judges it.
func (k Key) Set(c *Config, value string) { *k.field(c) = value }

// Keys lists every setting in the order a reader wants them.
var Keys = []Key{{
	Name:  "radio",
	Usage: "radio to use: a URL as spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800, or auto: one on USB",
	field: func(c *Config) *string { return &c.Radio },
	check: checkRadio,
}, {
	Name:  "tun",
	Usage: "name of the mesh's interface on this host; empty: none, the host's network is left alone",
	field: func(c *Config) *string { return &c.TUN },
	check: checkInterface,
}, {
	Name:  "data-dir",
	Usage: "directory for durable state, made if missing",
	field: func(c *Config) *string { return &c.DataDir },
	check: checkPath,
}, {
	Name:  "socket",
	Usage: "Unix socket on which the command line reaches the gateway",
	field: func(c *Config) *string { return &c.Socket },
	check: checkSocket,
}, {
	Name:  "infra",
	Usage: "interfaces towards the infrastructure network, separated by commas; auto: that of the default route; empty: none",
	field: func(c *Config) *string { return &c.Infra },
	check: checkInfra,
}, {
	Name:  "network",
	Usage: "without a network: new: form one; a file with a dataset: be in that one; empty: wait",
	field: func(c *Config) *string { return &c.Network },
	check: func(v string) error {
		if v == "" {
			return nil
		}
		return checkPath(v)
	},
}, {
	Name:  "log-level",
	Usage: "what to log: debug, info, warn or error",
	field: func(c *Config) *string { return &c.LogLevel },
	check: checkLevel,
}, {
	Name:  "mode",
	Usage: "kind of network: thread, or lowpan for a plain 6LoWPAN network",
	field: func(c *Config) *string { return &c.Mode },
	check: func(v string) error {
		if v != ModeThread && v != ModeLowpan {
			return fmt.Errorf("%q is neither %s nor %s", v, ModeThread, ModeLowpan)
		}
		return nil
	},
}, {
	Name:  "inbound",
	Usage: "from where devices may be talked to unasked: local, all or none",
	field: func(c *Config) *string { return &c.Inbound },
	check: checkInbound,
}, {
	Name:  "egress",
	Usage: "what becomes of what devices send out unasked, where no rule says: accept or drop",
	field: func(c *Config) *string { return &c.Egress },
	check: func(v string) error {
		_, err := firewall.ParseVerdict(v)
		return err
	},
}, {
	Name:  "no-firewall",
	Usage: "traffic between the mesh and elsewhere, if the kernel cannot filter it: open or closed",
	field: func(c *Config) *string { return &c.NoFirewall },
	check: func(v string) error {
		if v != failOpen && v != failClosed {
			return fmt.Errorf("%q is neither %s nor %s", v, failOpen, failClosed)
		}
		return nil
	},
}, {
	Name:  "nat64",
	Usage: "let the mesh reach IPv4 hosts, if nobody else does: on or off",
	field: func(c *Config) *string { return &c.NAT64 },
	check: checkSwitch,
}, {
	Name:  "pd",
	Usage: "ask the infrastructure's routers for a prefix of the mesh's own (DHCPv6-PD): on or off",
	field: func(c *Config) *string { return &c.PD },
	check: checkSwitch,
}, {
	Name:  "backbone",
	Usage: "route multicast between the mesh and the infrastructure (Backbone Router): on or off",
	field: func(c *Config) *string { return &c.Backbone },
	check: checkSwitch,
}, {
	Name:  "trel",
	Usage: "reach border routers of the mesh by the infrastructure, too (TREL): on, off, or by which interfaces",
	field: func(c *Config) *string { return &c.TREL },
	check: checkTREL,
}, {
	Name:  "domain",
	Usage: "prefix of the Thread domain, of 64 bits, that the Backbone Router gives the mesh; empty: none",
	field: func(c *Config) *string { return &c.Domain },
	check: checkDomainPrefix,
}}

func checkRadio(v string) error {
	if v == "" {
		return errors.New("none is given: want a URL like spinel+hdlc+uart:///dev/ttyACM0")
	}
	if _, err := radio.ParseURL(v); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "radio: ")) // the key says that
	}
	return nil
}

func checkPath(v string) error {
	if v == "" {
		return errors.New("is empty")
	}
	if strings.ContainsRune(v, 0) {
		return fmt.Errorf("%q is no file name", v)
	}
	return nil
}

// maxSocketPath is what fits in a sockaddr_un beside its terminating zero.
const maxSocketPath = 107

func checkSocket(v string) error {
	if len(v) > maxSocketPath {
		return fmt.Errorf("%q has %d bytes, a socket's path at most %d", v, len(v), maxSocketPath)
	}
	return checkPath(v)
}

func checkInterface(v string) error {
	if v == "" {
		return nil
	}
	return host.CheckName(v)
}

func checkTREL(v string) error {
	if checkSwitch(v) == nil {
		return nil
	}
	for name := range strings.SplitSeq(v, ",") {
		if name == "" {
			return fmt.Errorf("%q is neither on nor off nor a list of interfaces", v)
		}
		if err := host.CheckName(name); err != nil {
			return err
		}
	}
	return nil
}

func checkInfra(v string) error {
	c := Config{Infra: v}
	for _, name := range c.infraNames() {
		if err := host.CheckName(name); err != nil {
			return err
		}
	}
	return nil
}

func checkInbound(v string) error {
	_, err := firewall.ParseInbound(v)
	return err
}

func checkLevel(v string) error {
	switch strings.ToLower(v) {
	case "debug", "info", "warn", "error":
		return nil
	}
	return fmt.Errorf("%q is none of debug, info, warn, error", v)
}

// suggest names the key that was probably meant, or all of them.
func suggest(key string) string {
	best, distance := "", (len(key)+1)/2+1
	for _, k := range Keys {
		if d := editDistance(strings.ToLower(strings.ReplaceAll(key, "_", "-")), k.Name); d < distance {
			best, distance = k.Name, d
		}
	}
	if best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	var names []string
	for _, k := range Keys {
		names = append(names, k.Name)
	}
	return ", there are " + strings.Join(names, ", ")
}

// editDistance is how many bytes to insert, delete or replace to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
