package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatewayd/wpan"
)

// The modes of a gateway.
const (
	ModeThread = "thread"
	ModeLowpan = "lowpan"
)

// LowpanConfig is the table [lowpan] of the configuration file: a plain 6LoWPAN
// network.
type LowpanConfig struct {
	Name    string `toml:"name"`    // in beacons, at most 16 bytes
	Channel int    `toml:"channel"` // 11 to 26
	PANID   string `toml:"pan-id"`  // hexadecimal; empty: made once and kept
	Prefix  string `toml:"prefix"`  // a /64; empty: made once and kept
	Open    bool   `toml:"open"`    // no link security, and nobody authenticates
	ZigBee  bool   `toml:"zigbee-ip"`
	Storing bool   `toml:"storing"` // RPL's storing mode, for meshes that do only that
	DHCP    bool   `toml:"dhcp"`    // addresses by DHCPv6, beside those that devices make
	// KeyRotation is how long a network key is used; empty: until told.
	KeyRotation Duration `toml:"key-rotation"`
	// SessionLifetime is how long an authentication holds.
	SessionLifetime Duration `toml:"session-lifetime"`

	EAP     EAP     `toml:"eap"`
	RADIUS  RADIUS  `toml:"radius"`
	Serving Serving `toml:"radius-server"`
}

// EAP is the table [lowpan.eap]: what the embedded EAP server authenticates by,
// beside the keys of `gatewayd credential`.
type EAP struct {
	Certificate string `toml:"certificate"` // PEM files; all empty: no EAP-TLS
	Key         string `toml:"key"`
	CA          string `toml:"ca"`
	CRL         string `toml:"crl"`
}

// RADIUS is the table [lowpan.radius]: servers that authenticate in place of
// the embedded one, the first that answers.
type RADIUS struct {
	Servers    []string `toml:"servers"`     // address and port
	Accounting []string `toml:"accounting"`  // address and port
	SecretFile string   `toml:"secret-file"` // shared with all of them
	Identifier string   `toml:"identifier"`  // NAS-Identifier
	Dynamic    string   `toml:"dynamic"`     // address and port for the servers' orders; empty: none are taken
}

// Serving is the table [lowpan.radius-server]: other authenticators that may
// use the embedded EAP server.
type Serving struct {
	Listen     string   `toml:"listen"`  // address and port
	Clients    []string `toml:"clients"` // prefixes
	SecretFile string   `toml:"secret-file"`
}

// Duration is a time.Duration in a configuration file: "24h".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no duration like 90m or 24h", b)
	}
	*d = Duration(v)
	return nil
}

func defaultLowpan() LowpanConfig {
	return LowpanConfig{Name: "gatewayd", Channel: 15, SessionLifetime: Duration(24 * time.Hour), RADIUS: RADIUS{Identifier: "gatewayd"}}
}

// check reports all that is wrong, each with its key.
func (l *LowpanConfig) check() []error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("gateway: lowpan.%s: %w", key, fmt.Errorf(format, args...)))
	}
	if _, err := wpan.ParseNetworkID(l.Name); err != nil || l.Name == "" {
		wrong("name", "%q is not of 1 to 16 bytes", l.Name)
	}
	if l.Channel < 11 || l.Channel > 26 {
		wrong("channel", "%d is none of 11 to 26", l.Channel)
	}
	if _, err := l.pan(); err != nil {
		wrong("pan-id", "%w", err)
	}
	if _, err := l.prefix(); err != nil {
		wrong("prefix", "%w", err)
	}
	if r := time.Duration(l.KeyRotation); r != 0 && r < time.Minute {
		wrong("key-rotation", "%v is less than a minute", r)
	}
	if s := time.Duration(l.SessionLifetime); s < time.Minute {
		wrong("session-lifetime", "%v is less than a minute", s)
	}
	e := l.EAP
	if given := e.Certificate != "" || e.Key != "" || e.CA != "" || e.CRL != ""; given && (e.Certificate == "" || e.Key == "" || e.CA == "") {
		wrong("eap", "EAP-TLS needs all of certificate, key and ca")
	}
	for key, list := range map[string][]string{"radius.servers": l.RADIUS.Servers, "radius.accounting": l.RADIUS.Accounting} {
		if _, err := addrPorts(list); err != nil {
			wrong(key, "%w", err)
		}
	}
	if len(l.RADIUS.Servers)+len(l.RADIUS.Accounting) > 0 && l.RADIUS.SecretFile == "" {
		wrong("radius.secret-file", "is empty: the secret shared with the servers is read from it")
	}
	if len(l.RADIUS.Accounting) > 0 && len(l.RADIUS.Servers) == 0 {
		wrong("radius.accounting", "there are no servers that authenticate")
	}
	if err := l.RADIUS.checkDynamic(); err != nil {
		wrong("radius.dynamic", "%w", err)
	}
	if l.Serving.Listen != "" {
		if _, err := netip.ParseAddrPort(l.Serving.Listen); err != nil {
			wrong("radius-server.listen", "%q is not an address and port like [::]:1812", l.Serving.Listen)
		}
		if l.Serving.SecretFile == "" {
			wrong("radius-server.secret-file", "is empty: the secret shared with the clients is read from it")
		}
		if len(l.Serving.Clients) == 0 {
			wrong("radius-server.clients", "is empty: nobody may ask")
		}
		for _, p := range l.Serving.Clients {
			if _, err := netip.ParsePrefix(p); err != nil {
				wrong("radius-server.clients", "%q is no prefix like 192.0.2.0/24", p)
			}
		}
	}
	return errs
}

// pan is the PAN id; false if it is to be made.
func (l *LowpanConfig) pan() (*uint16, error) {
	if l.PANID == "" {
		return nil, nil
	}
	v, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(l.PANID), "0x"), 16, 16)
	if err != nil || v == 0xffff {
		return nil, fmt.Errorf("%q is no PAN id from 0x0000 to 0xfffe", l.PANID)
	}
	return new(uint16(v)), nil
}

// prefix is the network's; not valid if it is to be made.
func (l *LowpanConfig) prefix() (netip.Prefix, error) {
	if l.Prefix == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(l.Prefix)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is no prefix like fd00:1::/64", l.Prefix)
	case p.Bits() != 64 || !p.Addr().Is6() || p.Masked() != p:
		return p, fmt.Errorf("%v is not a /64 without host bits", p)
	case p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast():
		return p, errors.New("is not of unicast addresses that can be routed")
	}
	return p, nil
}

func addrPorts(list []string) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	for _, s := range list {
		a, err := netip.ParseAddrPort(s)
		if err != nil || a.Port() == 0 {
			return nil, fmt.Errorf("%q is not an address and port like 192.0.2.1:1812 or [2001:db8::1]:1812", s)
		}
		out = append(out, a)
	}
	return out, nil
}
