package mle_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/thread/mle"
)

var (
	fuzzKey  = ieee802154.NewCCM([16]byte{1, 2, 3})
	fuzzExt  = ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, 0, 0, 0, 2}
	fuzzSrc  = netip.MustParseAddr("fe80::1ab4:3000:0:2")
	fuzzDst  = netip.MustParseAddr("ff02::1")
	fuzzTLVs = mle.TLVs(nil).Append(mle.TypeMode, 0x0f).AppendUint16(mle.TypeSource, 0x0400).AppendRequest(mle.TypeNetworkData)
)

// What decodes as an envelope encodes to the same bytes, and only with a good
// integrity code does it open; a message that is opened is as long as it was,
// and its TLVs lie within it.
func FuzzPacket(f *testing.F) {
	m := mle.Message{Command: mle.ParentRequest, TLVs: fuzzTLVs}
	f.Add(m.AppendUnsecured(nil), false)
	f.Add(m.Seal(nil, fuzzKey, mle.Header{Counter: 7, Sequence: 3}, fuzzExt, fuzzSrc, fuzzDst), false)
	f.Add(append([]byte{byte(mle.Advertisement)}, fuzzTLVs...), true)
	f.Fuzz(func(t *testing.T, in []byte, seal bool) {
		if seal && len(in) > 0 {
			in = mle.Message{Command: mle.Command(in[0]), TLVs: in[1:]}.
				Seal(nil, fuzzKey, mle.Header{Counter: 7, Sequence: 3}, fuzzExt, fuzzSrc, fuzzDst)
		}
		air := slices.Clone(in)
		p, err := mle.DecodePacket(air)
		if err != nil {
			if seal && len(in) > 0 {
				t.Fatalf("%x: %v", in, err)
			}
			return
		}
		if p.Suite == mle.SuiteUnsecured {
			if again := p.Plain.AppendUnsecured(nil); !bytes.Equal(again, in) {
				t.Fatalf("%x became %x", in, again)
			}
			walk(t, p.Plain.TLVs)
			return
		}
		opened, err := p.Open(fuzzKey, fuzzExt, fuzzSrc, fuzzDst)
		if err != nil {
			if seal || !bytes.Equal(air, in) {
				t.Fatalf("%x became %x: %v", in, air, err)
			}
			return
		}
		if again := opened.Seal(nil, fuzzKey, p.Header, fuzzExt, fuzzSrc, fuzzDst); !bytes.Equal(again, in) {
			t.Fatalf("%x became %x", in, again)
		}
		walk(t, opened.TLVs)
	})
}

// walk decodes every value, of whatever type it says it is.
func walk(t *testing.T, tlvs mle.TLVs) {
	t.Helper()
	total := 0
	for tlv := range tlvs.All() {
		if total += 2 + len(tlv.Value); total > len(tlvs) {
			t.Fatalf("TLVs of %d bytes in %d", total, len(tlvs))
		}
		values(t, tlv.Value)
		if v, ok := tlvs.Find(tlv.Type); !ok || len(v) > len(tlvs) || !tlvs.Has(tlv.Type) {
			t.Fatalf("%v is not found", tlv.Type)
		}
	}
}

// Values that decode, encode to bytes that decode to the same and are not
// longer.
func FuzzValues(f *testing.F) {
	f.Add([]byte{0, 0, 0, 7, 64, 1, 2, 3})                                    // leader data
	f.Add([]byte{0, 3, 2, 1, 0, 0, 5, 1})                                     // connectivity
	f.Add([]byte{9, 0x80, 0, 0, 0, 0, 0, 0, 1, 0x11, 0xf2})                   // route
	f.Add([]byte{0x80, 1, 2, 3, 4, 5, 6, 7, 8, 0xc1, 1, 2, 3, 4, 5, 6, 7, 8}) // addresses
	f.Fuzz(func(t *testing.T, in []byte) { values(t, in) })
}

func values(t *testing.T, in []byte) {
	t.Helper()
	if d, err := mle.DecodeLeaderData(in); err == nil {
		if e, err := mle.DecodeLeaderData(d.Append(nil)); err != nil || e != d {
			t.Fatalf("leader data %x: %+v became %+v, %v", in, d, e, err)
		}
	}
	if c, err := mle.DecodeConnectivity(in); err == nil {
		if e, err := mle.DecodeConnectivity(c.Append(nil)); err != nil || e != c {
			t.Fatalf("connectivity %x: %+v became %+v, %v", in, c, e, err)
		}
	}
	if r, err := mle.DecodeRoute(in); err == nil {
		b := r.Append(nil)
		if e, err := mle.DecodeRoute(b); err != nil || e != r || len(b) > len(in) {
			t.Fatalf("route %x: %+v became %+v, %v", in, r, e, err)
		}
	}
	if a, err := mle.DecodeAddresses(in); err == nil {
		if e, err := mle.DecodeAddresses(mle.AppendAddresses(nil, a)); err != nil || !slices.Equal(e, a) {
			t.Fatalf("addresses %x: %+v became %+v, %v", in, a, e, err)
		}
	}
}
