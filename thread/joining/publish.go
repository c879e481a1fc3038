package joining

import (
	"errors"
	"fmt"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// How long a set that failed waits to be sent again, implementation constants.
const (
	publishRetry  = time.Second      // without an answer
	publishRefuse = 10 * time.Second // after a refusal
)

// publisher keeps the steering data at the leader as the list has it, with one
// request at a time (MGMT_COMMISSIONER_SET.req).
type publisher struct {
	c       *Commissioner
	timer   *alarm.Timer
	pending bool // a request is under way
	stale   bool // and the list is another one than it says
	err     error
}

func (p *publisher) init(c *Commissioner) {
	p.c = c
	p.timer = c.cfg.Clock.NewTimer(p.send)
}

func (p *publisher) stop() {
	p.timer.Stop()
	p.pending, p.stale = false, false
}

// changed is called when the list is another one.
func (p *publisher) changed() {
	if p.c.state != Active {
		return
	}
	if p.pending {
		p.stale = true
		return
	}
	p.send()
}

func (p *publisher) send() {
	c := p.c
	p.timer.Stop()
	p.pending, p.stale = true, false
	term, session := c.term, c.session
	d := meshcop.CommissioningData{SessionID: &session, SteeringData: c.SteeringData()}
	c.cfg.TMF.Send(tmf.CommissionerSet, c.leader(), d.Append(nil), tmf.Options{Priority: link.Net, Source: c.rloc()},
		func(r tmf.Response, err error) {
			if c.term != term {
				return
			}
			p.pending = false
			p.err = setError(r, err)
			switch {
			case p.stale:
				p.send()
			case errors.Is(p.err, ErrRejected):
				p.timer.Start(publishRefuse)
				c.keepAlive() // is it still our session?
			case p.err != nil:
				p.timer.Start(publishRetry)
			}
		})
}

func setError(r tmf.Response, err error) error {
	if err != nil {
		return fmt.Errorf("joining: publishing the list: %w", err)
	}
	if r.Code != coap.Changed {
		return fmt.Errorf("joining: publishing the list: answered with %v", r.Code)
	}
	if s, err := meshcop.DecodeState(r.Payload); err != nil || s == meshcop.StateReject {
		return ErrRejected.because("the leader does not publish the list")
	}
	return nil
}

// Published reports whether the leader has the steering data of the present
// list; if not, the error is that of the last try, or nil while the first one
// is under way.
func (c *Commissioner) Published() (bool, error) {
	return c.state == Active && !c.publish.pending && c.publish.err == nil, c.publish.err
}

// SteeringData is what the list amounts to.
func (c *Commissioner) SteeringData() meshcop.SteeringData {
	if len(c.list) == 0 {
		return meshcop.AllowNone()
	}
	s := meshcop.NewSteeringData()
	for _, e := range c.list {
		switch e.Who.Kind {
		case Anybody:
			return meshcop.AllowAny()
		case ByEUI64:
			s.Add(meshcop.JoinerID(e.Who.EUI64))
		case ByDiscerner:
			s.AddDiscerner(e.Who.Discerner)
		}
	}
	return s
}
