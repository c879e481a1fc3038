package coap

import (
	"bytes"
	"errors"
	"time"
)

// How a block-wise transfer can fail without a response.
var (
	ErrTooLarge   = errors.New("coap: response body is too long")
	ErrIncomplete = errors.New("coap: blocks of the response do not fit together")
)

// TransferOptions configure a block-wise transfer. Every field may be left
// zero.
type TransferOptions struct {
	RequestOptions     // of every single request
	BlockSize      int // as in BlockConfig; default 1024
	MaxBody        int // longest response body; default 64 KiB
}

// A Transfer is a request whose body, or whose response's body, is sent in
// blocks (RFC 7959).
type Transfer[P comparable] struct {
	e       *Endpoint[P]
	to      P
	request Message // as given; Type, Code, Options and Payload count
	opts    TransferOptions
	done    func(Response[P], error)

	x        *Exchange[P] // the request under way
	szx      uint8
	off      int    // of the request body: where the block under way begins
	blocks   bool   // the request body goes in blocks
	body     []byte // of the response, as far as known
	etag     []byte
	finished bool
}

// Transfer sends a request like Request, to one peer only, in blocks if its
// payload is longer than one. done is called exactly once; the response has
// the whole body. Errors beyond those of Request are ErrTooLarge and
// ErrIncomplete; an error of a later block, ErrBusy for instance, comes
// through done as well.
func (e *Endpoint[P]) Transfer(now time.Time, to P, m Message, opts TransferOptions, done func(Response[P], error)) (*Transfer[P], error) {
	t := e.newTransfer(to, m, opts, done)
	t.blocks = len(m.Payload) > 16<<t.szx
	e.now = now
	if err := t.sendBlock(); err != nil {
		return nil, err
	}
	return t, nil
}

func (e *Endpoint[P]) newTransfer(to P, m Message, opts TransferOptions, done func(Response[P], error)) *Transfer[P] {
	orDefault(&opts.MaxBody, defaultMaxBody)
	opts.Multiple, opts.FinishAtAck = false, false
	m = m.Clone()
	m.Token, m.MessageID = nil, 0
	return &Transfer[P]{e: e, to: to, request: m, opts: opts, done: done, szx: szx(opts.BlockSize)}
}

// Cancel ends the transfer; done is called with ErrCancelled before Cancel
// returns. It has no effect on a transfer that is over, or nil.
func (t *Transfer[P]) Cancel() {
	if t != nil {
		t.finish(Response[P]{}, ErrCancelled)
	}
}

func (t *Transfer[P]) finish(r Response[P], err error) {
	if t.finished {
		return
	}
	t.finished = true
	t.x.Cancel()
	if t.done != nil {
		t.done(r, err)
	}
}

// sendBlock sends the request with the block of its body at t.off.
func (t *Transfer[P]) sendBlock() error {
	m := t.request
	if t.blocks {
		size := 16 << t.szx
		end := min(t.off+size, len(m.Payload))
		b := Block{Num: uint32(t.off / size), More: end < len(m.Payload), SZX: t.szx}
		if b.Num > maxBlockNum {
			return ErrInvalid
		}
		m.SetOption(b.Option(OptionBlock1))
		if t.off == 0 {
			m.SetOption(UintOption(OptionSize1, uint32(len(m.Payload))))
		}
		m.Payload = m.Payload[t.off:end]
	}
	if t.opts.BlockSize > 0 && t.off+len(m.Payload) == len(t.request.Payload) {
		m.SetOption(Block{SZX: t.szx}.Option(OptionBlock2)) // early negotiation, RFC 7959 Section 2.4
	}
	return t.send(m, t.uploaded)
}

func (t *Transfer[P]) send(m Message, next func(Response[P])) (err error) {
	t.x, err = t.e.Request(t.e.now, t.to, m, t.opts.RequestOptions, func(r Response[P], err error) {
		switch {
		case t.finished:
		case err != nil:
			t.finish(r, err)
		default:
			next(r)
		}
	})
	return err
}

// uploaded handles the response to a block of the request body.
func (t *Transfer[P]) uploaded(r Response[P]) {
	b, ok := r.Block1()
	switch {
	case ok && r.Code == RequestEntityTooLarge && t.off == 0 && b.SZX < t.szx && len(t.request.Payload) > b.Size():
		t.blocks, t.szx = true, b.SZX // RFC 7959 Section 2.9.3
	case t.blocks && (ok || r.Code == Continue) && r.Code.IsSuccess() && t.off+16<<t.szx < len(t.request.Payload):
		// libcoap leaves the option out of some 2.31 answers.
		t.off += 16 << t.szx
		// The server may ask for smaller blocks (RFC 7959 Section 2.3).
		if ok {
			t.szx = min(t.szx, b.SZX)
		}
	default:
		t.downloaded(r)
		return
	}
	if err := t.sendBlock(); err != nil {
		t.finish(Response[P]{}, err)
	}
}

// downloaded handles a response that may be a block of a longer body.
func (t *Transfer[P]) downloaded(r Response[P]) {
	b, ok := r.Block2()
	if !ok || !r.Code.IsSuccess() {
		if len(t.body) > 0 && r.Code.IsSuccess() {
			t.finish(r, ErrIncomplete)
			return
		}
		t.finish(r, nil)
		return
	}
	etag, _ := r.Option(OptionETag)
	if len(t.body) == 0 {
		t.etag = etag.Value
	}
	switch {
	case b.Offset() != len(t.body), !bytes.Equal(etag.Value, t.etag), b.More && len(r.Payload) != b.Size():
		t.finish(r, ErrIncomplete)
		return
	case len(t.body)+len(r.Payload) > t.opts.MaxBody:
		t.finish(r, ErrTooLarge)
		return
	}
	t.body = append(t.body, r.Payload...)
	if !b.More {
		r.Payload = t.body
		t.finish(r, nil)
		return
	}
	b = b.atMost(t.szx)
	m := t.request
	m.RemoveOption(OptionObserve)
	m.SetOption(Block{Num: uint32(len(t.body) / b.Size()), SZX: b.SZX}.Option(OptionBlock2))
	if m.Code != FETCH || t.blocks {
		m.Payload = nil
	}
	if err := t.send(m, t.downloaded); err != nil {
		t.finish(Response[P]{}, err)
	}
}
