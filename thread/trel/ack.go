package trel

import (
	"time"
)

// sending is what a peer has not acknowledged yet. Numbers follow each other:
// the oldest that waits is number - len(at).
type sending struct {
	number uint32      // of the next packet
	at     []time.Time // when each of those that wait was sent, oldest first
	last   []byte      // the newest of them, for a retry
	tries  int
	retry  time.Time // of last
}

// expect waits for the acknowledgement of a packet, the newest to a peer.
func (l *Link) expect(x *peer, b []byte) {
	if len(x.at) == maxPending {
		l.settle(x, false)
	}
	now := l.cfg.Clock.Now()
	x.at = append(x.at, now)
	x.last, x.tries, x.retry = b, 0, now.Add(retryAfter)
	l.timer.StartEarlier(retryAfter)
}

// settle ends the wait for the oldest packet.
func (l *Link) settle(x *peer, ok bool) {
	x.at = x.at[:copy(x.at, x.at[1:])]
	if len(x.at) == 0 {
		x.last = nil
	}
	if ok {
		l.Counters.Acked++
	} else {
		l.Counters.Lost++
		l.silent(x)
	}
	l.cfg.Handler.TRELAcked(x.ext, ok)
}

// acked takes an acknowledgement. Those before it that are missing will not
// come any more: each is sent at once, and what is overtaken is rare.
func (l *Link) acked(p *Packet) {
	x := l.peers[p.Src]
	if x == nil {
		l.Counters.StrayAcks++
		return
	}
	behind := x.number - p.Number // 1 is the newest
	if behind == 0 || behind > uint32(len(x.at)) {
		l.Counters.StrayAcks++
		return
	}
	for uint32(len(x.at)) > behind {
		l.settle(x, false)
	}
	l.settle(x, true)
}

// tick does what has become due: retries, packets that are lost, peers that
// are gone.
func (l *Link) tick() {
	now := l.cfg.Clock.Now()
	for _, ext := range l.order() {
		x := l.peers[ext]
		if x == nil {
			continue // what was lost had the handler turn the link off
		}
		for len(x.at) > 0 && now.Sub(x.at[0]) >= ackWindow {
			l.settle(x, false)
		}
		if x.last != nil && x.tries < maxRetries && !now.Before(x.retry) {
			x.tries++
			x.retry = now.Add(retryAfter)
			l.Counters.Retries++
			l.send(x.addr, x.last)
		}
	}
	l.expirePeers(now)
	l.arm()
}

// arm sets the timer to what is due next.
func (l *Link) arm() {
	l.timer.Stop()
	now := l.cfg.Clock.Now()
	for _, x := range l.peers {
		if !x.announced {
			l.timer.StartEarlier(sweep)
		}
		if len(x.at) > 0 {
			l.timer.StartEarlier(x.at[0].Add(ackWindow).Sub(now))
		}
		if x.last != nil && x.tries < maxRetries {
			l.timer.StartEarlier(x.retry.Sub(now))
		}
	}
}
