package coap

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"time"
)

// BlockConfig bounds the block-wise transfers of a resource (RFC 7959). Every
// field may be left zero.
type BlockConfig struct {
	BlockSize    int           // largest block, 16 to 1024 bytes, rounded down to a power of two; default 1024
	MaxBody      int           // longest request body; default 64 KiB
	MaxTransfers int           // bodies kept at a time, for each direction; default 16
	MaxBytes     int           // sum of the bodies kept, for each direction; default 256 KiB
	Lifetime     time.Duration // how long the next block may be asked or sent for; default 247 s
}

const (
	defaultMaxBody      = 64 << 10
	defaultMaxTransfers = 16
	defaultMaxBytes     = 256 << 10
)

// szx returns the size exponent of the largest block of at most size bytes;
// zero stands for 1024.
func szx(size int) uint8 {
	if size <= 0 {
		return MaxSZX
	}
	x := uint8(MaxSZX)
	for x > 0 && 16<<x > size {
		x--
	}
	return x
}

// transferKey identifies a body under way: the peer, and everything of the
// request that chooses the resource and its representation.
type transferKey[P comparable] struct {
	peer P
	key  string
}

// body is a response that is handed out block by block.
type body struct {
	code    Code
	payload []byte
	opts    []Option
}

type blockServer[P comparable] struct {
	szx      uint8
	maxBody  int
	lifetime time.Duration
	next     Handler[P]
	uploads  cache[transferKey[P], []byte]
	bodies   cache[transferKey[P], body]
}

// Blockwise returns a handler that receives request bodies in blocks, calls h
// with the whole body in Payload, and hands the response out in blocks if it
// is longer than one (RFC 7959 Section 2). Clients that use no blocks are not
// affected, except that a response longer than a block comes in blocks.
func Blockwise[P comparable](cfg BlockConfig, h Handler[P]) Handler[P] {
	return newBlockServer(cfg, h).handle
}

func newBlockServer[P comparable](cfg BlockConfig, h Handler[P]) *blockServer[P] {
	orDefault(&cfg.MaxBody, defaultMaxBody)
	orDefault(&cfg.MaxTransfers, defaultMaxTransfers)
	orDefault(&cfg.MaxBytes, defaultMaxBytes)
	orDefault(&cfg.Lifetime, defaultExchangeLifetime)
	return &blockServer[P]{
		szx:      szx(cfg.BlockSize),
		maxBody:  cfg.MaxBody,
		lifetime: cfg.Lifetime,
		next:     h,
		uploads:  newCache[transferKey[P], []byte](cfg.MaxTransfers, cfg.MaxBytes),
		bodies:   newCache[transferKey[P], body](cfg.MaxTransfers, cfg.MaxBytes),
	}
}

func (s *blockServer[P]) handle(r *Request[P]) {
	b1, upload := r.Block1()
	b2, asked := r.Block2()
	_, has1 := r.Option(OptionBlock1)
	_, has2 := r.Option(OptionBlock2)
	if has1 != upload || has2 != asked {
		r.Respond(BadRequest, nil) // reserved size exponent, RFC 7959 Section 2.2
		return
	}
	key := transferKey[P]{peer: r.From, key: representation(r.Message)}
	if upload {
		if !s.receive(r, b1) {
			return
		}
		r.RemoveOption(OptionBlock1)
	}
	if asked && b2.Num > 0 && !upload {
		if en := s.bodies.get(key, r.e.now); en != nil {
			code, payload, opts := en.value.cut(b2.atMost(s.szx))
			r.Respond(code, payload, opts...)
			return
		}
		if r.Code != GET {
			// The handler must not act a second time to answer this.
			r.Respond(RequestEntityIncomplete, nil)
			return
		}
	}
	if !asked {
		b2 = Block{SZX: s.szx}
	}
	r.shape = func(code Code, payload []byte, opts []Option) (Code, []byte, []Option) {
		if upload {
			opts = append(slices.Clone(opts), b1.Option(OptionBlock1))
		}
		want := b2.atMost(s.szx)
		if len(payload) <= want.Size() && !asked {
			s.bodies.remove(s.bodies.entries[key])
			return code, payload, opts
		}
		b := body{code, payload, withETag(opts, payload)}
		code, payload, opts = b.cut(want)
		// Later blocks do not answer the upload any more.
		b.opts = slices.DeleteFunc(slices.Clone(b.opts), func(o Option) bool {
			return o.Number == OptionBlock1 || o.Number == OptionObserve
		})
		if len(payload) < len(b.payload) {
			s.bodies.put(key, b, len(b.payload), r.e.now, s.lifetime)
		}
		return code, payload, opts
	}
	s.next(r)
}

// receive adds a block to an upload. It returns true, with the whole body in
// r.Payload, after the last one, and has answered otherwise (RFC 7959
// Section 2.5).
func (s *blockServer[P]) receive(r *Request[P], b Block) bool {
	key := transferKey[P]{peer: r.From, key: upload(r.Message)}
	en := s.uploads.get(key, r.e.now)
	var got []byte
	if b.Num > 0 && en != nil {
		got = en.value
	}
	reply := Block{Num: b.Num, More: b.More, SZX: min(b.SZX, s.szx)}.Option(OptionBlock1)
	switch {
	case b.More && len(r.Payload) != b.Size(), len(r.Payload) > b.Size():
		r.Respond(BadRequest, nil, reply)
		return false
	case len(got) != b.Offset():
		r.Respond(RequestEntityIncomplete, nil, reply)
		return false
	case len(got)+len(r.Payload) > s.maxBody:
		s.uploads.remove(en)
		r.Respond(RequestEntityTooLarge, nil, reply, UintOption(OptionSize1, uint32(s.maxBody)))
		return false
	}
	got = append(got, r.Payload...)
	if !b.More {
		s.uploads.remove(en)
		r.Payload = got
		return true
	}
	s.uploads.put(key, got, len(got), r.e.now, s.lifetime)
	r.Respond(Continue, nil, reply)
	return false
}

// representation identifies the response that a request asks a block of.
func representation(m Message) string {
	return requestKey(m, func(o Option) bool {
		return o.Number != OptionContentFormat && o.Critical()
	})
}

// upload identifies the body that a request brings a block of. Elective
// options count too: RFC 9175 Section 3 tells bodies apart by one of them.
func upload(m Message) string {
	return requestKey(m, func(o Option) bool {
		return o.Number != OptionObserve && o.Number&0x1e != 0x1c // NoCacheKey, RFC 7252 Section 5.4.6
	})
}

func requestKey(m Message, counts func(Option) bool) string {
	key := []byte{byte(m.Code)}
	for _, o := range m.Options {
		if o.Number == OptionBlock1 || o.Number == OptionBlock2 || !counts(o) {
			continue
		}
		key = binary.BigEndian.AppendUint16(key, o.Number)
		key = binary.BigEndian.AppendUint16(key, uint16(len(o.Value)))
		key = append(key, o.Value...)
	}
	return string(key)
}

// withETag makes sure that a client can tell blocks of different bodies apart
// (RFC 7959 Section 2.4).
func withETag(opts []Option, payload []byte) []Option {
	if slices.ContainsFunc(opts, func(o Option) bool { return o.Number == OptionETag }) {
		return opts
	}
	h := fnv.New64a()
	h.Write(payload) // never fails
	return append(slices.Clone(opts), Option{Number: OptionETag, Value: h.Sum(nil)})
}

// atMost returns the first block at the same place that is not larger.
func (b Block) atMost(szx uint8) Block {
	if b.SZX > szx {
		b.Num <<= b.SZX - szx
		b.SZX = szx
	}
	return b
}

// cut returns the message that carries one block.
func (b body) cut(want Block) (Code, []byte, []Option) {
	off := want.Offset()
	if off >= len(b.payload) && off > 0 || want.Num > maxBlockNum {
		return BadRequest, nil, nil
	}
	end := min(off+want.Size(), len(b.payload))
	want.More = end < len(b.payload)
	opts := append(slices.Clone(b.opts), want.Option(OptionBlock2))
	if want.Num == 0 {
		opts = append(opts, UintOption(OptionSize2, uint32(len(b.payload))))
	}
	return b.code, b.payload[off:end], opts
}
