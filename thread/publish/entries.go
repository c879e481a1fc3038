package publish

import (
	"net/netip"

	"gatewayd/thread/netdata"
)

// onMesh is an on-mesh prefix.
type onMesh struct {
	prefix netip.Prefix
	flags  netdata.PrefixFlags
}

func (o onMesh) of() netip.Prefix { return o.prefix.Masked() }

func (o onMesh) count(d *netdata.Data, better func(uint16) bool) (entries, preferred, wanted int) {
	if p := d.FindPrefix(o.of()); p != nil {
		for _, e := range p.BorderRouters {
			if !e.Stable || e.Flags.With(0) != o.flags.With(0) || e.Flags.Preference() < o.flags.Preference() {
				continue
			}
			entries++
			if e.Flags.Preference() > o.flags.Preference() || better(e.RLOC16) {
				preferred++
			}
		}
	}
	return entries, preferred, wantedPrefixes
}

func (o onMesh) add(l *netdata.Local) error { return l.SetPrefix(o.prefix, o.flags, true) }
func (o onMesh) remove(l *netdata.Local)    { l.RemovePrefix(o.prefix) }

// route is a route to a prefix outside the mesh.
type route struct {
	prefix netip.Prefix
	flags  netdata.RouteFlags
}

func (r route) of() netip.Prefix { return r.prefix.Masked() }

func (r route) count(d *netdata.Data, better func(uint16) bool) (entries, preferred, wanted int) {
	if p := d.FindPrefix(r.of()); p != nil {
		for _, e := range p.HasRoutes {
			if !e.Stable || e.Flags.With(0) != r.flags.With(0) || e.Flags.Preference() < r.flags.Preference() {
				continue
			}
			entries++
			if e.Flags.Preference() > r.flags.Preference() || better(e.RLOC16) {
				preferred++
			}
		}
	}
	return entries, preferred, wantedRoutes
}

func (r route) add(l *netdata.Local) error { return l.SetRoute(r.prefix, r.flags, true) }
func (r route) remove(l *netdata.Local)    { l.RemoveRoute(r.prefix) }

// anycast is a DNS/SRP server at its service's anycast locator.
type anycast struct{ sequence, version uint8 }

func (a anycast) count(d *netdata.Data, better func(uint16) bool) (entries, preferred, wanted int) {
	for _, s := range d.SRPAnycasts() {
		if s.Sequence != a.sequence || s.Version < a.version {
			continue
		}
		entries++
		if s.Version > a.version || better(s.RLOC16) {
			preferred++
		}
	}
	return entries, preferred, wantedAnycast
}

func (a anycast) add(l *netdata.Local) error {
	var server []byte
	if a.version != 0 { // absent is version 0
		server = []byte{a.version}
	}
	return l.SetService(netdata.ThreadEnterprise, netdata.SRPAnycastService(a.sequence), server, true)
}

func (a anycast) remove(l *netdata.Local) {
	l.RemoveService(netdata.ThreadEnterprise, netdata.SRPAnycastService(a.sequence))
}

// unicast is a DNS/SRP server with an address of its own. The node's mesh-local
// EID goes into the server data, any other address into the service data.
type unicast struct {
	at      netip.AddrPort
	version uint8
	own     bool
}

func (u unicast) count(d *netdata.Data, better func(uint16) bool) (entries, preferred, wanted int) {
	wanted = wantedUnicast
	for _, s := range d.SRPUnicasts() {
		if s.InServiceData == u.own {
			if u.own { // clients prefer the others
				wanted = 0
			}
			continue
		}
		if s.Version < u.version {
			continue
		}
		entries++
		if s.Version > u.version || better(s.RLOC16) {
			preferred++
		}
	}
	if u.own && len(d.SRPAnycasts()) > 0 {
		wanted = 0
	}
	return entries, preferred, wanted
}

func (u unicast) data() (service, server []byte) {
	if u.own {
		return netdata.SRPUnicastService(), netdata.SRPUnicastServer(u.at, u.version)
	}
	return netdata.SRPUnicastServiceAt(u.at, u.version), nil
}

func (u unicast) add(l *netdata.Local) error {
	service, server := u.data()
	return l.SetService(netdata.ThreadEnterprise, service, server, true)
}

func (u unicast) remove(l *netdata.Local) {
	service, _ := u.data()
	l.RemoveService(netdata.ThreadEnterprise, service)
}
