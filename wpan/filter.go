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
	maxJoiners = 64
	joinerTime = 2 * time.Minute // that a device without a key is remembered for
)

// Allowances of datagrams without a key: of one device, of all that have been
// seen to take what is sent to them, and of all others. Addresses that were made
// up do not take anything, and each answer to one is sent in vain many times.
var (
	joinerAllowance   = allowance{most: 20, period: 50 * time.Millisecond}
	provenAllowance   = allowance{most: 50, period: 20 * time.Millisecond}
	unprovenAllowance = allowance{most: 50, period: 20 * time.Millisecond}
)

// inVain is what an answer that nobody acknowledged costs all that are unproven.
const inVain = 9

// allowance is a bucket of credits: most at once, one more each period.
type allowance struct {
	most   int
	period time.Duration
}

// bucket is what is left of an allowance.
type bucket struct {
	spent int
	since time.Time
}

// take takes a credit; false if there is none.
func (b *bucket) take(a allowance, now time.Time) bool {
	if back := now.Sub(b.since) / a.period; back > 0 {
		b.spent, b.since = max(0, b.spent-int(min(back, time.Duration(a.most)))), now
	}
	if b.spent >= a.most {
		return false
	}
	b.spent++
	return true
}

// joiner is a device that was heard without a key.
type joiner struct {
	at     time.Time
	proven bool // it acknowledged an answer
	bucket
}

// joiners are all of them.
type joiners struct {
	heard            map[ieee802154.ExtAddr]*joiner
	proven, unproven bucket
}

// isJoiner reports a device that has no key: what it asked is answered without.
func (n *Node) isJoiner(a ieee802154.Addr) bool {
	if n.network.Open || a.Mode != ieee802154.AddrExtended {
		return false
	}
	j := n.joiners.heard[a.Ext]
	return j != nil && n.clock.Now().Sub(j.at) < joinerTime
}

// joinerHeard notes a device without a key; false if it says too much, or all
// of them do.
func (n *Node) joinerHeard(a ieee802154.ExtAddr) bool {
	js, now := &n.joiners, n.clock.Now()
	j := js.heard[a]
	switch {
	case j != nil && !j.take(joinerAllowance, now):
		return false
	case j != nil && j.proven && now.Sub(j.at) < joinerTime:
		if !js.proven.take(provenAllowance, now) {
			return false
		}
	case !js.unproven.take(unprovenAllowance, now):
		return false
	}
	if j == nil {
		if len(js.heard) >= maxJoiners {
			js.forgetOne()
		}
		j = &joiner{}
		js.heard[a] = j
	}
	j.at = now
	return true
}

// forgetOne makes room: who was silent for longest goes, unproven ones first.
// Its next word brings it back.
func (js *joiners) forgetOne() {
	var victim ieee802154.ExtAddr
	var worst *joiner
	for x, j := range js.heard {
		if worst == nil || !j.proven && worst.proven || j.proven == worst.proven && j.at.Before(worst.at) {
			victim, worst = x, j
		}
	}
	delete(js.heard, victim)
}

// joinerAnswered notes whether a device without a key took what was sent to it.
func (n *Node) joinerAnswered(a ieee802154.Addr, ok bool) {
	js := &n.joiners
	if j := js.heard[a.Ext]; j != nil {
		j.proven = ok
	}
	if !ok {
		js.unproven.spent = min(js.unproven.spent+inVain, 4*unprovenAllowance.most)
	}
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
		if u.SrcPort == portPANA && u.DstPort == portClient && n.awaitsPANA(h.Src) {
			return true
		}
		return u.DstPort == portPANA && n.takesJoiners() && n.joinerHeard(info.Src.Ext)
	case ipv6.ProtoICMPv6:
		m, err := ipv6.DecodeICMP(b)
		if err != nil || !n.takesJoiners() {
			return false
		}
		options := 4 // where they begin in the body (RFC 4861 Section 4)
		switch m.Type {
		case ipv6.ICMPNeighborSolicit:
			options += 16
		case ipv6.ICMPRouterSolicit:
		default:
			return false
		}
		// An address is not registered by who has no key.
		return onlyOption(m.Body, options, optionSource) && n.joinerHeard(info.Src.Ext)
	}
	return false
}

// Options of neighbour discovery.
const (
	optionSource = 1 // source link-layer address
	optionTarget = 2 // target link-layer address
)

// onlyOption reports that there are options of one type at most in the body of
// a message of neighbour discovery.
func onlyOption(body []byte, off int, typ uint8) bool {
	for off < len(body) {
		if len(body) < off+8 || body[off] != typ || body[off+1] == 0 {
			return false
		}
		off += 8 * int(body[off+1])
	}
	return off == len(body)
}

// inClear reports a message of neighbour discovery that may go to a device
// without a key: not one about a registration. An address that was feigned
// could otherwise keep a node of the network from its own.
func inClear(typ uint8, body []byte) bool {
	switch typ {
	case ipv6.ICMPRouterAdvert:
		return true
	case ipv6.ICMPNeighborAdvert:
		return onlyOption(body, 4+16, optionTarget)
	}
	return false
}

// takesJoiners reports whether this node takes devices without a key further:
// a coordinator or router does, also while no new ones may join, for those that
// come back. Who may, the agent decides.
func (n *Node) takesJoiners() bool { return n.attached() && n.cfg.Role != Host }
