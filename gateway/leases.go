package gateway

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"gatewayd/dhcp6"
	"gatewayd/store"
	"gatewayd/wpan"
)

// storeDUID holds the DHCPv6 server's identity.
const storeDUID = "dhcp6-duid"

// buildDHCP makes the network's DHCPv6 server.
func (l *Lowpan) buildDHCP(nw wpan.Network) error {
	var err error
	if l.table, err = l.g.store.Table("leases"); err != nil {
		return err
	}
	duid, err := l.g.duid(nw)
	if err != nil {
		return err
	}
	l.Leases, err = dhcp6.NewServer(dhcp6.Config{
		Clock: l.Node.Clock(), DUID: duid, Store: leaseTable{l.table}, RapidCommit: true,
		Pools: pools(nw.Prefix),
		Taken: l.Node.Claimed,
		Notify: func(e dhcp6.Event) {
			if l.g.repeats.pass("DHCP6-"+e.Kind.String(), l.Node.Clock().Now()) {
				l.g.log.Info("DHCPv6", "id", "DHCP6-LEASE", "event", e.Kind.String(), "address", e.Lease.Addr, "from", e.From, "err", e.Err)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("gateway: lowpan.dhcp: %w", err)
	}
	l.Node.HandleUDP(dhcp6.ServerPort, func(d wpan.Datagram) {
		reply, to := l.Leases.Receive(d.Src, d.Payload, !d.Dst.Addr().IsMulticast())
		if reply != nil {
			l.Node.SendUDP(wpan.Datagram{Src: netip.AddrPortFrom(netip.Addr{}, dhcp6.ServerPort), Dst: to, Payload: reply})
		}
	})
	return nil
}

// pools are what addresses are handed out of.
func pools(p netip.Prefix) []dhcp6.Pool { return []dhcp6.Pool{{Prefix: p, EUI64: true}} }

// duid is the server's identity, made once and kept.
func (g *Gateway) duid(nw wpan.Network) ([]byte, error) {
	b, err := g.store.Load(storeDUID)
	if err == nil {
		return b, nil
	}
	if !isAbsent(err) && !isDamaged(err) {
		return nil, err
	}
	// Of the network's prefix, which is as unique as a link-layer address and
	// known before the radio is.
	a := nw.Prefix.Addr().As16()
	b = dhcp6.DUIDFromEUI64([8]byte(a[:8]))
	return b, g.store.Save(storeDUID, b)
}

// leaseTable keeps leases on the disk.
type leaseTable struct{ t *store.Table }

// Save implements dhcp6.Store.
func (t leaseTable) Save(l dhcp6.Lease) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return t.t.Put(l.Addr.AsSlice(), b)
}

// Delete implements dhcp6.Store.
func (t leaseTable) Delete(a netip.Addr) error { return t.t.Delete(a.AsSlice()) }

// Load implements dhcp6.Store.
func (t leaseTable) Load() (all []dhcp6.Lease, err error) {
	err = t.t.Each(func(_, value []byte) error {
		var l dhcp6.Lease
		if err := json.Unmarshal(value, &l); err != nil {
			return fmt.Errorf("gateway: a stored lease makes no sense: %w", err)
		}
		all = append(all, l)
		return nil
	})
	return all, err
}
