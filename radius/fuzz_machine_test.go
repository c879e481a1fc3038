package radius

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

// Whatever comes from the network, a Client gives no result that a server
// with the secret did not send, and loses no slot.
func FuzzClient(f *testing.F) {
	for i, p := range captured(f) {
		if i%7 == 1 {
			f.Add(p.Data)
		}
	}
	f.Add(Packet{Code: AccessAccept}.AppendResponse(nil, Secret("other"), [16]byte{}))
	f.Fuzz(func(t *testing.T, in []byte) {
		var clock alarm.Clock
		clock.Set(start)
		var out []byte
		c, err := NewClient(ClientConfig{Clock: &clock, Entropy: testEntropy(1), Servers: []Upstream{{Auth: serverA, Secret: Secret("first")}},
			Send: func(_ int, _ netip.AddrPort, b []byte) { out = b }})
		if err != nil {
			t.Fatal(err)
		}
		results := 0
		v := c.Converse(aPort, func(r eap.Result) { results++ })
		v.Receive(in)
		v.Begin()
		v.Receive(eapResponse(v.(*conversation).lastID, eap.TypeIdentity, "joe"))
		n := results
		if len(in) > 1 {
			in[1] = out[1] // the identifier that is outstanding
		}
		c.Receive(0, serverA, in)
		if results != n {
			t.Errorf("takes %x for an answer", in)
		}
		// The same attributes, signed by the server: any result, or none.
		if p, err := Decode(in); err == nil && p.Len() <= MaxPacketLen-18 {
			c.Receive(0, serverA, p.AppendResponse(nil, Secret("first"), [16]byte(out[authOffset:])))
		}
		v.Receive(in)
		v.Close()
		clock.Advance(start.Add(time.Hour))
		if c.auth[0].used != 0 {
			t.Errorf("%d slots in use after the end", c.auth[0].used)
		}
	})
}

// Whatever comes from the network, a Server answers nobody without the secret,
// and what a client sends ends in nothing worse than a rejection.
func FuzzServer(f *testing.F) {
	for i, p := range captured(f) {
		if i%7 == 0 {
			f.Add(p.Data, uint8(1))
		}
	}
	f.Add(eapResponse(1, eap.TypeIdentity, "joe"), uint8(12))
	f.Fuzz(func(t *testing.T, in []byte, code uint8) {
		var clock alarm.Clock
		clock.Set(start)
		var out [][]byte
		s, err := NewServer(ServerConfig{Clock: &clock, Entropy: testEntropy(3), Backend: pskBackend(t, 4), Sessions: 1, Replies: 2,
			Clients: []Authorized{{Prefix: netip.MustParsePrefix("198.51.100.7/32"), Secret: Secret("narrow")}},
			Send:    func(_ int, _ netip.AddrPort, b []byte) { out = append(out, b) }})
		if err != nil {
			t.Fatal(err)
		}
		s.Receive(0, nasAddr, in)
		if len(out) != 0 {
			t.Fatalf("answers %x", in)
		}
		p, err := Decode(in)
		if err != nil {
			p = Packet{Attributes: Attributes{eapAttr(in[:min(len(in), maxValueLen)])}}
		}
		if p.Len() > MaxPacketLen-18 {
			return
		}
		p.Code = Code(code)
		s.Receive(0, nasAddr, p.AppendRequest(nil, Secret("narrow")))
		// A second one, with the State of the first.
		if len(out) > 0 {
			if q, err := Decode(out[0]); err == nil && q.Code == AccessChallenge {
				p.Authenticator[0]++
				p.Attributes = append(p.Attributes, stateAttr(q))
				if p.Len() <= MaxPacketLen-18 {
					s.Receive(0, nasAddr, p.AppendRequest(nil, Secret("narrow")))
				}
			}
		}
		for _, b := range out {
			q, err := Decode(b)
			if err != nil || q.Code == AccessAccept && Code(code) != StatusServer {
				t.Errorf("answers %x: %v", b, err)
			}
		}
		if s.count > 1 || len(s.replies.byKey) > 2 {
			t.Errorf("%d sessions, %d answers kept", s.count, len(s.replies.byKey))
		}
		clock.Advance(start.Add(time.Hour))
		if s.count != 0 || len(s.sessions) != 0 || len(s.replies.byKey) != 0 {
			t.Errorf("%d sessions, %d answers kept after an hour", s.count, len(s.replies.byKey))
		}
	})
}

// Whatever comes from the network, a Dynamic answers exactly those who have
// the secret, with ACK or NAK.
func FuzzDynamic(f *testing.F) {
	f.Add(Packet{Code: CoARequest, Attributes: Attributes{{UserName, []byte("joe")}}}.Append(nil))
	f.Add(Packet{Code: DisconnectRequest, Attributes: Attributes{{FramedIPAddress, []byte("joe")}, {EventTimestamp, []byte{1}}}}.Append(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		var clock alarm.Clock
		clock.Set(start)
		var out []byte
		d, err := NewDynamic(DynamicConfig{Clock: &clock,
			Clients: []Authorized{{Prefix: netip.MustParsePrefix("198.51.100.7/32"), Secret: Secret("s")}},
			Send:    func(_ int, _ netip.AddrPort, b []byte) { out = b },
			Carry:   func(Order) ErrorCause { return 0 }})
		if err != nil {
			t.Fatal(err)
		}
		d.Receive(0, nasAddr, in)
		if out != nil {
			t.Fatalf("answers %x", in)
		}
		p, err := Decode(in)
		if err != nil || p.Len() > MaxPacketLen-18 || p.Code != CoARequest && p.Code != DisconnectRequest {
			return
		}
		b := p.AppendRequest(nil, Secret("s"))
		d.Receive(0, nasAddr, b)
		if d.Counters.Stale > 0 {
			return
		}
		if err := VerifyResponse(out, Secret("s"), [16]byte(b[authOffset:])); err != nil {
			t.Errorf("answer %x: %v", out, err)
		}
		if c := Code(out[0]); c != p.Code+1 && c != p.Code+2 {
			t.Errorf("%v answers %v", c, p.Code)
		}
	})
}
