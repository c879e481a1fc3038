package dhcp6

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"gatewayd/alarm"
)

// upstream is a client and what it sent; the test is its servers.
type upstream struct {
	t      *testing.T
	clock  *alarm.Clock
	cfg    ClientConfig
	client *Client
	sent   []*dhcpv6.Message
	at     []time.Duration // when
	told   []string
}

var serverA, serverB = duid(0xa), duid(0xb)

func newUpstream(t *testing.T, change func(*ClientConfig)) *upstream {
	t.Helper()
	u := &upstream{t: t, clock: new(alarm.Clock)}
	u.clock.Set(began)
	u.cfg = ClientConfig{
		Clock: u.clock, Rand: rand.New(rand.NewPCG(1, 2)), DUID: duid(1), IAID: 7,
		Send: func(b []byte) {
			m, err := dhcpv6.MessageFromBytes(b)
			if err != nil {
				t.Fatal(err)
			}
			u.sent = append(u.sent, m)
			u.at = append(u.at, u.clock.Now().Sub(began))
		},
		Changed: func(d Delegation) { u.told = append(u.told, words(d)) },
	}
	if change != nil {
		change(&u.cfg)
	}
	u.client = NewClient(u.cfg)
	return u
}

func words(d Delegation) string {
	var b strings.Builder
	for _, p := range d.Prefixes {
		fmt.Fprintf(&b, "%v until %s/%s ", p.Prefix, clockTime(p.Preferred), clockTime(p.Valid))
	}
	return strings.TrimSpace(b.String())
}

func clockTime(t time.Time) string {
	if t.IsZero() {
		return "ever"
	}
	return t.Sub(began).Round(time.Second).String()
}

// pass advances the clock from timer to timer.
func (u *upstream) pass(d time.Duration) {
	end := u.clock.Now().Add(d)
	for {
		at := u.clock.Deadline()
		if at.IsZero() || at.After(end) {
			u.clock.Advance(end)
			return
		}
		u.clock.Advance(at)
	}
}

// last waits until something is sent, and is that.
func (u *upstream) last() *dhcpv6.Message {
	u.t.Helper()
	n := len(u.sent)
	for len(u.sent) == n {
		at := u.clock.Deadline()
		if at.IsZero() {
			u.t.Fatalf("the client waits for nothing: %v", u.client.State())
		}
		u.clock.Advance(at)
	}
	return u.sent[len(u.sent)-1]
}

// next is the message sent last, which must be of a type and sent already.
func (u *upstream) now(typ dhcpv6.MessageType, to []byte) *dhcpv6.Message {
	u.t.Helper()
	if len(u.sent) == 0 {
		u.t.Fatal("nothing was sent")
	}
	m := u.sent[len(u.sent)-1]
	if id := m.GetOneOption(dhcpv6.OptionServerID); m.MessageType != typ || (id != nil) != (to != nil) || id != nil && !bytes.Equal(id.ToBytes(), to) {
		u.t.Fatalf("the client sent %v, want %v to %x", m.Summary(), typ, to)
	}
	return m
}

// grant is one prefix of an answer: lifetimes in seconds.
type grant struct {
	prefix           string
	preferred, valid int
}

// answer is a server's, to a message.
func answer(m *dhcpv6.Message, typ dhcpv6.MessageType, server []byte, t1, t2 int, grants []grant, opts ...dhcpv6.Option) *dhcpv6.Message {
	r := &dhcpv6.Message{MessageType: typ, TransactionID: m.TransactionID}
	r.AddOption(m.GetOneOption(dhcpv6.OptionClientID))
	r.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: server})
	ia := &dhcpv6.OptIAPD{IaId: [4]byte{3: 7}, T1: time.Duration(t1) * time.Second, T2: time.Duration(t2) * time.Second}
	for _, g := range grants {
		_, ipnet, err := net.ParseCIDR(g.prefix)
		if err != nil {
			panic(err)
		}
		ia.Options.Add(&dhcpv6.OptIAPrefix{Prefix: ipnet, PreferredLifetime: time.Duration(g.preferred) * time.Second, ValidLifetime: time.Duration(g.valid) * time.Second})
	}
	for _, o := range opts {
		if o.Code() == dhcpv6.OptionStatusCode {
			ia.Options.Add(o)
		} else {
			r.AddOption(o)
		}
	}
	r.AddOption(ia)
	return r
}

func (u *upstream) reply(server []byte, t1, t2 int, grants []grant, opts ...dhcpv6.Option) {
	u.client.Receive(answer(u.sent[len(u.sent)-1], dhcpv6.MessageTypeReply, server, t1, t2, grants, opts...).ToBytes())
}

func (u *upstream) advertise(server []byte, grants []grant, opts ...dhcpv6.Option) {
	u.client.Receive(answer(u.sent[len(u.sent)-1], dhcpv6.MessageTypeAdvertise, server, 1000, 2000, grants, opts...).ToBytes())
}

func (u *upstream) wantTold(want ...string) {
	u.t.Helper()
	if !slices.Equal(u.told, want) {
		u.t.Fatalf("told %q, want %q", u.told, want)
	}
	u.told = nil
}

func (u *upstream) wantState(want ClientState) {
	u.t.Helper()
	if got := u.client.State(); got != want {
		u.t.Fatalf("%v, want %v", got, want)
	}
}

var (
	one = []grant{{"2001:db8:100::/56", 3600, 7200}}
	two = []grant{{"2001:db8:200::/56", 3600, 7200}}
)

// bound brings a client to have prefix one of server A.
func (u *upstream) bound() {
	u.t.Helper()
	u.client.Start()
	u.last()
	u.now(dhcpv6.MessageTypeSolicit, nil)
	u.advertise(serverA, one, dhcpv6.OptPreference(255))
	u.now(dhcpv6.MessageTypeRequest, serverA)
	u.reply(serverA, 1000, 2000, one)
	u.wantState(Delegating)
	u.told = nil
}

func prefixesOf(m *dhcpv6.Message) (all []string) {
	for _, p := range m.Options.OneIAPD().Options.Prefixes() {
		if p.Prefix == nil {
			all = append(all, "none")
			continue
		}
		all = append(all, p.Prefix.String())
	}
	return all
}

// Solicit to renew, rebind, expiry, and release.
func TestClientLife(t *testing.T) {
	u := newUpstream(t, func(c *ClientConfig) { c.Hint = netip.MustParsePrefix("::/56") })
	u.client.Start()
	u.wantState(Soliciting)
	m := u.last()
	if d := u.at[0]; d >= solMaxDelay {
		t.Errorf("first after %v", d)
	}
	if m.Options.OneIAPD().IaId != [4]byte{3: 7} || !slices.Equal(prefixesOf(m), []string{"::/56"}) || m.Options.ElapsedTime() != 0 ||
		!slices.Contains(m.Options.RequestedOptions(), dhcpv6.OptionSolMaxRT) || m.GetOneOption(dhcpv6.OptionRapidCommit) != nil {
		t.Errorf("solicits %v", m.Summary())
	}
	// Two servers: the one with the higher preference, when it is time.
	u.advertise(serverA, one, dhcpv6.OptPreference(3))
	u.advertise(serverB, two, dhcpv6.OptPreference(9))
	u.advertise(duid(0xc), one, dhcpv6.OptPreference(4))
	if len(u.sent) != 1 {
		t.Fatal("it did not wait for better offers")
	}
	m = u.last()
	u.now(dhcpv6.MessageTypeRequest, serverB)
	if d := u.at[1] - u.at[0]; d < time.Second || d > 1100*time.Millisecond {
		t.Errorf("it waited %v for offers", d)
	}
	if !slices.Equal(prefixesOf(m), []string{"2001:db8:200::/56"}) || m.TransactionID == u.sent[0].TransactionID {
		t.Errorf("requests %v", m.Summary())
	}
	// Of the wrong server, with the wrong transaction, of somebody else: nothing.
	u.reply(serverA, 1000, 2000, one)
	wrong := answer(m, dhcpv6.MessageTypeReply, serverB, 1000, 2000, one)
	wrong.TransactionID[0]++
	u.client.Receive(wrong.ToBytes())
	other := answer(m, dhcpv6.MessageTypeReply, serverB, 1000, 2000, one)
	other.Options.Update(clientID(99))
	u.client.Receive(other.ToBytes())
	u.client.Receive([]byte("?"))
	u.wantState(Requesting)
	if s := u.client.Stats(); s.Discarded != 4 {
		t.Errorf("%+v", s)
	}
	u.reply(serverB, 1000, 2000, two, dhcpv6.OptDNS(net.ParseIP("2001:db8::53")))
	got := u.at[1] + began.Sub(began)
	u.wantTold(fmt.Sprintf("2001:db8:200::/56 until %v/%v", (got + time.Hour).Round(time.Second), (got + 2*time.Hour).Round(time.Second)))
	u.wantState(Delegating)
	d := u.client.Delegation()
	if !bytes.Equal(d.Server, serverB) || len(d.DNS) != 1 || d.DNS[0].String() != "2001:db8::53" {
		t.Errorf("%+v", d)
	}
	// A second one of the same is none.
	u.reply(serverB, 1000, 2000, one)
	u.wantTold()

	u.last()
	u.now(dhcpv6.MessageTypeRenew, serverB)
	if d := u.at[2] - u.at[1]; d != 1000*time.Second {
		t.Errorf("renews after %v", d)
	}
	u.reply(serverB, 1000, 2000, two)
	u.wantState(Delegating)
	u.told = nil
	// The server is gone: renewals until T2, rebinding until the end.
	u.last()
	n := len(u.sent)
	u.pass(999 * time.Second)
	for i, m := range u.sent[n:] {
		if m.MessageType != dhcpv6.MessageTypeRenew || m.TransactionID != u.sent[n-1].TransactionID {
			t.Errorf("message %d: %v", i, m.Summary())
		}
		if i == 0 && m.Options.ElapsedTime() < 9*time.Second {
			t.Errorf("elapsed %v", m.Options.ElapsedTime())
		}
	}
	u.pass(2 * time.Second)
	u.now(dhcpv6.MessageTypeRebind, nil)
	u.wantState(Rebinding)
	u.pass(2 * time.Hour)
	u.wantState(Soliciting)
	u.wantTold("")
}

func TestClientRebind(t *testing.T) {
	u := newUpstream(t, nil)
	u.bound()
	u.pass(2001 * time.Second)
	u.now(dhcpv6.MessageTypeRebind, nil)
	u.reply(serverB, 100, 200, []grant{{"2001:db8:100::/56", 0, 0}, {"2001:db8:300::/60", 600, 1200}, {"2001:db8:400::/60", 700, 600}, {"fe80::/10", 600, 600}, {"2001:db8::/80", 600, 600}})
	d := u.client.Delegation()
	if len(d.Prefixes) != 1 || d.Prefixes[0].Prefix.String() != "2001:db8:300::/60" || !bytes.Equal(d.Server, serverB) {
		t.Fatalf("%+v", d)
	}
	u.pass(101 * time.Second)
	u.now(dhcpv6.MessageTypeRenew, serverB)
	// All is withdrawn.
	u.told = nil
	u.reply(serverB, 100, 200, []grant{{"2001:db8:300::/60", 0, 0}})
	u.wantTold("")
	u.wantState(Soliciting)
}

func TestClientNoBinding(t *testing.T) {
	u := newUpstream(t, nil)
	u.bound()
	u.pass(1001 * time.Second)
	u.now(dhcpv6.MessageTypeRenew, serverA)
	u.reply(serverA, 0, 0, nil, &dhcpv6.OptStatusCode{StatusCode: iana.StatusNoBinding})
	m := u.now(dhcpv6.MessageTypeRequest, serverA)
	if !slices.Equal(prefixesOf(m), []string{"2001:db8:100::/56"}) || len(u.client.Delegation().Prefixes) != 1 {
		t.Errorf("requests %v", m.Summary())
	}
	// It gives nothing: the prefix is lost.
	u.reply(serverA, 0, 0, nil, &dhcpv6.OptStatusCode{StatusCode: iana.StatusNoPrefixAvail})
	u.wantTold("")
	u.wantState(Soliciting)
	n := len(u.at)
	u.last()
	if d := u.at[n] - u.at[n-1]; d < 2*time.Second {
		t.Errorf("it asks again after %v", d)
	}
	// A server that does not know what it offered is given up after ten times.
	u.advertise(serverA, one, dhcpv6.OptPreference(255))
	n = len(u.sent)
	for u.client.State() == Requesting {
		u.clock.Advance(u.clock.Deadline())
	}
	if got := len(u.sent) - n; got != 9 {
		t.Errorf("requested %d times again", got)
	}
	u.wantTold()
}

func TestClientRapidCommit(t *testing.T) {
	rapid := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit}
	u := newUpstream(t, func(c *ClientConfig) { c.RapidCommit = true })
	u.client.Start()
	if m := u.last(); m.GetOneOption(dhcpv6.OptionRapidCommit) == nil {
		t.Error("rapid commit is not allowed")
	}
	u.reply(serverA, 1000, 2000, one)
	u.wantState(Soliciting)
	u.reply(serverA, 1000, 2000, one, rapid)
	u.wantState(Delegating)
	u = newUpstream(t, nil)
	u.client.Start()
	u.last()
	u.reply(serverA, 1000, 2000, one, rapid)
	u.wantState(Soliciting)
}

// Offers of nothing are none, and servers say how often to ask.
func TestClientSolicit(t *testing.T) {
	u := newUpstream(t, nil)
	u.client.Start()
	u.last()
	max := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionSolMaxRT, OptionData: []byte{0, 0, 0, 100}}
	bad := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionSolMaxRT, OptionData: []byte{0, 0, 0, 59}}
	for _, a := range [][]grant{nil, {{"2001:db8::/56", 0, 0}}, {{"2001:db8::/56", 100, 50}}, {{"ff00::/8", 50, 50}}} {
		u.advertise(serverA, a, max)
	}
	u.advertise(serverA, one, &dhcpv6.OptStatusCode{StatusCode: iana.StatusNoPrefixAvail}, bad)
	m := answer(u.sent[0], dhcpv6.MessageTypeAdvertise, serverA, 2000, 1000, one) // T1 > T2
	u.client.Receive(m.ToBytes())
	m = answer(u.sent[0], dhcpv6.MessageTypeAdvertise, serverA, 1000, 2000, one)
	m.Options.Del(dhcpv6.OptionServerID)
	u.client.Receive(m.ToBytes())
	u.pass(time.Hour)
	for i := 1; i < len(u.sent); i++ {
		if u.sent[i].MessageType != dhcpv6.MessageTypeSolicit || u.sent[i].TransactionID != u.sent[0].TransactionID {
			t.Fatalf("message %d: %v", i, u.sent[i].Summary())
		}
		d := u.at[i] - u.at[i-1]
		lo, hi := time.Second, 1100*time.Millisecond
		if i > 1 {
			before := u.at[i-1] - u.at[i-2]
			lo, hi = before*19/10, before*21/10
		}
		if hi > 100*time.Second {
			lo, hi = min(lo, 90*time.Second), 110*time.Second
		}
		if d < lo || d > hi {
			t.Errorf("wait %d is %v, not from %v to %v", i, d, lo, hi)
		}
	}
	if last := u.sent[len(u.sent)-1]; last.Options.ElapsedTime() != 655350*time.Millisecond {
		t.Errorf("elapsed %v", last.Options.ElapsedTime())
	}
	// After the first wait the first offer is taken.
	u.advertise(serverB, two)
	u.now(dhcpv6.MessageTypeRequest, serverB)
}

// Times of zero and without end.
func TestClientTimes(t *testing.T) {
	const ever = 0xffffffff
	for _, tt := range []struct {
		name   string
		t1, t2 int
		grants []grant
		w1, w2 string
	}{
		{"zero: the client's choice", 0, 0, one, "30m0s", "48m0s"},
		{"T2 alone", 0, 1000, one, "16m40s", "16m40s"},
		{"T1 alone", 3000, 0, one, "50m0s", "50m0s"},
		{"not preferred", 0, 0, []grant{{"2001:db8::/56", 0, 1000}}, "8m20s", "13m20s"},
		{"without end", ever, ever, []grant{{"2001:db8::/56", ever, ever}}, "ever", "ever"},
		{"without end, T1 zero", 0, 0, []grant{{"2001:db8::/56", ever, ever}}, "ever", "ever"},
		{"too soon", 1, 2, one, "10s", "10s"},
	} {
		u := newUpstream(t, nil)
		u.client.Start()
		u.last()
		u.advertise(serverA, one, dhcpv6.OptPreference(255))
		at := u.clock.Now().Sub(began)
		u.reply(serverA, tt.t1, tt.t2, tt.grants)
		d := u.client.Delegation()
		show := func(x time.Time) string {
			if x.IsZero() {
				return "ever"
			}
			return (x.Sub(began) - at).String()
		}
		if show(d.T1) != tt.w1 || show(d.T2) != tt.w2 {
			t.Errorf("%s: %s, %s, want %s, %s", tt.name, show(d.T1), show(d.T2), tt.w1, tt.w2)
		}
		u.pass(100 * 24 * time.Hour)
		if d.T1.IsZero() && (u.client.State() != Delegating || len(u.sent) != 2) {
			t.Errorf("%s: %v after a hundred days", tt.name, u.client.State())
		}
	}
}

// On another link, and after a restart, any server is asked; if there is none,
// the prefix is kept.
func TestClientConfirm(t *testing.T) {
	u := newUpstream(t, nil)
	u.bound()
	u.client.LinkChanged()
	u.wantState(Confirming)
	n := len(u.sent)
	u.pass(12 * time.Second)
	u.wantState(Delegating)
	for i, m := range u.sent[n:] {
		if m.MessageType != dhcpv6.MessageTypeRebind {
			t.Errorf("message %d: %v", i, m.Summary())
		}
	}
	if got := len(u.sent) - n; got < 3 || got > 5 {
		t.Errorf("%d messages", got)
	}
	u.wantTold()
	last := u.client.Delegation()

	// After a restart, a day later for half of it.
	again := newUpstream(t, func(c *ClientConfig) { c.Last = last })
	again.clock.Set(began.Add(time.Minute))
	again.client.Start()
	again.wantState(Confirming)
	again.last()
	again.now(dhcpv6.MessageTypeRebind, nil)
	again.reply(serverB, 1000, 2000, []grant{{"2001:db8:100::/56", 0, 0}, two[0]})
	if d := again.client.Delegation(); len(d.Prefixes) != 1 || d.Prefixes[0].Prefix.String() != two[0].prefix {
		t.Errorf("%+v", d)
	}
	late := newUpstream(t, func(c *ClientConfig) { c.Last = last })
	late.clock.Set(began.Add(24 * time.Hour))
	late.client.Start()
	late.wantState(Soliciting)
	late.wantTold()
	late.client.LinkChanged()
	late.wantState(Soliciting)
	late.client.Stop()
	late.client.LinkChanged()
	late.pass(time.Hour)
	late.wantState(Stopped)
	if len(late.sent) != 0 {
		t.Errorf("sent %d messages", len(late.sent))
	}
}

func TestClientRelease(t *testing.T) {
	u := newUpstream(t, nil)
	u.bound()
	u.client.Release()
	m := u.now(dhcpv6.MessageTypeRelease, serverA)
	if !slices.Equal(prefixesOf(m), []string{"2001:db8:100::/56"}) || len(u.client.Delegation().Prefixes) != 0 {
		t.Errorf("releases %v", m.Summary())
	}
	u.wantTold("")
	u.client.Receive(answer(m, dhcpv6.MessageTypeReply, serverA, 0, 0, nil).ToBytes())
	u.wantState(Stopped)
	u.pass(time.Hour)
	if u.now(dhcpv6.MessageTypeRelease, serverA) != m {
		t.Error("something was sent after the release")
	}
	// Nobody answers: four times.
	u.client.Start()
	u.last()
	u.advertise(serverA, one, dhcpv6.OptPreference(255))
	u.reply(serverA, 1000, 2000, one)
	n := len(u.sent)
	u.client.Release()
	u.pass(time.Hour)
	if got := len(u.sent) - n; got != 4 || u.client.State() != Stopped {
		t.Errorf("%d releases, %v", got, u.client.State())
	}
	u.client.Release()
	if len(u.sent) != n+4 {
		t.Error("nothing was released")
	}
}

// Whatever servers answer, the client goes on: it never has more prefixes than
// fit, none that is over or none at all while it says that it has one, and it
// always waits for something.
func FuzzClient(f *testing.F) {
	u := newUpstream(&testing.T{}, nil)
	u.client.Start()
	m := u.last()
	for _, r := range []*dhcpv6.Message{
		answer(m, dhcpv6.MessageTypeAdvertise, serverA, 100, 200, one, dhcpv6.OptPreference(255)),
		answer(m, dhcpv6.MessageTypeReply, serverA, 100, 200, append(two, one...), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit}),
		answer(m, dhcpv6.MessageTypeReply, serverA, 0, 0, nil, &dhcpv6.OptStatusCode{StatusCode: iana.StatusNoBinding}),
	} {
		b := r.ToBytes()
		f.Add(b, b, b, uint16(1000))
	}
	f.Fuzz(func(t *testing.T, m1, m2, m3 []byte, pass uint16) {
		u := newUpstream(t, func(c *ClientConfig) { c.RapidCommit = true })
		u.client.Start()
		u.last()
		for _, m := range [][]byte{m1, m2, m3, m2, m1} {
			if len(m) >= 4 {
				// What the client cannot be fooled with is left out.
				m = append([]byte{m[0], u.client.xid[0], u.client.xid[1], u.client.xid[2]}, m[4:]...)
			}
			u.client.Receive(m)
			u.pass(time.Duration(pass) * time.Second / 4)
			d := u.client.Delegation()
			if len(d.Prefixes) > maxPrefixes || u.client.State() == Delegating && len(d.Prefixes) == 0 {
				t.Fatalf("%v with %+v", u.client.State(), d)
			}
			for _, p := range d.Prefixes {
				if !p.Valid.IsZero() && !p.Valid.After(u.clock.Now()) {
					t.Fatalf("%v is over", p)
				}
			}
			if u.clock.Deadline().IsZero() && (u.client.State() != Delegating || !d.T1.IsZero()) {
				t.Fatalf("%v, and waits for nothing", u.client.State())
			}
		}
		if len(u.sent) > 40000 {
			t.Fatalf("%d messages", len(u.sent))
		}
	})
}
