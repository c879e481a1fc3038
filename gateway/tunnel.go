package gateway

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"reflect"

	"gatewayd/host"
	"gatewayd/thread/mle"
)

// readTUN takes datagrams from the kernel until the interface is closed.
func (g *Gateway) readTUN() {
	buf := make([]byte, 2*host.MinMTU)
	for {
		n, err := g.tun.Read(buf)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				g.log.Error("reading from the host's interface", "id", "TUN-READ", "err", err)
			}
			return
		}
		if g.listeners != nil && host.IsListenerReport(buf[:n]) {
			g.listeners.reported()
			continue // the mesh has its own ways
		}
		p := append(make([]byte, 0, n+48), buf[:n]...) // room for an MPL option
		g.step(func() {
			if g.filter == nil || g.filter.in(p) {
				_ = g.stack.FromHost(p) // counted there
			}
		})
	}
}

// toHost gives the kernel a datagram from the mesh.
func (g *Gateway) toHost(packet []byte) {
	if g.filter != nil && !g.filter.out(packet) {
		return
	}
	if g.nat64 != nil && g.nat64.fromMesh(packet) {
		return
	}
	if g.infra != nil && g.infra.prohibited(packet) {
		return
	}
	if _, err := g.tun.Write(packet); err != nil && g.repeats.pass("TUN-WRITE", g.stack.Clock().Now()) {
		g.log.Warn("the kernel did not take a datagram", "id", "TUN-WRITE", "err", err)
	}
}

// wantHost works out what the host's interface should have and leaves it for
// syncTUN, in place of what that has not come to yet.
func (g *Gateway) wantHost() {
	if g.tun == nil {
		return
	}
	c := g.hostConfig()
	if reflect.DeepEqual(c, g.hostHas) {
		return
	}
	g.hostHas = c
	select {
	case <-g.sync:
	default:
	}
	g.sync <- c
}

func (g *Gateway) hostConfig() host.Config {
	if g.lowpan != nil {
		return g.lowpan.hostConfig()
	}
	var c host.Config
	if g.node.MLE().Role() < mle.Child {
		return c
	}
	onLink := map[netip.Prefix]bool{}
	for _, p := range g.shared() {
		onLink[p] = true // if so, on the backbone link
		c.Routes = append(c.Routes, g.domain.routes(p)...)
	}
	for _, a := range g.node.IP().Addresses() {
		p := netip.PrefixFrom(a.Addr, a.Bits)
		first := !a.Locator && !onLink[p.Masked()]
		if first {
			onLink[p.Masked()] = true
		}
		c.Addrs = append(c.Addrs, host.Address{Prefix: p, Deprecated: a.Locator || !a.Preferred, OnLink: first})
	}
	for _, p := range g.node.MLE().NetData().Prefixes {
		if g.node.OnMesh(p.Prefix) && !onLink[p.Prefix] {
			c.Routes = append(c.Routes, host.Route{Dst: p.Prefix})
		}
	}
	c.Groups = g.listeners.others(g.node.IP().Groups())
	return c
}

// syncTUN keeps the interface as it should be.
func (g *Gateway) syncTUN(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-g.sync:
			if err := g.tun.Sync(c); err != nil {
				g.log.Warn("the host's interface is not quite as it should be", "id", "TUN-SYNC", "err", err)
			}
			if g.listeners != nil {
				g.listeners.reported() // the kernel does not tell of programs that are left alone with a group
			}
		}
	}
}
