package gateway

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"gatewayd/border"
	"gatewayd/host/firewall"
	"gatewayd/thread/netdata"
)

// lowpanMesh is a plain 6LoWPAN network to border routing: a mesh with this one
// border router, whose prefix is settled and whose devices send all that is for
// elsewhere here.
type lowpanMesh struct {
	l *Lowpan
	// id stands for the extended PAN ID, of which the on-link prefix is made.
	id [8]byte
	// home is the network's prefix while none is delegated.
	home netip.Prefix
	said netip.Prefix
}

// buildLowpanInfra makes a plain network's way to the infrastructure.
func (g *Gateway) buildLowpanInfra() error {
	seed, err := g.identitySeed()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(append([]byte("on-link "), seed...))
	err = g.buildInfra(&lowpanMesh{l: g.lowpan, id: [8]byte(sum[:8]), home: g.lowpan.Node.Network().Prefix})
	if err == nil && g.cfg.asksPrefix() {
		err = g.buildDelegation()
	}
	return err
}

func (m *lowpanMesh) tell(b *border.Manager) {
	p := m.l.Node.Network().Prefix
	if p != m.said {
		// The one prefix there is, for the manager to publish.
		m.said = p
		b.SetDelegated([]border.Delegated{{Prefix: p}})
	}
	flags := netdata.FlagOnMesh | netdata.FlagSLAAC | netdata.FlagPreferred | netdata.FlagDefault
	preference := netdata.Medium
	if p.Addr().IsPrivate() {
		preference = netdata.Low // nobody outside knows the way back
	}
	b.SetMesh(border.Mesh{Attached: m.l.Node.Attached(), Router: true, ExtPANID: m.id, Data: &netdata.Data{Prefixes: []netdata.Prefix{
		{Prefix: p, BorderRouters: []netdata.BorderRouter{{Flags: flags.With(preference), Stable: true}}},
		// What nobody in the mesh has goes up to the root of its routing, here.
		{Prefix: anywhere, HasRoutes: []netdata.HasRoute{{Stable: true}}},
	}}})
}

var anywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)

// publish does nothing: neighbour discovery and RPL tell the mesh what there is
// to know.
func (m *lowpanMesh) publish(_, _ border.Publication) error { return nil }

func (m *lowpanMesh) prefixes() (own, private []netip.Prefix) {
	return []netip.Prefix{m.l.Node.Network().Prefix}, nil
}

// devices are those that registered as RFC 6775 has it, by their EUI-64.
func (m *lowpanMesh) devices(each func(firewall.EUI64, netip.Addr)) {
	for _, r := range m.l.Node.Registrations() {
		if b := r.ROVR.Bytes(); len(b) == len(firewall.EUI64{}) {
			each(firewall.EUI64(b), r.Addr)
		}
	}
}

func (m *lowpanMesh) sourceFor(device netip.Addr) (netip.Addr, bool) {
	return m.l.Node.SourceFor(device)
}

// delegated gives the network a prefix of those, or its own again.
func (m *lowpanMesh) delegated(list []border.Delegated) {
	n := m.l.Node
	if p := choosePrefix(list, n.Network().Prefix, m.home, n.Clock().Now()); p != n.Network().Prefix {
		m.l.renumber(p)
	}
}

// choosePrefix returns the /64 to use: the present one if it can be kept, else
// the first that is for new addresses.
func choosePrefix(list []border.Delegated, present, home netip.Prefix, now time.Time) netip.Prefix {
	after := func(t time.Time) bool { return t.IsZero() || t.After(now) }
	best := home
	for i := len(list) - 1; i >= 0; i-- {
		d := list[i]
		if d.Prefix.Bits() > 64 || !after(d.Valid) || !after(d.Preferred) {
			continue
		}
		if d.Prefix.Contains(present.Addr()) {
			return present
		}
		best = netip.PrefixFrom(d.Prefix.Masked().Addr(), 64)
	}
	return best
}
