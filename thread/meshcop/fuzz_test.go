package meshcop

import (
	"bytes"
	"reflect"
	"testing"
)

// Whatever a decoder accepts, it accepts again once encoded, and from then on
// the bytes stay the same.
func FuzzMessages(f *testing.F) {
	for _, bodies := range captured(f) {
		for _, b := range bodies {
			f.Add(b)
		}
	}
	f.Add(unhex(f, "0b02000135060004001fffe0360102370200203802001039020102"))
	f.Add(unhex(f, "3005f0bff0bf403110fd000db8000a000b000000fffe005400"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, c := range codecs {
			out, err := c.run(in)
			if err != nil || len(in) == MaxDatasetLen && len(out) > MaxDatasetLen {
				continue // a policy without its second flags byte gains it
			}
			again, err := c.run(out)
			if err != nil || !bytes.Equal(out, again) {
				t.Fatalf("%s: %x became %x, then %x, %v", c.name, in, out, again, err)
			}
		}
	})
}

// A dataset that decodes has every byte it came with, but for what is longer
// than its type asks for or reserved; one without such encodes to its input.
func FuzzDataset(f *testing.F) {
	for _, kind := range []string{"dataset", "dataset-set"} {
		for _, b := range captured(f)[kind] {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := DecodeDataset(in)
		if err != nil {
			return
		}
		out := d.Append(nil)
		if len(out) > len(in)+1 { // a policy without its second flags byte gains one
			t.Fatalf("%x grew to %x", in, out)
		}
		e, err := DecodeDataset(out)
		if len(out) <= MaxDatasetLen && (err != nil || !reflect.DeepEqual(d, e)) {
			t.Fatalf("%x became %x: %+v, then %+v, %v", in, out, d, e, err)
		}
		c := d.Clone()
		if !bytes.Equal(c.Append(nil), out) {
			t.Fatalf("the clone of %x differs", in)
		}
	})
}

// The walkers agree on where a sequence breaks.
func FuzzTLVs(f *testing.F) {
	f.Add(unhex(f, "100101 11ff0003aabbcc f000"))
	f.Add(unhex(f, "1001"))
	f.Fuzz(func(t *testing.T, in []byte) {
		ts := TLVs(in)
		var out []byte
		n := 0
		for tlv := range ts.All() {
			out = tlv.Append(out)
			n++
			if _, ok := ts.Find(tlv.Type); !ok {
				t.Fatalf("%v is in %x and not found", tlv.Type, in)
			}
		}
		if ts.Validate() != nil {
			return
		}
		m := 0
		for range TLVs(out).All() {
			m++
		}
		if TLVs(out).Validate() != nil || n != m {
			t.Fatalf("%x became %x, %d and %d TLVs", in, out, n, m)
		}
	})
}
