package joining

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

func TestListIsChecked(t *testing.T) {
	w := newWorld(t)
	c := w.add("commissioner", 0x8400)
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Minute); !errors.Is(err, ErrInvalidState) {
		t.Errorf("added while disabled: %v", err)
	}
	if err := c.comm.Remove(Who{}, 0); !errors.Is(err, ErrInvalidState) {
		t.Errorf("removed while disabled: %v", err)
	}
	w.lead(c)
	if err := c.comm.Start(); err != nil {
		t.Fatal(err)
	}
	w.run(0)
	if c.comm.State() != Active { // our own leader answers at once
		t.Fatal(c.comm.State())
	}
	for _, tt := range []struct {
		who     Who
		pskd    PSKd
		timeout time.Duration
		want    error
	}{
		{Who{}, PSKd{}, time.Minute, ErrInvalidArgs},
		{Who{}, secret(t, pskd), 0, ErrInvalidArgs},
		{Discerned(meshcop.Discerner{Value: 8, Bits: 3}), secret(t, pskd), time.Minute, ErrInvalidArgs},
		{Discerned(meshcop.Discerner{Value: 7, Bits: 3}), secret(t, pskd), time.Minute, nil},
	} {
		if err := c.comm.Add(tt.who, tt.pskd, tt.timeout); !errors.Is(err, tt.want) {
			t.Errorf("%v: %v, want %v", tt.who, err, tt.want)
		}
	}
	if err := c.comm.Remove(Who{}, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed what is not there: %v", err)
	}
	for i := range maxEntries - 1 {
		if err := c.comm.Add(EUI64(ieee802154.ExtAddr{byte(i)}), secret(t, pskd), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Minute); !errors.Is(err, ErrNoBufs) {
		t.Errorf("one too many: %v", err)
	}
	// The same one again is no further one, and lasts longer.
	if err := c.comm.Add(EUI64(ieee802154.ExtAddr{1}), secret(t, "AAAAAA"), time.Hour); err != nil {
		t.Error(err)
	}
	w.run(2 * time.Minute)
	if l := c.comm.List(); len(l) != 1 || l[0].PSKd.Reveal() != "AAAAAA" || l[0].Progress != Waiting {
		t.Errorf("%+v", l)
	}
	if h := c.comm.History(); len(h) != maxHistory-1+1-1 || h[0].Progress != Expired || h[0].Removed.Sub(h[0].Added) != time.Minute {
		t.Errorf("history of %d, first %+v", len(h), h[0])
	}
	if err := c.comm.Remove(EUI64(ieee802154.ExtAddr{1}), 10*time.Second); err != nil {
		t.Error(err)
	}
	w.run(9 * time.Second)
	if len(c.comm.List()) != 1 {
		t.Error("removed too early")
	}
	w.run(2 * time.Second)
	h := c.comm.History()
	if last := h[len(h)-1]; len(c.comm.List()) != 0 || last.Progress != Removed {
		t.Errorf("%+v", last)
	}
	if d := (Info{w.leader.Data}).Commissioning(); !d.SteeringData.IsEmpty() {
		t.Errorf("steering data %v with nobody listed", d.SteeringData)
	}
	if err := c.comm.SetID("x"); !errors.Is(err, ErrInvalidState) {
		t.Errorf("id while active: %v", err)
	}
	if err := c.comm.SetProvisioningURL(strings.Repeat("x", 65)); !errors.Is(err, ErrInvalidArgs) {
		t.Errorf("long URL: %v", err)
	}
	if err := c.comm.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{strings.Repeat("x", 65), "\xff"} {
		if err := c.comm.SetID(id); !errors.Is(err, ErrInvalidArgs) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

// A burst of changes costs two requests to the leader, not one each.
func TestPublishesOnceForABurst(t *testing.T) {
	w, l, c, _ := commissioning(t, 0x8400, 0x5400, 0x7c00)
	sets := 0
	w.trace = func(from *node, _ ipv6.Header, _ ipv6.UDP, b []byte, _ link.Options) {
		if m, err := coap.Decode(b); err == nil && m.Path() == "c/cs" {
			sets++
		}
	}
	for i := range 20 {
		if err := c.comm.Add(EUI64(ieee802154.ExtAddr{byte(i)}), secret(t, pskd), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second)
	if d := (Info{l.petition.cfg.Data}).Commissioning(); sets != 2 || !slices.Equal(d.SteeringData, c.comm.SteeringData()) {
		t.Errorf("%d requests, %v, want %v", sets, d.SteeringData, c.comm.SteeringData())
	}
}

// What was lost on the way to the leader is sent again; what the leader refuses
// is asked about.
func TestPublishingFails(t *testing.T) {
	w, l, c, _ := commissioning(t, 0x8400, 0x5400, 0x7c00)
	lose := true
	w.drop = func(from *node, _ []byte, _ link.Options) bool { return lose && from == c }
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if ok, _ := c.comm.Published(); ok {
		t.Error("published without an answer")
	}
	lose = false
	w.run(10 * time.Second)
	if ok, err := c.comm.Published(); !ok {
		t.Errorf("not published: %v", err)
	}
	l.petition.session++
	d := meshcop.CommissioningData{SessionID: &l.petition.session}
	if err := l.petition.cfg.SetCommissioning(d.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if err := c.comm.Add(Who{}, secret(t, "AAAAAA"), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if c.comm.State() != Disabled || !errors.Is(c.why, ErrRejected) {
		t.Errorf("%v, %v", c.comm.State(), c.why)
	}
}

// Taken from the list in the middle of its session, a joiner is refused.
func TestRemovedHalfWay(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
	j := w.add("joiner", 0xfffe)
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	c.comm.cfg.JoinerChanged = func(e Entry) {
		if e.Progress == Connected {
			if err := c.comm.Remove(e.Who, 0); err != nil {
				t.Error(err)
			}
		}
	}
	j.offer(r)
	o := j.join(pskd)
	w.run(12 * time.Second)
	if o.n != 1 || o.err == nil || len(j.credentials) != 0 || r.keks != 0 {
		t.Errorf("%+v", o)
	}
	if h := c.comm.History(); len(h) != 1 || h[0].Attempts[0].Progress != Refused || len(c.comm.sessions) != 0 {
		t.Errorf("%+v", h)
	}
}

// Stopped in the middle, from the middle of its own work.
func TestStopHalfWay(t *testing.T) {
	w, l, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
	j := w.add("joiner", 0xfffe)
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	c.comm.cfg.JoinerChanged = func(e Entry) {
		if e.Progress == Connected {
			if err := c.comm.Stop(); err != nil {
				t.Error(err)
			}
		}
	}
	j.offer(r)
	o := j.join(pskd)
	w.run(12 * time.Second)
	if _, _, active := l.petition.Active(); o.n != 1 || o.err == nil || active || len(c.comm.sessions) != 0 || r.router.Port() != 0 {
		t.Errorf("%+v, active %v, %d sessions, port %d", o, active, len(c.comm.sessions), r.router.Port())
	}
}

func TestJoinerIsChecked(t *testing.T) {
	w := newWorld(t)
	j := w.add("joiner", 0xfffe)
	never := func(error) { t.Error("done was called") }
	if err := j.joiner.Start(PSKd{}, "", Vendor{}, never); !errors.Is(err, ErrInvalidArgs) {
		t.Errorf("no PSKd: %v", err)
	}
	if err := j.joiner.Start(secret(t, pskd), strings.Repeat("x", 65), Vendor{}, never); !errors.Is(err, ErrInvalidArgs) {
		t.Errorf("long URL: %v", err)
	}
	if err := j.joiner.Start(secret(t, pskd), "", Vendor{SWVersion: strings.Repeat("x", 17)}, never); !errors.Is(err, ErrInvalidArgs) {
		t.Errorf("long version: %v", err)
	}
	j.joiner.cfg.Ready = func() bool { return false }
	if err := j.joiner.Start(secret(t, pskd), "", Vendor{}, never); !errors.Is(err, ErrInvalidState) {
		t.Errorf("not ready: %v", err)
	}
	j.joiner.cfg.Ready = func() bool { return true }
	j.joiner.cfg.Discoverer = busy{}
	if err := j.joiner.Start(secret(t, pskd), "", Vendor{}, never); !errors.Is(err, ErrBusy) || j.joiner.State() != JoinerIdle {
		t.Errorf("discovery busy: %v, %v", err, j.joiner.State())
	}
	j.joiner.cfg.Discoverer = j
	if err := j.joiner.Start(secret(t, pskd), "", Vendor{}, never); err != nil {
		t.Fatal(err)
	}
	if err := j.joiner.SetDiscerner(meshcop.Discerner{Value: 1, Bits: 1}); !errors.Is(err, ErrInvalidState) {
		t.Errorf("discerner while joining: %v", err)
	}
	j.joiner.Stop()
	j.joiner.Stop()
	w.run(10 * time.Second)
	if j.joiner.State() != JoinerIdle {
		t.Error(j.joiner.State())
	}
}

type busy struct{}

func (busy) Discover(bool, uint32, func(Found), func()) bool { return false }

// JOIN_ENT goes to one joiner at a time; one that does not answer does not keep
// the next one waiting for long, and the queue is bounded.
func TestEntrustsOneAtATime(t *testing.T) {
	w := newWorld(t)
	r := w.add("router", 0x8400)
	var order []byte
	var failed int
	r.router.cfg.Entrusted = func(iid [8]byte, err error) {
		order = append(order, iid[7])
		if errors.Is(err, ErrResponseTimeout) {
			failed++
		}
	}
	for i := range byte(maxEntrusts + 2) {
		r.router.entrust(entrust{iid: [8]byte{7: i}, kek: meshcop.Key{i}, at: w.clock.Now().Add(entrustDelay)})
	}
	w.run(40 * time.Millisecond)
	if r.keks != 0 {
		t.Error("too early")
	}
	w.run(20 * time.Millisecond)
	if r.keks != 1 || r.kek == nil {
		t.Errorf("%d KEKs", r.keks)
	}
	w.run(20 * time.Second)
	if !slices.Equal(order, []byte{0, 1, 2, 3, 4, 5, 6, 7}) || failed != 8 || r.router.Counters.Dropped != 2 || r.kek != nil {
		t.Errorf("order %v, %d failed, %+v", order, failed, r.router.Counters)
	}
	// Without a network key there is nothing to hand over.
	r.router.cfg.Active = func() *meshcop.Dataset { return nil }
	r.router.entrust(entrust{iid: [8]byte{7: 9}, kek: meshcop.Key{99}, at: w.clock.Now()})
	w.run(time.Second)
	if r.router.Counters.Failed != 9 || r.keks != 8 {
		t.Errorf("%d KEKs, %+v", r.keks, r.router.Counters)
	}
}

// The joiner router passes on only what comes from a joiner over the radio.
func TestJoinerRouterIsChoosy(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	joiner := w.add("joiner", 0xfffe)
	joiner.pan, joiner.channel = r.pan, r.channel
	send := func(o link.Options, b []byte) {
		_ = joiner.ip.SendUDP(udp(joiner, r, b), o)
		w.run(time.Second)
	}
	send(link.Options{Security: link.Unsecured}, []byte{1, 2, 3})
	if r.router.Counters.Received != 1 || c.comm.Counters.Stray != 1 {
		t.Errorf("%+v %+v", r.router.Counters, c.comm.Counters)
	}
	send(link.Options{Security: link.Unsecured}, nil)
	if r.router.Counters.Received != 1 || r.router.Counters.Dropped != 1 {
		t.Errorf("%+v", r.router.Counters)
	}
	if err := c.comm.Remove(Who{}, 0); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	send(link.Options{Security: link.Unsecured}, []byte{1, 2, 3})
	if r.router.Counters.Received != 1 || r.ip.Counters.Refused == 0 {
		t.Errorf("%+v, %d refused", r.router.Counters, r.ip.Counters.Refused)
	}
}

func udp(from, to *node, b []byte) (d ip.Datagram) {
	d.Src, d.Dst = addrPort(from, 1000), addrPort(to, 1000)
	d.Payload = b
	return d
}

// Secrets do not show, however they are printed.
func TestPSKdIsRedacted(t *testing.T) {
	e := Entry{PSKd: secret(t, pskd)}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(e), fmt.Sprintf("%v %+v %#v %s %q %x", e, e, e, e.PSKd, e.PSKd, e.PSKd), e.PSKd.String(), e.PSKd.GoString(), string(b)} {
		if strings.Contains(s, pskd) || strings.Contains(s, "4a30314e4d45") || !strings.Contains(s, "redacted") {
			t.Errorf("shows: %s", s)
		}
	}
	if _, err := ParsePSKd("J01nME"); !errors.Is(err, ErrInvalidArgs) {
		t.Error(err)
	}
}

func TestErrorNames(t *testing.T) {
	for e, want := range map[Error]string{
		ErrNotFound: "NotFound", ErrSecurity: "Security", ErrResponseTimeout: "ResponseTimeout", ErrBusy: "Busy",
		ErrInvalidState: "InvalidState", ErrAbort: "Abort", ErrRejected: "Rejected", ErrAlready: "Already",
	} {
		var got Error
		if err := e.because("x"); !errors.As(err, &got) || got.Name() != want {
			t.Errorf("%v: %s, want %s", err, got.Name(), want)
		}
	}
}

// A node that is not the active commissioner gives relayed datagrams to its
// border agent; an active one keeps them, and takes none that want an answer.
func TestRelayedForABorderAgent(t *testing.T) {
	w, _, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
	var got [][]byte
	for _, n := range []*node{c, r} {
		n.comm.cfg.Relayed = func(b []byte) { got = append(got, b) }
	}
	m := meshcop.RelayRx{JoinerPort: 1000, JoinerIID: [8]byte{1}, RouterLocator: 0x8400, Encapsulation: []byte{1}}
	for _, to := range []*node{c, r} {
		for _, non := range []bool{true, false} {
			for _, b := range [][]byte{m.Append(nil), {1}} {
				w.leads.tmf.Send(tmf.RelayReceive, address(to.rloc16), b, tmf.Options{NonConfirmable: non}, nil)
			}
		}
	}
	w.run(time.Second)
	if len(got) != 2 || !slices.Equal(got[0], m.Append(nil)) || !slices.Equal(got[1], []byte{1}) {
		t.Errorf("border agent got %x", got)
	}
	if c.comm.Counters.Stray != 1 || c.comm.Counters.Malformed != 3 {
		t.Errorf("%+v", c.comm.Counters)
	}
}

// What a joiner makes of each answer to its introduction.
func TestAnswersToJoinFin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		code  coap.Code
		body  string
		want  error
		after time.Duration // at most, from the start
	}{
		{"accepted, not entrusted", coap.Changed, "100101", ErrResponseTimeout, 9200 * time.Millisecond},
		{"refused", coap.Changed, "1001ff", ErrRejected, 9200 * time.Millisecond},
		{"an error", coap.InternalServerError, "", ErrRejected, 5200 * time.Millisecond},
		{"without a state", coap.Changed, "", ErrRejected, 5200 * time.Millisecond},
		{"none", 0, "", ErrResponseTimeout, 9200 * time.Millisecond},
	} {
		w, _, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
		j := w.add("joiner", 0xfffe)
		if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		c.comm.cfg.JoinerChanged = func(e Entry) {
			if e.Progress == Connected {
				c.comm.sessions[0].secured.end.Handle(tmf.JoinerFinalize, func(r *coap.Request[other]) {
					if tt.code == 0 {
						r.NoResponse()
						return
					}
					r.Respond(tt.code, unhex(t, tt.body))
				})
			}
		}
		j.offer(r)
		began := w.clock.Now()
		o := j.join(pskd)
		w.run(12 * time.Second)
		if o.n != 1 || !errors.Is(o.err, tt.want) || o.at.Sub(began) > tt.after || j.kek != nil {
			t.Errorf("%s: %+v after %v", tt.name, o, o.at.Sub(began))
		}
	}
}
