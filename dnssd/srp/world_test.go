package srp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatewayd/alarm"
	"gatewayd/dnssd"
)

var (
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	peer  = netip.MustParseAddrPort("[fd00:db8:a:b:add3:5ffd:4385:b778]:49155")
)

// recorded is the datagrams of testdata/openthread.hex.
func recorded(t testing.TB) (out [][]byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/openthread.hex")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
			continue
		}
		b, err := hex.DecodeString(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// memory is a Store that can fail.
type memory struct {
	records map[string][]byte
	err     error
	writes  int
}

func (m *memory) Put(key, value []byte) error {
	m.writes++
	if m.err == nil {
		m.records[string(key)] = slices.Clone(value)
	}
	return m.err
}

func (m *memory) Delete(key []byte) error {
	m.writes++
	if m.err == nil {
		delete(m.records, string(key))
	}
	return m.err
}

func (m *memory) Each(f func(key, value []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(m.records)) {
		if err := f([]byte(k), m.records[k]); err != nil {
			return err
		}
	}
	return m.err
}

// world is a server, its clock and what it told.
type world struct {
	t      testing.TB
	clock  alarm.Clock
	server *Server
	store  *memory
	events []Event
	id     uint16
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	w := &world{t: t, store: &memory{records: map[string][]byte{}}}
	w.clock.Set(began)
	w.start(change...)
	return w
}

// start makes the server, or another one in its place.
func (w *world) start(change ...func(*Config)) {
	w.t.Helper()
	now := w.clock.Now()
	w.clock = alarm.Clock{} // the timers of the server before end with it
	w.clock.Set(now)
	c := Config{Clock: &w.clock, Store: w.store, Notify: func(e Event) { w.events = append(w.events, e) }}
	for _, f := range change {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = s
}

// pass lets time pass, from timer to timer.
func (w *world) pass(d time.Duration) {
	end := w.clock.Now().Add(d)
	for {
		at := w.clock.Deadline()
		if at.IsZero() || at.After(end) {
			break
		}
		w.clock.Advance(at)
	}
	w.clock.Advance(end)
}

// told is what has been told since the last call, like "updated lamp1".
func (w *world) told() string {
	var out []string
	for _, e := range w.events {
		s := e.Kind.String()
		if e.Host.Name != "" {
			s += " " + e.Host.Name
		}
		out = append(out, s)
	}
	w.events = nil
	return strings.Join(out, ", ")
}

// list is the live hosts with their services: "lamp1[lamp]".
func (w *world) list() string {
	var out []string
	for _, r := range w.server.Hosts() {
		if !r.Live {
			continue
		}
		var names []string
		for _, s := range r.Host.Services {
			names = append(names, s.Instance)
		}
		out = append(out, r.Host.Name+fmt.Sprint(names))
	}
	return strings.Join(out, " ")
}

// client is somebody with a key.
type client struct {
	w    *world
	key  *ecdsa.PrivateKey
	from netip.AddrPort
}

func (w *world) client() *client {
	w.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	return &client{w, k, peer}
}

func (c *client) public() []byte {
	b, err := c.key.PublicKey.Bytes()
	if err != nil {
		c.w.t.Fatal(err)
	}
	return b[1:] // without the mark of an uncompressed point
}

// ask is an update in the making.
type ask struct {
	host       string
	addrs      []string
	services   []dnssd.Service
	remove     []dnssd.Service
	lease, key uint32 // seconds
	short      bool
	zone       string
	ttl        uint32
	change     func(*dns.Msg)      // before it is signed
	sign       func(*sigWork)      // before the signature is made
	after      func([]byte) []byte // of the signed message
}

type sigWork struct {
	signer                string
	inception, expiration uint32
	covered               uint16
	algorithm             byte
}

// plain is an update of one host with one service.
func plain(host string, services ...string) ask {
	a := ask{host: host, addrs: []string{"fd11:22::1"}, lease: 7200, key: 680400}
	for _, s := range services {
		a.services = append(a.services, dnssd.Service{Instance: s, Type: "_light._udp", Port: 1234, TXT: []byte("\x04test")})
	}
	return a
}

func rr(name string, typ, class uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: class, Ttl: ttl}
}

func clearName(name string) dns.RR {
	return &dns.ANY{Hdr: rr(name, dns.TypeANY, dns.ClassANY, 0)}
}

// message is the bytes of an update.
func (c *client) message(a ask) []byte {
	t := c.w.t
	t.Helper()
	if a.zone == "" {
		a.zone = dnssd.DefaultDomain
	}
	if a.ttl == 0 {
		a.ttl = 7200
	}
	name := func(labels ...string) string { return dnssd.JoinName(labels...) + a.zone }
	in := func(name string, typ uint16) dns.RR_Header { return rr(name, typ, dns.ClassINET, a.ttl) }
	m := &dns.Msg{}
	m.SetUpdate(a.zone)
	m.Id = c.w.id
	c.w.id++
	m.Compress = true
	for _, s := range a.services {
		typ := dnssd.SplitName(s.Type)
		instance := name(append([]string{s.Instance}, typ...)...)
		m.Ns = append(m.Ns, &dns.PTR{Hdr: in(name(typ...), dns.TypePTR), Ptr: instance})
		for _, sub := range s.Subtypes {
			m.Ns = append(m.Ns, &dns.PTR{Hdr: in(name(append([]string{sub, "_sub"}, typ...)...), dns.TypePTR), Ptr: instance})
		}
		m.Ns = append(m.Ns, clearName(instance),
			&dns.SRV{Hdr: in(instance, dns.TypeSRV), Priority: s.Priority, Weight: s.Weight, Port: s.Port, Target: name(a.host)},
			&dns.TXT{Hdr: in(instance, dns.TypeTXT), Txt: []string{string(s.TXT[1:])}})
	}
	for _, s := range a.remove {
		typ := dnssd.SplitName(s.Type)
		instance := name(append([]string{s.Instance}, typ...)...)
		m.Ns = append(m.Ns, &dns.PTR{Hdr: rr(name(typ...), dns.TypePTR, dns.ClassNONE, 0), Ptr: instance}, clearName(instance))
	}
	m.Ns = append(m.Ns, clearName(name(a.host)))
	for _, x := range a.addrs {
		addr := netip.MustParseAddr(x)
		if addr.Is4() {
			m.Ns = append(m.Ns, &dns.A{Hdr: in(name(a.host), dns.TypeA), A: addr.AsSlice()})
		} else {
			m.Ns = append(m.Ns, &dns.AAAA{Hdr: in(name(a.host), dns.TypeAAAA), AAAA: addr.AsSlice()})
		}
	}
	m.Ns = append(m.Ns, c.keyRecord(name(a.host), a.ttl))
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	lease := binary.BigEndian.AppendUint32(nil, a.lease)
	if !a.short {
		lease = binary.BigEndian.AppendUint32(lease, a.key)
	}
	opt.Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: optionLease, Data: lease}}
	m.Extra = []dns.RR{opt}
	if a.change != nil {
		a.change(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	w := sigWork{signer: name(a.host), algorithm: algorithmP256}
	if a.sign != nil {
		a.sign(&w)
	}
	b = c.sign(b, w)
	if a.after != nil {
		b = a.after(b)
	}
	return b
}

func (c *client) keyRecord(name string, ttl uint32) *dns.KEY {
	k := &dns.KEY{}
	k.Hdr = rr(name, dns.TypeKEY, dns.ClassINET, ttl)
	k.Flags, k.Protocol, k.Algorithm = 0x0201, keyProtocol, algorithmP256
	k.PublicKey = base64.StdEncoding.EncodeToString(c.public())
	return k
}

// sign adds SIG(0) as the text of RFC 2931 Section 3.1 has it.
func (c *client) sign(b []byte, w sigWork) []byte {
	rdata := binary.BigEndian.AppendUint16(nil, w.covered)
	rdata = append(rdata, w.algorithm, 0, 0, 0, 0, 0)
	rdata = binary.BigEndian.AppendUint32(rdata, w.expiration)
	rdata = binary.BigEndian.AppendUint32(rdata, w.inception)
	rdata = append(rdata, 0, 0)
	rdata = appendName(rdata, dnssd.SplitName(w.signer))
	sum := sha256.Sum256(append(slices.Clone(rdata), b...))
	r, s, err := ecdsa.Sign(rand.Reader, c.key, sum[:])
	if err != nil {
		c.w.t.Fatal(err)
	}
	rdata = append(rdata, make([]byte, 64)...)
	r.FillBytes(rdata[len(rdata)-64 : len(rdata)-32])
	s.FillBytes(rdata[len(rdata)-32:])
	b = slices.Clone(b)
	b[11]++
	b = append(b, 0, 0, typeSIG, 0, classANY, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
	return append(b, rdata...)
}

// send sends an update and returns the answer's code.
func (c *client) send(a ask) RCode {
	c.w.t.Helper()
	code, _ := c.w.receive(c.from, c.message(a))
	return code
}

// must sends an update that is to be granted.
func (c *client) must(a ask) lease {
	c.w.t.Helper()
	code, granted := c.w.receive(c.from, c.message(a))
	if code != NoError {
		c.w.t.Fatalf("refused with %d: %v", code, c.w.lastError())
	}
	return granted
}

func (w *world) lastError() error {
	if len(w.events) == 0 {
		return errors.New("nothing told")
	}
	return w.events[len(w.events)-1].Err
}

// receive gives the server a message and takes its answer apart.
func (w *world) receive(from netip.AddrPort, b []byte) (RCode, lease) {
	w.t.Helper()
	reply := w.server.Receive(from, b)
	h, err := decodeHeader(reply)
	if err != nil || h.id != binary.BigEndian.Uint16(b) || h.flags&^0xf != flagResponse|opcodeUpdate {
		w.t.Fatalf("answer %x to %x", reply, b)
	}
	code := RCode(h.flags & 0xf)
	if code != NoError {
		if len(reply) != headerLen {
			w.t.Fatalf("answer %x", reply)
		}
		return code, lease{}
	}
	r := reader{reply, headerLen}
	opt, err := r.record()
	if err != nil || r.off != len(reply) {
		w.t.Fatalf("answer %x: %v", reply, err)
	}
	l, err := decodeLease(opt)
	if err != nil {
		w.t.Fatalf("answer %x: %v", reply, err)
	}
	return code, l
}
