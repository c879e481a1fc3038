package srp

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Whatever comes, an answer is one to it, only what is signed registers
// anything, and the server goes on to serve others.
func FuzzReceive(f *testing.F) {
	seeds := recorded(f)
	for _, b := range seeds {
		f.Add(b)
	}
	w := newWorld(f)
	f.Add(w.client().message(plain("a", "x", "y")))
	f.Add(w.client().message(with(plain("b"), func(a *ask) { a.lease, a.short = 0, true })))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t)
		reply := w.server.Receive(peer, b)
		if reply != nil {
			if len(reply) < headerLen || !bytes.Equal(reply[:2], b[:2]) || reply[2] != 0xa8 || len(reply) > 64 {
				t.Fatalf("answer %x to %x", reply, b)
			}
			if w.server.Receive(peer, reply) != nil {
				t.Fatalf("answered its own answer %x", reply)
			}
		}
		granted := len(reply) >= headerLen && reply[3]&0xf == byte(NoError)
		h, err := decodeHeader(b)
		if granted {
			if err != nil {
				t.Fatal(err)
			}
			u, err := decodeUpdate(b, h, w.server.isZone)
			if err != nil || u.sig.verify(u.key, began) != nil {
				t.Fatalf("granted: %v", err)
			}
		} else if len(w.server.Hosts()) != 0 || w.store.writes != 0 {
			t.Fatal("refused and registered")
		}
		w.start() // from what was stored
		if got := w.server.Receive(peer, seeds[0]); !granted && !bytes.Equal(got, seeds[1]) {
			t.Fatalf("then answered %x", got)
		}
	})
}

// A stored host that is read is written so that it reads the same.
func FuzzStored(f *testing.F) {
	w := newWorld(f)
	w.client().must(plain("a", "x", "y"))
	f.Add(w.store.records["a"])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeStored(b)
		if err != nil {
			return
		}
		w := newWorld(t)
		w.server.save(h)
		if len(w.store.records) != 1 {
			// A time that was read with its zone may have no JSON of its own.
			if _, err := json.Marshal(h.keyExpiry); err != nil {
				return
			}
			t.Fatalf("not stored: %v", w.lastError())
		}
		for _, again := range w.store.records {
			h2, err := decodeStored(again)
			if err != nil {
				t.Fatalf("%s: %v", again, err)
			}
			if !cmp.Equal(h.snapshot(), h2.snapshot(), cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})) || h.key != h2.key || !h.keyExpiry.Equal(h2.keyExpiry) || len(h.services) != len(h2.services) {
				t.Fatalf("%+v became %+v", h, h2)
			}
		}
	})
}

// A name that was read is one that reads the same when it is written.
func FuzzName(f *testing.F) {
	head := make([]byte, headerLen)
	f.Add(append(head, "\x04host\x07default\x07service\x04arpa\x00"...), uint16(headerLen))
	f.Add(append(head, "\x01a\x00\xc0\x0c"...), uint16(headerLen+3))
	f.Add(append(head, "\xc0\x0c"...), uint16(headerLen))
	f.Fuzz(func(t *testing.T, b []byte, off uint16) {
		labels, next, err := decodeName(b, int(off))
		if err != nil {
			return
		}
		if next <= int(off) || next > len(b) {
			t.Fatalf("ends at %d of %d", next, len(b))
		}
		plain := appendName(nil, labels)
		again, next, err := decodeName(plain, 0)
		if err != nil || next != len(plain) || !reflect.DeepEqual(labels, again) {
			t.Fatalf("%q became %q, %v", labels, again, err)
		}
	})
}
