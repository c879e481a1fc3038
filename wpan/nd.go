package wpan

import (
	"encoding/json"
	"net/netip"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/ndp"
)

// Changes of the registrations are stored soon, but in a storm of them not all
// the time: what a power cut takes, its nodes register again within minutes.
const (
	saveDelay  = 500 * time.Millisecond
	savePeriod = 10 * time.Second
)

// beginDiscovery starts neighbour discovery in the node's role.
func (n *Node) beginDiscovery() {
	link := ndp.EUI64(n.ext)
	if n.cfg.Role == Coordinator {
		own := inPrefix(n.network.Prefix, n.ext)
		n.addrs = append(n.addrs[:1], own)
		n.contexts = lowpan.Contexts{{ID: 0, Prefix: n.network.Prefix, Compress: true}}
		n.border = ndp.NewBorder(ndp.BorderConfig{
			Clock: &n.clock, Rand: n.rand, Send: n.sendND, LinkAddr: link, Addr: own,
			Info: n.info(), Managed: n.cfg.Managed, Changed: n.registered,
		})
		if b, _, ok := n.cfg.Store.Load(storeND); ok {
			var s ndp.State
			if err := json.Unmarshal(b, &s); err != nil {
				n.log(Event{ID: "LOWPAN-STORE", Text: "the stored registrations make no sense", Err: err})
			} else {
				n.border.Restore(s)
			}
		}
		return
	}
	n.host = ndp.NewHost(ndp.HostConfig{
		Clock: &n.clock, Rand: n.rand, Send: n.sendND, LinkAddr: link,
		Contexts: func(cs []lowpan.Context) { n.contexts = cs },
		Changed:  n.hostChanged, Route: n.cfg.Role == Host,
	})
	if n.cfg.Role == Router {
		n.router = ndp.NewRouter(ndp.RouterConfig{
			Clock: &n.clock, Rand: n.rand, Send: n.sendND, LinkAddr: link, Host: n.host,
			Addr: n.global, Changed: n.registered,
		})
		n.HandleUDP(portDHCPServer, n.relayDHCP)
	}
	n.host.Start()
}

// info is what the network is told.
func (n *Node) info() ndp.Info {
	return ndp.Info{
		Prefixes: []ndp.PrefixInfo{{Prefix: n.network.Prefix, Autonomous: true, Valid: ndp.Infinity, Preferred: ndp.Infinity}},
		Contexts: []ndp.ContextOption{{ID: 0, Prefix: n.network.Prefix, Compress: true, Lifetime: contextLifetime}},
		Other:    n.cfg.Others,
	}
}

// Renumber gives a coordinator's network another prefix. Devices hear that there
// is nothing of the prefix before any more, and make addresses of the new one;
// their sessions and keys stay.
func (n *Node) Renumber(p netip.Prefix) {
	if n.cfg.Role != Coordinator || p == n.network.Prefix {
		return
	}
	n.network.Prefix = p
	n.saveNetwork()
	n.log(Event{ID: "LOWPAN-PREFIX", Text: "the network has another prefix", Attrs: []Attr{{"prefix", p}}})
	if !n.began {
		return
	}
	n.routing.stop()
	own := inPrefix(p, n.ext)
	n.addrs = append(n.addrs[:1], own)
	n.contexts = lowpan.Contexts{{ID: 0, Prefix: p, Compress: true}}
	n.border.Renumber(own, n.info())
	n.saveRegistrations()
	n.beginRouting()
	n.changed()
}

// contextLifetime of the prefix's own context: it lasts as long as the network.
const contextLifetime = 18 * time.Hour

func (n *Node) endDiscovery() {
	switch {
	case n.border != nil:
		n.border.Stop()
	case n.router != nil:
		n.HandleUDP(portDHCPServer, nil)
		n.router.Stop()
		n.host.Stop()
	default:
		n.host.Stop()
	}
	// The border's registrations are still to be stored.
	n.router, n.host = nil, nil
}

// global is the node's routable address; the zero Addr while it has none.
func (n *Node) global() netip.Addr {
	if len(n.addrs) < 2 {
		return netip.Addr{}
	}
	return n.addrs[len(n.addrs)-1]
}

// hostChanged takes up the addresses that are registered.
func (n *Node) hostChanged() {
	if n.host == nil {
		return
	}
	addrs := []netip.Addr{n.addrs[0]}
	for _, a := range n.host.Addresses() {
		if a.State == ndp.Registered {
			addrs = append(addrs, a.Addr)
		}
	}
	same := len(addrs) == len(n.addrs)
	for i := 0; same && i < len(addrs); i++ {
		same = addrs[i] == n.addrs[i]
	}
	n.addrs = addrs
	if d, ok := n.host.DefaultRouter(); ok {
		n.auth.roamed(d.Addr)
	}
	n.routing.addressed()
	if !same {
		n.log(Event{ID: "LOWPAN-ADDRESS", Text: "addresses registered", Attrs: []Attr{{"addresses", addrs[1:]}}})
		n.changed()
	}
}

// sendND sends a message of neighbour discovery.
func (n *Node) sendND(o ndp.Out) {
	s := sending{urgent: true, hop: o.Link.IEEE802154()}
	if o.Dst.IsMulticast() {
		s.hop = ieee802154.Addr{}
	}
	if s.hop.Mode != ieee802154.AddrNone {
		s.unsecured = n.isJoiner(s.hop) && inClear(o.Type, o.Body)
	}
	n.send(o.AppendPacket(nil), s)
}

// discovery takes a message of neighbour discovery.
func (n *Node) discovery(h ipv6.Header, m ipv6.ICMP, info Link) {
	in := ndp.In{Src: h.Src, Dst: h.Dst, HopLimit: h.HopLimit, Type: m.Type, Code: m.Code, Body: m.Body,
		Link: ndp.FromIEEE802154(info.Src)}
	var err error
	switch {
	case n.border != nil && n.began:
		err = n.border.Receive(in)
	case n.router != nil:
		err = n.router.Receive(in)
	case n.host != nil:
		err = n.host.Receive(in)
	}
	if err != nil {
		n.Counters.Refused++
		return
	}
	if h, ok := n.routing.(*hostRouting); ok && m.Type == ipv6.ICMPRouterAdvert {
		h.advertised(in.Src)
	}
}

// registered follows the addresses of neighbours.
func (n *Node) registered(r ndp.Registration, present bool) {
	if n.border != nil {
		n.saving.StartEarlier(max(saveDelay, n.saved.Add(savePeriod).Sub(n.clock.Now())))
	}
	if r.Neighbor() && !r.Addr.IsLinkLocalUnicast() {
		n.routing.neighbour(r, present)
	}
	n.changed()
}

// resolve is the link-layer address of a neighbour, by what it registered.
func (n *Node) resolve(a netip.Addr) (ieee802154.Addr, bool) {
	if a.IsLinkLocalUnicast() {
		return linkAddress(a), true
	}
	var l ndp.LinkAddr
	ok := false
	switch {
	case n.border != nil:
		l, ok = n.border.Resolve(a)
	case n.router != nil:
		l, ok = n.router.Resolve(a)
	}
	return l.IEEE802154(), ok && l.IsValid()
}

// offMesh reports an address that is not in the network's prefix.
func (n *Node) offMesh(a netip.Addr) bool {
	return n.network.Prefix.IsValid() && !n.network.Prefix.Contains(a) && !a.IsLinkLocalUnicast()
}

func (n *Node) saveRegistrations() {
	if n.border == nil {
		return
	}
	n.saved = n.clock.Now()
	b, err := json.Marshal(n.border.Snapshot())
	if err == nil {
		err = n.cfg.Store.Save(storeND, b)
	}
	if err != nil {
		n.log(Event{ID: "LOWPAN-STORE", Text: "registrations cannot be stored", Err: err})
	}
}

// Claimed reports whether a coordinator has an address registered by a node from
// whose link-layer address it is not made: nobody else can be given it.
func (n *Node) Claimed(a netip.Addr) bool {
	if n.has(a) {
		return true
	}
	if n.border == nil {
		return false
	}
	r, ok := n.border.Lookup(a)
	return ok && r.ROVR != ndp.ROVROf(linkAddress(a).Ext)
}

// Registrations are the addresses that a coordinator or router has registered.
func (n *Node) Registrations() []ndp.Registration {
	switch {
	case n.border != nil:
		return n.border.Table()
	case n.router != nil:
		return n.router.Table()
	}
	return nil
}
