package simnode

import (
	"time"
)

// pace is a clock that runs speed times as fast as the real one. It begins with
// the real time.
type pace struct {
	began time.Time
	speed int
}

func (p pace) now() time.Time {
	return p.began.Add(time.Since(p.began) * time.Duration(p.speed))
}

// until is how long, in real time, it is until a time of the pace.
func (p pace) until(t time.Time) time.Duration { return t.Sub(p.now()) / time.Duration(p.speed) }

// ackPatience is how long another process may take to answer, in real time.
const ackPatience = 5 * time.Millisecond

// ackWait is how long to wait for an acknowledgment: OpenThread's 16 ms, but no
// less than another process needs.
func (p pace) ackWait() time.Duration {
	return max(16*time.Millisecond, ackPatience*time.Duration(p.speed))
}
