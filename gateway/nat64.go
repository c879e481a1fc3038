package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"gatewayd/border"
	"gatewayd/host"
	"gatewayd/host/firewall"
	"gatewayd/ipv6"
	"gatewayd/nat64"
)

// translation is the way of the mesh to IPv4: a translator between the node and
// an interface of its own, whose packets the host masquerades. Only the goroutine
// that owns the node uses it.
type translation struct {
	g       *Gateway
	tun     *host.TUN
	nat     *nat64.Translator // nil while another serves the mesh
	prefix  netip.Prefix
	off     bool         // as the command line has it
	outside netip.Prefix // of the infrastructure's own NAT64; zero: it has none
	// What the translator gave out, until it may be called again.
	toMesh, toIPv4 [][]byte
}

// The NAT64's interface and network. The network is known on this host only.
const nat64Name = "nat64"

var nat64Pool = netip.MustParsePrefix("192.168.255.0/24")

const nat64MTU = 1500

// buildNAT64 makes the interface.
func (g *Gateway) buildNAT64() error {
	tun, err := host.Open(host.Options{Name: nat64Name, MTU: nat64MTU})
	if err != nil {
		return err
	}
	if err := tun.RouteIPv4(nat64Pool); err != nil {
		tun.Close()
		return err
	}
	g.nat64 = &translation{g: g, tun: tun}
	return nil
}

// read takes packets from the kernel until the interface is closed.
func (x *translation) read() {
	buf := make([]byte, nat64MTU)
	for {
		n, err := x.tun.Read(buf)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				x.g.log.Error("reading from the NAT64's interface", "id", "NAT64-READ", "err", err)
			}
			return
		}
		p := append([]byte(nil), buf[:n]...)
		x.g.step(func() { x.fromIPv4(p) })
	}
}

// serve translates for a prefix, or not at all.
func (x *translation) serve(prefix netip.Prefix) {
	if prefix == x.prefix {
		return
	}
	if x.nat != nil {
		x.nat.Close()
		x.nat = nil
	}
	x.prefix = prefix
	if !prefix.IsValid() {
		return
	}
	random, err := newRand()
	if err == nil {
		x.nat, err = nat64.New(nat64.Config{
			Clock: x.g.node.Clock(), Rand: random, Prefix: prefix, Pool: nat64Pool, MTU4: nat64MTU, Allow: x.allow,
			ToMesh: func(b []byte) { x.toMesh = append(x.toMesh, append([]byte(nil), b...)) },
			ToIPv4: func(b []byte) { x.toIPv4 = append(x.toIPv4, append([]byte(nil), b...)) },
		})
	}
	if err != nil {
		x.g.log.Error("IPv4 cannot be reached from the mesh", "id", "NAT64", "prefix", prefix, "err", err)
	}
}

// Protocols of flows.
var nat64Protocols = map[nat64.Proto]uint8{nat64.UDP: ipv6.ProtoUDP, nat64.TCP: 6, nat64.ICMP: 1}

// allow lets devices reach what policy lets them reach.
func (x *translation) allow(f nat64.Flow) bool {
	p := &x.g.filter.policy
	return f.Inbound || p.EgressAllows(f.Host.Addr(), f.Remote.Addr(), nat64Protocols[f.Proto], f.Remote.Port())
}

// fromMesh takes a packet that leaves the mesh; false if it is not for IPv4.
func (x *translation) fromMesh(packet []byte) bool {
	if x.nat == nil {
		return false
	}
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil || !x.prefix.Contains(h.Dst) {
		return false
	}
	x.nat.FromMesh(packet)
	x.flush()
	return true
}

func (x *translation) fromIPv4(packet []byte) {
	if x.nat == nil || len(packet) == 0 || packet[0]>>4 != 4 {
		return // the kernel's own IPv6 on the interface
	}
	x.nat.FromIPv4(packet)
	x.flush()
}

// flush passes on what the translator gave out.
func (x *translation) flush() {
	for len(x.toMesh)+len(x.toIPv4) > 0 {
		mesh, ipv4 := x.toMesh, x.toIPv4
		x.toMesh, x.toIPv4 = nil, nil
		for _, p := range ipv4 {
			if _, err := x.tun.Write(p); err != nil && x.g.repeats.pass("NAT64-WRITE", x.g.node.Clock().Now()) {
				x.g.log.Warn("the kernel did not take a packet of the NAT64", "id", "NAT64-WRITE", "err", err)
			}
		}
		for _, p := range mesh {
			_ = x.g.node.FromHost(p) // counted there
		}
	}
}

// update lets the mesh's resolver and the translator know the prefix in use.
func (x *translation) update(s border.Status) {
	x.serve(s.Published.Translate)
	if err := x.g.services.dns.SetNAT64(s.NAT64.Favored); err != nil {
		x.g.log.Warn("names of IPv4 hosts are not told to the mesh", "id", "NAT64-DNS", "err", err)
	}
}

// masquerade is what the packet filter needs to know.
func (x *translation) masquerade() *firewall.NAT64 {
	return &firewall.NAT64{Interface: nat64Name, Network: nat64Pool}
}

// NAT64 is the translator's; nil while this gateway does not translate. Only a
// function that Do runs may call it.
func (g *Gateway) NAT64() *nat64.Translator {
	if g.nat64 == nil {
		return nil
	}
	return g.nat64.nat
}

// checkSwitch is a setting that is on or off.
func checkSwitch(v string) error {
	if v != "on" && v != "off" {
		return fmt.Errorf("%q is neither on nor off", v)
	}
	return nil
}
