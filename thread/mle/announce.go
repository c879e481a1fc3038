package mle

import (
	"net/netip"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
)

const (
	announceWait = 250 * time.Millisecond // for a still newer one
	pendingSoon  = 60 * time.Second       // a pending dataset that moves us anyway
)

// sendAnnounce tells on a channel where the network is.
func (m *MLE) sendAnnounce(channel uint8, to netip.Addr, ts meshcop.Timestamp) {
	b := m.build()
	b.add(TypeChannel, meshcop.Channel{Number: uint16(m.cfg.MAC.Channel())}.Append(nil)...)
	b.TLVs = b.AppendTimestamp(TypeActiveTimestamp, ts)
	b.uint16(TypePANID, m.cfg.MAC.PANID())
	m.send(Announce, b.TLVs, to, link.Options{Security: link.WellKnown, OverridePAN: true,
		PANID: ieee802154.BroadcastPAN, Channel: channel})
}

// SendAnnounce tells on a channel where the network is.
func (m *MLE) SendAnnounce(channel uint8) {
	if m.role != Disabled {
		m.sendAnnounce(channel, allNodes, m.known.active)
	}
}

func (m *MLE) announceReceived(x *rx) {
	c, err := meshcop.DecodeChannel(x.must(TypeChannel, 3))
	ts, ok := x.optTimestamp(TypeActiveTimestamp)
	pan := x.uint16(TypePANID)
	if x.err == nil && err != nil {
		x.fail(TypeChannel, err)
	}
	if !ok {
		x.fail(TypeActiveTimestamp, ErrMissing)
	}
	if m.malformed(x) {
		return
	}
	x.class = peer
	channel := uint8(c.Number)
	same := channel == m.cfg.MAC.Channel() && pan == m.cfg.MAC.PANID()
	switch order := ts.Compare(m.known.active); {
	case ts.IsOrphan() && same:
	case ts.IsOrphan(), order < 0:
		k := delayKey{Announce, x.ext}
		if m.waits(k) {
			return
		}
		// One answer at a time to each asker bounds what it can make us send.
		m.later(k, time.Millisecond, func() {
			m.sendAnnounce(channel, allNodes, m.known.active)
			m.sendAnnounce(channel, x.from, m.known.active)
		})
	case order > 0:
		m.newerAnnounced(channel, pan, ts, same)
	case m.cfg.Events.Announced != nil:
		m.cfg.Events.Announced()
	}
}

// newerAnnounced moves to where the network is said to be now.
func (m *MLE) newerAnnounced(channel uint8, pan uint16, ts meshcop.Timestamp, same bool) {
	a := &m.attach
	if m.role == Detached && same {
		return
	}
	if p := m.cfg.Datasets.Pending(); p != nil && p.ActiveTimestamp != nil && p.Delay != nil &&
		!m.cfg.Datasets.Stale() && p.ActiveTimestamp.Compare(ts) >= 0 && time.Duration(*p.Delay)*time.Millisecond < pendingSoon {
		return
	}
	if a.state == attachMove && a.alternateTime >= ts.Seconds {
		return
	}
	m.log("MLE-0018", "network is elsewhere", Attr{"channel", channel}, Attr{"panid", pan})
	a.alternateTime, a.alternateChannel, a.alternatePAN, a.moved = ts.Seconds, channel, pan, false
	a.state = attachMove
	a.timer.Start(announceWait)
	a.cycles = 0
}

// move attaches at the place that an Announce named; the present one is kept
// to go back to.
func (m *MLE) move() {
	a := &m.attach
	channel, pan := a.alternateChannel, a.alternatePAN
	m.cfg.Datasets.EndTry(false)
	m.forgetAll()
	m.becomeDetached()
	m.restoring = restoring{}
	a.alternateChannel, a.alternatePAN, a.alternateTime, a.moved = m.cfg.MAC.Channel(), m.cfg.MAC.PANID(), 0, true
	m.cfg.MAC.SetChannel(channel)
	m.cfg.MAC.SetPANID(pan)
	m.cfg.Table.Parent.State = 0
	m.setRLOC16(ieee802154.InvalidShort)
	m.startAttach(anyPartition)
}

// informPreviousChannel tells those who are still where we came from.
func (m *MLE) informPreviousChannel() {
	a := &m.attach
	if a.alternatePAN == ieee802154.BroadcastPAN || !a.moved {
		return
	}
	if m.role != Child && !m.Router() || m.mode.FullThread() && m.role == Child && m.RouterEligible() && m.routing.transition > 0 {
		return // first settle the role
	}
	channel := a.alternateChannel
	a.alternatePAN, a.moved = ieee802154.BroadcastPAN, false
	m.sendAnnounce(channel, allNodes, m.known.active)
}
