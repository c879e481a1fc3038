package nat64

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// A mapping is the same whoever the host talks to, keeps the port, and lets
// nobody in but those the host talks to.
func TestMapping(t *testing.T) {
	b := newBench(t, nil)
	p := b.out(udp6(device, under(server), 5000, 53, nil))
	if src4(p) != netip.MustParseAddr("192.168.255.1") || dst4(p) != server || word(p, 20) != 5000 {
		t.Fatalf("%x", p)
	}
	p = b.out(udp6(device, under(server2), 5000, 53, nil))
	if word(p, 20) != 5000 {
		t.Errorf("mapped to port %d for another remote", word(p, 20))
	}
	// Another host with the same port shares the address, gets another port of the
	// same parity.
	p = b.out(udp6(device2, under(server), 5000, 53, nil))
	other := word(p, 20)
	if other == 5000 || other < 1024 || other%2 != 0 {
		t.Errorf("second host on port %d", other)
	}
	own := src4(p)
	p = b.in(udp4(server, own, 53, other, []byte("x")))
	if dst6(p) != device2 || word(p, 42) != 5000 || src6(p) != under(server) {
		t.Errorf("answer to %v port %d from %v", dst6(p), word(p, 42), src6(p))
	}
	b.refused4(udp4(server2, own, 53, other, nil), Filtered)
	b.refused4(udp4(server, own, 54, other, nil), Filtered)
	if e := b.refused4(udp4(server, own, 53, 777, nil), NoMapping); e == nil || e[20] != 3 || e[21] != 1 || dst4(e) != server {
		t.Errorf("answer to what is nobody's: %x", e)
	}
	if e := b.refused4(tcp4(server, own, 53, 777, flagSYN, nil), NoMapping); e != nil {
		t.Errorf("a SYN that is early is answered with %x", e)
	}
	// A well-known port stays one.
	b.out(udp6(device, under(server), 123, 123, nil))
	if p = b.out(udp6(device2, under(server), 123, 123, nil)); word(p, 20) >= 1024 || word(p, 20)%2 != 1 {
		t.Errorf("port 123 of a second host became %d", word(p, 20))
	}
	m := b.Mappings()
	if len(m) != 4 || m[0].Inside != netip.AddrPortFrom(device, 5000) || m[0].Outside != netip.AddrPortFrom(own, 5000) ||
		len(m[0].Sessions) != 2 || m[0].Out.Packets != 2 || m[1].In != (Traffic{1, 29 + 20}) {
		t.Errorf("mappings %+v", m)
	}
	h := b.Hosts()
	if len(h) != 2 || h[0].Inside != device || h[0].Sessions != 3 || h[0].Out[UDP].Packets != 3 || h[0].Expires != 5*time.Minute {
		t.Errorf("hosts %+v", h)
	}
	c := b.Counters()
	if c.Out[UDP].Packets != 5 || c.In[UDP].Packets != 1 || c.FromIPv4[Filtered] != 2 || c.FromIPv4[NoMapping] != 2 || c.ErrorsSent != 1 {
		t.Errorf("counters %+v", c)
	}
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		filter              Filter
		same, port, address bool // who gets in
	}{
		{FilterAddressPort, true, false, false},
		{FilterAddress, true, true, false},
		{FilterNone, true, true, true},
	} {
		b := newBench(t, func(c *Config) { c.Filter = tt.filter })
		own := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
		got := func(p []byte) bool {
			r := b.FromIPv4(p)
			b.take()
			return r == Passed
		}
		if x := got(udp4(server, own, 53, 5000, nil)); x != tt.same {
			t.Errorf("filter %d, same address and port: %v", tt.filter, x)
		}
		if x := got(udp4(server, own, 54, 5000, nil)); x != tt.port {
			t.Errorf("filter %d, same address: %v", tt.filter, x)
		}
		if x := got(udp4(server2, own, 53, 5000, nil)); x != tt.address {
			t.Errorf("filter %d, another address: %v", tt.filter, x)
		}
	}
}

// Sessions end after their time, and use by either side starts it again.
func TestTimeouts(t *testing.T) {
	b := newBench(t, nil)
	own := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
	b.out(echo6(device, under(server), 128, 7, 1, nil))
	b.wait(59 * time.Second)
	b.in(echo4(server, own, 0, 7, 1, nil))
	b.wait(60 * time.Second)
	b.refused4(echo4(server, own, 0, 7, 1, nil), NoMapping)
	b.wait(2 * time.Minute)
	b.in(udp4(server, own, 53, 5000, nil))
	b.wait(5*time.Minute - time.Millisecond)
	if n := b.Usage().Sessions; n != 1 {
		t.Fatalf("%d sessions before the time", n)
	}
	b.wait(time.Millisecond)
	if u := b.Usage(); u != (Usage{}) {
		t.Fatalf("after all: %+v", u)
	}
	if at := b.clock.Deadline(); !at.IsZero() {
		t.Errorf("a timer runs for nothing, until %v", at)
	}
	if c := b.Counters(); c.SessionsBegun != 2 || c.SessionsExpired != 2 {
		t.Errorf("counters %+v", c)
	}
}

// Scripts of RFC 6146 Section 3.5.2.2. A step is who sends (6 or 4) and the
// flags, or "wait" and how long; then the state, or what becomes of the segment.
func TestTCPStates(t *testing.T) {
	flags := map[byte]uint8{'S': flagSYN, 'A': flagACK, 'F': flagFIN, 'R': flagRST}
	for name, script := range map[string][][2]string{
		"open and close": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"6 A", "established"}, {"4 A", "established"},
			{"wait 2h3m59s", "established"}, {"6 FA", "v6 fin"}, {"4 A", "v6 fin"}, {"4 FA", "both fin"}, {"6 A", "both fin"},
			{"wait 3m59s", "both fin"}, {"wait 1s", "gone"},
		},
		"closed by the server": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"4 FA", "v4 fin"}, {"4 FA", "v4 fin"}, {"6 A", "v4 fin"}, {"6 FA", "both fin"},
			{"6 FA", "both fin"}, {"wait 4m", "gone"},
		},
		"nobody answers": {
			{"6 S", "v6 init"}, {"wait 3m", "v6 init"}, {"6 S", "v6 init"}, {"wait 3m", "v6 init"}, {"6 A", "v6 init"}, {"wait 1m", "gone"},
		},
		"refused": {
			{"6 S", "v6 init"}, {"4 RA", "v6 init"}, {"wait 4m", "gone"},
		},
		"open, close, open": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"6 FA", "v6 fin"}, {"4 FA", "both fin"}, {"4 S", "both fin"},
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"wait 1h", "established"},
		},
		"reset": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"4 R", "trans"}, {"4 R", "trans"}, {"wait 4m", "gone"},
		},
		"a reset that was not one": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"4 R", "trans"}, {"6 A", "established"}, {"wait 1h", "established"},
		},
		"idle, and both gone": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"wait 2h4m", "trans"}, {"wait 4m", "gone"},
		},
		"idle, and alive": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"wait 2h4m", "trans"}, {"4 A", "established"}, {"wait 2h", "established"},
		},
		"closed and then reset": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"6 FA", "v6 fin"}, {"6 R", "trans"}, {"wait 4m", "gone"},
		},
		"half closed": {
			{"6 S", "v6 init"}, {"4 SA", "established"}, {"6 FA", "v6 fin"}, {"wait 2h4m", "gone"},
		},
		"found running": {
			{"6 A", "trans"}, {"4 A", "established"},
		},
		"a reset of nothing":     {{"6 R", "no mapping"}, {"6 RA", "no mapping"}, {"6 F", "no mapping"}},
		"not begun from outside": {{"4 S", "no mapping"}, {"4 A", "no mapping"}},
		"both begin": {
			{"6 S", "v6 init"}, {"4 S", "established"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			own := netip.MustParseAddr("192.168.255.1")
			for i, step := range script {
				var got string
				if s, ok := strings.CutPrefix(step[0], "wait "); ok {
					d, err := time.ParseDuration(s)
					if err != nil {
						t.Fatal(err)
					}
					b.wait(d)
				} else {
					var f uint8
					for _, c := range []byte(step[0][2:]) {
						f |= flags[c]
					}
					r := Passed
					if step[0][0] == '6' {
						r = b.FromMesh(tcp6(device, under(server), 5000, 80, f, nil))
					} else {
						r = b.FromIPv4(tcp4(server, own, 80, 5000, f, nil))
					}
					if r != Passed {
						got = r.String()
					}
				}
				if got == "" {
					got = "gone"
					for _, m := range b.Mappings() {
						got = m.Sessions[0].State.String()
					}
				}
				if got != step[1] {
					t.Fatalf("step %d, %s: %s, want %s", i, step[0], got, step[1])
				}
			}
		})
	}
}

// SYNs from outside may begin a session if the filter lets them.
func TestBegunFromOutside(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Filter = FilterNone })
	own := src4(b.out(tcp6(device, under(server), 5000, 80, flagSYN, nil)))
	b.in(tcp4(server2, own, 99, 5000, flagSYN, nil))
	b.refused4(tcp4(server2, own, 98, 5000, flagACK, nil), Filtered)
	state := func() State { return b.Mappings()[0].Sessions[1].State }
	if state() != V4Init {
		t.Fatalf("state %v", state())
	}
	b.out(tcp6(device, under(server2), 5000, 99, flagSYN|flagACK, nil))
	if state() != Established {
		t.Fatalf("state %v", state())
	}
}

// The probe of an idle connection is an ACK that is out of sequence.
func TestProbe(t *testing.T) {
	b := newBench(t, nil)
	own := src4(b.out(tcp6(device, under(server), 5000, 80, flagSYN, nil)))
	b.in(tcp4(server, own, 80, 5000, flagSYN|flagACK, nil))
	b.wait(2*time.Hour + 4*time.Minute)
	mesh, ipv4 := b.take()
	if len(mesh) != 0 || len(ipv4) != 1 {
		t.Fatalf("%d and %d packets", len(mesh), len(ipv4))
	}
	p := ipv4[0]
	if dst4(p) != server || word(p, 20) != 5000 || word(p, 22) != 80 || p[33] != flagACK || len(p) != 40 {
		t.Errorf("%x", p)
	}
}

// Two hosts of the mesh reach each other by their mappings.
func TestHairpin(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Filter = FilterNone; c.Pool = netip.MustParsePrefix("192.168.255.0/24") })
	a4 := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
	b4 := src4(b.out(udp6(device2, under(server), 6000, 53, nil)))
	if a4 == b4 {
		t.Fatal("one address for two hosts")
	}
	hairpin := func(p []byte) []byte {
		t.Helper()
		r := b.FromMesh(p)
		mesh, ipv4 := b.take()
		if r != Passed || len(mesh) != 1 || len(ipv4) != 0 {
			t.Fatalf("%v, %d to the mesh, %d to IPv4", r, len(mesh), len(ipv4))
		}
		return mesh[0]
	}
	p := hairpin(udp6(device, under(b4), 5000, 6000, []byte("hello")))
	if src6(p) != under(a4) || dst6(p) != device2 || word(p, 40) != 5000 || word(p, 42) != 6000 || p[7] != 62 {
		t.Errorf("%x", p)
	}
	// And an error about it finds its way.
	e := hairpin(icmp6(device2, under(a4), 1, 4, 0, p))
	if dst6(e) != device || src6(e) != under(b4) || e[40] != 1 || e[41] != 4 || dst6(e[48:]) != under(b4) || src6(e[48:]) != device {
		t.Errorf("%x", e)
	}
	// From outside nobody may claim to be one of them.
	b.refused4(udp4(b4, a4, 6000, 5000, nil), IllegalSource)
}

func TestIllegalAddresses(t *testing.T) {
	b := newBench(t, nil)
	for s, want := range map[string]Reason{
		"::": IllegalSource, "::1": IllegalSource, "ff03::1": IllegalSource, "fe80::1": IllegalSource, "::ffff:10.0.0.1": IllegalSource,
		"64:ff9b::1.2.3.4": IllegalSource, "::1.2.3.4": IllegalSource, "fd00::1": Passed, "2001:db8::1": Passed,
	} {
		if r := b.FromMesh(udp6(netip.MustParseAddr(s), under(server), 1, 2, nil)); r != want {
			t.Errorf("from %s: %v, want %v", s, r, want)
		}
	}
	for s, want := range map[string]Reason{
		"64:ff9b::0.1.2.3": IllegalDestination, "64:ff9b::127.0.0.1": IllegalDestination, "64:ff9b::224.0.0.1": IllegalDestination,
		"64:ff9b::255.255.255.255": IllegalDestination, "64:ff9b::169.254.169.254": IllegalDestination, "64:ff9b:1::1": NotOurs, "ff02::1": NotOurs,
		"64:ff9b::10.0.0.1": Passed,
	} {
		if r := b.FromMesh(udp6(device, netip.MustParseAddr(s), 1, 2, nil)); r != want {
			t.Errorf("to %s: %v, want %v", s, r, want)
		}
	}
	b.take()
	own := netip.MustParseAddr("192.168.255.1")
	for _, s := range []string{"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.0.1", "192.168.255.1"} {
		b.refused4(udp4(netip.MustParseAddr(s), own, 2, 1, nil), IllegalSource)
	}
	b.refused4(udp4(server, server2, 2, 1, nil), NotOurs)
}

// Who may reach what is decided once, and anew when asked to.
func TestPolicy(t *testing.T) {
	private := true
	b := newBench(t, func(c *Config) {
		c.Allow = func(f Flow) bool { return private || !f.Remote.Addr().IsPrivate() }
	})
	lan := netip.MustParseAddr("10.0.0.1")
	b.out(udp6(device, under(lan), 5000, 53, nil))
	b.out(udp6(device, under(server), 5000, 53, nil))
	private = false
	b.out(udp6(device, under(lan), 5000, 53, nil))
	b.Recheck()
	e := b.refused6(udp6(device, under(lan), 5000, 53, nil), Prohibited)
	if e == nil || e[40] != 1 || e[41] != 1 || dst6(e) != device || src6(e) != b.Addr() {
		t.Errorf("answer %x", e)
	}
	b.out(udp6(device, under(server), 5000, 53, nil))
	if c := b.Counters(); c.SessionsRevoked != 1 || c.FromMesh[Prohibited] != 1 {
		t.Errorf("counters %+v", c)
	}
}

// One host that wants everything gets its share, and everyone else theirs.
func TestExhaustion(t *testing.T) {
	const limit = 100
	b := newBench(t, func(c *Config) { c.Limits = Limits{Sessions: limit, PerHost: 60} })
	flood := func(host netip.Addr, n int) {
		for i := range n {
			b.FromMesh(udp6(host, under(server), uint16(2000+i), uint16(1000+i), nil))
		}
		b.take()
	}
	sessionsOf := func(a netip.Addr) int {
		for _, h := range b.Hosts() {
			if h.Inside == a {
				return h.Sessions
			}
		}
		return 0
	}
	quiet := netip.MustParseAddr("fd00:1::99")
	own := src4(b.out(udp6(quiet, under(server), 777, 53, nil)))
	b.wait(time.Second)
	flood(device, 1000)
	if n := sessionsOf(device); n != 60 {
		t.Errorf("%d sessions of the first", n)
	}
	flood(device2, 1000)
	if u := b.Usage(); u.Sessions != limit {
		t.Errorf("%+v", u)
	}
	if x, y := sessionsOf(device), sessionsOf(device2); x+y != limit-1 || x < y-1 || y < x-1 {
		t.Errorf("%d and %d sessions", x, y)
	}
	b.in(udp4(server, own, 53, 777, nil)) // still works
	for i := range 20 {                   // and newcomers get in
		b.out(udp6(quiet, under(server), uint16(800+i), 53, nil))
	}
	if n := sessionsOf(quiet); n != 21 {
		t.Errorf("%d sessions of the quiet one", n)
	}
	// The latest of the flood are the ones that are left.
	b.out(udp6(device2, under(server), 2999, 1999, nil))
	c := b.Counters()
	if c.SessionsEvicted != c.SessionsBegun-limit || c.FromMesh[Exhausted] != 0 {
		t.Errorf("counters %+v", c)
	}
	// A flood of made-up hosts takes from itself once all are equal.
	for i := range 1000 {
		a := device.As16()
		a[14], a[15] = byte(1+i>>8), byte(i)
		b.FromMesh(udp6(netip.AddrFrom16(a), under(server), 1, 1, nil))
	}
	if u := b.Usage(); u.Sessions != limit || u.Hosts > limit {
		t.Errorf("%+v", u)
	}
	checkTable(t, &b.table)
}

// What comes from outside never costs a session.
func TestInboundTakesNoRoom(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits.PerHost = 3; c.Filter = FilterNone })
	own := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
	for i := range 10 {
		b.FromIPv4(udp4(server2, own, uint16(i+1), 5000, nil))
	}
	b.take()
	b.in(udp4(server, own, 53, 5000, nil))
	if c := b.Counters(); c.SessionsEvicted != 0 || c.FromIPv4[Exhausted] != 8 {
		t.Errorf("counters %+v", c)
	}
}

// With enough addresses each host has its own, and after a restart the same.
func TestPool(t *testing.T) {
	seen := map[netip.Addr]netip.Addr{}
	for range 2 {
		b := newBench(t, func(c *Config) {
			c.Pool = netip.MustParsePrefix("192.168.255.0/24")
			c.Limits.Sessions = 300
		})
		used := map[netip.Addr]int{}
		for i := range 260 {
			a := device.As16()
			a[13], a[15] = byte(i>>8), byte(i)
			h := netip.AddrFrom16(a)
			got := src4(b.out(udp6(h, under(server), 5000, 53, nil)))
			used[got]++
			if was, ok := seen[h]; ok && was != got {
				t.Errorf("%v was %v, is %v", h, was, got)
			}
			seen[h] = got
		}
		if len(used) != 254 || used[netip.MustParseAddr("192.168.255.0")]+used[netip.MustParseAddr("192.168.255.255")] != 0 {
			t.Errorf("%d addresses used", len(used))
		}
		checkTable(t, &b.table)
	}
	for bits, n := range map[int]int{32: 1, 31: 2, 30: 2, 24: 254} {
		if got := len(newPool(netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), bits)).users); got != n {
			t.Errorf("/%d has %d addresses, want %d", bits, got, n)
		}
	}
}

// A pool of one address has nearly as many ports as there are, and no more.
func TestPorts(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits = Limits{Sessions: 70000, PerHost: 70000} })
	taken, refused := 0, 0
	for host := range 3 {
		a := device.As16()
		a[15] = byte(host)
		for port := 1; port < 40000 && refused < 500; port++ {
			r := b.FromMesh(udp6(netip.AddrFrom16(a), under(server), uint16(port), 53, nil))
			for _, p := range b.ipv4 {
				if word(p, 20) == 0 {
					t.Fatal("port 0")
				}
			}
			b.take()
			switch r {
			case Passed:
				taken++
			case Exhausted:
				refused++
			default:
				t.Fatal(r)
			}
		}
	}
	if taken < 65000 || taken > 65535 {
		t.Errorf("%d ports taken", taken)
	}
	checkTable(t, &b.table)
}

// checkTable checks that the maps and lists say the same.
func checkTable(t *testing.T, x *table) {
	t.Helper()
	n, perClass, most := 0, 0, 0
	for _, h := range x.hosts {
		n += h.sessions.n
		most = max(most, h.sessions.n)
		listed := 0
		for s := h.sessions.head; s != nil; s = s.links[byHost].next {
			if s.binding.host != h {
				t.Error("a session in the list of another host")
			}
			listed++
		}
		if listed != h.sessions.n || listed == 0 {
			t.Errorf("host with %d sessions has %d", h.sessions.n, listed)
		}
	}
	for _, l := range x.classes {
		perClass += l.n
		for s := l.head; s != nil && s.links[byClass].next != nil; s = s.links[byClass].next {
			if s.links[byClass].next.expires.Before(s.expires) {
				t.Error("sessions are not in the order of their ends")
			}
		}
	}
	users := uint32(0)
	for _, u := range x.pool.users {
		users += u
	}
	if n != len(x.sessions) || perClass != n || len(x.inside) != len(x.outside) || most != x.most || users != uint32(len(x.hosts)) {
		t.Errorf("%d sessions of hosts, %d in classes, %d in all; %d and %d bindings; most %d, want %d; %d users, %d hosts",
			n, perClass, len(x.sessions), len(x.inside), len(x.outside), x.most, most, users, len(x.hosts))
	}
}

// Whatever hosts and time do, the tables stay right.
func TestTablesUnderChange(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := newBench(t, func(c *Config) { c.Limits = Limits{Sessions: 50, PerHost: 20}; c.Filter = FilterAddress })
	own := netip.MustParseAddr("192.168.255.1")
	for range 20000 {
		a := device.As16()
		a[15] = byte(r.IntN(8))
		h, remote := netip.AddrFrom16(a), []netip.Addr{server, server2}[r.IntN(2)]
		port, rport, f := uint16(5000+r.IntN(8)), uint16(80+r.IntN(3)), uint8(r.IntN(32))
		switch r.IntN(6) {
		case 0:
			b.FromMesh(udp6(h, under(remote), port, rport, nil))
		case 1:
			b.FromMesh(tcp6(h, under(remote), port, rport, f, nil))
		case 2:
			b.FromIPv4(udp4(remote, own, rport, port, nil))
		case 3:
			b.FromIPv4(tcp4(remote, own, rport, port, f, nil))
		case 4:
			b.FromMesh(echo6(h, under(remote), 128, port, 1, nil))
		case 5:
			b.wait(time.Duration(r.IntN(30)) * time.Second)
		}
		b.take()
	}
	checkTable(t, &b.table)
	b.wait(24 * time.Hour)
	if u := b.Usage(); u != (Usage{}) {
		t.Errorf("left: %+v", u)
	}
	checkTable(t, &b.table)
}

func TestConfig(t *testing.T) {
	good := newBench(t, nil).cfg
	for name, change := range map[string]func(*Config){
		"no clock":        func(c *Config) { c.Clock = nil },
		"no output":       func(c *Config) { c.ToMesh = nil },
		"prefix":          func(c *Config) { c.Prefix = netip.MustParsePrefix("64:ff9b::/90") },
		"no prefix":       func(c *Config) { c.Prefix = netip.Prefix{} },
		"pool of IPv6":    func(c *Config) { c.Pool = netip.MustParsePrefix("fd00::/96") },
		"large pool":      func(c *Config) { c.Pool = netip.MustParsePrefix("10.0.0.0/8") },
		"loopback pool":   func(c *Config) { c.Pool = netip.MustParsePrefix("127.0.0.0/24") },
		"MTU of the mesh": func(c *Config) { c.MTU6 = 1279 },
		"MTU of IPv4":     func(c *Config) { c.MTU4 = 100 },
		"address":         func(c *Config) { c.Addr = netip.MustParseAddr("ff02::1") },
		"address of IPv4": func(c *Config) { c.Addr = netip.MustParseAddr("10.0.0.1") },
		"limit":           func(c *Config) { c.Limits.PerHost = -1 },
		"timeout":         func(c *Config) { c.Timeouts.UDP = -1 },
		"filter":          func(c *Config) { c.Filter = 9 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The policy is also asked about pings, and about what comes from outside.
func TestPolicyOfAll(t *testing.T) {
	var asked []Flow
	deny := false
	b := newBench(t, func(c *Config) {
		c.Filter = FilterNone
		c.Allow = func(f Flow) bool { asked = append(asked, f); return !deny }
	})
	own := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
	b.out(echo6(device, under(server), 128, 7, 1, nil))
	deny = true
	if e := b.refused6(echo6(device, under(server), 128, 8, 1, nil), Prohibited); e == nil || e[40] != 1 || e[41] != 1 {
		t.Errorf("answer to an echo request: %x", e)
	}
	for _, p := range [][]byte{udp4(server2, own, 9, 5000, nil), echo4(server2, own, 8, 7, 1, nil)} {
		if e := b.refused4(p, Prohibited); e == nil || e[20] != 3 || e[21] != 13 {
			t.Errorf("answer to what comes from outside: %x", e)
		}
	}
	at := func(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
	want := []Flow{
		{UDP, at(device, 5000), at(server, 53), false}, {ICMP, at(device, 7), at(server, 0), false}, {ICMP, at(device, 8), at(server, 0), false},
		{UDP, at(device, 5000), at(server2, 9), true}, {ICMP, at(device, 7), at(server2, 0), true},
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked about %+v", asked)
	}
	b.Recheck()
	if u := b.Usage(); u != (Usage{}) {
		t.Errorf("left: %+v", u)
	}
}

func TestClose(t *testing.T) {
	b := newBench(t, nil)
	b.out(udp6(device, under(server), 5000, 53, nil))
	b.FromMesh(fragments6(udp6(device, under(server), 5000, 53, pattern(2000)), 1024, 1)[0])
	b.Close()
	if u := b.Usage(); u != (Usage{}) || !b.clock.Deadline().IsZero() {
		t.Errorf("left: %+v, until %v", u, b.clock.Deadline())
	}
}
