package diag

import (
	"bytes"
	"testing"
)

// What decodes, encodes to bytes that decode and encode to the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{18, 3, 0, 1, 8})                                 // type list
	f.Add([]byte{0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 0x04, 0x00}) // addresses
	f.Add([]byte{16, 3, 0x50, 0x01, 0x0f, 14, 1, 100})            // child table, battery
	f.Add([]byte{5, 10, 9, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x01})      // route
	f.Add([]byte{25, 0xff, 0, 3, 'a', 'b', 'c', 29, 0})           // an extended length, an end
	for _, tt := range golden {
		f.Add(wire(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		values, err := Decode(in)
		if err != nil {
			return
		}
		var once, twice []byte
		for _, v := range values {
			once = Append(once, v)
		}
		again, err := Decode(once)
		for _, v := range again {
			twice = Append(twice, v)
		}
		if err != nil || len(again) != len(values) || !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x, then %x, %v", in, once, twice, err)
		}
	})
}
