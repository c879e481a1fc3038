package wpan

import (
	"net/netip"
	"time"

	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// hostRouting is a host's: everything goes to its router.
type hostRouting struct {
	n     *Node
	lost  int       // datagrams in a row that the router did not acknowledge
	asked time.Time // for another router
}

// Implementation constants.
const (
	maxLost   = 3                // then another router is looked for
	askPeriod = 10 * time.Second // between such searches
)

func (r *hostRouting) originate(h ipv6.Header, packet []byte, o sending) {
	r.n.toDefaultRouter(h, packet, o)
}

func (r *hostRouting) arrived(h ipv6.Header, packet []byte, info Link) {
	if !r.n.has(h.Dst) {
		r.n.Counters.Refused++ // a host forwards nothing
		return
	}
	r.n.deliver(h, packet, info)
}

// linkSent notices that the router has gone, without waiting for what it
// promised to end. Its own silence says nothing: others are asked, and the first
// that answers is taken.
func (r *hostRouting) linkSent(to netip.Addr, ok bool, _ int) {
	n := r.n
	if n.host == nil {
		return
	}
	if d, known := n.host.DefaultRouter(); !known || d.Addr != to {
		return
	}
	if ok {
		r.lost = 0
		return
	}
	r.lost++
	if now := n.clock.Now(); r.lost >= maxLost && now.Sub(r.asked) >= askPeriod {
		r.asked = now
		b := make([]byte, 4, 20) // reserved (RFC 4861 Section 4.1)
		b = append(b, optionSource, 2)
		b = append(append(b, n.ext[:]...), make([]byte, 6)...)
		n.sendND(ndp.Out{Src: n.addrs[0], Dst: allRouters, HopLimit: 255, Type: ipv6.ICMPRouterSolicit, Body: b})
	}
}

// advertised takes a router that answers in place of one that does not.
func (r *hostRouting) advertised(router netip.Addr) {
	if r.lost < maxLost || r.n.host == nil {
		return
	}
	if d, ok := r.n.host.DefaultRouter(); ok && d.Addr != router {
		r.lost = 0
		r.n.host.Prefer(router)
	}
}

func (r *hostRouting) control(ipv6.Header, ipv6.ICMP, Link) {}
func (r *hostRouting) trouble(ipv6.Header, ipv6.ICMP) bool  { return false }
func (r *hostRouting) addressed()                           {}
func (r *hostRouting) neighbour(ndp.Registration, bool)     {}
func (r *hostRouting) stop()                                {}

var _ routing = (*hostRouting)(nil)
