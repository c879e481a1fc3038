package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gatewayd/pana"
	"gatewayd/radius"
	"gatewayd/radius/udp"
)

// granted is a session that a RADIUS server let in: what both sides know it by.
type granted struct {
	account  *radius.Account
	id       string // Acct-Session-Id
	userName string
	class    [][]byte
}

// buildDynamic lets the RADIUS servers end sessions, or have them authenticate
// anew (RFC 5176).
func (l *Lowpan) buildDynamic(cfg *RADIUS, secret radius.Secret, servers []netip.AddrPort) error {
	at, err := netip.ParseAddrPort(cfg.Dynamic)
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius.dynamic: %w", err)
	}
	sockets, err := udp.New(udp.Options{Listen: []netip.AddrPort{at}, Deliver: l.g.deliver, Log: l.g.log})
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius.dynamic: %w", err)
	}
	var clients []radius.Authorized
	for _, s := range servers {
		a := s.Addr().Unmap()
		p := netip.PrefixFrom(a.WithZone(""), a.BitLen())
		if !slices.ContainsFunc(clients, func(c radius.Authorized) bool { return c.Prefix == p }) {
			clients = append(clients, radius.Authorized{Name: a.String(), Prefix: p, Secret: secret})
		}
	}
	l.dynamic, err = radius.NewDynamic(radius.DynamicConfig{
		Clock: l.Node.Clock(), Clients: clients, Send: sockets.Send, Carry: l.carry, NASIdentifier: cfg.Identifier, Discarded: l.discarded,
	})
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius.dynamic: %w", err)
	}
	l.g.drivers = append(l.g.drivers, func(ctx context.Context) { l.drive(ctx, sockets, l.dynamic.Receive) })
	return nil
}

// carry carries an order out, on all sessions that it means.
func (l *Lowpan) carry(o radius.Order) radius.ErrorCause {
	agent, found, done := l.Node.PAA(), 0, 0
	for _, s := range l.Node.Sessions() {
		if !l.means(&o, s) {
			continue
		}
		found++
		order, do := "end", agent.Disconnect
		if o.Reauthenticate {
			order, do = "authenticate anew", agent.Reauthenticate
		}
		err := do(s.ID)
		if err == nil {
			done++
		}
		if l.g.repeats.pass("RADIUS-ORDER", l.Node.Clock().Now()) {
			l.g.log.Info("a RADIUS server orders", "id", "RADIUS-ORDER", "from", o.From, "order", order,
				"identity", s.Identity, "device", l.station(s), "err", err)
		}
	}
	switch {
	case found == 0:
		return radius.SessionContextNotFound
	case done == 0:
		return radius.ResourcesUnavailable // it authenticates for the first time, or ends
	}
	return 0
}

// means reports whether an order means a session: one that a server has let in,
// and that has all that the order names.
func (l *Lowpan) means(o *radius.Order, s pana.Info) bool {
	g := l.sessions[s.ID]
	return g != nil && g.has(o) &&
		(o.CallingStation == "" || o.CallingStation == l.station(s)) &&
		(!o.Address.IsValid() || l.at(s, o.Address))
}

func (g *granted) has(o *radius.Order) bool {
	return (o.UserName == "" || o.UserName == g.userName) &&
		(o.SessionID == "" || o.SessionID == g.id) &&
		(o.Class == nil || slices.ContainsFunc(g.class, func(c []byte) bool { return bytes.Equal(c, o.Class) }))
}

// at reports whether a session's device makes an address of its link-layer one.
func (l *Lowpan) at(s pana.Info, a netip.Addr) bool {
	own, asked := s.PaC.Addr().As16(), a.As16()
	return a.Is6() && (a.IsLinkLocalUnicast() || l.Node.Network().Prefix.Contains(a)) && [8]byte(own[8:]) == [8]byte(asked[8:])
}

// checkDynamic judges the address to listen on.
func (r *RADIUS) checkDynamic() error {
	if r.Dynamic == "" {
		return nil
	}
	if _, err := netip.ParseAddrPort(r.Dynamic); err != nil {
		return fmt.Errorf("%q is not an address and port like [::]:3799", r.Dynamic)
	}
	if len(r.Servers) == 0 {
		return errors.New("there are no servers that could order anything")
	}
	return nil
}
