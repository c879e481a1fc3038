package firewall

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const (
	chainAntispoof = "antispoof"
	chainForward   = "forward"
	chainOutbound  = "outbound" // from the mesh
	chainEgress    = "egress"   // from the mesh, by a source that is its own
	chainInbound   = "inbound"  // to the mesh
	chainNAT64     = "nat64"

	ifNameSize = unix.IFNAMSIZ

	// maxRules bounds the table: each rule costs each packet time.
	maxRules = 8192
)

var uniqueLocal = netip.MustParsePrefix("fc00::/7")

// probePolicy uses everything that policies can.
var probePolicy = Policy{
	Mesh:        "lo",
	Prefixes:    []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")},
	Private:     []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64")},
	EgressRules: []Rule{{Device: Device{EUI64: EUI64{1}}, Remote: []netip.Prefix{uniqueLocal}, Ports: []Ports{{1, 2}}, Verdict: Drop}},
	NAT64:       &NAT64{Interface: "lo", Network: netip.MustParsePrefix("192.0.2.0/24")},
}

// rule is one rule of the table.
type rule struct {
	chain string
	exprs []expr.Any
}

// compile writes a policy as rules, in the order in which chains have them.
func compile(p *Policy) ([]rule, error) {
	var rules []rule
	add := func(chain string, parts ...[]expr.Any) {
		r := rule{chain: chain}
		for _, part := range parts {
			r.exprs = append(r.exprs, part...)
		}
		rules = append(rules, r)
	}

	add(chainAntispoof, iif(p.Mesh), verdict(expr.VerdictReturn))
	add(chainAntispoof, iif("lo"), verdict(expr.VerdictReturn)) // the host to itself
	for _, pre := range p.Private {
		add(chainAntispoof, source(pre), drop(counterSpoofed))
	}
	spoofed := chainAntispoof
	if p.OtherRouters {
		spoofed = chainInbound
	}
	for _, pre := range p.Prefixes {
		add(spoofed, source(pre), drop(counterSpoofed))
	}

	add(chainForward, iif(p.Mesh), jump(chainOutbound))
	add(chainForward, oif(p.Mesh), jump(chainInbound))
	if n := p.NAT64; n != nil {
		add(chainForward, oif(n.Interface), answers(), verdict(expr.VerdictAccept))
		add(chainForward, oif(n.Interface), drop(counterInbound))
		add(chainForward, iif(n.Interface), source(n.Network), verdict(expr.VerdictAccept))
		add(chainForward, iif(n.Interface), drop(counterSpoofed))
		add(chainNAT64, source(n.Network), notOIF(n.Interface), []expr.Any{&expr.Masq{}})
	}
	if p.OnlyMesh {
		add(chainForward, drop(counterOther))
	}

	for _, pre := range slices.Concat(p.Prefixes, p.Shared) {
		add(chainOutbound, source(pre), []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chainEgress}})
	}
	add(chainOutbound, drop(counterSpoofed))

	add(chainEgress, reply(), answers(), verdict(expr.VerdictAccept))
	for _, r := range p.EgressRules {
		r.each(p, source, iidSource, destination, func(match []expr.Any) { add(chainEgress, match, r.outcome(counterEgress)) })
	}
	add(chainEgress, Rule{Verdict: p.Egress}.outcome(counterEgress))

	for _, pre := range p.Private {
		add(chainInbound, destination(pre), drop(counterInbound))
	}
	add(chainInbound, answers(), verdict(expr.VerdictAccept))
	for _, r := range p.InboundRules {
		r.each(p, destination, iidDestination, source, func(match []expr.Any) { add(chainInbound, match, r.outcome(counterInbound)) })
	}
	switch p.Inbound {
	case InboundAll:
		add(chainInbound, verdict(expr.VerdictAccept))
	case InboundLocal:
		add(chainInbound, source(uniqueLocal), verdict(expr.VerdictAccept))
		for _, pre := range slices.Concat(p.Local, p.Shared) {
			add(chainInbound, source(pre), verdict(expr.VerdictAccept))
		}
	}
	add(chainInbound, drop(counterInbound))

	if len(rules) > maxRules {
		return nil, fmt.Errorf("firewall: the policy takes %d rules, more than %d", len(rules), maxRules)
	}
	return rules, nil
}

func (r Rule) outcome(counter string) []expr.Any {
	if r.Verdict == Drop {
		return drop(counter)
	}
	return verdict(expr.VerdictAccept)
}

// each calls add for every combination that a rule is about; there are no
// alternatives in a rule of nftables. The functions match the device's address,
// its interface identifier and the remote end's address.
func (r Rule) each(p *Policy, device func(netip.Prefix) []expr.Any, iid func([8]byte) []expr.Any, remote func(netip.Prefix) []expr.Any, add func([]expr.Any)) {
	devices := [][]expr.Any{nil}
	switch {
	case r.Device.any():
	case r.Device.Prefix.IsValid():
		devices[0] = device(r.Device.Prefix)
	default:
		devices[0] = iid(r.Device.EUI64.IID())
		for _, a := range p.Addresses[r.Device.EUI64] {
			devices = append(devices, device(netip.PrefixFrom(a, a.BitLen())))
		}
	}
	remotes := [][]expr.Any{nil}
	if len(r.Remote) > 0 {
		remotes = nil
		for _, pre := range r.Remote {
			if pre.Addr().Is6() { // IPv4 is the NAT64's affair
				remotes = append(remotes, remote(pre))
			}
		}
	}
	services := r.services()
	for _, d := range devices {
		for _, o := range remotes {
			for _, s := range services {
				match := append([]expr.Any{}, d...)
				add(append(append(match, o...), s...))
			}
		}
	}
}

// services matches the protocols and ports of a rule.
func (r Rule) services() (list [][]expr.Any) {
	for _, proto := range r.protos() {
		var match []expr.Any
		if proto != 0 {
			match = meta(expr.MetaKeyL4PROTO, []byte{proto})
		}
		if len(r.Ports) == 0 {
			list = append(list, match)
		}
		for _, ps := range r.Ports {
			list = append(list, append(append([]expr.Any{}, match...),
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
				&expr.Range{Op: expr.CmpOpEq, Register: 1,
					FromData: binary.BigEndian.AppendUint16(nil, ps.Low), ToData: binary.BigEndian.AppendUint16(nil, ps.High)}))
		}
	}
	return list
}

func meta(key expr.MetaKey, value []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}

func ifName(name string) []byte {
	b := make([]byte, ifNameSize)
	copy(b, name)
	return b
}

func iif(name string) []expr.Any { return meta(expr.MetaKeyIIFNAME, ifName(name)) }
func oif(name string) []expr.Any { return meta(expr.MetaKeyOIFNAME, ifName(name)) }

func notOIF(name string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: ifName(name)}}
}

// source and destination match an address of either family by its prefix.
func source(p netip.Prefix) []expr.Any      { return address(p, 12, 8) }
func destination(p netip.Prefix) []expr.Any { return address(p, 16, 24) }

func address(p netip.Prefix, offset4, offset6 uint32) []expr.Any {
	p = p.Masked()
	family, offset, size := byte(unix.NFPROTO_IPV6), offset6, 16
	if p.Addr().Is4() {
		family, offset, size = unix.NFPROTO_IPV4, offset4, 4
	}
	return append(meta(expr.MetaKeyNFPROTO, []byte{family}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(size)},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(size), Mask: net.CIDRMask(p.Bits(), size*8), Xor: make([]byte, size)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Addr().AsSlice()})
}

// iidSource and iidDestination match the lower half of an IPv6 address.
func iidSource(iid [8]byte) []expr.Any      { return identifier(iid, 16) }
func iidDestination(iid [8]byte) []expr.Any { return identifier(iid, 32) }

func identifier(iid [8]byte, offset uint32) []expr.Any {
	return append(meta(expr.MetaKeyNFPROTO, []byte{unix.NFPROTO_IPV6}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 8},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: iid[:]})
}

// answers matches packets of connections that exist, and errors about them.
func answers() []expr.Any {
	states := binary.NativeEndian.AppendUint32(nil, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: states, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// reply matches packets to whoever began the connection.
func reply() []expr.Any {
	return []expr.Any{&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{1}}}
}

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

func drop(counter string) []expr.Any {
	return []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: counter}, &expr.Verdict{Kind: expr.VerdictDrop}}
}
