package wpan

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
)

// Ports.
const (
	portPANA       = 716
	portDHCPClient = 546
	portDHCPServer = 547
)

// Implementation constants.
const (
	maxJoiners    = 64
	joinerTime    = 2 * time.Minute       // that a device without a key is remembered for
	joinerPeriod  = 20 * time.Millisecond // between its datagrams, on average
	joinerCredits = 50
)

// joiners are the devices that were heard without a key, and how much more is
// taken from all of them together.
type joiners struct {
	heard   map[ieee802154.ExtAddr]time.Time
	credits int
	since   time.Time
}

// isJoiner reports a device that has no key: what it asked is answered without.
func (n *Node) isJoiner(a ieee802154.Addr) bool {
	if n.network.Open || a.Mode != ieee802154.AddrExtended {
		return false
	}
	at, ok := n.joiners.heard[a.Ext]
	return ok && n.clock.Now().Sub(at) < joinerTime
}

// joinerHeard notes a device without a key; false if there are too many of
// them, or they say too much.
func (n *Node) joinerHeard(a ieee802154.ExtAddr) bool {
	j, now := &n.joiners, n.clock.Now()
	if more := int(now.Sub(j.since) / joinerPeriod); more > 0 || j.since.IsZero() {
		j.credits, j.since = min(j.credits+max(more, 0), joinerCredits), now
		if j.credits == 0 {
			j.credits = joinerCredits
		}
	}
	if j.credits == 0 {
		return false
	}
	j.credits--
	if _, known := j.heard[a]; !known && len(j.heard) >= maxJoiners {
		for x, at := range j.heard {
			if now.Sub(at) >= joinerTime {
				delete(j.heard, x)
			}
		}
		if len(j.heard) >= maxJoiners {
			return false
		}
	}
	j.heard[a] = now
	return true
}

// mayPassUnsecured is the filter of a secured network for what comes under no
// key. A device that has none may speak PANA with a node that takes it further,
// and discover that node; a device that asked for its key may be answered.
// Everything is link-local: nothing without a key is ever forwarded.
func (n *Node) mayPassUnsecured(h ipv6.Header, proto uint8, b []byte, info Link) bool {
	if info.Src.Mode != ieee802154.AddrExtended || h.Src != linkLocal(info.Src.Ext) {
		return false
	}
	if h.Dst.IsMulticast() && ipv6.Scope(h.Dst) != ipv6.ScopeLink || !h.Dst.IsMulticast() && !h.Dst.IsLinkLocalUnicast() {
		return false
	}
	switch proto {
	case ipv6.ProtoUDP:
		u, _, err := ipv6.DecodeUDP(b)
		if err != nil || h.Dst.IsMulticast() {
			return false
		}
		if u.SrcPort == portPANA && n.awaitsPANA(h.Src) {
			return true
		}
		return u.DstPort == portPANA && n.takesJoiners() && n.joinerHeard(info.Src.Ext)
	case ipv6.ProtoICMPv6:
		m, err := ipv6.DecodeICMP(b)
		if err != nil || !n.takesJoiners() {
			return false
		}
		// An address is not registered by who has no key: the body of a
		// solicitation is bare or has a link-layer address only.
		const bare = 4 + 16 + 16
		switch m.Type {
		case ipv6.ICMPRouterSolicit, ipv6.ICMPNeighborSolicit:
			return len(m.Body) <= bare && n.joinerHeard(info.Src.Ext)
		}
	}
	return false
}

// takesJoiners reports whether this node takes devices without a key further:
// a coordinator or router of a network that permits joining, or that has
// sessions to keep.
func (n *Node) takesJoiners() bool { return n.attached() && n.cfg.Role != Host }
