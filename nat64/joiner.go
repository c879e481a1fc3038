package nat64

import (
	"slices"
	"time"
)

// joiner puts packets together again that arrive in fragments, in any order.
type joiner struct {
	limits  Limits
	timeout time.Duration
	waiting []*datagram // the oldest first
	bytes   int
	joined  []byte
}

// datagramKey tells one packet's fragments from another's (RFC 8200 Section 4.5,
// RFC 791 Section 3.2). IPv4 addresses are in the first four bytes.
type datagramKey struct {
	src, dst [16]byte
	id       uint32
	proto    uint8 // IPv4 only
	version  uint8
}

type datagram struct {
	key      datagramKey
	deadline time.Time
	parts    []part // by offset
	have     int    // bytes
	cost     int    // memory
	total    int    // bytes, or -1 until the last fragment is there
	first    any    // *header4 or *header6 of the fragment at offset 0
	largest  int    // bytes of the largest fragment
}

type part struct {
	offset int
	data   []byte
}

const (
	maxParts     = 128 // of 512 bytes make the largest packet
	partCost     = 64  // memory a fragment needs besides its bytes
	datagramCost = 256
)

func newJoiner(l Limits, timeout time.Duration) joiner {
	return joiner{limits: l, timeout: timeout}
}

// add takes one fragment, whose header is kept if it is the first. When a packet
// is whole it is returned with its payload, which is valid until the next call.
// evicted is how many others were given up for room.
func (j *joiner) add(now time.Time, k datagramKey, header any, offset int, more bool, data []byte) (d *datagram, payload []byte, evicted int, r Reason) {
	i := slices.IndexFunc(j.waiting, func(d *datagram) bool { return d.key == k })
	if i >= 0 {
		d = j.waiting[i]
	} else {
		evicted += j.makePlace(k.src)
		d = &datagram{key: k, deadline: now.Add(j.timeout), total: -1, cost: datagramCost}
		j.waiting = append(j.waiting, d)
		j.bytes += d.cost
	}
	at, fits := d.place(offset, len(data), more)
	if !fits {
		if at >= 0 {
			return nil, nil, evicted, Held // again
		}
		j.drop(d) // an attack, or no packet at all (RFC 5722 Section 4)
		return nil, nil, evicted, BadFragment
	}
	cost := partCost + len(data)
	for j.bytes+cost > j.limits.FragmentBytes {
		v := j.largest(d)
		j.drop(v)
		if v == d {
			return nil, nil, evicted, Exhausted
		}
		evicted++
	}
	j.bytes += cost
	d.cost += cost
	d.have += len(data)
	d.largest = max(d.largest, len(data))
	if !more {
		d.total = offset + len(data)
	}
	if offset == 0 {
		d.first = header
	}
	if d.have == d.total {
		j.joined = j.joined[:0]
		d.parts = slices.Insert(d.parts, at, part{offset, data})
		for _, p := range d.parts {
			j.joined = append(j.joined, p.data...)
		}
		j.drop(d)
		return d, j.joined, evicted, Passed
	}
	d.parts = slices.Insert(d.parts, at, part{offset, slices.Clone(data)})
	return nil, nil, evicted, Held
}

// place says where among the parts a fragment goes. If it does not fit, at is
// negative, or where the same fragment is already.
func (d *datagram) place(offset, n int, more bool) (at int, fits bool) {
	end := offset + n
	if d.total >= 0 && (end > d.total || !more && end != d.total) || len(d.parts) == maxParts {
		return -1, false
	}
	at, _ = slices.BinarySearchFunc(d.parts, offset, func(p part, o int) int { return p.offset - o })
	if at < len(d.parts) {
		next := d.parts[at]
		if next.offset == offset && len(next.data) == n && more == (end != d.total) {
			return at, false
		}
		if end > next.offset || !more {
			return -1, false
		}
	}
	if at > 0 {
		if prev := d.parts[at-1]; prev.offset+len(prev.data) > offset {
			return -1, false
		}
	}
	return at, true
}

// makePlace gives packets up until there may be one more of a source.
func (j *joiner) makePlace(src [16]byte) (evicted int) {
	own := 0
	for _, d := range j.waiting {
		if d.key.src == src {
			own++
		}
	}
	if own >= j.limits.PerSource || len(j.waiting) >= j.limits.Datagrams {
		j.drop(j.oldest(src))
		return 1
	}
	return 0
}

// oldest is the packet to give up for a source's next: its oldest, else the
// oldest of all.
func (j *joiner) oldest(src [16]byte) *datagram {
	for _, d := range j.waiting {
		if d.key.src == src {
			return d
		}
	}
	return j.waiting[0]
}

// largest is the packet to give up when d needs memory: another one of the same
// source, else the one that takes most, which may be d itself.
func (j *joiner) largest(d *datagram) *datagram {
	most := d
	for _, x := range j.waiting {
		if x != d && x.key.src == d.key.src {
			return x
		}
		if x.cost > most.cost {
			most = x
		}
	}
	return most
}

func (j *joiner) drop(d *datagram) {
	i := slices.Index(j.waiting, d)
	j.waiting = slices.Delete(j.waiting, i, i+1)
	j.bytes -= d.cost
}

// expire gives up what has waited for long enough, and says how many.
func (j *joiner) expire(now time.Time) (n int) {
	for len(j.waiting) > 0 && !j.waiting[0].deadline.After(now) {
		j.drop(j.waiting[0])
		n++
	}
	return n
}

// deadline is when to call expire next.
func (j *joiner) deadline() (time.Time, bool) {
	if len(j.waiting) == 0 {
		return time.Time{}, false
	}
	return j.waiting[0].deadline, true
}
