package gateway

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// What comes by another interface than TREL's is not TREL, and nothing is sent
// there.
func TestTRELSocket(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	var sockets [3]*trelSocket // one that sends, one on the link, one that is not
	for i := range sockets {
		if sockets[i], err = openTREL(); err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		defer sockets[i].close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	type datagram struct {
		from netip.AddrPort
		text string
	}
	got := make(chan datagram, 10)
	for _, s := range sockets[1:] {
		wg.Go(func() {
			s.run(ctx, func(from netip.AddrPort, b []byte) { got <- datagram{from, string(b)} })
		})
	}
	to := func(s *trelSocket) netip.AddrPort {
		return onLink(netip.AddrPortFrom(netip.IPv6Loopback(), s.port), lo.Index)
	}
	only := map[int]bool{lo.Index: true}

	if sockets[0].send(to(sockets[1]), []byte("no link yet")) {
		t.Error("sent by a link that is none of TREL's")
	}
	sockets[0].links.Store(&only)
	if sockets[0].send(netip.AddrPortFrom(netip.IPv6Loopback(), sockets[1].port), []byte("no link named")) {
		t.Error("sent by no link")
	}
	sockets[1].links.Store(&only)
	if !sockets[0].send(to(sockets[2]), []byte("refused")) || !sockets[0].send(to(sockets[1]), []byte("taken")) {
		t.Fatal("not sent")
	}
	select {
	case d := <-got:
		if want := to(sockets[0]); d.text != "taken" || d.from != want {
			t.Errorf("%q from %v, want it from %v", d.text, d.from, want)
		}
	case <-time.After(5 * time.Second):
		t.Error("nothing came")
	}
}

func TestTRELAddress(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"192.0.2.1 ::1 ff02::1 ::", ""},
		{"2001:db8::1 192.0.2.1", "2001:db8::1"},
		{"2001:db8::1 fd00::1", "fd00::1"},
		{"fd00::1 fe80::1 2001:db8::1", "fe80::1"},
		{"fd00::2 fd00::1", "fd00::2"},
	} {
		var in []netip.Addr
		for _, s := range strings.Fields(tt.in) {
			in = append(in, netip.MustParseAddr(s))
		}
		got, ok := trelAddress(in)
		if ok != (tt.want != "") || ok && got.String() != tt.want {
			t.Errorf("%q: %v", tt.in, got)
		}
	}
}

func TestTRELSetting(t *testing.T) {
	for _, tt := range []struct {
		infra, trel string
		valid       bool
		on          string // of eth0 and eth1, those that it is for
	}{
		{"", "on", true, ""},
		{"eth0,eth1", "on", true, "eth0 eth1"},
		{"eth0,eth1", "off", true, ""},
		{"eth0,eth1", "eth1", true, "eth1"},
		{"eth0,eth1", "eth1,eth0", true, "eth0 eth1"},
		{"auto", "eth0", true, "eth0"},
		{"eth0", "eth1", false, ""},
		{"eth0", "", false, ""},
		{"eth0", "eth0,", false, ""},
		{"eth0", "no such/thing", false, ""},
	} {
		c := Defaults()
		c.Radio, c.Infra, c.TREL = "sim:1", tt.infra, tt.trel
		if err := c.Validate(); (err == nil) != tt.valid {
			t.Errorf("infra %q, trel %q: %v", tt.infra, tt.trel, err)
		}
		for _, name := range []string{"eth0", "eth1"} {
			want := false
			for _, s := range strings.Fields(tt.on) {
				want = want || s == name
			}
			if got := c.trel() && c.trelOn(name); tt.valid && got != want {
				t.Errorf("infra %q, trel %q: on %s %t", tt.infra, tt.trel, name, got)
			}
		}
	}
}
