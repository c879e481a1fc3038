package radius

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What was decoded survives encoding and decoding again, and no packet
// verifies whose authenticators were not made with the secret.
func FuzzDecode(f *testing.F) {
	for _, p := range captured(f) {
		f.Add(p.Data)
	}
	f.Add(Packet{Code: CoARequest, Attributes: Attributes{{UserName, []byte("u")}}}.AppendRequest(nil, Secret("s")))
	f.Fuzz(func(t *testing.T, in []byte) {
		VerifyRequest(in, Secret("secret that no seed has"))
		if VerifyResponse(in, Secret("secret that no seed has"), [16]byte{}) == nil {
			t.Error("verifies")
		}
		p, err := Decode(in)
		if err != nil {
			return
		}
		b := p.Append(nil)
		if !bytes.Equal(b, in[:len(b)]) {
			t.Errorf("%x became %x", in, b)
		}
		again, err := Decode(b)
		if err != nil || !cmp.Equal(p, again) {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
		p.Attributes.EAP()
		p.Attributes.MSK(Secret("s"), [16]byte{})
		p.Attributes.Uint32(SessionTimeout)
	})
}
