package joining

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/dtls"
	"gatewayd/ipv6"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
)

const pskd = "J01NME"

// A device gets in wherever leader, commissioner and joiner router are: on
// three nodes, on two, all on one.
func TestJoin(t *testing.T) {
	for _, tt := range []struct {
		name                         string
		leader, commissioner, router uint16
	}{
		{"three nodes", 0x8400, 0x7c00, 0x5400},
		{"commissioner is leader", 0x8400, 0x8400, 0x7c00},
		{"commissioner is joiner router", 0x8400, 0x7c00, 0x7c00},
		{"leader is joiner router", 0x8400, 0x7c00, 0x8400},
		{"one node", 0x8400, 0x8400, 0x8400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _, c, r := commissioning(t, tt.leader, tt.commissioner, tt.router)
			j := w.add("joiner", 0xfffe)
			if err := c.comm.Add(EUI64(j.eui64), secret(t, pskd), 2*time.Minute); err != nil {
				t.Fatal(err)
			}
			w.run(time.Second)
			if ok, err := c.comm.Published(); !ok {
				t.Fatalf("steering data not published: %v", err)
			}
			if r.router.Port() != 1000 {
				t.Fatalf("joiner port %d", r.router.Port())
			}
			j.offer(r)
			began := w.clock.Now()
			o := j.join(pskd)
			w.run(6 * time.Second)
			if o.n != 1 || o.err != nil {
				t.Fatalf("done %d times, %v; joiner %v, commissioner %+v", o.n, o.err, j.states, c.comm.List())
			}
			// 5 s of discovery, the relay, 50 ms before JOIN_ENT and 100 ms after.
			if took := o.at.Sub(began); took > 5500*time.Millisecond {
				t.Errorf("took %v", took)
			}
			if want := []string{"Discover", "Connecting", "Connected", "Entrust", "Joined", "Idle"}; !slices.Equal(j.states, want) {
				t.Errorf("states %v", j.states)
			}
			if want := []string{"waiting", "connecting", "connected", "finalized", "entrusted"}; !slices.Equal(c.entries, want) {
				t.Errorf("entry went through %v", c.entries)
			}
			checkCredentials(t, j)
			if j.kek != nil || r.kek != nil {
				t.Error("a KEK was left behind")
			}
			if j.kept != j.ext || j.ext == j.joiner.ID() || j.ext[0]&3 != 2 {
				t.Errorf("address %v, kept %v, joiner id %v", j.ext, j.kept, j.joiner.ID())
			}
			if r.router.Counters.Entrusted != 1 || r.router.Counters.Failed != 0 {
				t.Errorf("router %+v", r.router.Counters)
			}
			// It leaves the list 20 s later, as what it became.
			w.run(20 * time.Second)
			if l, h := c.comm.List(), c.comm.History(); len(l) != 0 || len(h) != 1 || h[0].Progress != Entrusted ||
				h[0].Attempts[0].Device.VendorName != "gatewayd" || h[0].Attempts[0].Router != r.rloc16 {
				t.Errorf("list %+v, history %+v", l, h)
			}
			if r.router.Port() != 0 {
				t.Error("the joiner port stayed open")
			}
		})
	}
}

func checkCredentials(t *testing.T, j *node) {
	t.Helper()
	if len(j.credentials) != 1 {
		t.Fatalf("credentials %d times", len(j.credentials))
	}
	c := j.credentials[0]
	want := testDataset(t)
	want.Remove(meshcop.TypeActiveTimestamp)
	if got := c.Dataset.Only([]meshcop.Type{0, 1, 2, 3, 4, 5, 7, 12, 14, 53}); !slices.Equal(sorted(got), sorted(*want)) {
		t.Errorf("dataset\n%x, want\n%x", c.Dataset.Append(nil), want.Append(nil))
	}
	if c.KeySequence != 7 {
		t.Errorf("key sequence %d", c.KeySequence)
	}
}

func sorted(d meshcop.Dataset) []string {
	var out []string
	for x := range meshcop.TLVs(d.Append(nil)).All() {
		out = append(out, string(x.Append(nil)))
	}
	slices.Sort(out)
	return out
}

func TestWrongPSKdThenRight(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
	j := w.add("joiner", 0xfffe)
	if err := c.comm.Add(Who{}, secret(t, pskd), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	j.offer(r)
	o := j.join("WR0NGPSKD")
	w.run(6 * time.Second)
	if o.n != 1 || !errors.Is(o.err, ErrSecurity) || !errors.Is(o.err, dtls.ErrWrongSecret) {
		t.Fatalf("wrong PSKd: %v", o.err)
	}
	e := c.comm.List()[0]
	if e.Progress != Refused || e.Refused != 1 || !errors.Is(e.Attempts[0].Reason, ErrSecurity) ||
		e.Attempts[0].ID != meshcop.JoinerID(j.eui64) {
		t.Fatalf("entry %+v", e)
	}
	if c.comm.Counters.Accepted != 0 || len(j.credentials) != 0 {
		t.Fatal("let in")
	}
	o = j.join(pskd)
	w.run(6 * time.Second)
	if o.err != nil || o.n != 1 {
		t.Fatalf("right PSKd: %v", o.err)
	}
	e = c.comm.List()[0]
	if e.Progress != Entrusted || e.Refused != 1 || len(e.Attempts) != 2 {
		t.Fatalf("entry %+v", e)
	}
	// Anybody stays on the list.
	w.run(30 * time.Second)
	if len(c.comm.List()) != 1 {
		t.Error("anybody left the list")
	}
}

// Eight joiners at a time, each with its own session: by two joiner routers,
// with different PSKds.
func TestManyAtOnce(t *testing.T) {
	w, _, c, r1 := commissioning(t, 0x8400, 0x7c00, 0x5400)
	r2 := w.add("5800", 0x5800)
	var js []*node
	var os []*outcome
	pskds := []string{"J01NME", "AAAAAA", "BBBBBB", "CCCCCC", "DDDDDD", "EEEEEE", "FFFFFF", "GGGGGG"}
	for i := range pskds {
		j := w.add("joiner", 0xfffe)
		js = append(js, j)
		if err := c.comm.Add(EUI64(j.eui64), secret(t, pskds[i]), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second)
	for i, j := range js {
		j.offer([]*node{r1, r2}[i%2])
		os = append(os, j.join(pskds[i]))
	}
	most := 0
	for range 1000 {
		w.run(10 * time.Millisecond)
		most = max(most, len(c.comm.sessions))
	}
	for i, o := range os {
		if o.n != 1 || o.err != nil {
			t.Errorf("joiner %d: %v", i, o.err)
			continue
		}
		checkCredentials(t, js[i])
	}
	if most != len(js) {
		t.Errorf("at most %d sessions at a time", most)
	}
	if len(c.comm.sessions) != 0 {
		t.Errorf("%d sessions left", len(c.comm.sessions))
	}
}

// More joiners than there is room for wait for their turn.
func TestSessionsAreBounded(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
	if err := c.comm.Add(Who{}, secret(t, pskd), 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	// Half-way: these never hear a ServerHello's successor.
	w.drop = func(from *node, p []byte, o link.Options) bool {
		return from.joiner != nil && from.name == "deaf" && len(p) > ipv6.HeaderLen && from.joiner.State() == JoinerConnecting &&
			isKeyExchange(p)
	}
	for range maxSessions {
		j := w.add("deaf", 0xfffe)
		j.offer(r)
		j.join(pskd)
	}
	w.run(6 * time.Second)
	if len(c.comm.sessions) != maxSessions {
		t.Fatalf("%d sessions", len(c.comm.sessions))
	}
	late := w.add("late", 0xfffe)
	late.offer(r)
	o := late.join(pskd)
	w.run(10 * time.Second)
	if c.comm.Counters.Full == 0 || o.n != 0 || len(c.comm.sessions) != maxSessions {
		t.Fatalf("counters %+v, outcome %+v", c.comm.Counters, o)
	}
	// The half-way ones are cleaned up after 30 s, and then it gets in.
	w.run(60 * time.Second)
	if o.n != 1 || o.err != nil {
		t.Fatalf("late joiner: %d %v", o.n, o.err)
	}
	e := c.comm.List()[0]
	lost := 0
	for _, a := range e.Attempts {
		if a.Progress == Lost && errors.Is(a.Reason, ErrResponseTimeout) {
			lost++
		}
	}
	if lost == 0 {
		t.Errorf("attempts %+v", e.Attempts)
	}
}

// isKeyExchange reports a datagram that starts with ClientKeyExchange.
func isKeyExchange(packet []byte) bool {
	_, rest, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return false
	}
	_, b, err := ipv6.DecodeUDP(rest)
	return err == nil && len(b) > 13 && b[0] == 22 && b[13] == 16
}

// A joiner that starts anew in the middle of its session gets a new one at once.
func TestJoinerStartsAnew(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
	j := w.add("joiner", 0xfffe)
	if err := c.comm.Add(EUI64(j.eui64), secret(t, pskd), time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	w.drop = func(from *node, p []byte, _ link.Options) bool { return from == j && isKeyExchange(p) }
	j.offer(r)
	o := j.join(pskd)
	w.run(6 * time.Second)
	if len(c.comm.sessions) != 1 || o.n != 0 {
		t.Fatalf("%d sessions, %v", len(c.comm.sessions), o)
	}
	// It loses power: nothing is said to the commissioner.
	w.drop = func(from *node, _ []byte, _ link.Options) bool { return from == j }
	j.joiner.Stop()
	w.drop = nil
	o2 := j.join(pskd)
	w.run(6 * time.Second)
	if o.n != 0 || o2.n != 1 || o2.err != nil {
		t.Fatalf("first %+v, second %+v", o, o2)
	}
	as := c.comm.List()[0].Attempts
	if len(as) != 2 || as[0].Progress != Lost || as[1].Progress != Entrusted {
		t.Errorf("attempts %+v", as)
	}
}

// Everything the joiner router relays is delivered twice, and again a second
// later; a joiner gets in all the same, and the KEK is used once.
func TestReplayedRelayFrames(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
	j := w.add("joiner", 0xfffe)
	if err := c.comm.Add(EUI64(j.eui64), secret(t, pskd), time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	replaying := false
	w.drop = func(from *node, p []byte, o link.Options) bool {
		if !replaying && from.joiner == nil && o.Security == link.Secured {
			for _, d := range []time.Duration{w.latency / 2, time.Second} {
				again := remid(t, p)
				w.clock.After(d, func() {
					replaying = true
					_ = radio{from}.Send(again, o)
					replaying = false
				})
			}
		}
		return false
	}
	j.offer(r)
	o := j.join(pskd)
	w.run(20 * time.Second)
	if o.n != 1 || o.err != nil {
		t.Fatalf("%+v, %+v", o, c.comm.List())
	}
	if r.keks != 1 || r.router.Counters.Entrusted != 1 {
		t.Errorf("%d KEKs set, %+v", r.keks, r.router.Counters)
	}
	if c.comm.Counters.Accepted != 1 {
		t.Errorf("%+v", c.comm.Counters)
	}
	checkCredentials(t, j)
}

// remid gives a TMF packet another CoAP message id, as an attacker would who
// does not want to be taken for a repetition.
func remid(t *testing.T, p []byte) []byte {
	h, rest, err := ipv6.DecodeHeader(p)
	if err != nil {
		t.Fatal(err)
	}
	u, payload, err := ipv6.DecodeUDP(rest)
	if err != nil {
		t.Fatal(err)
	}
	payload = slices.Clone(payload)
	payload[2] ^= 0x55
	return ipv6.AppendUDPPacket(nil, h, u.SrcPort, u.DstPort, payload)
}

// A joiner that lost one datagram of each kind gets in by retransmission.
func TestLossOfAnyDatagram(t *testing.T) {
	defer func(s byte) { seed = s }(seed)
	for i := range 14 * 8 {
		lost := i % 14
		seed = byte(i / 14)
		w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
		j := w.add("joiner", 0xfffe)
		if err := c.comm.Add(EUI64(j.eui64), secret(t, pskd), 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		n := -1
		w.drop = func(from *node, _ []byte, o link.Options) bool {
			if o.Security == link.Secured {
				return false
			}
			n++
			return n == lost
		}
		j.offer(r)
		o := j.join(pskd)
		w.run(40 * time.Second)
		if o.n != 1 || o.err != nil {
			t.Errorf("datagram %d lost, seed %d: %v; %+v", lost, seed, o.err, append(c.comm.List(), c.comm.History()...))
		}
	}
}

func TestProvisioningURL(t *testing.T) {
	for _, tt := range []struct {
		ours, theirs string
		ok           bool
	}{
		{"", "", true},
		{"OT-LAB", "", true},
		{"OT-LAB", "OT-LAB", true},
		{"OT-LAB", "OT-LAN", false},
		{"", "OT-LAB", false},
	} {
		w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
		j := w.add("joiner", 0xfffe)
		if err := c.comm.SetProvisioningURL(tt.ours); err != nil {
			t.Fatal(err)
		}
		if err := c.comm.Add(EUI64(j.eui64), secret(t, pskd), time.Minute); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		j.offer(r)
		var got error
		n := 0
		err := j.joiner.Start(secret(t, pskd), tt.theirs, Vendor{}, func(err error) { got = err; n++ })
		if err != nil {
			t.Fatal(err)
		}
		w.run(12 * time.Second)
		switch {
		case n != 1:
			t.Errorf("%+v: done %d times", tt, n)
		case tt.ok != (got == nil):
			t.Errorf("%+v: %v", tt, got)
		case !tt.ok && (!errors.Is(got, ErrRejected) || r.keks != 0 || c.comm.List()[0].Refused != 1 || len(j.credentials) != 0):
			t.Errorf("%+v: %v, %d KEKs, %+v", tt, got, r.keks, c.comm.List())
		}
	}
}

// The joiner takes credentials only under its own KEK, from its joiner router.
func TestEntrustedOnlyUnderTheKEK(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
	j := w.add("joiner", 0xfffe)
	if err := c.comm.Add(EUI64(j.eui64), secret(t, pskd), time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	// JOIN_ENT is turned into one without protection.
	w.drop = func(from *node, p []byte, o link.Options) bool {
		if o.Security != link.JoinerKEK {
			return false
		}
		_ = radio{from}.Send(slices.Clone(p), link.Options{Security: link.Unsecured})
		return true
	}
	j.offer(r)
	o := j.join(pskd)
	w.run(15 * time.Second)
	if o.n != 1 || !errors.Is(o.err, ErrResponseTimeout) || len(j.credentials) != 0 {
		t.Errorf("%+v, %d credentials", o, len(j.credentials))
	}
	if r.router.Counters.Failed != 1 || r.kek != nil || j.kek != nil {
		t.Errorf("%+v", r.router.Counters)
	}
}

func TestNobodyLetsItIn(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
	j, listed := w.add("joiner", 0xfffe), w.add("listed", 0xfffe)
	if err := c.comm.Add(EUI64(listed.eui64), secret(t, pskd), time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	j.offer(r)
	o := j.join(pskd)
	if err := j.joiner.Start(secret(t, pskd), "", Vendor{}, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("second start: %v", err)
	}
	w.run(6 * time.Second)
	if o.n != 1 || !errors.Is(o.err, ErrNotFound) || !slices.Equal(j.states, []string{"Discover", "Idle"}) {
		t.Errorf("%+v %v", o, j.states)
	}
	// One that knocks although the steering data does not mean it.
	j.found[0].SteeringData = meshcop.AllowAny()
	o = j.join(pskd)
	w.run(130 * time.Second)
	if o.n != 1 || !errors.Is(o.err, ErrSecurity) || c.comm.Counters.Unknown == 0 || c.comm.Counters.Cookies != 0 {
		t.Errorf("%+v, %+v", o, c.comm.Counters)
	}
}

// Exact before any, then by signal; after one in vain comes the other.
func TestCandidates(t *testing.T) {
	w := newWorld(t)
	j := w.add("joiner", 0xfffe)
	exact := meshcop.NewSteeringData()
	exact.Add(j.joiner.ID())
	others := meshcop.NewSteeringData()
	others.Add([8]byte{1})
	f := func(n byte, s meshcop.SteeringData, rssi int8, port uint16) Found {
		return Found{Ext: [8]byte{n}, SteeringData: s, RSSI: rssi, JoinerPort: port, Channel: 10 + n, PANID: uint16(n)}
	}
	j.found = []Found{
		f(1, meshcop.AllowAny(), -20, 1000), f(2, exact, -80, 1000), f(3, exact, -70, 1001),
		f(4, others, -10, 1000), f(5, exact, -10, 0), f(3, exact, -70, 1001), f(6, nil, -10, 1000), f(7, meshcop.AllowAny(), -10, 1000),
	}
	var tried []uint16
	w.trace = func(_ *node, h ipv6.Header, u ipv6.UDP, _ []byte, o link.Options) {
		if o.Security != link.Unsecured || u.SrcPort != 1000 {
			t.Errorf("datagram from port %d, %v", u.SrcPort, o.Security)
		}
		if len(tried) == 0 || tried[len(tried)-1] != j.pan {
			tried = append(tried, j.pan)
		}
	}
	o := j.join(pskd)
	w.run(10 * time.Minute)
	if !slices.Equal(tried, []uint16{3, 2}) || o.n != 1 || !errors.Is(o.err, ErrSecurity) {
		t.Errorf("tried %v, %+v", tried, o)
	}
}

func TestDiscerner(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x7c00, 0x5400)
	j := w.add("joiner", 0xfffe)
	d := meshcop.Discerner{Value: 0xabc, Bits: 12}
	if err := j.joiner.SetDiscerner(meshcop.Discerner{Value: 0xabc, Bits: 4}); !errors.Is(err, ErrInvalidArgs) {
		t.Errorf("discerner with too few bits: %v", err)
	}
	if err := j.joiner.SetDiscerner(d); err != nil {
		t.Fatal(err)
	}
	// The longest one that fits counts; the others' PSKds are wrong.
	for _, e := range []struct {
		who  Who
		pskd string
	}{{Who{}, "AAAAAA"}, {Discerned(meshcop.Discerner{Value: 0xbc, Bits: 8}), "BBBBBB"}, {Discerned(d), pskd},
		{Discerned(meshcop.Discerner{Value: 0xc, Bits: 4}), "CCCCCC"}} {
		if err := c.comm.Add(e.who, secret(t, e.pskd), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second)
	j.offer(r)
	o := j.join(pskd)
	w.run(6 * time.Second)
	if o.n != 1 || o.err != nil {
		t.Fatalf("%+v", o)
	}
	if e := c.comm.List()[2]; e.Progress != Entrusted || e.Who.String() != "0xabc/12" {
		t.Errorf("%+v", c.comm.List())
	}
	if err := j.joiner.ClearDiscerner(); err != nil || j.joiner.ID() != meshcop.JoinerID(j.eui64) {
		t.Errorf("cleared: %v %v", err, j.joiner.ID())
	}
}

// What goes over the air is, byte for byte, what OpenThread's devices send.
func TestRecordedBytes(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x5400, 0x8400)
	if err := c.comm.Stop(); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	w.leads.petition.session = 0xc80a
	got := map[string][][]byte{}
	w.trace = func(_ *node, h ipv6.Header, u ipv6.UDP, payload []byte, _ link.Options) {
		m, err := coap.Decode(payload)
		if u.DstPort != 61631 || err != nil {
			return
		}
		key := m.Path()
		if m.Code.IsResponse() {
			key = "answer"
		}
		got[key] = append(got[key], m.Payload)
	}
	// commissioner-remote.pcap, frames 23 to 30 and 199.
	if err := c.comm.SetID("OpenThread Commissioner"); err != nil {
		t.Fatal(err)
	}
	if err := c.comm.Start(); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	for _, x := range []struct{ path, want string }{
		{"c/lp", "0a17 4f70656e54687265616420436f6d6d697373696f6e6572"},
		{"answer", "1001 01  0a17 4f70656e54687265616420436f6d6d697373696f6e6572  0b02 c80b"},
		{"c/cs", "0b02 c80b  0801 ff"},
	} {
		if len(got[x.path]) == 0 || !slices.Equal(got[x.path][0], unhex(t, x.want)) {
			t.Errorf("%s: %x, want %s", x.path, got[x.path], x.want)
		}
	}
	if b := w.leader.Data().Commissioning.TLVs; !slices.Equal(b, unhex(t, "0b02 c80b  0801 ff  0902 5400")) {
		t.Errorf("commissioning data %x", []byte(b))
	}
	// The joiner's introduction and what it is entrusted with.
	j := w.add("joiner", 0xfffe)
	j.joiner.cfg.StackVersion = &meshcop.StackVersion{OUI: 0x18b430, Minor: 1}
	j.offer(r)
	if err := j.joiner.Start(secret(t, pskd), "", Vendor{Name: "OPENTHREAD", Model: "SIMULATION", SWVersion: "3ae741f95"}, func(error) {}); err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "100101 210a4f50454e544852454144 220a53494d554c4154494f4e 2309336165373431663935 250618b430000010"); !slices.Equal(j.joiner.hello, want) {
		t.Errorf("JOIN_FIN %x", j.joiner.hello)
	}
	r.router.cfg.KeySequence = func() uint32 { return 0 }
	w.run(6 * time.Second)
	if want := unhex(t, `0510 00112233445566778899aabbccddeeff 0708 fd000db8000a000b 0208 0001020304050607 030c 54657374204e6574776f726b
		0e08 0000000000010000 3506 0004001fffe0 0410 c3f59368445a1b6106be420a706d4cc9 0c04 02a0f7f8 0604 00000000`); len(got["c/je"]) != 1 || !slices.Equal(got["c/je"][0], want) {
		t.Errorf("JOIN_ENT %x, want %x", got["c/je"], want)
	}
	checkRelay(t, got["c/rx"], got["c/tx"], j.joiner.ID().IID())
	if err := c.comm.Stop(); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if las := got["c/la"]; len(las) == 0 || !slices.Equal(las[len(las)-1], unhex(t, "1001 ff  0b02 c80b")) {
		t.Errorf("resigned by %x", las)
	}
	if b := w.leader.Data().Commissioning.TLVs; !slices.Equal(b, unhex(t, "0b02 c80c")) {
		t.Errorf("commissioning data %x", []byte(b))
	}
}

// checkRelay looks at the order of TLVs, which is that of the recordings
// (joiner-2hop.pcap, frames 66 and 150), and at who brings the KEK.
func checkRelay(t *testing.T, rx, tx [][]byte, iid [8]byte) {
	t.Helper()
	types := func(b []byte) (out []meshcop.Type) {
		for x := range meshcop.TLVs(b).All() {
			out = append(out, x.Type)
		}
		return out
	}
	for _, b := range rx {
		m, err := meshcop.DecodeRelayRx(b)
		if err != nil || m.JoinerPort != 1000 || m.JoinerIID != iid || m.RouterLocator != 0x8400 ||
			!reflect.DeepEqual(types(b), []meshcop.Type{18, 19, 20, 17}) {
			t.Errorf("RLY_RX %x: %v", b, err)
		}
	}
	// HelloVerifyRequest, server's flight, Finished, JOIN_FIN.rsp, close_notify.
	var withKEK []bool
	for _, b := range tx {
		m, err := meshcop.DecodeRelayTx(b)
		if err != nil || m.JoinerPort != 1000 || m.JoinerIID != iid || m.RouterLocator != 0x8400 {
			t.Errorf("RLY_TX %x: %v", b, err)
		}
		withKEK = append(withKEK, m.KEK != nil)
		if m.KEK != nil && !reflect.DeepEqual(types(b), []meshcop.Type{18, 19, 20, 21, 17}) {
			t.Errorf("RLY_TX with KEK: %v", types(b))
		}
	}
	if !slices.Equal(withKEK, []bool{false, false, false, true, false}) {
		t.Errorf("KEK in RLY_TX: %v", withKEK)
	}
}
