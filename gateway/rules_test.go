package gateway

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"gatewayd/host/firewall"
)

const rulesFile = `
inbound = "none"
egress  = "drop"

[[inbound-rule]]
device  = "18b4300000000002"
remote  = ["192.0.2.0/24", "2001:db8::7"]
proto   = "udp"
ports   = ["5683", "8000-8010"]
verdict = "accept"

[[egress-rule]]
device  = "fd00:1::/64"
proto   = "icmp"
verdict = "accept"

[[egress-rule]]
verdict = "drop"
`

func TestRules(t *testing.T) {
	c, err := ParseConfig("c.toml", []byte(rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	p := netip.MustParsePrefix
	device := firewall.Device{Prefix: p("fd00:1::/64")}
	want := firewall.Policy{
		Mesh: "wpan0", Inbound: firewall.InboundNone, Egress: firewall.Drop,
		InboundRules: []firewall.Rule{{
			Device: firewall.Device{EUI64: firewall.EUI64(testEUI64)}, Remote: []netip.Prefix{p("192.0.2.0/24"), p("2001:db8::7/128")},
			Proto: 17, Ports: []firewall.Ports{{Low: 5683, High: 5683}, {Low: 8000, High: 8010}},
		}},
		EgressRules: []firewall.Rule{{Device: device, Proto: 58}, {Device: device, Proto: 1}, {Verdict: firewall.Drop}},
	}
	want.InboundRules[0].Device.EUI64[7] = 2
	if got := c.policy(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if named := c.namesEUI64(); len(named) != 1 || !named[want.InboundRules[0].Device.EUI64] {
		t.Errorf("named %v", named)
	}
	c.Radio = "sim:1"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.EgressRules[0].Verdict = PolicyVerdict{}
	if err := c.Validate(); err == nil || err.Error() != `gateway: egress-rule 1 has no verdict: want "accept" or "drop"` {
		t.Errorf("%v", err)
	}
}

func TestBadRules(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"device", "[[egress-rule]]\ndevice = '10.0.0.1'\nverdict = 'drop'", `c.toml:2:10: egress-rule.device: "10.0.0.1" is neither an IPv6 address or prefix nor an EUI-64`},
		{"remote", "[[egress-rule]]\nverdict = 'drop'\nremote = ['2001:db8::/32', 'example.com']", `c.toml:3:28: egress-rule.remote: "example.com" is no address or prefix`},
		{"host bits", "[[inbound-rule]]\nverdict = 'drop'\nremote = ['2001:db8::1/32']", `c.toml:3:11: inbound-rule.remote: 2001:db8::1/32 has host bits: it is 2001:db8::/32`},
		{"protocol", "[[egress-rule]]\nproto = 'sctp'\nverdict = 'drop'", `c.toml:2:9: egress-rule.proto: "sctp" is none of udp, tcp, icmp`},
		{"port", "[[egress-rule]]\nports = ['80', '9-8']\nverdict = 'drop'", `c.toml:2:16: egress-rule.ports: "9-8" is no port or range`},
		{"no port", "[[egress-rule]]\nports = ['0']\nverdict = 'drop'", `c.toml:2:10: egress-rule.ports: "0" is no port or range`},
		{"verdict", "[[egress-rule]]\nverdict = 'reject'", `c.toml:2:11: egress-rule.verdict: verdict "reject": want accept or drop`},
		{"no verdict", "[[egress-rule]]\nverdict = 'drop'\n\n[[egress-rule]]\ndevice = '18b4300000000002'", `c.toml:4:3: egress-rule 2 has no verdict`},
		{"ports of icmp", "tun = 'a'\n[[inbound-rule]]\nproto = 'icmp'\nports = ['80']\nverdict = 'drop'", `c.toml:2:3: inbound-rule 1 names ports, which icmp does not have`},
		{"inline", "egress-rule = [{ proto = 'tcp' }]", `c.toml: egress-rule 1 has no verdict`},
		{"unknown key", "[[egress-rule]]\nverdict = 'drop'\ndst = '::/0'", `c.toml:3:1: no such key "egress-rule.dst"`},
		{"too many", "[[egress-rule]]\nverdict = 'drop'\nports = [" + strings.Repeat("'1',", 9000) + "]", `c.toml: inbound-rule and egress-rule: the policy takes`},
	} {
		if _, err := ParseConfig("c.toml", []byte(tt.text)); err == nil || !strings.HasPrefix(err.Error(), "gateway: "+tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}
