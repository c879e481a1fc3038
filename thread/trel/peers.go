package trel

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"time"

	"gatewayd/ieee802154"
)

// Peer is a node that can be reached over the link, for showing.
type Peer struct {
	Ext       ieee802154.ExtAddr
	ExtPANID  ExtPANID
	Addr      netip.AddrPort // where packets go
	Announced bool           // DNS-SD has it
	Heard     time.Time      // last authenticated frame; the zero time if there was none
}

type peer struct {
	sending
	ext       ieee802154.ExtAddr
	extPANID  ExtPANID
	addr      netip.AddrPort
	announced bool
	told      netip.AddrPort // what DNS-SD says, while announced
	heard     time.Time
}

// Announced takes what DNS-SD says of a node. A peer that was heard of lately
// stays where it is.
func (l *Link) Announced(t TXT, addr netip.AddrPort) {
	if !l.enabled || t.Ext == l.cfg.Ext() {
		return
	}
	now := l.cfg.Clock.Now()
	x := l.peers[t.Ext]
	if x == nil {
		// A node that has taken another address announces it from the same place.
		for _, y := range l.peers {
			if y.addr == addr && y.quiet(now, trusted) {
				delete(l.peers, y.ext)
			}
		}
		if x = l.add(t.Ext); x == nil {
			return
		}
		x.addr = addr
	}
	x.announced, x.told, x.extPANID = true, addr, t.ExtPANID
	if x.quiet(now, trusted) {
		x.addr = addr
	}
}

// Withdrawn takes that DNS-SD has a node no more, which is no proof that it is
// gone.
func (l *Link) Withdrawn(ext ieee802154.ExtAddr) {
	x := l.peers[ext]
	if x == nil {
		return
	}
	x.announced = false
	if x.quiet(l.cfg.Clock.Now(), kept) {
		delete(l.peers, ext)
		return
	}
	l.timer.StartEarlier(sweep)
}

// Confirm tells that the frame that is being handled is authentic. If it is
// fresh too, and no replay, its sender is where the packet came from; else that
// counts only of a sender that is not known.
func (l *Link) Confirm(ext ieee802154.ExtAddr, fresh bool) {
	if !l.from.addr.IsValid() || l.from.ext != ext {
		return
	}
	x := l.peers[ext]
	if x == nil {
		if x = l.add(ext); x == nil {
			return
		}
		x.addr, x.extPANID = l.from.addr, l.cfg.ExtPANID()
		l.timer.StartEarlier(sweep)
	}
	if fresh {
		x.addr, x.heard = l.from.addr, l.cfg.Clock.Now()
		x.extPANID = l.cfg.ExtPANID() // it has our network's key
	}
}

// quiet reports whether nothing was heard of a peer for so long.
func (x *peer) quiet(now time.Time, d time.Duration) bool {
	return x.heard.IsZero() || now.Sub(x.heard) >= d
}

// silent takes that a peer did not acknowledge: DNS-SD may know better where it
// is.
func (l *Link) silent(x *peer) {
	if x.announced {
		x.addr = x.told
	}
}

// add makes room for a peer; nil if there is none.
func (l *Link) add(ext ieee802154.ExtAddr) *peer {
	if len(l.peers) >= MaxPeers {
		worst := l.worst()
		if worst == nil {
			l.Counters.PeersRefused++
			return nil
		}
		delete(l.peers, worst.ext)
	}
	x := &peer{ext: ext}
	l.peers[ext] = x
	return x
}

// worst is the peer that can be spared most: one of another network, then one
// of which nothing was heard for long. One that was heard lately is not spared.
func (l *Link) worst() (w *peer) {
	own, now := l.cfg.ExtPANID(), l.cfg.Clock.Now()
	for _, ext := range l.order() {
		x := l.peers[ext]
		if !x.quiet(now, kept) {
			continue
		}
		if x.extPANID != own {
			return x
		}
		if w == nil || x.heard.Before(w.heard) {
			w = x
		}
	}
	return w
}

// expirePeers drops those that neither DNS-SD nor traffic speaks for.
func (l *Link) expirePeers(now time.Time) {
	for ext, x := range l.peers {
		if !x.announced && x.quiet(now, kept) {
			delete(l.peers, ext)
		}
	}
}

// order are the peers' addresses in order.
func (l *Link) order() []ieee802154.ExtAddr {
	return slices.SortedFunc(maps.Keys(l.peers), func(a, b ieee802154.ExtAddr) int { return bytes.Compare(a[:], b[:]) })
}

// Peers are all peers, in the order of their addresses.
func (l *Link) Peers() []Peer {
	var all []Peer
	for _, ext := range l.order() {
		x := l.peers[ext]
		all = append(all, Peer{Ext: x.ext, ExtPANID: x.extPANID, Addr: x.addr, Announced: x.announced, Heard: x.heard})
	}
	return all
}
