package transport

import (
	"context"
	"io"
	"sync"
	"time"
)

// Implementation constants.
const (
	defaultMinBackoff = 100 * time.Millisecond
	defaultMaxBackoff = 5 * time.Second
	defaultQueue      = 64 << 10
	readSize          = 4096
)

// PortConfig configures a Port. Only Dial is required.
type PortConfig struct {
	Dial func(context.Context) (Conn, error)
	// Handle, if not nil, gets the events in place of Events, in the goroutine
	// that reads: nobody has to be woken for them. Data is valid until it
	// returns.
	Handle     func(PortEvent)
	MinBackoff time.Duration // before the second attempt; 100 ms
	MaxBackoff time.Duration // between attempts; 5 s
	Queue      int           // bytes that may wait to be written; 64 KiB
}

// PortEventKind says what happened to a Port.
type PortEventKind uint8

// The kinds of events.
const (
	PortOpened   PortEventKind = iota
	PortReceived               // Data
	PortClosed                 // Err says why; the Port opens it again
	PortFailed                 // it could not be opened: Err; the Port tries again
)

func (k PortEventKind) String() string {
	return [...]string{"opened", "received", "closed", "failed"}[k]
}

// PortEvent is something that happened to a Port.
type PortEvent struct {
	Kind PortEventKind
	Gen  uint64    // which connection, from 1; of PortFailed, the last one
	At   time.Time // when it happened
	Data []byte    // valid until the next event is received
	Err  error
}

// Port keeps a connection to a device open. Run does the work; another
// goroutine, one, receives Events and gives bytes to Write.
type Port struct {
	cfg    PortConfig
	events chan PortEvent // unbuffered: Data is shared with the receiver

	mu      sync.Mutex
	gen     uint64
	cancel  context.CancelFunc // of the connection; nil while there is none
	pending []byte
	writing bool               // the writer is at work on what was pending
	direct  func(b []byte) int // writes what fits now, see directWriter; may be nil
	dropped uint64
	wake    chan struct{} // of the writer; one token says it all
}

// NewPort returns a Port that is not running.
func NewPort(cfg PortConfig) *Port {
	if cfg.MinBackoff <= 0 {
		cfg.MinBackoff = defaultMinBackoff
	}
	if cfg.MaxBackoff <= 0 {
		cfg.MaxBackoff = defaultMaxBackoff
	}
	if cfg.Queue <= 0 {
		cfg.Queue = defaultQueue
	}
	return &Port{cfg: cfg, events: make(chan PortEvent), wake: make(chan struct{}, 1)}
}

// Events is where to receive what happens. It is never closed; nothing comes
// after Run has returned.
func (p *Port) Events() <-chan PortEvent { return p.events }

// Write queues bytes for connection gen and does not wait. It reports false,
// and nothing is written, if that connection is no more or the queue is full.
func (p *Port) Write(gen uint64, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel == nil || gen != p.gen {
		return false
	}
	if len(p.pending)+len(b) > p.cfg.Queue {
		p.dropped++
		return false
	}
	if p.direct != nil && len(p.pending) == 0 && !p.writing {
		// Mostly there is room: then no goroutine has to be woken for it.
		b = b[p.direct(b):]
		if len(b) == 0 {
			return true
		}
	}
	p.pending = append(p.pending, b...)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return true
}

// Dropped counts the writes that found the queue full.
func (p *Port) Dropped() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped
}

// Reopen closes connection gen, so that it is opened anew: PortClosed follows.
func (p *Port) Reopen(gen uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil && gen == p.gen {
		p.cancel()
	}
}

// Run opens the device and keeps it open until ctx is cancelled. When it
// returns, the device is closed and every goroutine it started has ended.
func (p *Port) Run(ctx context.Context) error {
	backoff := time.Duration(0)
	for {
		if backoff > 0 {
			t := time.NewTimer(backoff)
			select {
			case <-ctx.Done():
				t.Stop()
			case <-t.C:
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		backoff = min(max(2*backoff, p.cfg.MinBackoff), p.cfg.MaxBackoff)
		conn, err := p.cfg.Dial(ctx)
		if err != nil {
			p.emit(ctx, PortEvent{Kind: PortFailed, Gen: p.gen, Err: err})
			continue
		}
		if p.serve(ctx, conn) {
			// Something is there: only silence is worth longer waits.
			backoff = p.cfg.MinBackoff
		}
	}
}

func (p *Port) emit(ctx context.Context, e PortEvent) {
	e.At = time.Now()
	if p.cfg.Handle != nil {
		p.cfg.Handle(e)
		return
	}
	select {
	case p.events <- e:
	case <-ctx.Done():
	}
}

// serve uses one connection until it ends.
func (p *Port) serve(ctx context.Context, conn Conn) (heard bool) {
	used, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	p.gen++
	p.cancel, p.pending, p.writing, p.direct = cancel, nil, false, directWriter(conn)
	gen := p.gen
	p.mu.Unlock()

	var ended sync.WaitGroup
	var failed error // writing
	ended.Go(func() {
		<-used.Done()
		conn.Close() // which ends reading and writing
	})
	ended.Go(func() {
		if err := p.write(used, conn); err != nil && used.Err() == nil {
			failed = err
		}
		cancel()
	})

	p.emit(ctx, PortEvent{Kind: PortOpened, Gen: gen})
	heard, err := p.read(used, conn, gen)
	p.mu.Lock()
	p.cancel, p.pending, p.direct = nil, nil, nil
	p.mu.Unlock()
	cancel()
	ended.Wait()
	if failed != nil {
		err = failed
	}
	p.emit(ctx, PortEvent{Kind: PortClosed, Gen: gen, Err: err})
	return heard
}

// read hands on what is received. Two buffers take turns: that a chunk was
// taken from the channel means that its receiver is done with the one before.
func (p *Port) read(ctx context.Context, r io.Reader, gen uint64) (heard bool, err error) {
	bufs := [2][]byte{make([]byte, readSize), make([]byte, readSize)}
	for i := 0; ; i++ {
		buf := bufs[i%2]
		n, err := r.Read(buf)
		if n > 0 {
			heard = true
			p.emit(ctx, PortEvent{Kind: PortReceived, Gen: gen, Data: buf[:n]})
		}
		if err != nil {
			return heard, err
		}
		if ctx.Err() != nil {
			return heard, context.Cause(ctx)
		}
	}
}

// write writes what is queued until ctx ends or the connection does.
func (p *Port) write(ctx context.Context, w io.Writer) error {
	var spare []byte
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		}
		p.mu.Lock()
		b := p.pending
		p.pending, p.writing = spare[:0], true
		p.mu.Unlock()
		if len(b) > 0 {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		spare = b
		p.mu.Lock()
		p.writing = false
		p.mu.Unlock()
	}
}
