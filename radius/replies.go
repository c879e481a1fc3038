package radius

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
)

// replyTime is how long an answer is kept for a client that asks again (RFC
// 5080 Section 2.2.2: between 5 and 30 seconds).
const replyTime = 10 * time.Second

// asked identifies a request, together with its authenticator (RFC 5080
// Section 2.2.2).
type asked struct {
	socket int
	from   netip.AddrPort
	id     uint8
}

// reply is what was answered to a request; nothing yet while answer is nil.
type reply struct {
	asked
	authenticator [16]byte
	answer        []byte
	expires       time.Time
}

// replies remembers the answers of a while, at most limit of them.
type replies struct {
	clock *alarm.Clock
	limit int
	byKey map[asked]*reply
	queue []*reply // oldest first, from head on
	head  int
	timer *alarm.Timer
}

func (r *replies) init(clock *alarm.Clock, limit int) {
	r.clock, r.limit, r.byKey = clock, limit, map[asked]*reply{}
	r.timer = clock.NewTimer(r.expire)
}

// lookup returns what was answered to exactly this request, nil if it is new.
func (r *replies) lookup(k asked, authenticator [16]byte) *reply {
	if e := r.byKey[k]; e != nil && e.authenticator == authenticator {
		return e
	}
	return nil
}

// add notes a new request. It takes the place of an older one with the same
// identifier, and if need be that of the oldest.
func (r *replies) add(k asked, authenticator [16]byte) *reply {
	for len(r.queue)-r.head >= r.limit {
		r.drop()
	}
	e := &reply{asked: k, authenticator: authenticator, expires: r.clock.Now().Add(replyTime)}
	r.byKey[k] = e
	r.queue = append(r.queue, e)
	if !r.timer.Running() {
		r.timer.StartAt(e.expires)
	}
	return e
}

// drop forgets the oldest.
func (r *replies) drop() {
	e := r.queue[r.head]
	r.queue[r.head] = nil
	r.head++
	if r.head*2 > len(r.queue) {
		r.queue = append(r.queue[:0], r.queue[r.head:]...)
		clear(r.queue[len(r.queue):cap(r.queue)])
		r.head = 0
	}
	if r.byKey[e.asked] == e {
		delete(r.byKey, e.asked)
	}
	e.answer = nil
}

func (r *replies) expire() {
	for r.head < len(r.queue) && !r.queue[r.head].expires.After(r.clock.Now()) {
		r.drop()
	}
	if r.head < len(r.queue) {
		r.timer.StartAt(r.queue[r.head].expires)
	}
}
