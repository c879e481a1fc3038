package dhcp6

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"gatewayd/alarm"
)

var (
	began      = time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)
	serverDUID = DUIDFromEUI64([8]byte{2, 0, 0, 0, 0, 0, 0, 1})
	meshPrefix = netip.MustParsePrefix("2001:db8:1:2::/64")
	client     = netip.MustParseAddrPort("[fe80::1234:5678:9abc:def0]:546")
)

// memory is a Store.
type memory struct {
	leases map[netip.Addr]Lease
	err    error
}

func (m *memory) Save(l Lease) error {
	if m.err == nil {
		m.leases[l.Addr] = l
	}
	return m.err
}

func (m *memory) Delete(a netip.Addr) error {
	delete(m.leases, a)
	return m.err
}

func (m *memory) Load() (all []Lease, err error) {
	for _, l := range m.leases {
		all = append(all, l)
	}
	return all, m.err
}

// world is a server and what it said.
type world struct {
	t      *testing.T
	clock  *alarm.Clock
	cfg    Config
	store  *memory
	server *Server
	events []string
	xid    byte
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clock: new(alarm.Clock), store: &memory{leases: map[netip.Addr]Lease{}}}
	w.clock.Set(began)
	w.cfg = Config{
		Clock: w.clock, DUID: serverDUID, Store: w.store, Pools: []Pool{{Prefix: meshPrefix}},
		Preferred: time.Hour, Valid: 2 * time.Hour, RapidCommit: true,
		Notify: func(e Event) {
			s := e.Kind.String()
			if e.Lease.Addr.IsValid() {
				s += " " + e.Lease.Addr.String()
			}
			if e.Err != nil {
				s += ": " + e.Err.Error()
			}
			w.events = append(w.events, s)
		},
	}
	if change != nil {
		change(&w.cfg)
	}
	w.restart()
	return w
}

func (w *world) restart() {
	w.t.Helper()
	var err error
	if w.server, err = NewServer(w.cfg); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pass(d time.Duration) { w.clock.Advance(w.clock.Now().Add(d)) }

// duid is a client's.
func duid(n byte) []byte { return DUIDFromEUI64([8]byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, n}) }

func clientID(n byte) dhcpv6.Option {
	return &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientID, OptionData: duid(n)}
}

func serverID() dhcpv6.Option {
	return &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: serverDUID}
}

func ianaOf(id byte, addrs ...netip.Addr) dhcpv6.Option {
	o := &dhcpv6.OptIANA{IaId: [4]byte{3: id}}
	for _, a := range addrs {
		o.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice(), PreferredLifetime: time.Hour, ValidLifetime: time.Hour})
	}
	return o
}

func (w *world) message(t dhcpv6.MessageType, opts ...dhcpv6.Option) *dhcpv6.Message {
	w.xid++
	return &dhcpv6.Message{MessageType: t, TransactionID: [3]byte{1, 2, w.xid}, Options: dhcpv6.MessageOptions{Options: opts}}
}

// ask sends a message by multicast and returns the answer, or nil.
func (w *world) ask(t dhcpv6.MessageType, opts ...dhcpv6.Option) *dhcpv6.Message {
	w.t.Helper()
	m := w.message(t, opts...)
	b, to := w.server.Receive(client, m.ToBytes(), false)
	if b == nil {
		return nil
	}
	if to != client {
		w.t.Fatalf("the answer goes to %v", to)
	}
	return w.check(m, b)
}

func (w *world) check(m *dhcpv6.Message, b []byte) *dhcpv6.Message {
	w.t.Helper()
	r, err := dhcpv6.MessageFromBytes(b)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.TransactionID != m.TransactionID {
		w.t.Fatalf("transaction %v is answered by %v", m.TransactionID, r.TransactionID)
	}
	if id := r.Options.ServerID(); id == nil || !bytes.Equal(id.ToBytes(), serverDUID) {
		w.t.Fatalf("server id %v", id)
	}
	if got, want := r.GetOneOption(dhcpv6.OptionClientID), m.GetOneOption(dhcpv6.OptionClientID); want != nil && !bytes.Equal(got.ToBytes(), want.ToBytes()) {
		w.t.Fatalf("client id %v", got)
	}
	return r
}

// told is an answer in words: type, status, and for each association its times,
// addresses and status.
func told(m *dhcpv6.Message) string {
	if m == nil {
		return "nothing"
	}
	var b strings.Builder
	b.WriteString(strings.ToLower(m.MessageType.String()))
	if m.GetOneOption(dhcpv6.OptionRapidCommit) != nil {
		b.WriteString(" rapid")
	}
	if st := m.Options.Status(); st != nil {
		fmt.Fprintf(&b, " %v", st.StatusCode)
	}
	for _, ia := range m.Options.IANA() {
		fmt.Fprintf(&b, " [%d %v/%v", ia.IaId[3], ia.T1, ia.T2)
		for _, a := range ia.Options.Addresses() {
			fmt.Fprintf(&b, " %v %v/%v", a.IPv6Addr, a.PreferredLifetime, a.ValidLifetime)
		}
		if st := ia.Options.Status(); st != nil {
			fmt.Fprintf(&b, " %v", st.StatusCode)
		}
		b.WriteString("]")
	}
	return b.String()
}

func (w *world) want(got *dhcpv6.Message, want string) {
	w.t.Helper()
	if s := told(got); s != want {
		w.t.Fatalf("answer\n%s, want\n%s\nevents: %q", s, want, w.events)
	}
}

// given is the address in an answer.
func (w *world) given(m *dhcpv6.Message) netip.Addr {
	w.t.Helper()
	if m == nil || m.Options.OneIANA() == nil || m.Options.OneIANA().Options.OneAddress() == nil {
		w.t.Fatalf("no address in %v", told(m))
	}
	a, _ := netip.AddrFromSlice(m.Options.OneIANA().Options.OneAddress().IPv6Addr)
	return a
}

func bind(w *world, n, ia byte) netip.Addr {
	w.t.Helper()
	a := w.given(w.ask(dhcpv6.MessageTypeSolicit, clientID(n), ianaOf(ia)))
	if got := w.given(w.ask(dhcpv6.MessageTypeRequest, clientID(n), serverID(), ianaOf(ia, a))); got != a {
		w.t.Fatalf("offered %v, given %v", a, got)
	}
	return a
}

// A client's life: offered, given, renewed, rebound, released.
func TestLife(t *testing.T) {
	w := newWorld(t, nil)
	a := w.given(w.ask(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(7)))
	if !meshPrefix.Contains(a) || len(w.server.Leases()) != 0 {
		t.Fatalf("offered %v; leases %v", a, w.server.Leases())
	}
	full := fmt.Sprintf("reply [7 30m0s/48m0s %v 1h0m0s/2h0m0s]", a)
	w.want(w.ask(dhcpv6.MessageTypeRequest, clientID(1), serverID(), ianaOf(7, a)), full)
	want := []Lease{{
		Addr: a, DUID: duid(1), IAID: 7, Preferred: began.Add(time.Hour), Valid: began.Add(2 * time.Hour), Peer: client.Addr(),
	}}
	same := cmpopts.EquateComparable(netip.Addr{})
	if d := cmp.Diff(want, w.server.Leases(), same); d != "" {
		t.Fatal(d)
	}
	w.pass(30 * time.Minute)
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(7, a)), full)
	w.pass(48 * time.Minute)
	w.want(w.ask(dhcpv6.MessageTypeRebind, clientID(1), ianaOf(7, a)), full)
	w.want(w.ask(dhcpv6.MessageTypeConfirm, clientID(1), ianaOf(7, a)), "reply Success")
	if l := w.store.leases[a]; !l.Valid.Equal(began.Add(78*time.Minute + 2*time.Hour)) {
		t.Errorf("stored until %v", l.Valid)
	}
	w.want(w.ask(dhcpv6.MessageTypeRelease, clientID(1), serverID(), ianaOf(7, a)), "reply Success")
	if len(w.server.Leases()) != 0 || len(w.store.leases) != 0 {
		t.Errorf("after the release: %v, %v", w.server.Leases(), w.store.leases)
	}
	w.want(w.ask(dhcpv6.MessageTypeRelease, clientID(1), serverID(), ianaOf(7, a)), "reply Success [7 0s/0s NoBinding]")
	// The same is given again, to the same.
	if again := bind(w, 1, 7); again != a {
		t.Errorf("first %v, then %v", a, again)
	}
	if other := bind(w, 1, 8); other == a {
		t.Errorf("two associations, one address %v", a)
	}
	if other := bind(w, 2, 7); other == a {
		t.Errorf("two clients, one address %v", a)
	}
	w.pass(2*time.Hour + time.Second)
	if l := w.server.Leases(); len(l) != 0 || len(w.store.leases) != 0 {
		t.Errorf("leases outlive their time: %v", l)
	}
	if s := w.server.Stats(); s.Discarded != 0 || s.Received != s.Replied {
		t.Errorf("%+v", s)
	}
}

func TestRapidCommit(t *testing.T) {
	rapid := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit}
	w := newWorld(t, nil)
	m := w.ask(dhcpv6.MessageTypeSolicit, clientID(1), rapid, ianaOf(1), ianaOf(2), ianaOf(1))
	if m.MessageType != dhcpv6.MessageTypeReply || m.GetOneOption(dhcpv6.OptionRapidCommit) == nil || len(m.Options.IANA()) != 2 || len(w.server.Leases()) != 2 {
		t.Errorf("%v; leases %v", told(m), w.server.Leases())
	}
	w = newWorld(t, func(c *Config) { c.RapidCommit = false })
	m = w.ask(dhcpv6.MessageTypeSolicit, clientID(1), rapid, ianaOf(1))
	if m.MessageType != dhcpv6.MessageTypeAdvertise || m.GetOneOption(dhcpv6.OptionRapidCommit) != nil || len(w.server.Leases()) != 0 {
		t.Errorf("%v; leases %v", told(m), w.server.Leases())
	}
}

// What messages must have, and must not have (RFC 8415 Section 16).
func TestDiscarded(t *testing.T) {
	w := newWorld(t, nil)
	a := bind(w, 1, 1)
	other := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: duid(99)}
	long := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientID, OptionData: make([]byte, 131)}
	for _, tt := range []struct {
		t    dhcpv6.MessageType
		opts []dhcpv6.Option
		why  error
	}{
		{dhcpv6.MessageTypeSolicit, []dhcpv6.Option{ianaOf(1)}, errClientID},
		{dhcpv6.MessageTypeSolicit, []dhcpv6.Option{long, ianaOf(1)}, errClientID},
		{dhcpv6.MessageTypeSolicit, []dhcpv6.Option{clientID(1), serverID(), ianaOf(1)}, errServerID},
		{dhcpv6.MessageTypeRequest, []dhcpv6.Option{clientID(1), ianaOf(1)}, errNotUs},
		{dhcpv6.MessageTypeRequest, []dhcpv6.Option{clientID(1), other, ianaOf(1)}, errNotUs},
		{dhcpv6.MessageTypeRequest, []dhcpv6.Option{serverID(), ianaOf(1)}, errClientID},
		{dhcpv6.MessageTypeRenew, []dhcpv6.Option{clientID(1), other, ianaOf(1, a)}, errNotUs},
		{dhcpv6.MessageTypeRelease, []dhcpv6.Option{clientID(1), other, ianaOf(1, a)}, errNotUs},
		{dhcpv6.MessageTypeDecline, []dhcpv6.Option{clientID(1), ianaOf(1, a)}, errNotUs},
		{dhcpv6.MessageTypeRebind, []dhcpv6.Option{clientID(1), serverID(), ianaOf(1, a)}, errServerID},
		{dhcpv6.MessageTypeConfirm, []dhcpv6.Option{clientID(1), serverID(), ianaOf(1, a)}, errServerID},
		{dhcpv6.MessageTypeConfirm, []dhcpv6.Option{clientID(1), ianaOf(1)}, errNoAddrs},
		{dhcpv6.MessageTypeInformationRequest, []dhcpv6.Option{other}, errNotUs},
		{dhcpv6.MessageTypeInformationRequest, []dhcpv6.Option{long}, errClientID},
		{dhcpv6.MessageTypeInformationRequest, []dhcpv6.Option{ianaOf(1)}, errIA},
		{dhcpv6.MessageTypeAdvertise, []dhcpv6.Option{clientID(1), serverID(), ianaOf(1, a)}, errType},
		{dhcpv6.MessageTypeReply, []dhcpv6.Option{clientID(1), serverID(), ianaOf(1, a)}, errType},
		{dhcpv6.MessageTypeReconfigure, []dhcpv6.Option{clientID(1), serverID()}, errType},
	} {
		w.events = nil
		if m := w.ask(tt.t, tt.opts...); m != nil || len(w.events) != 1 || !strings.HasSuffix(w.events[0], tt.why.Error()) ||
			!strings.HasPrefix(w.events[0], "discarded: dhcp6: ") {
			t.Errorf("%v: %s, events %q, want %v", tt.t, told(m), w.events, tt.why)
		}
	}
	for _, b := range [][]byte{nil, {1}, {1, 2, 3}, {1, 0, 0, 1, 0, 1, 0}, {12, 0}} {
		if r, _ := w.server.Receive(client, b, false); r != nil {
			t.Errorf("%x is answered", b)
		}
	}
	if l := w.server.Leases(); len(l) != 1 {
		t.Errorf("leases %v", l)
	}
}

func TestUnicast(t *testing.T) {
	w := newWorld(t, nil)
	a := bind(w, 1, 1)
	for _, typ := range []dhcpv6.MessageType{dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline} {
		m := w.message(typ, clientID(1), serverID(), ianaOf(1, a))
		b, _ := w.server.Receive(client, m.ToBytes(), true)
		w.want(w.check(m, b), "reply UseMulticast")
	}
	for _, typ := range []dhcpv6.MessageType{dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRebind, dhcpv6.MessageTypeConfirm} {
		if b, _ := w.server.Receive(client, w.message(typ, clientID(1), ianaOf(1, a)).ToBytes(), true); b != nil {
			t.Errorf("%v by unicast is answered", typ)
		}
	}
	if len(w.server.Leases()) != 1 {
		t.Error("a unicast Release was heeded")
	}
}

func TestInformation(t *testing.T) {
	dns := netip.MustParseAddr("2001:db8::53")
	sntp := []netip.Addr{netip.MustParseAddr("2001:db8::123"), netip.MustParseAddr("2001:db8::124")}
	w := newWorld(t, func(c *Config) {
		c.DNS, c.SNTP, c.Search, c.Refresh, c.Preference = []netip.Addr{dns}, sntp, []string{"mesh.example"}, time.Hour, 200
	})
	wish := dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionSNTPServerList, dhcpv6.OptionDomainSearchList,
		dhcpv6.OptionInformationRefreshTime, dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionNTPServer)
	m := w.ask(dhcpv6.MessageTypeInformationRequest, wish)
	if m == nil || m.MessageType != dhcpv6.MessageTypeReply {
		t.Fatalf("%v", told(m))
	}
	if got := m.Options.DNS(); len(got) != 1 || !got[0].Equal(net.IP(dns.AsSlice())) || len(m.Options.Get(dhcpv6.OptionDNSRecursiveNameServer)) != 1 {
		t.Errorf("DNS %v", got)
	}
	if got := m.Options.SNTP(); len(got) != 2 || got[1].String() != "2001:db8::124" {
		t.Errorf("SNTP %v", got)
	}
	if got := m.Options.DomainSearchList(); got == nil || !slices.Equal(got.Labels, []string{"mesh.example"}) {
		t.Errorf("search %v", got)
	}
	if got := m.Options.InformationRefreshTime(0); got != time.Hour {
		t.Errorf("refresh %v", got)
	}
	m = w.ask(dhcpv6.MessageTypeSolicit, clientID(1), wish, ianaOf(1))
	if len(m.Options.DNS()) != 1 || m.Options.InformationRefreshTime(0) != 0 || m.Options.Preference() != 200 {
		t.Errorf("to a Solicit %v", m)
	}
	m = w.ask(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1))
	if m.Options.DNS() != nil || m.Options.SNTP() != nil {
		t.Errorf("without being asked %v", m)
	}
	w.server.SetServers(nil, nil, nil)
	if m = w.ask(dhcpv6.MessageTypeInformationRequest, clientID(1), serverID(), wish); m.Options.DNS() != nil || m.Options.SNTP() != nil || m.Options.DomainSearchList() != nil {
		t.Errorf("without servers %v", m)
	}
}

func TestStatusCodes(t *testing.T) {
	w := newWorld(t, nil)
	a := bind(w, 1, 1)
	off := netip.MustParseAddr("2001:db8:9::1")
	other := netip.MustParseAddr("2001:db8:1:2::5555")
	w.want(w.ask(dhcpv6.MessageTypeRequest, clientID(2), serverID(), ianaOf(1, off)), "reply [1 0s/0s NotOnLink]")
	w.want(w.ask(dhcpv6.MessageTypeConfirm, clientID(2), ianaOf(1, a, off)), "reply NotOnLink")
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(2), serverID(), ianaOf(1, other)), "reply [1 0s/0s NoBinding]")
	w.want(w.ask(dhcpv6.MessageTypeRebind, clientID(2), ianaOf(1, other)), "reply [1 0s/0s NoBinding]")
	w.want(w.ask(dhcpv6.MessageTypeRebind, clientID(2), ianaOf(1, off)), "reply [1 0s/0s 2001:db8:9::1 0s/0s]")
	w.want(w.ask(dhcpv6.MessageTypeDecline, clientID(2), serverID(), ianaOf(1, other)), "reply Success [1 0s/0s NoBinding]")
	// Of another client: neither taken from it nor given.
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(2), serverID(), ianaOf(1, a)), "reply [1 0s/0s NoBinding]")
	w.want(w.ask(dhcpv6.MessageTypeRelease, clientID(2), serverID(), ianaOf(1, a)), "reply Success [1 0s/0s NoBinding]")
	if got := w.given(w.ask(dhcpv6.MessageTypeRequest, clientID(2), serverID(), ianaOf(1, a))); got == a {
		t.Error("an address is given to two")
	}
	// A client that has one address more than it was given hears so.
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(1, a, other)),
		fmt.Sprintf("reply [1 30m0s/48m0s %v 1h0m0s/2h0m0s %v 0s/0s]", a, other))
	// Neither prefixes nor temporary addresses.
	m := w.ask(dhcpv6.MessageTypeSolicit, clientID(1), &dhcpv6.OptIAPD{IaId: [4]byte{1}}, &dhcpv6.OptIATA{IaId: [4]byte{2}})
	if pd := m.Options.OneIAPD(); pd == nil || pd.Options.Status().StatusCode != iana.StatusNoPrefixAvail {
		t.Errorf("IA_PD: %v", pd)
	}
	if ta := m.Options.OneIATA(); ta == nil || ta.Options.Status().StatusCode != iana.StatusNoAddrsAvail {
		t.Errorf("IA_TA: %v", ta)
	}
}

// A declined address is given to nobody for a day, and declining without end
// does not use the pool up.
func TestDecline(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxLeases = 20 })
	a := bind(w, 1, 1)
	w.want(w.ask(dhcpv6.MessageTypeDecline, clientID(1), serverID(), ianaOf(1, a)), "reply Success")
	if l := w.server.Leases(); len(l) != 1 || l[0].State != Declined || w.store.leases[a].State != Declined {
		t.Fatalf("leases %v", l)
	}
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(1, a)), "reply [1 0s/0s NoBinding]")
	b := bind(w, 1, 1)
	if b == a {
		t.Fatal("the declined address is given again")
	}
	w.restart()
	w.want(w.ask(dhcpv6.MessageTypeRelease, clientID(1), serverID(), ianaOf(1, b)), "reply Success")
	if c := bind(w, 1, 1); c != b {
		t.Errorf("after a restart %v, before %v", c, b)
	}
	w.pass(24*time.Hour + time.Second)
	if c := bind(w, 1, 1); c != a {
		t.Errorf("after a day %v, before %v", c, a)
	}
	for range 50 {
		at := bind(w, 2, 1)
		w.pass(time.Second)
		w.want(w.ask(dhcpv6.MessageTypeDecline, clientID(2), serverID(), ianaOf(1, at)), "reply Success")
	}
	if n := len(w.server.Leases()); n != 6 {
		t.Errorf("%d leases, want 5 declined and 1 bound", n)
	}
}

// Leases survive a restart; what is expired or does not fit does not.
func TestRestart(t *testing.T) {
	w := newWorld(t, nil)
	a := bind(w, 1, 1)
	w.pass(90 * time.Minute)
	b := bind(w, 2, 1)
	w.clock = new(alarm.Clock)
	w.clock.Set(began.Add(2*time.Hour + time.Second))
	w.cfg.Clock = w.clock
	w.restart()
	if l := w.server.Leases(); len(l) != 1 || l[0].Addr != b || w.store.leases[a].Addr.IsValid() {
		t.Errorf("leases %v", l)
	}
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(2), serverID(), ianaOf(1, b)), fmt.Sprintf("reply [1 30m0s/48m0s %v 1h0m0s/2h0m0s]", b))
	// Even without the store a client keeps what it would be given anyhow.
	w.store.leases = map[netip.Addr]Lease{}
	w.restart()
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(1, a)), fmt.Sprintf("reply [1 30m0s/48m0s %v 1h0m0s/2h0m0s]", a))
	w.want(w.ask(dhcpv6.MessageTypeRebind, clientID(2), ianaOf(1, b)), fmt.Sprintf("reply [1 30m0s/48m0s %v 1h0m0s/2h0m0s]", b))

	w.store.leases[netip.MustParseAddr("192.0.2.1")] = Lease{Addr: netip.MustParseAddr("192.0.2.1"), Valid: began.Add(time.Hour * 99)}
	w.cfg.MaxLeases = 1
	w.restart()
	if n := len(w.server.Leases()); n != 1 {
		t.Errorf("%d leases", n)
	}
	w.store.err = errors.New("worn out")
	if _, err := NewServer(w.cfg); err == nil || err.Error() != "dhcp6: load leases: worn out" {
		t.Errorf("%v", err)
	}
}

// Nothing is promised that was not stored.
func TestStoreFails(t *testing.T) {
	w := newWorld(t, nil)
	w.store.err = errors.New("full")
	w.want(w.ask(dhcpv6.MessageTypeRequest, clientID(1), serverID(), ianaOf(1)), "reply [1 0s/0s UnspecFail]")
	if len(w.server.Leases()) != 0 || len(w.events) != 1 || !strings.HasSuffix(w.events[0], ": full") {
		t.Errorf("leases %v, events %q", w.server.Leases(), w.events)
	}
	// What was declined is so nevertheless.
	w.store.err = nil
	a := bind(w, 1, 1)
	w.store.err = errors.New("full")
	w.want(w.ask(dhcpv6.MessageTypeDecline, clientID(1), serverID(), ianaOf(1, a)), "reply Success")
	if l := w.server.Leases(); len(l) != 1 || l[0].State != Declined {
		t.Errorf("leases %v", l)
	}
}

// The prefix changes: those of the old one are ended, new ones given at once.
func TestRenumbering(t *testing.T) {
	w := newWorld(t, nil)
	old := bind(w, 1, 1)
	fresh := netip.MustParsePrefix("2001:db8:7:8::/64")
	if err := w.server.SetPools([]Pool{{Prefix: fresh, PreferredUntil: began.Add(10 * time.Minute), ValidUntil: began.Add(20 * time.Minute)}}); err != nil {
		t.Fatal(err)
	}
	w.want(w.ask(dhcpv6.MessageTypeConfirm, clientID(1), ianaOf(1, old)), "reply NotOnLink")
	m := w.ask(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(1, old))
	at := w.given(m)
	if !fresh.Contains(at) {
		t.Fatalf("given %v", at)
	}
	w.want(m, fmt.Sprintf("reply [1 5m0s/8m0s %v 10m0s/20m0s %v 0s/0s]", at, old))
	if l := w.server.Leases(); len(l) != 1 || l[0].Addr != at || len(w.store.leases) != 1 {
		t.Errorf("leases %v", l)
	}
	// The prefix is not preferred any more, then not valid.
	w.pass(15 * time.Minute)
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(1, at)), fmt.Sprintf("reply [1 0s/0s %v 0s/5m0s]", at))
	w.pass(6 * time.Minute)
	w.want(w.ask(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1)), "advertise [1 0s/0s NoAddrsAvail]")
	// Two prefixes: an address of each.
	if err := w.server.SetPools([]Pool{{Prefix: meshPrefix}, {Prefix: fresh}}); err != nil {
		t.Fatal(err)
	}
	m = w.ask(dhcpv6.MessageTypeRequest, clientID(1), serverID(), ianaOf(1))
	w.want(m, fmt.Sprintf("reply [1 30m0s/48m0s %v 1h0m0s/2h0m0s %v 1h0m0s/2h0m0s]", old, at))
	// None: all are ended, without a status that would hide it.
	if err := w.server.SetPools(nil); err != nil {
		t.Fatal(err)
	}
	w.want(w.ask(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(1, old, at)), fmt.Sprintf("reply [1 0s/0s %v 0s/0s %v 0s/0s]", old, at))
	w.want(w.ask(dhcpv6.MessageTypeRebind, clientID(1), ianaOf(1, old)), fmt.Sprintf("reply [1 0s/0s %v 0s/0s]", old))
	w.want(w.ask(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1)), "advertise [1 0s/0s NoAddrsAvail]")
}

func TestPools(t *testing.T) {
	// A small pool is used up, without its first address.
	w := newWorld(t, func(c *Config) { c.Pools = []Pool{{Prefix: netip.MustParsePrefix("2001:db8::40/124")}} })
	seen := map[netip.Addr]bool{}
	for n := range byte(15) {
		a := bind(w, n, 1)
		if seen[a] || a == netip.MustParseAddr("2001:db8::40") {
			t.Fatalf("client %d is given %v", n, a)
		}
		seen[a] = true
	}
	w.events = nil
	w.want(w.ask(dhcpv6.MessageTypeSolicit, clientID(99), ianaOf(1)), "advertise [1 0s/0s NoAddrsAvail]")
	if want := []string{"refused: dhcp6: no address is free"}; !slices.Equal(w.events, want) {
		t.Errorf("events %q", w.events)
	}
	// What somebody has already is not given.
	taken := netip.Addr{}
	w = newWorld(t, func(c *Config) { c.Taken = func(a netip.Addr) bool { return a == taken } })
	taken = w.given(w.ask(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1)))
	if a := bind(w, 1, 1); a == taken {
		t.Error("a taken address is given")
	}
	// Interface identifiers that 6LoWPAN leaves out.
	w = newWorld(t, func(c *Config) { c.Pools = []Pool{{Prefix: meshPrefix, EUI64: true}} })
	if a := bind(w, 1, 1); a != netip.MustParseAddr("2001:db8:1:2:1234:5678:9abc:def0") {
		t.Errorf("given %v", a)
	}
	if a := bind(w, 1, 2); a == netip.MustParseAddr("2001:db8:1:2:1234:5678:9abc:def0") {
		t.Errorf("two associations are given %v", a)
	}
	for _, tt := range []struct {
		duid string
		want string
	}{
		{string(DUIDFromEUI64([8]byte{2, 0, 0, 0, 0, 0, 0, 5})), "::5"},
		{"\x00\x03\x00\x01\x02\x11\x22\x33\x44\x55", "::11:22ff:fe33:4455"},
		{"\x00\x01\x00\x01\x29\x29\x29\x29\x02\x11\x22\x33\x44\x55", "::11:22ff:fe33:4455"},
		{"\x00\x02\x00\x00\x00\x01abcdefgh", "::"},
		{"\x00\x04", "::"},
	} {
		iid := eui64Of(netip.MustParseAddr("2001:db8::9"), []byte(tt.duid))
		if got := netip.AddrFrom16([16]byte(append(make([]byte, 8), iid[:]...))); got.String() != tt.want {
			t.Errorf("%x: %v, want %v", tt.duid, got, tt.want)
		}
	}
	for _, p := range []string{"192.0.2.0/24", "2001:db8::/127"} {
		if err := w.server.SetPools([]Pool{{Prefix: netip.MustParsePrefix(p)}}); err == nil {
			t.Errorf("%s is taken for a pool", p)
		}
	}
	for a, want := range map[string]bool{
		"2001:db8::": true, "2001:db8::1": true, "2001:db8::100": false, "2001:db8::fdff:ffff:ffff:ff80": true,
		"2001:db8::fdff:ffff:ffff:ff7f": false, "2001:db8::200:5eff:fe00:5213": true, "2001:db8::200:5eff:fe00:5214": false,
	} {
		if got := reserved(netip.MustParseAddr(a), netip.MustParsePrefix("2001:db8::/64")); got != want {
			t.Errorf("%s reserved: %v", a, got)
		}
	}
}

// Memory is bounded, for one client and for all.
func TestBounds(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxLeases = 30 })
	for ia := range byte(perClient) {
		bind(w, 1, ia)
	}
	w.events = nil
	w.want(w.ask(dhcpv6.MessageTypeRequest, clientID(1), serverID(), ianaOf(200)), "reply [200 0s/0s NoAddrsAvail]")
	if want := []string{"refused: " + ErrTooMany.Error()}; !slices.Equal(w.events, want) {
		t.Errorf("events %q", w.events)
	}
	for n := range byte(14) {
		bind(w, 10+n, 1)
	}
	w.events = nil
	w.want(w.ask(dhcpv6.MessageTypeRequest, clientID(99), serverID(), ianaOf(1)), "reply [1 0s/0s NoAddrsAvail]")
	if want := []string{"refused: " + ErrFull.Error()}; !slices.Equal(w.events, want) {
		t.Errorf("events %q", w.events)
	}
	// Those who have one are served on.
	if a := bind(w, 10, 1); !a.IsValid() {
		t.Error("no address")
	}
}

// relayed wraps a message as relay agents do.
func relayed(m dhcpv6.DHCPv6, hops uint8, link, peer string, opts ...dhcpv6.Option) *dhcpv6.RelayMessage {
	r := &dhcpv6.RelayMessage{
		MessageType: dhcpv6.MessageTypeRelayForward, HopCount: hops,
		LinkAddr: net.ParseIP(link), PeerAddr: net.ParseIP(peer),
	}
	for _, o := range opts {
		r.AddOption(o)
	}
	r.AddOption(dhcpv6.OptRelayMessage(m))
	return r
}

func TestRelay(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Pools[0].EUI64 = true })
	from := netip.MustParseAddrPort("[2001:db8:1:2::77]:12345")
	m := w.message(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1))
	inner := relayed(m, 0, "2001:db8:1:2::66", "fe80::aaaa", dhcpv6.OptInterfaceID([]byte("if-a")))
	outer := relayed(inner, 1, "::", "2001:db8:1:2::66", dhcpv6.OptInterfaceID([]byte("if-b")))
	b, to := w.server.Receive(from, outer.ToBytes(), true)
	if to != netip.MustParseAddrPort("[2001:db8:1:2::77]:547") {
		t.Fatalf("the answer goes to %v", to)
	}
	r, err := dhcpv6.RelayMessageFromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []*dhcpv6.RelayMessage{outer, inner} {
		if r.MessageType != dhcpv6.MessageTypeRelayReply || r.HopCount != want.HopCount || !r.LinkAddr.Equal(want.LinkAddr) || !r.PeerAddr.Equal(want.PeerAddr) ||
			!bytes.Equal(r.Options.InterfaceID(), want.Options.InterfaceID()) {
			t.Errorf("envelope %d: %v", i, r)
		}
		if i == 0 {
			r = r.Options.RelayMessage().(*dhcpv6.RelayMessage)
		}
	}
	if a := w.given(w.check(m, r.Options.RelayMessage().ToBytes())); a != netip.MustParseAddr("2001:db8:1:2::aaaa") {
		t.Errorf("offered %v", a)
	}

	// A relay agent that wants to hear on its own port.
	port := relayed(m, 0, "2001:db8:1:2::66", "fe80::aaaa", dhcpv6.OptRelayPort(0))
	if b, to := w.server.Receive(from, port.ToBytes(), true); to != from || b == nil {
		t.Errorf("the answer goes to %v", to)
	}
	// Of another link.
	answer := func(m *dhcpv6.Message) *dhcpv6.Message {
		b, _ := w.server.Receive(from, relayed(m, 0, "2001:db8:99::1", "fe80::aaaa").ToBytes(), true)
		if b == nil {
			return nil
		}
		r, err := dhcpv6.RelayMessageFromBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		return w.check(m, r.Options.RelayMessage().ToBytes())
	}
	at := netip.MustParseAddr("2001:db8:1:2::aaaa")
	w.want(answer(w.message(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1))), "advertise [1 0s/0s NoAddrsAvail]")
	w.want(answer(w.message(dhcpv6.MessageTypeRequest, clientID(1), serverID(), ianaOf(1, at))), "reply [1 0s/0s NotOnLink]")
	w.want(answer(w.message(dhcpv6.MessageTypeRebind, clientID(1), ianaOf(1, at))), "reply [1 0s/0s NoBinding]")
	w.want(answer(w.message(dhcpv6.MessageTypeConfirm, clientID(1), ianaOf(1, at))), "nothing")
	// Unless that is said to be the same, as the one that was.
	w.cfg.Links = []netip.Prefix{netip.MustParsePrefix("2001:db8:99::/64")}
	w.restart()
	w.want(answer(w.message(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1))), "advertise [1 30m0s/48m0s 2001:db8:1:2::aaaa 1h0m0s/2h0m0s]")
	w.cfg.Links = nil
	w.cfg.Pools = []Pool{{Prefix: netip.MustParsePrefix("2001:db8:99::/64")}}
	w.restart()
	if err := w.server.SetPools([]Pool{{Prefix: meshPrefix, EUI64: true}}); err != nil {
		t.Fatal(err)
	}
	w.want(answer(w.message(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1))), "advertise [1 30m0s/48m0s 2001:db8:1:2::aaaa 1h0m0s/2h0m0s]")

	// Too deep, empty, or an answer.
	var deep dhcpv6.DHCPv6 = m
	for i := range hopLimit + 2 {
		deep = relayed(deep, uint8(i), "2001:db8:1:2::66", "fe80::aaaa")
	}
	reply := relayed(m, 0, "::", "fe80::1")
	reply.MessageType = dhcpv6.MessageTypeRelayReply
	empty := &dhcpv6.RelayMessage{MessageType: dhcpv6.MessageTypeRelayForward}
	for i, m := range []dhcpv6.DHCPv6{deep, reply, empty} {
		w.events = nil
		if b, _ := w.server.Receive(from, m.ToBytes(), true); b != nil || len(w.events) != 1 {
			t.Errorf("message %d is answered; %q", i, w.events)
		}
	}
	if deep := deep.(*dhcpv6.RelayMessage).Options.RelayMessage(); deep != nil {
		if b, _ := w.server.Receive(from, deep.ToBytes(), true); b == nil {
			t.Error("as many relay agents as may be are too many")
		}
	}
}

func TestConfigErrors(t *testing.T) {
	clock := new(alarm.Clock)
	for _, cfg := range []Config{
		{Clock: clock},
		{Clock: clock, DUID: make([]byte, 131)},
		{Clock: clock, DUID: serverDUID, Preferred: time.Hour, Valid: time.Minute},
		{Clock: clock, DUID: serverDUID, Pools: []Pool{{}}},
	} {
		if _, err := NewServer(cfg); err == nil || !strings.HasPrefix(err.Error(), "dhcp6: ") {
			t.Errorf("%+v: %v", cfg, err)
		} else {
			t.Log(err)
		}
	}
	s, err := NewServer(Config{Clock: clock, DUID: serverDUID, Preferred: 3 * time.Hour})
	if err != nil || s.cfg.Valid != 6*time.Hour {
		t.Errorf("valid for %v, %v", s.cfg.Valid, err)
	}
}

// Ten thousand clients, and what one costs.
func TestMany(t *testing.T) {
	w := newWorld(t, nil)
	w.cfg.Notify = nil
	w.cfg.Store = nil
	w.restart()
	for i := range uint32(defaultMaxLeases) {
		id := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientID, OptionData: binary.BigEndian.AppendUint32([]byte{0, 2, 0, 0, 0, 1}, i)}
		w.given(w.ask(dhcpv6.MessageTypeRequest, id, serverID(), ianaOf(1)))
	}
	w.want(w.ask(dhcpv6.MessageTypeRequest, clientID(1), serverID(), ianaOf(1)), "reply [1 0s/0s NoAddrsAvail]")
	w.pass(3 * time.Hour)
	if n := len(w.server.Leases()); n != 0 {
		t.Errorf("%d leases are left", n)
	}
	if s := w.server; len(s.leases.byIA) != 0 || len(s.leases.clients) != 0 || s.expiry.Running() {
		t.Errorf("%d associations, %d clients, timer %v", len(s.leases.byIA), len(s.leases.clients), s.expiry.Running())
	}
}
