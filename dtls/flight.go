package dtls

import "time"

// A flightItem is one record of the last flight, or one message to be cut into
// records. It is kept in plain text: a retransmission is sealed anew, with new
// sequence numbers (RFC 6347 Section 4.2.4).
type flightItem struct {
	msg   message // of a handshake item
	ccs   bool    // a ChangeCipherSpec instead
	epoch uint16
}

// flight is what was sent last, and when it is due again.
type flight struct {
	items    []flightItem
	final    bool // no timer: only sent again when the peer repeats itself
	sent     time.Time
	due      time.Time     // zero while no timer runs
	interval time.Duration // from sent to due
}

// begin starts a new flight.
func (c *Conn) begin(final bool) {
	c.flight = flight{final: final, interval: c.cfg.Initial}
}

// queue adds a handshake message to the flight and to the transcript.
func (c *Conn) queue(typ uint8, epoch uint16, body []byte) {
	m := message{typ: typ, seq: c.sendSeq, body: body}
	c.sendSeq++
	c.transcript = m.append(c.transcript)
	c.flight.items = append(c.flight.items, flightItem{msg: m, epoch: epoch})
}

// queueFinished ends the flight with ChangeCipherSpec and Finished.
func (c *Conn) queueFinished() {
	v := verifyData(&c.master, c.client, c.transcript)
	c.flight.items = append(c.flight.items, flightItem{ccs: true})
	c.queue(finishedType, 1, v[:])
	c.sendEpoch = 1
}

// transmit sends the flight: records packed into datagrams, long messages cut
// into fragments.
func (c *Conn) transmit(now time.Time) {
	var datagram []byte
	put := func(typ uint8, epoch uint16, body []byte) {
		need := recordHeaderLen + len(body)
		if epoch > 0 {
			need += sealedOverhead
		}
		if len(datagram) > 0 && len(datagram)+need > c.cfg.MTU {
			c.cfg.Send(datagram)
			datagram = nil
		}
		datagram, _ = c.appendRecord(datagram, typ, epoch, body)
	}
	room := min(c.cfg.MTU-recordHeaderLen-sealedOverhead, c.maxFragment) - messageHeaderLen
	for _, it := range c.flight.items {
		if it.ccs {
			put(typeChangeCipherSpec, it.epoch, []byte{1})
			continue
		}
		for off := 0; ; {
			n := min(room, len(it.msg.body)-off)
			put(typeHandshake, it.epoch, it.msg.appendPart(nil, off, n))
			if off += n; off == len(it.msg.body) {
				break
			}
		}
	}
	c.flight.sent, c.flight.due = now, time.Time{}
	if !c.flight.final {
		c.flight.due = now.Add(c.flight.interval)
	}
	if len(datagram) > 0 {
		c.cfg.Send(datagram)
	}
}

// repeat answers a peer that sent its last flight again, which means that it
// did not get ours. Within half the first interval it cannot know that yet.
func (c *Conn) repeat(now time.Time) {
	if len(c.flight.items) == 0 {
		return
	}
	if c.flight.final || now.Sub(c.flight.sent) >= c.cfg.Initial/2 {
		c.transmit(now)
	}
}

// Deadline returns when Tick is to be called; zero when no timer runs.
func (c *Conn) Deadline() time.Time {
	if c.state >= established {
		return time.Time{}
	}
	if c.flight.due.IsZero() || !c.limit.IsZero() && c.limit.Before(c.flight.due) {
		return c.limit
	}
	return c.flight.due
}

// Tick does what is due at now: sends the last flight again with twice the
// wait, or gives the handshake up. Calling it early does no harm.
func (c *Conn) Tick(now time.Time) {
	if c.state >= established {
		return
	}
	if !c.limit.IsZero() && !now.Before(c.limit) {
		c.end(ErrTimeout)
		return
	}
	if c.flight.due.IsZero() || now.Before(c.flight.due) {
		return
	}
	if c.flight.interval >= c.cfg.Max {
		c.end(ErrTimeout)
		return
	}
	c.flight.interval = min(2*c.flight.interval, c.cfg.Max)
	c.transmit(now)
}
