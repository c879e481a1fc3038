package sim

import (
	"time"

	"gatewayd/radio/rcp"
	"gatewayd/radio/spinel"
)

// Line is the way between a node and its radio co-processor: a serial line of
// 1 Mbaud that can be pulled out and put in again, and a firmware that can
// crash or hang. A host that is asked to opens the line anew.
type Line struct {
	// Events, if not nil, sees what the link says of the co-processor.
	Events func(spinel.Event)

	n      *Node
	link   *spinel.Link
	server *rcp.Server
	open   bool
	conn   uint64 // counts openings: bytes of an earlier one are lost
	up     pipe   // to the host
	down   pipe   // to the co-processor
	hung   bool
}

// pipe is one direction of the line: when it will be free.
type pipe struct{ free time.Time }

const (
	byteTime  = 10 * time.Microsecond  // at 1 Mbaud, with start and stop bit
	latency   = 200 * time.Microsecond // of whatever is around the line
	longest   = 150                    // bytes of a frame on the line
	reopening = 100 * time.Millisecond // between closing and opening again
)

func newLine(n *Node, rc rcp.Config) *Line {
	l := &Line{n: n}
	l.server = rcp.NewServer(rcp.ServerConfig{Config: rc, Send: l.fromRCP})
	l.server.Start(n.radioNow())
	return l
}

// Link is the host's end.
func (l *Line) Link() *spinel.Link { return l.link }

// RCP is the co-processor.
func (l *Line) RCP() *rcp.Server { return l.server }

// powerOn makes the host's end of a node that starts, and opens the line.
func (l *Line) powerOn(now time.Time) {
	l.link = spinel.NewLink(spinel.LinkConfig{Clock: l.n.Node.Clock(), Handler: l.n.Node.Radio(), Send: l.fromHost, Notify: l.event,
		BusTime: longest * byteTime})
	l.n.Node.SetRadio(l.link)
	l.Plug()
}

// powerOff takes the power of both: the co-processor lives from the host's.
func (l *Line) powerOff(now time.Time) {
	l.open = false
	l.conn++
	l.hung = false
	l.server.Restart(now, spinel.StatusResetPowerOn)
}

// Plug opens the line.
func (l *Line) Plug() {
	if l.open || !l.n.alive {
		return
	}
	l.open = true
	l.conn++
	now := l.n.w.Now()
	l.n.Do(func() { l.link.Opened(now) })
}

// Unplug closes the line. The co-processor, which lives from the host's power,
// starts anew.
func (l *Line) Unplug(err error) {
	if !l.open {
		return
	}
	l.cut(err)
	l.restart(spinel.StatusResetPowerOn)
}

// restart starts the co-processor anew.
func (l *Line) restart(why spinel.Status) {
	l.hung = false
	l.server.Restart(l.n.radioNow(), why)
	l.n.touch()
}

// cut closes the line at the host's end.
func (l *Line) cut(err error) {
	l.open = false
	l.conn++
	now := l.n.w.Now()
	l.n.Do(func() { l.link.Closed(now, err) })
}

// Crash resets the co-processor, which then says so.
func (l *Line) Crash(why spinel.Status) {
	l.restart(why)
}

// Hang makes the co-processor deaf and dumb towards its host until it is
// unplugged or crashes. Its radio goes on.
func (l *Line) Hang() { l.hung = true }

func (l *Line) event(e spinel.Event) {
	if l.Events != nil {
		l.Events(e)
	}
	if e.Kind != spinel.EventReopen {
		return
	}
	conn := l.conn
	l.n.w.clock.After(0, func() {
		if !l.open || l.conn != conn {
			return
		}
		l.cut(nil)
		l.n.w.clock.After(reopening, l.Plug)
	})
}

// carry calls arrive when b has passed the pipe, unless the line was cut.
func (l *Line) carry(p *pipe, b []byte, arrive func(now time.Time, b []byte)) {
	if !l.open || l.hung {
		return
	}
	b = append([]byte(nil), b...)
	now := l.n.w.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(len(b)) * byteTime)
	conn := l.conn
	l.n.w.clock.NewTimer(func() {
		if l.open && l.conn == conn && !l.hung {
			arrive(l.n.w.Now(), b)
		}
	}).StartAt(p.free.Add(latency))
}

func (l *Line) fromRCP(b []byte) {
	l.carry(&l.up, b, func(now time.Time, b []byte) {
		l.n.Do(func() { l.link.Receive(now, b) })
	})
}

func (l *Line) fromHost(b []byte) {
	l.carry(&l.down, b, func(_ time.Time, b []byte) {
		l.server.Receive(l.n.radioNow(), b)
		l.n.touch()
	})
}
