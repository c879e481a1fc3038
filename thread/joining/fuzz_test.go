package joining

import (
	"math/rand/v2"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/dtls"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// recorded is a ClientHello of OpenThread's joiner, cut behind its random
// (joiner-2hop.pcap, frame 66).
const recorded = `16fefd0000000000000000 01a2 01000196 0000 000000000196 fefd
	09ffc00f68ee608bef32091e5cf640cdb632716ac55a4aad55e84f319817e00b`

// A datagram of noise under a joiner's own address does not keep it out.
func TestGarbageBesideAJoiner(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
	j := w.add("joiner", 0xfffe)
	if err := c.comm.Add(EUI64(j.eui64), secret(t, pskd), time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := func(i int) []byte {
		b := make([]byte, 1+rnd.IntN(600))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		if i%2 == 0 { // like a record, of either epoch
			b = append([]byte{20 + byte(i%4), 0xfe, 0xfd, 0, byte(i / 4 % 2), 0, 0, 0, 0, 0, byte(i), byte(len(b) >> 8), byte(len(b))}, b...)
			if b[0] == 21 {
				b[0] = 23 // an alert in plain text would be believed
			}
		}
		return b
	}
	sent := 0
	w.drop = func(from *node, p []byte, o link.Options) bool {
		if o.Security == link.Unsecured && from == j {
			m := meshcop.RelayRx{JoinerPort: 1000, JoinerIID: j.joiner.ID().IID(), RouterLocator: r.rloc16}
			for range 20 {
				sent++
				m.Encapsulation = noise(sent)
				r.tmf.Send(tmf.RelayReceive, address(c.rloc16), m.Append(nil),
					tmf.Options{NonConfirmable: true, Source: address(r.rloc16)}, nil)
			}
		}
		return false
	}
	j.offer(r)
	o := j.join(pskd)
	w.run(6 * time.Second)
	if o.n != 1 || o.err != nil || sent < 80 {
		t.Errorf("%+v after %d datagrams of noise; %+v", o, sent, c.comm.List())
	}
}

// Whatever comes as RLY_RX, there are never more sessions than allowed, nothing
// is let in, all is gone in the end, and the commissioner is still there.
func FuzzRelayRx(f *testing.F) {
	hello := unhex(f, recorded)
	m := meshcop.RelayRx{JoinerPort: 1000, JoinerIID: [8]byte{1}, RouterLocator: 0x7c00, Encapsulation: hello}
	f.Add(m.Append(nil), hello)
	f.Add([]byte{}, clientHello(f))
	f.Add([]byte{}, []byte{22, 0xfe, 0xfd})
	f.Add(unhex(f, "1202 03e8 1308 90335c4b320830fb 1402 7c00 11ff 0003 15feff"), unhex(f, "15fefd00000000000000010002 0228"))
	f.Fuzz(func(t *testing.T, payload, datagram []byte) {
		w, _, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
		if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		send := func(b []byte) {
			if len(b) <= 1100 {
				r.tmf.Send(tmf.RelayReceive, address(c.rloc16), b, tmf.Options{NonConfirmable: true, Source: address(r.rloc16)}, nil)
				w.run(10 * time.Millisecond)
			}
		}
		send(payload)
		for i := range byte(maxSessions + 2) {
			m := meshcop.RelayRx{JoinerPort: 1000, JoinerIID: [8]byte{i}, RouterLocator: r.rloc16, Encapsulation: datagram}
			send(m.Append(nil))
			// Again with the cookie that the first was answered with.
			if h := withCookie(c, [8]byte{i}, datagram); h != nil {
				m.Encapsulation = h
				send(m.Append(nil))
			}
		}
		if len(c.comm.sessions) > maxSessions {
			t.Fatalf("%d sessions", len(c.comm.sessions))
		}
		w.run(40 * time.Second)
		if len(c.comm.sessions) != 0 || c.comm.Counters.Accepted != 0 || r.keks != 0 || c.comm.State() != Active {
			t.Fatalf("%d sessions, %+v, %v", len(c.comm.sessions), c.comm.Counters, c.comm.State())
		}
	})
}

// clientHello is one of ours.
func clientHello(t testing.TB) (hello []byte) {
	_, err := dtls.Client(dtls.Config{Secret: []byte(pskd), Rand: rand.NewChaCha8([32]byte{}),
		Send: func(b []byte) { hello = b }}, start)
	if err != nil {
		t.Fatal(err)
	}
	return hello
}

// A greeting opens a session only when it brings the cookie, and only its own.
func TestCookies(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	hello, iid := clientHello(t), [8]byte{1}
	for _, s := range []struct {
		iid      [8]byte
		cookieOf *[8]byte
		sessions int
	}{
		{iid, nil, 0},
		{iid, nil, 0},
		{iid, &[8]byte{2}, 0},
		{iid, &iid, 1},
		{iid, &iid, 1},
	} {
		hello := hello
		if s.cookieOf != nil {
			hello = withCookie(c, *s.cookieOf, hello)
		}
		m := meshcop.RelayRx{JoinerPort: 1000, JoinerIID: s.iid, RouterLocator: r.rloc16, Encapsulation: hello}
		r.tmf.Send(tmf.RelayReceive, address(c.rloc16), m.Append(nil), tmf.Options{NonConfirmable: true, Source: address(r.rloc16)}, nil)
		w.run(time.Second)
		if len(c.comm.sessions) != s.sessions {
			t.Fatalf("%d sessions, want %d", len(c.comm.sessions), s.sessions)
		}
	}
	if n := c.comm.Counters.Sessions; n != 1 {
		t.Errorf("%d sessions begun", n)
	}
}

// withCookie is a ClientHello with the cookie that is asked for; nil if the
// datagram is none, or brings one.
func withCookie(c *node, iid [8]byte, datagram []byte) []byte {
	reply, _ := c.comm.front.Check(iid[:], datagram)
	const cookieAt, sessionAt = 13 + 12 + 3, randomEnd
	if len(reply) < cookieAt || len(datagram) < sessionAt+2 || datagram[sessionAt] != 0 || datagram[sessionAt+1] != 0 {
		return nil
	}
	cookie := reply[cookieAt:]
	h := append([]byte(nil), datagram[:sessionAt+1]...)
	h = append(append(append(h, byte(len(cookie))), cookie...), datagram[sessionAt+2:]...)
	for _, at := range []int{11, 14 + 1, 22 + 1} { // lengths of record, message, fragment
		n := int(h[at])<<8 + int(h[at+1]) + len(cookie)
		h[at], h[at+1] = byte(n>>8), byte(n)
	}
	return h
}

// Whatever comes as RLY_TX, a KEK is used once and its joiner gets one JOIN_ENT.
func FuzzRelayTx(f *testing.F) {
	// joiner-2hop.pcap, frame 150, and one without a KEK.
	f.Add(unhex(f, `1202 03e8 1308 90335c4b320830fb 1402 7c00 1510 08c7b1672cb4403e5b4f13861fb9d92c
		11ff 0002 16fe`))
	f.Add(unhex(f, "1202 03e8 1308 90335c4b320830fb 1402 7c00 11ff 0000"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 1100 {
			return
		}
		w := newWorld(t)
		r, c := w.add("router", 0x7c00), w.add("commissioner", 0x8400)
		entrusts := 0
		w.trace = func(from *node, _ ipv6.Header, u ipv6.UDP, b []byte, o link.Options) {
			if from == r && o.Security == link.JoinerKEK {
				entrusts++
				if m, err := coap.Decode(b); err != nil || m.Path() != tmf.JoinerEntrust {
					t.Errorf("%x under the KEK", b)
				}
			}
		}
		for range 3 {
			c.tmf.Send(tmf.RelayTransmit, address(r.rloc16), payload,
				tmf.Options{NonConfirmable: true, Source: address(c.rloc16)}, nil)
		}
		w.run(500 * time.Millisecond)
		m, err := meshcop.DecodeRelayTx(payload)
		want := 0
		if err == nil && m.KEK != nil {
			want = 1
		}
		if r.keks != want || entrusts != want {
			t.Errorf("%d KEKs, %d JOIN_ENT, want %d", r.keks, entrusts, want)
		}
		w.run(10 * time.Second)
		if r.kek != nil {
			t.Error("the KEK stayed")
		}
	})
}

// A joiner is accepted exactly if what it sends is TLVs with a state, and it
// names no provisioning URL but ours.
func FuzzFinalize(f *testing.F) {
	f.Add(unhex(f, "100101 210a4f50454e544852454144 220a53494d554c4154494f4e 2309336165373431663935 250618b430000010"))
	f.Add(unhex(f, "100101 2006 4f542d4c4142"))
	f.Add(unhex(f, "100101 2006 4f542d4c4143"))
	f.Add(unhex(f, "1001"))
	f.Add(unhex(f, "210131 100101 2100"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var clock alarm.Clock
		c := &Commissioner{cfg: CommissionerConfig{Clock: &clock}, url: "OT-LAB"}
		c.expiry = clock.NewTimer(func() {})
		e := &entry{}
		s := &session{c: c, entry: e, attempt: c.begin(e, [8]byte{1}, 0x7c00)}
		var answers []coap.Message
		end := coap.New(coap.Config[other]{Rand: rand.New(rand.NewPCG(1, 2)), Send: func(_ other, b []byte) {
			m, err := coap.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, m)
		}})
		end.Handle(tmf.JoinerFinalize, s.finalize)
		m := coap.Message{Type: coap.Confirmable, Code: coap.POST, MessageID: 7, Payload: payload}
		m.SetPath(tmf.JoinerFinalize)
		end.Receive(start, other{}, m.Append(nil))
		if len(answers) != 1 {
			t.Fatalf("%d answers", len(answers))
		}
		tlvs := meshcop.TLVs(payload)
		whole := tlvs.Validate() == nil && tlvs.Has(meshcop.TypeState)
		url, named := tlvs.Find(meshcop.TypeProvisioningURL)
		accept := whole && (!named || string(url) == "OT-LAB")
		state, err := meshcop.DecodeState(answers[0].Payload)
		switch {
		case whole != (answers[0].Code == coap.Changed), whole != (err == nil):
			t.Errorf("answered %v %x", answers[0].Code, answers[0].Payload)
		case accept != s.accepted, accept != (state == meshcop.StateAccept), accept != (s.attempt.Progress == Finalized):
			t.Errorf("accept is %v, answered %v, %v", s.accepted, state, s.attempt.Progress)
		}
	})
}

// Credentials that a joiner takes are such as a dataset can hold.
func FuzzEntrust(f *testing.F) {
	f.Add(unhex(f, `0510 00112233445566778899aabbccddeeff 0708 fd000db8000a000b 0208 0001020304050607 030c 54657374204e6574776f726b
		0e08 0000000000010000 3506 0004001fffe0 0410 c3f59368445a1b6106be420a706d4cc9 0c04 02a0f7f8 0604 00000000`))
	f.Add(unhex(f, "0510 00112233445566778899aabbccddeeff"))
	f.Add([]byte{5, 16, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 1100 {
			return
		}
		w := newWorld(t)
		r, j := w.add("router", 0x7c00), w.add("joiner", 0xfffe)
		j.SetPANID(r.pan)
		j.SetChannel(r.channel)
		r.SetKEK([16]byte{1})
		j.SetKEK([16]byte{1})
		j.joiner.router = Found{Ext: r.ext, Channel: 15, PANID: r.pan}
		j.joiner.setState(JoinerEntrust)
		r.tmf.Send(tmf.JoinerEntrust, linkLocal(j.ext.IID()), payload, tmf.Options{Security: link.JoinerKEK}, nil)
		w.run(time.Second)
		m, err := meshcop.DecodeJoinerEntrust(payload)
		if (err == nil) != (len(j.credentials) == 1) {
			t.Fatalf("%v, %d credentials", err, len(j.credentials))
		}
		if err != nil {
			return
		}
		d, err := meshcop.DecodeDataset(j.credentials[0].Dataset.Append(nil))
		if err != nil || *d.NetworkKey != *m.NetworkKey || *d.PANID != r.pan || d.Channel.Number != 15 {
			t.Errorf("%v: %+v", err, d)
		}
	})
}

// Noise from its joiner router may end a joiner's attempt, but not hang it.
func FuzzJoinerReceives(f *testing.F) {
	f.Add(unhex(f, recorded))
	f.Add(unhex(f, "16fefd0000000000000000 002f 03000023 0000 000000000023 feff 20 0001020304050607080910111213141516171819202122232425262728293031"))
	f.Add(unhex(f, "15fefd00000000000000010002 0228"))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		if len(datagram) > 1100 {
			return
		}
		w := newWorld(t)
		r, j := w.add("router", 0x7c00), w.add("joiner", 0xfffe)
		j.found = []Found{{Ext: r.ext, PANID: r.pan, Channel: r.channel, SteeringData: meshcop.AllowAny(), JoinerPort: 1000}}
		o := j.join(pskd)
		w.run(5100 * time.Millisecond)
		for range 3 {
			_ = r.ip.SendUDP(ip.Datagram{Src: addrPort(r, 1000), Dst: addrPort(j, 1000), Payload: datagram},
				link.Options{Security: link.Unsecured})
		}
		w.run(3 * time.Minute)
		if o.n != 1 || o.err == nil || j.joiner.State() != JoinerIdle || len(j.credentials) != 0 {
			t.Errorf("%+v %v", o, j.joiner.State())
		}
	})
}
