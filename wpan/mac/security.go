package mac

import (
	"time"

	"gatewayd/ieee802154"
)

// neighbor is what is kept of a device that was heard.
type neighbor struct {
	next  map[uint8]uint32 // by key index: the lowest counter not used yet
	seq   uint8            // of the last frame without security
	heard time.Time
	plain bool // seq counts
}

// duplicateTime is how long a sequence number is remembered of frames without
// security: longer than all retries of one take.
const duplicateTime = 2 * time.Second

// SetKey makes a key known under an index from 1 to 255. What is received under
// any known key is accepted.
func (m *MAC) SetKey(index uint8, key [16]byte) { m.keys[index] = ieee802154.NewCCM(key) }

// DropKey forgets a key and the counters under it.
func (m *MAC) DropKey(index uint8) {
	delete(m.keys, index)
	for _, n := range m.neighbors {
		delete(n.next, index)
	}
	if m.active == index {
		m.active = 0
	}
}

// UseKey says under which known key to send; 0 is none.
func (m *MAC) UseKey(index uint8) {
	if index == 0 || m.keys[index] != nil {
		m.active = index
	}
}

// ActiveKey is the index of the key in use; 0 is none.
func (m *MAC) ActiveKey() uint8 { return m.active }

// open decrypts a secured frame and refuses what was received before. The nonce
// is made of the extended address, so the sender must give that.
func (m *MAC) open(psdu []byte, f *ieee802154.Frame) bool {
	ccm := m.keys[f.Security.KeyIndex]
	if f.Security.Level != ieee802154.LevelEncMIC32 || f.Security.KeyIDMode != ieee802154.KeyIDIndex ||
		f.Src.Mode != ieee802154.AddrExtended || f.Security.Counter == ^uint32(0) {
		m.Counters.Refused++
		return false
	}
	if ccm == nil {
		m.Counters.NoKey++
		m.cfg.Upper.KeyMissing(f.Security.KeyIndex)
		return false
	}
	n := m.neighbors[f.Src.Ext]
	if n != nil {
		if next, ok := n.next[f.Security.KeyIndex]; ok && f.Security.Counter < next {
			if f.Security.Counter+1 == next {
				m.Counters.Duplicates++
			} else {
				m.Counters.Replayed++
			}
			return false
		}
	}
	if f.Open(psdu, ccm, f.Src.Ext) != nil {
		m.Counters.BadMIC++
		return false
	}
	if n = m.note(f.Src.Ext, true); n == nil {
		m.Counters.Refused++
		return false
	}
	n.next[f.Security.KeyIndex] = f.Security.Counter + 1
	return true
}

// repeated reports a frame without security that was received just now.
func (m *MAC) repeated(f *ieee802154.Frame) bool {
	was := m.neighbors[f.Src.Ext]
	if was != nil && was.plain && was.seq == f.Seq && m.cfg.Clock.Now().Sub(was.heard) < duplicateTime {
		m.Counters.Duplicates++
		return true
	}
	if n := m.note(f.Src.Ext, false); n != nil {
		n.seq, n.plain = f.Seq, true
	}
	return false
}

// note finds or makes a neighbour's record. When there is no room, the record
// that was silent for longest gives way, of those without counters first: no
// secured neighbour is forgotten for one that has not shown a key.
func (m *MAC) note(ext ieee802154.ExtAddr, secured bool) *neighbor {
	now := m.cfg.Clock.Now()
	n := m.neighbors[ext]
	if n == nil {
		if len(m.neighbors) >= maxNeighbors && !m.forgetOne(secured) {
			return nil
		}
		n = &neighbor{}
		m.neighbors[ext] = n
	}
	if secured && n.next == nil {
		n.next = map[uint8]uint32{}
	}
	n.heard = now
	return n
}

func (m *MAC) forgetOne(secured bool) bool {
	var victim ieee802154.ExtAddr
	var oldest *neighbor
	for ext, n := range m.neighbors {
		if len(n.next) > 0 && !secured {
			continue
		}
		worse := oldest == nil || len(n.next) == 0 && len(oldest.next) > 0 ||
			(len(n.next) == 0) == (len(oldest.next) == 0) && n.heard.Before(oldest.heard)
		if worse {
			victim, oldest = ext, n
		}
	}
	if oldest == nil {
		return false
	}
	delete(m.neighbors, victim)
	return true
}

// Counter gives out frame counters of which none is used twice, also over a
// restart: a range is reserved before it is used.
type Counter struct {
	// Save stores the limit below which counters may have been used; an error
	// stops sending under a key until it succeeds.
	Save  func(limit uint32) error
	next  uint32
	limit uint32
}

// Reserve is how many counters are reserved at a time, but for the last.
const Reserve = 4096

// exhausted is where counting ends: the key must have been changed by then.
const exhausted = ^uint32(0)

// NewCounter returns a Counter that goes on at the limit saved last.
func NewCounter(limit uint32, save func(uint32) error) *Counter {
	return &Counter{Save: save, next: limit, limit: limit}
}

// Next takes a counter; false when none can be had.
func (c *Counter) Next() (uint32, bool) {
	if c.next == exhausted {
		return 0, false
	}
	if c.next >= c.limit {
		limit := exhausted
		if c.next < exhausted-Reserve {
			limit = c.next + Reserve
		}
		if c.Save != nil && c.Save(limit) != nil {
			return 0, false
		}
		c.limit = limit
	}
	c.next++
	return c.next - 1, true
}

// Continue goes on at another limit, that of another key: under each key,
// counters are used once.
func (c *Counter) Continue(limit uint32) { c.next, c.limit = limit, limit }
