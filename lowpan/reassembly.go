package lowpan

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
)

// Implementation constants of the Reassembler.
const (
	defaultMaxDatagrams = 16
	defaultTimeout      = 2 * time.Second
)

// ReassemblerConfig configures a Reassembler. Zero fields take the default.
type ReassemblerConfig struct {
	// MaxDatagrams bounds how many datagrams are put together at a time, and
	// with it the memory: MaxSize bytes each. Default 16.
	MaxDatagrams int

	// MaxSize is the largest datagram put together, up to the package's
	// MaxDatagram. Default MTU; more where routing headers are added on the
	// way (RFC 6554 Section 4.1).
	MaxSize int

	// Timeout is how long a datagram waits for its next fragment. Default 2 s.
	Timeout time.Duration

	// Sleepy says that frames come only from one parent, which finishes a
	// datagram before it begins another: a secured fragment that continues
	// nothing shows that what was begun has been lost.
	Sleepy bool
}

// A Link says where a frame came from: fragments belong together only if it
// is the same (RFC 4944 Section 5.3).
type Link struct {
	Src, Dst ieee802154.Addr // of the mesh header, or else of the frame
	Secure   bool            // the frame was secured by the link layer
}

// ReassemblyStats counts what became of datagrams.
type ReassemblyStats struct {
	Completed uint64
	Expired   uint64 // waited too long for a fragment
	Evicted   uint64 // gave way to another, or were started again
	Dropped   uint64 // fragments that were refused
}

// A Reassembler puts fragments back together (RFC 4944 Section 5.3), strictly
// in order: a lost or overtaken fragment costs the datagram, which then times
// out. Its memory is bounded, and reused.
type Reassembler struct {
	cfg   ReassemblerConfig
	slots []datagram
	spare []byte // swapped with the buffer of the slot a new datagram takes
	stats ReassemblyStats
}

// datagram is a packet being put together, or a buffer waiting for one.
type datagram struct {
	active   bool
	link     Link
	size     uint16
	tag      uint16
	buf      []byte // what has arrived
	deadline time.Time
}

// NewReassembler returns an empty Reassembler.
func NewReassembler(cfg ReassemblerConfig) *Reassembler {
	if cfg.MaxDatagrams <= 0 {
		cfg.MaxDatagrams = defaultMaxDatagrams
	}
	if cfg.MaxSize <= 0 {
		cfg.MaxSize = MTU
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Reassembler{cfg: cfg, spare: make([]byte, 0, cfg.MaxSize)}
}

// Add takes a frame's fragment, from its fragment header on. When it is the
// last of a datagram, done is true and packet is all of it, valid until the
// next call. Errors are those of DecodeFrag and Decompress, and ErrSize,
// ErrOrder, ErrOverrun and ErrCapacity.
func (r *Reassembler) Add(now time.Time, link Link, ctx Contexts, fragment []byte) (packet []byte, done bool, err error) {
	r.Expire(now)
	h, payload, err := DecodeFrag(fragment)
	if err != nil {
		r.stats.Dropped++
		return nil, false, err
	}
	var d *datagram
	if h.Offset == 0 {
		d, err = r.first(link, ctx, h, payload)
	} else {
		d, err = r.next(link, h, payload)
	}
	if err != nil {
		r.stats.Dropped++
		return nil, false, err
	}
	if len(d.buf) < int(d.size) {
		d.deadline = now.Add(r.cfg.Timeout)
		return nil, false, nil
	}
	d.active = false
	r.stats.Completed++
	return d.buf, true, nil
}

func (r *Reassembler) first(link Link, ctx Contexts, h FragHeader, payload []byte) (*datagram, error) {
	if h.Size < ipv6.HeaderLen || int(h.Size) > r.cfg.MaxSize {
		return nil, ErrSize
	}
	if r.cfg.Sleepy && link.Secure {
		r.Reset()
	}
	// Into the spare buffer, so that a bad fragment does no harm to a datagram
	// that would have made room for it.
	buf, n, err := Decompress(r.spare[:0], payload, link.Src, link.Dst, ctx, int(h.Size))
	if err != nil {
		return nil, err
	}
	if len(buf)+len(payload)-n > int(h.Size) {
		return nil, ErrOverrun
	}
	d := r.find(link, h) // if found, the sender starts again
	if d == nil {
		d = r.slot(link.Secure)
	}
	if d == nil {
		return nil, ErrCapacity
	}
	if d.active {
		r.stats.Evicted++
	}
	buf, r.spare = append(buf, payload[n:]...), d.buf
	*d = datagram{active: true, link: link, size: h.Size, tag: h.Tag, buf: buf}
	return d, nil
}

func (r *Reassembler) next(link Link, h FragHeader, payload []byte) (*datagram, error) {
	d := r.find(link, h)
	if d == nil || len(d.buf) != h.Offset {
		if r.cfg.Sleepy && link.Secure {
			r.Reset()
		}
		return nil, ErrOrder
	}
	if len(d.buf)+len(payload) > int(d.size) {
		return nil, ErrOverrun
	}
	d.buf = append(d.buf, payload...)
	return d, nil
}

func (r *Reassembler) find(link Link, h FragHeader) *datagram {
	for i := range r.slots {
		d := &r.slots[i]
		if d.active && d.tag == h.Tag && d.size == h.Size && d.link == link {
			return d
		}
	}
	return nil
}

// slot returns a buffer: a free one, a new one, or that of the datagram that
// has waited longest. Unsecured frames, which anyone can send, never push out
// what came in secured ones; then there is none.
func (r *Reassembler) slot(secure bool) *datagram {
	var oldest *datagram
	for i := range r.slots {
		d := &r.slots[i]
		switch {
		case !d.active:
			return d
		case d.link.Secure && !secure:
		case oldest == nil,
			oldest.link.Secure && !d.link.Secure,
			oldest.link.Secure == d.link.Secure && d.deadline.Before(oldest.deadline):
			oldest = d
		}
	}
	if len(r.slots) < r.cfg.MaxDatagrams {
		r.slots = append(r.slots, datagram{buf: make([]byte, 0, r.cfg.MaxSize)})
		return &r.slots[len(r.slots)-1]
	}
	return oldest
}

// Deadline is when the next datagram times out, the zero time if none waits.
// Calling Expire earlier is harmless.
func (r *Reassembler) Deadline() (t time.Time) {
	for i := range r.slots {
		if d := &r.slots[i]; d.active && (t.IsZero() || d.deadline.Before(t)) {
			t = d.deadline
		}
	}
	return t
}

// Expire gives up the datagrams whose time has come and returns how many.
func (r *Reassembler) Expire(now time.Time) (n int) {
	for i := range r.slots {
		if d := &r.slots[i]; d.active && !now.Before(d.deadline) {
			d.active = false
			n++
		}
	}
	r.stats.Expired += uint64(n)
	return n
}

// Reset gives up every datagram that is not complete.
func (r *Reassembler) Reset() {
	for i := range r.slots {
		if r.slots[i].active {
			r.slots[i].active = false
			r.stats.Evicted++
		}
	}
}

// Stats returns the counts since the beginning.
func (r *Reassembler) Stats() ReassemblyStats { return r.stats }
