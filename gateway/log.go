package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gatewayd/thread"
)

// logEvent logs what the node says. Events of refused messages come from the
// air, so each kind is passed at a bounded rate.
func (g *Gateway) logEvent(e thread.Event) {
	if !g.repeats.pass(e.ID, time.Now()) {
		return
	}
	attrs := []slog.Attr{slog.String("id", e.ID)}
	for _, a := range e.Attrs {
		if v, ok := a.Value.(uint16); ok { // a short address
			attrs = append(attrs, slog.String(a.Key, fmt.Sprintf("0x%04x", v)))
			continue
		}
		attrs = append(attrs, slog.Any(a.Key, a.Value))
	}
	if e.RLOC16 != 0 {
		attrs = append(attrs, slog.String("rloc16", fmt.Sprintf("0x%04x", e.RLOC16)))
	}
	level := slog.LevelInfo
	if e.Err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Any("err", e.Err))
	}
	if n := g.repeats.missed(e.ID); n > 0 {
		attrs = append(attrs, slog.Int("unsaid", n))
	}
	g.log.LogAttrs(context.Background(), level, e.Text, attrs...)
}

// repeats bounds how often an event of one kind is logged: a few at once, then
// a few a minute; what is left out is counted.
type repeats struct{ kinds map[string]*repeat }

type repeat struct {
	credit  int
	since   time.Time
	unsaid  int
	pending int
}

const (
	repeatBurst  = 10
	repeatPeriod = 10 * time.Second // for one more
)

func (r *repeats) pass(id string, now time.Time) bool {
	if r.kinds == nil {
		r.kinds = map[string]*repeat{}
	}
	k := r.kinds[id]
	if k == nil {
		k = &repeat{credit: repeatBurst, since: now}
		r.kinds[id] = k
	}
	if n := int(now.Sub(k.since) / repeatPeriod); n > 0 {
		k.credit, k.since = min(repeatBurst, k.credit+n), now
	}
	if k.credit == 0 {
		k.unsaid++
		return false
	}
	k.credit--
	k.pending, k.unsaid = k.unsaid, 0
	return true
}

// missed is how many events of a kind were left out before the one that just
// passed.
func (r *repeats) missed(id string) int { return r.kinds[id].pending }
