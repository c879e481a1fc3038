package backbone

import (
	"reflect"
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/tmf"
)

// What was decoded survives encoding and decoding again.
func FuzzDUAMessages(f *testing.F) {
	f.Add(DUARegistration{Target: dua(1), MLEID: id(1), LastTransaction: ptr[uint32](7)}.Append(nil))
	f.Add(DUAAnswer{DUADuplicate, dua(1)}.Append(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := DecodeDUARegistration(in); err == nil {
			if again, err := DecodeDUARegistration(r.Append(nil)); err != nil || !reflect.DeepEqual(r, again) {
				t.Fatalf("%+v became %+v, %v", r, again, err)
			}
		}
		if a, err := DecodeDUAAnswer(in); err == nil {
			if again, err := DecodeDUAAnswer(a.Append(nil)); err != nil || a != again {
				t.Fatalf("%+v became %+v, %v", a, again, err)
			}
		}
	})
}

// Whatever comes over the backbone link, what the router remembers of it is
// bounded, and an address that is registered here goes only with a message
// about it.
func FuzzBackbone(f *testing.F) {
	message := func(path string, typ coap.Type, t tmf.TLVs) []byte {
		m := coap.Message{Type: typ, Code: coap.POST, MessageID: 1, Token: []byte{1}, Payload: t}
		m.SetPath(path)
		return m.Append(nil)
	}
	whole := tmf.TLVs(nil).AppendAddr(tmf.Target, dua(1)).Append(tmf.MLEID, 0, 0, 0, 0, 0, 0, 0, 9).
		AppendUint32(tmf.LastTransaction, 5).Append(tmf.NetworkName, 'x')
	f.Add(true, message(tmf.BackboneQuery, coap.NonConfirmable, whole))
	f.Add(true, message(tmf.BackboneAnswer, coap.NonConfirmable, whole))
	f.Add(false, message(tmf.BackboneAnswer, coap.Confirmable, whole))
	f.Add(false, message(tmf.BackboneAnswer, coap.Confirmable, whole.AppendUint16(tmf.RLOC16, 0x0800)))
	f.Add(true, message(tmf.BackboneListeners, coap.NonConfirmable, appendGroups(nil, addrs("ff04::1")).AppendUint32(tmf.Timeout, 7)))
	f.Fuzz(func(t *testing.T, group bool, in []byte) {
		b := newBench(t, 1)
		p := b.add(0x0400)
		s := ashore(p)
		p.SetEnabled(true)
		p.inDomain(domain)
		b.run(2 * time.Second)
		for i := range uint16(3) {
			p.registerDUA(DUARegistration{Target: dua(i), MLEID: id(byte(i))}, 0x0800)
		}
		to := p.linkLocal()
		if group {
			to = p.Groups()[1]
		}
		s.said = nil
		p.FromBackbone(p.linkLocal(), to, in)
		b.run(time.Second)
		if n := len(p.Proxies()); n < 2 || len(p.abroad) > 1 || len(p.Listeners()) > MaxGroups {
			t.Errorf("%d proxies, %d abroad, %d groups", n, len(p.abroad), len(p.Listeners()))
		}
		if len(s.said) > 5 { // three queries of a second, and one answer, repeated once at most
			t.Errorf("said %q", s.said)
		}
	})
}
