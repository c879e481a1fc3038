package neighbor

import (
	"time"

	"gatewayd/thread/link"
)

// Preferences for a link, 0 to 255, and how they change: OpenThread's, so that
// both ends come to the same.
const (
	initialPreference = 200 // of a link that just showed itself
	highPreference    = 220 // from here on a link is good
	maxPreference     = 255

	afterReceived   = 15
	afterSent       = 25
	afterAirFailed  = -35
	afterTRELFailed = -100 // an acknowledgement that did not come
)

// Links is by which kinds of link a neighbour can be reached, and how good
// each is, for nodes that have more than one. The zero value knows of none.
type Links struct {
	known      link.Radios
	preference [link.NumRadios]uint8
	// TRELCounter is the lowest frame counter still acceptable over TREL.
	TRELCounter uint32
	// Polled is by what the last data request of a sleepy child came.
	Polled link.Radio
	tags   tags
	copied uint32 // MLE counter of the last message that came twice, and 1
}

// Known are the links by which the neighbour was reached, or was heard.
func (l *Links) Known() link.Radios { return l.known }

// Preference is how good a known link is.
func (l *Links) Preference(r link.Radio) uint8 { return l.preference[r] }

// Good reports whether a link is known and good.
func (l *Links) Good(r link.Radio) bool { return l.known.Has(r) && l.preference[r] >= highPreference }

// Heard takes that an authentic frame came by a link, be it the copy of one
// that came by the other.
func (l *Links) Heard(r link.Radio) { l.change(r, afterReceived) }

// Sent takes what became of a frame that had to be acknowledged.
func (l *Links) Sent(r link.Radio, ok bool) {
	switch {
	case ok:
		l.change(r, afterSent)
	case !l.known.Has(r):
	case r == link.TREL:
		l.change(r, afterTRELFailed)
	default:
		l.change(r, afterAirFailed)
	}
}

func (l *Links) change(r link.Radio, by int) {
	if !l.known.Has(r) {
		l.known |= link.Only(r)
		l.preference[r] = initialPreference
		return
	}
	l.preference[r] = uint8(min(max(int(l.preference[r])+by, 0), maxPreference))
}

// Best is the link for the next frame: TREL if it is good, the air if that is,
// or else the better one. A link must be known.
func (l *Links) Best() link.Radio {
	switch {
	case l.Good(link.TREL):
		return link.TREL
	case l.Good(link.Air), !l.known.Has(link.TREL):
		return link.Air
	case !l.known.Has(link.Air) || l.preference[link.TREL] >= l.preference[link.Air]:
		return link.TREL
	}
	return link.Air
}

// Copied takes that the neighbour's MLE message with a counter came again, and
// reports whether it did before: a copy counts once, for anybody can repeat it.
func (l *Links) Copied(counter uint32) bool {
	was := l.copied == counter+1
	l.copied = counter + 1
	return was
}

// tagsFor is how long the tag of a datagram is remembered.
const tagsFor = 20 * time.Second

// tags are those of the datagrams that a neighbour sent last (RFC 4944 Section
// 5.3): it counts them, so that what came by one link is known when it comes by
// the other.
type tags struct {
	last  uint16
	seen  uint32 // bit n: last - n was seen
	until time.Time
}

// ForgetTags forgets them, of a neighbour that may have been restarted and count
// from anywhere.
func (l *Links) ForgetTags() { l.tags = tags{} }

// Repeated takes the tag of a datagram's first fragment, and reports whether it
// was seen before.
func (l *Links) Repeated(tag uint16, now time.Time) bool {
	t := &l.tags
	if !now.Before(t.until) {
		t.seen = 0
	}
	t.until = now.Add(tagsFor)
	ahead := tag - t.last
	switch {
	case t.seen == 0 || ahead-32 < 1<<15-32: // nothing seen, or all of it too far back
		t.last, t.seen = tag, 1
	case ahead == 0:
		return true
	case ahead < 32:
		t.last, t.seen = tag, t.seen<<ahead|1
	default:
		behind := t.last - tag
		if behind >= 32 {
			return false // too old to tell
		}
		was := t.seen>>behind&1 == 1
		t.seen |= 1 << behind
		return was
	}
	return false
}
