package mac

import (
	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

// Poll asks the parent for what it holds for us, as soon as the radio is free.
// Handler.PollSent tells the outcome; a frame that the parent announced by the
// pending bit is waited for with the receiver on.
func (m *MAC) Poll() {
	m.wantPoll = true
	m.Kick()
}

func (m *MAC) startPoll() {
	p := &m.cfg.Table.Parent
	if p.State == neighbor.Invalid {
		p = &m.cfg.Table.Candidate
	}
	if p.State == neighbor.Invalid {
		return
	}
	f := Frame{Security: link.Secured, Command: ieee802154.CommandDataRequest}
	if m.want.Short != ieee802154.InvalidShort && p == &m.cfg.Table.Parent {
		f.Dst, f.Src = ieee802154.ShortAddr(p.RLOC16), ieee802154.ShortAddr(m.want.Short)
	} else {
		f.Dst, f.Src = ieee802154.ExtendedAddr(p.Ext), ieee802154.ExtendedAddr(m.want.Ext)
	}
	m.op, m.out = poll, f
	m.Counters.TxDataPoll++
	m.transmit(int(m.Retries.Direct))
}

// polledFrame ends the wait after a poll: a frame for us alone came. More may
// follow if it has the pending bit.
func (m *MAC) polledFrame(r *Received) {
	m.timer.Stop()
	m.op = idle
	m.configure()
	if r.Frame.Pending {
		m.Poll()
	}
}
