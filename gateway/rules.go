package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"gatewayd/host/firewall"
	"gatewayd/ipv6"
)

// A PolicyRule is a table [[inbound-rule]] or [[egress-rule]] of the
// configuration file: whether some traffic of a device may pass. The first that
// matches counts.
type PolicyRule struct {
	Device  PolicyDevice   `toml:"device"`  // empty: every device
	Remote  []PolicyRemote `toml:"remote"`  // the other end; empty: anywhere
	Proto   PolicyProto    `toml:"proto"`   // empty: any, or with ports TCP and UDP
	Ports   []PolicyPorts  `toml:"ports"`   // destination ports; empty: any
	Verdict PolicyVerdict  `toml:"verdict"` // must be given
}

// The values of a rule. What does not read as one is an error at its place in
// the file.
type (
	PolicyDevice struct{ firewall.Device }
	PolicyRemote struct{ netip.Prefix }
	PolicyProto  struct{ Name string } // udp, tcp or icmp
	PolicyPorts  struct{ firewall.Ports }
	// PolicyVerdict is "accept" or "drop".
	PolicyVerdict struct {
		Given bool
		firewall.Verdict
	}
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *PolicyDevice) UnmarshalText(b []byte) error {
	v, err := firewall.ParseDevice(string(b))
	if err != nil {
		return unprefixed(err)
	}
	d.Device = v
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *PolicyRemote) UnmarshalText(b []byte) error {
	s := string(b)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.Is4In6() {
		r.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return fmt.Errorf("%q is no address or prefix like 2001:db8::/32 or 192.0.2.1", s)
	}
	if p.Masked() != p {
		return fmt.Errorf("%v has host bits: it is %v", p, p.Masked())
	}
	r.Prefix = p
	return nil
}

// protocols are what a rule may be about: over IPv6, and by the NAT64 over IPv4
// where that is another number.
var protocols = map[string][]uint8{"": {0}, "udp": {ipv6.ProtoUDP}, "tcp": {ipv6.ProtoTCP}, "icmp": {ipv6.ProtoICMPv6, 1}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *PolicyProto) UnmarshalText(b []byte) error {
	if protocols[string(b)] == nil {
		return fmt.Errorf("%q is none of udp, tcp, icmp", b)
	}
	p.Name = string(b)
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *PolicyPorts) UnmarshalText(b []byte) error {
	low, high, isRange := strings.Cut(string(b), "-")
	if !isRange {
		high = low
	}
	l, err1 := strconv.ParseUint(low, 10, 16)
	h, err2 := strconv.ParseUint(high, 10, 16)
	if err1 != nil || err2 != nil || l == 0 || h < l {
		return fmt.Errorf("%q is no port or range like 5683 or 8000-8010", b)
	}
	p.Ports = firewall.Ports{Low: uint16(l), High: uint16(h)}
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *PolicyVerdict) UnmarshalText(b []byte) error {
	verdict, err := firewall.ParseVerdict(string(b))
	if err != nil {
		return unprefixed(err)
	}
	v.Given, v.Verdict = true, verdict
	return nil
}

// unprefixed leaves out the name of the package, which means nothing to who
// wrote the file.
func unprefixed(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "firewall: "))
}

// check judges what a rule's values are together.
func (r *PolicyRule) check() error {
	switch {
	case !r.Verdict.Given:
		return errors.New(`has no verdict: want "accept" or "drop"`)
	case len(r.Ports) > 0 && r.Proto.Name == "icmp":
		return errors.New("names ports, which icmp does not have")
	}
	return nil
}

// rules are for the packet filter.
func (r *PolicyRule) rules() (out []firewall.Rule) {
	for _, proto := range protocols[r.Proto.Name] {
		rule := firewall.Rule{Device: r.Device.Device, Proto: proto, Verdict: r.Verdict.Verdict}
		for _, p := range r.Remote {
			rule.Remote = append(rule.Remote, p.Prefix)
		}
		for _, p := range r.Ports {
			rule.Ports = append(rule.Ports, p.Ports)
		}
		out = append(out, rule)
	}
	return out
}

// The names of the tables.
const (
	inboundRule = "inbound-rule"
	egressRule  = "egress-rule"
)

// checkRules reports the rules that make no sense. where tells the place of the
// i-th of a table in the file, "" if that is not known.
func (c *Config) checkRules(where func(table string, i int) string) []error {
	var errs []error
	for _, t := range []struct {
		name  string
		rules []PolicyRule
	}{{inboundRule, c.InboundRules}, {egressRule, c.EgressRules}} {
		for i := range t.rules {
			if err := t.rules[i].check(); err != nil {
				errs = append(errs, fmt.Errorf("gateway: %s%s %d %w", where(t.name, i), t.name, i+1, err))
			}
		}
	}
	if errs == nil {
		p := c.policy()
		p.Mesh = "mesh" // which tables are about is judged elsewhere
		if err := p.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("gateway: %s%s and %s: %w", where("", 0), inboundRule, egressRule, unprefixed(err)))
		}
	}
	return errs
}

// ruleLines finds where the tables of rules begin in a file that can be parsed.
func ruleLines(file string, b []byte) func(table string, i int) string {
	at := map[string][]string{}
	var p unstable.Parser
	p.Reset(b)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.ArrayTable {
			continue
		}
		if key := e.Key(); key.Next() {
			start := p.Shape(key.Node().Raw).Start
			name := string(key.Node().Data)
			at[name] = append(at[name], fmt.Sprintf("%s:%d:%d: ", file, start.Line, start.Column))
		}
	}
	return func(table string, i int) string {
		if i < len(at[table]) {
			return at[table][i]
		}
		return file + ": " // written as an array of inline tables
	}
}

// policy is what the configuration says of the packet filter.
func (c *Config) policy() firewall.Policy {
	inbound, _ := firewall.ParseInbound(c.Inbound) // Validate has seen both
	egress, _ := firewall.ParseVerdict(c.Egress)
	p := firewall.Policy{Mesh: c.TUN, Inbound: inbound, Egress: egress}
	for i := range c.InboundRules {
		p.InboundRules = append(p.InboundRules, c.InboundRules[i].rules()...)
	}
	for i := range c.EgressRules {
		p.EgressRules = append(p.EgressRules, c.EgressRules[i].rules()...)
	}
	return p
}

// namesEUI64 are the devices that the configuration's rules name by EUI-64.
func (c *Config) namesEUI64() map[firewall.EUI64]bool {
	var named map[firewall.EUI64]bool
	for _, rules := range [][]PolicyRule{c.InboundRules, c.EgressRules} {
		for _, r := range rules {
			if d := r.Device.Device; d != (firewall.Device{}) && !d.Prefix.IsValid() {
				if named == nil {
					named = map[firewall.EUI64]bool{}
				}
				named[d.EUI64] = true
			}
		}
	}
	return named
}
