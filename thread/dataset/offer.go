package dataset

import (
	"errors"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// The time between offers of a dataset to the leader, and after one that was
// accepted: the news of it may take as long as between two Advertisements.
const (
	offerInterval = 5 * time.Second
	offerAgain    = 40 * time.Second
)

var errRejected = errors.New("dataset: the leader refused it")

// offer is what goes on about one of the node's own datasets.
type offer struct {
	timer *alarm.Timer
	under bool // way
}

// offer sends the node's own dataset to the leader while the network's is
// older, as MGMT_ACTIVE_SET or MGMT_PENDING_SET.
func (m *Manager) offer(k kind) {
	d, uri := m.ownActive, tmf.ActiveSet
	if k == pending {
		d, uri = m.ownPending.left(m.cfg.Clock.Now()), tmf.PendingSet
	}
	o := &m.offers[k]
	if d == nil || o.under || !m.cfg.Attached() || m.cfg.Leading() {
		return
	}
	if k == active {
		if !newer(d.ActiveTimestamp, m.activeTimestamp()) {
			return
		}
		if p := m.pending.d; p != nil && p.ActiveTimestamp != nil && *p.ActiveTimestamp == *d.ActiveTimestamp {
			return // the network is about to have it
		}
	} else if !newer(d.PendingTimestamp, m.pending.timestamp()) {
		return
	}
	o.under = true
	m.cfg.TMF.Send(uri, m.cfg.Leader(), d.Append(nil), tmf.Options{Priority: link.Net, Source: m.cfg.RLOC()},
		func(r tmf.Response, err error) {
			o.under = false
			if err == nil {
				err = answerOf(r)
			}
			if err == nil {
				o.timer.Start(offerAgain)
				return
			}
			o.timer.Start(offerInterval)
			m.log("DATASET-OFFER", "the leader did not take this node's dataset", err)
			if k == pending && errors.Is(err, errRejected) {
				m.updateRejected()
			}
		})
}

func answerOf(r tmf.Response) error {
	if r.Code != coap.Changed {
		return errRejected
	}
	s, err := meshcop.DecodeState(r.Payload)
	if err == nil && s != meshcop.StateAccept {
		err = errRejected
	}
	return err
}
