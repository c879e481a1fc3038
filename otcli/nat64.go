package otcli

import (
	"fmt"

	"gatewayd/border"
	"gatewayd/nat64"
)

// nat64Command is
//
//	nat64 cidr|counters|disable|enable|mappings|state
func nat64Command(c *CLI, args []string) error {
	r, err := c.router()
	if err != nil {
		return err
	}
	if len(args) > 1 {
		return InvalidArgs
	}
	switch word(args, 0) {
	case "enable":
		return r.SetNAT64(true)
	case "disable":
		return r.SetNAT64(false)
	case "state":
		c.nat64State(r)
	case "cidr":
		if !r.Pool().IsValid() {
			return NotFound
		}
		c.line("%s", r.Pool())
	case "mappings":
		c.nat64Mappings(r.Translator())
	case "counters":
		c.nat64Counters(r.Translator())
	default:
		return InvalidCommand
	}
	return nil
}

func (c *CLI) nat64State(r BorderRouter) {
	manager, translator := "Disabled", "Disabled"
	if m := r.Manager(); m != nil {
		if st := m.Status(); st.NAT64.Enabled {
			switch {
			case st.State != border.Running:
				manager = "NotRunning"
			case st.Published.NAT64.Prefix.IsValid():
				manager = "Active"
			default:
				manager = "Idle"
			}
			translator = "NotRunning"
		}
	}
	if r.Translator() != nil {
		translator = "Active"
	}
	c.line("PrefixManager: %s", manager)
	c.line("Translator: %s", translator)
}

// fourToSix are the columns of traffic: to the mesh, and from it.
func fourToSix(in, out nat64.Traffic) string {
	return fmt.Sprintf("| %8d | %12d | %8d | %12d |", in.Packets, in.Bytes, out.Packets, out.Bytes)
}

func total(of nat64.ByProto) (t nat64.Traffic) {
	for _, x := range of {
		t.Packets += x.Packets
		t.Bytes += x.Bytes
	}
	return t
}

// shownProtocols are in OpenThread's order.
var shownProtocols = []struct {
	name  string
	proto nat64.Proto
}{{"TCP", nat64.TCP}, {"UDP", nat64.UDP}, {"ICMP", nat64.ICMP}}

// nat64Mappings shows devices with mappings. A device is numbered by its
// interface identifier.
func (c *CLI) nat64Mappings(t *nat64.Translator) {
	c.header(column{"", 18}, column{"Address", 61}, column{"", 8}, column{"4 to 6", 25}, column{"6 to 4", 25})
	c.header(column{"ID", 18}, column{"IPv6", 42}, column{"IPv4", 18}, column{"Expiry", 8},
		column{"Pkts", 10}, column{"Bytes", 14}, column{"Pkts", 10}, column{"Bytes", 14})
	if t == nil {
		return
	}
	for _, h := range t.Hosts() {
		id := h.Inside.As16()
		c.line("| %x | %40s | %16s | %5ds %s", id[8:], address(h.Inside), h.Outside, int64(h.Expires.Seconds()), fourToSix(total(h.In), total(h.Out)))
		for _, p := range shownProtocols {
			c.line("| %16s | %68s %s", "", p.name, fourToSix(h.In[p.proto], h.Out[p.proto]))
		}
	}
}

func (c *CLI) nat64Counters(t *nat64.Translator) {
	var n nat64.Counters
	if t != nil {
		n = t.Counters()
	}
	c.header(column{"", 15}, column{"4 to 6", 25}, column{"6 to 4", 25})
	c.header(column{"Protocol", 15}, column{"Pkts", 10}, column{"Bytes", 14}, column{"Pkts", 10}, column{"Bytes", 14})
	c.line("| %13s %s", "Total", fourToSix(total(n.In), total(n.Out)))
	for _, p := range shownProtocols {
		c.line("| %13s %s", p.name, fourToSix(n.In[p.proto], n.Out[p.proto]))
	}
	c.header(column{"Errors", 15}, column{"Pkts", 25}, column{"Pkts", 25})
	var in, out [4]uint64
	for reason := range n.FromIPv4 {
		if i := dropReason(nat64.Reason(reason)); i >= 0 {
			in[i] += n.FromIPv4[reason]
			out[i] += n.FromMesh[reason]
		}
	}
	for i, name := range []string{"Unknown", "Illegal Pkt", "Unsup Proto", "No Mapping"} {
		c.line("| %13s | %23d | %23d |", name, in[i], out[i])
	}
}

// dropReason is OpenThread's number for why a packet was dropped; -1: it was not.
func dropReason(r nat64.Reason) int {
	switch r {
	case nat64.Passed, nat64.Held:
		return -1
	case nat64.Malformed, nat64.IllegalSource, nat64.IllegalDestination, nat64.Options, nat64.BadFragment:
		return 1
	case nat64.Unsupported:
		return 2
	case nat64.NoMapping, nat64.Filtered, nat64.Exhausted:
		return 3
	}
	return 0
}
