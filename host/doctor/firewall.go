package doctor

import (
	"bytes"
	"errors"
	"io/fs"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

var firewallChecks = []Check{
	{"HOST-FWDROP", "no other firewall drops what goes to the mesh", checkForwardDrop},
	{"HOST-TABLE", "the gateway's own firewall is there", checkTable},
}

// checkForwardDrop looks for tables that drop forwarded packets unless a rule
// lets them pass, and whose rules do not speak of the mesh's interface. An
// accept in the gateway's table does not help against these.
func checkForwardDrop(e *exam) {
	if e.active() && e.Alone {
		return
	}
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return // HOST-NFT, HOST-CAP
	}
	defer conn.CloseLasting()
	chains, err := conn.ListChains()
	if err != nil {
		return
	}
	for _, c := range chains {
		v6 := c.Table.Family == nftables.TableFamilyINet || c.Table.Family == nftables.TableFamilyIPv6
		if c.Hooknum == nil || *c.Hooknum != *nftables.ChainHookForward || !v6 || c.Table.Name == e.Table {
			continue
		}
		if !drops(conn, c) || mentions(conn, chains, c.Table, e.Mesh) {
			continue
		}
		name := c.Table.Name + " " + c.Name
		e.problem(name, e.permit(c), "The firewall's chain %s (table %s) drops what is forwarded, and says nothing of %s.", c.Name, c.Table.Name, e.Mesh)
	}
}

// permit is what lets the mesh's traffic through, by whose chain it is.
func (e *exam) permit(c *nftables.Chain) string {
	switch {
	case c.Table.Name == "firewalld":
		return "firewall-cmd --permanent --zone=trusted --add-interface=" + e.Mesh + " && firewall-cmd --reload"
	case e.runs("ufw", "ufw6") || isFile("/etc/ufw/ufw.conf") && c.Table.Name == "filter":
		return "ufw route allow in on " + e.Mesh + " && ufw route allow out on " + e.Mesh
	case c.Table.Name == "filter" && c.Table.Family == nftables.TableFamilyIPv6:
		return "ip6tables -I FORWARD -i " + e.Mesh + " -j ACCEPT; ip6tables -I FORWARD -o " + e.Mesh + " -j ACCEPT"
	}
	family := map[nftables.TableFamily]string{nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv6: "ip6"}[c.Table.Family]
	rule := "nft insert rule " + family + " " + c.Table.Name + " " + c.Name
	return rule + " iifname " + e.Mesh + " accept; " + rule + " oifname " + e.Mesh + " accept"
}

// drops reports whether what no rule of a chain accepts is dropped: by policy,
// or by a last rule without conditions.
func drops(conn *nftables.Conn, c *nftables.Chain) bool {
	if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
		return true
	}
	rules, err := conn.GetRules(c.Table, c)
	if err != nil || len(rules) == 0 {
		return false
	}
	for _, x := range rules[len(rules)-1].Exprs {
		switch x := x.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Reject:
			return true
		case *expr.Verdict:
			return x.Kind == expr.VerdictDrop
		default:
			return false
		}
	}
	return false
}

// mentions reports whether a rule of the table compares something with an
// interface's name, or a set of it has the name.
func mentions(conn *nftables.Conn, chains []*nftables.Chain, table *nftables.Table, iface string) bool {
	name := append([]byte(iface), 0)
	for _, c := range chains {
		if c.Table.Name != table.Name || c.Table.Family != table.Family {
			continue
		}
		rules, err := conn.GetRules(c.Table, c)
		if err != nil {
			continue
		}
		for _, r := range rules {
			for _, x := range r.Exprs {
				if cmp, ok := x.(*expr.Cmp); ok && (bytes.HasPrefix(cmp.Data, name) || bytes.Equal(cmp.Data, name[:len(iface)])) {
					return true
				}
			}
		}
	}
	sets, err := conn.GetSets(table)
	if err != nil {
		return false
	}
	for _, s := range sets {
		elements, err := conn.GetSetElements(s)
		if err != nil {
			continue
		}
		for _, el := range elements {
			if bytes.HasPrefix(el.Key, name) {
				return true
			}
		}
	}
	return false
}

// checkTable misses the gateway's table, which others can flush away before
// Linux 5.12, and finds the one that was left.
func checkTable(e *exam) {
	conn, err := nftables.New()
	if err != nil {
		return
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	there := false
	for _, t := range tables {
		there = there || t.Name == e.Table
	}
	switch {
	case e.Firewall && !there:
		e.problem(e.Table, "restart the gateway; nft list ruleset shows who is there", "The gateway's firewall was removed: the mesh is open.")
	case !e.active() && there:
		e.warn(e.Table, "nft delete table inet "+e.Table, "The firewall of a gateway that is gone was left.")
	}
}
