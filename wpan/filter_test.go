package wpan

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
)

// What a device without a key may do, and may not.
func TestFilter(t *testing.T) {
	ll, us := linkLocal(peer), linkLocal(own)
	target := func(options ...byte) []byte {
		b := append(make([]byte, 4), us.AsSlice()...)
		return append(b, options...)
	}
	slla := append([]byte{1, 2}, make([]byte, 14)...)
	aro := append([]byte{33, 2, 0, 0, 0, 0, 0, 60}, peer[:]...)
	cases := []struct {
		name   string
		packet []byte
		roles  string // those that let it pass: c, r, h
	}{
		{"PANA", udp(ll, us, 61617, 716, "x"), "cr"},
		{"PANA in three frames", udp(ll, us, 716, 716, strings.Repeat("x", 200)), "cr"},
		{"router solicitation", icmp(ll, allRouters, 133, make([]byte, 4)...), "cr"},
		{"with a link-layer address", icmp(ll, allRouters, 133, append(make([]byte, 4), slla...)...), "cr"},
		{"neighbour solicitation", icmp(ll, us, 135, target(slla...)...), "cr"},
		{"registration", icmp(ll, us, 135, target(append(slla, aro...)...)...), ""},
		{"registration without a link-layer address", icmp(ll, us, 135, target(aro...)...), ""},
		{"options cut", icmp(ll, us, 135, target(1, 2, 0, 0, 0, 0, 0, 0)...), ""},
		{"option of no length", icmp(ll, us, 135, target(1, 0, 0, 0, 0, 0, 0, 0)...), ""},
		{"router advertisement", icmp(ll, us, 134, make([]byte, 12)...), ""},
		{"neighbour advertisement", icmp(ll, us, 136, target()...), ""},
		{"redirect", icmp(ll, us, 137, make([]byte, 36)...), ""},
		{"duplicate address request", icmp(ll, us, 157, make([]byte, 28)...), ""},
		{"RPL", icmp(ll, allRPL, 155, make([]byte, 24)...), ""},
		{"echo", icmp(ll, us, 128, 0, 1, 0, 1), ""},
		{"another port", udp(ll, us, 61617, 5683, "x"), ""},
		{"from the PANA port", udp(ll, us, 716, 5683, "x"), ""},
		{"DHCPv6", udp(ll, allDHCP, 546, 547, "x"), ""},
		{"PANA to all", udp(ll, allNodes, 61617, 716, "x"), ""},
		{"PANA to the routable address", udp(ll, global(own), 61617, 716, "x"), ""},
		{"PANA from a routable address", udp(global(peer), us, 61617, 716, "x"), ""},
		{"PANA from another's address", udp(linkLocal(other), us, 61617, 716, "x"), ""},
		{"from nobody", udp(netip.IPv6Unspecified(), us, 61617, 716, "x"), ""},
		{"through the mesh", udp(ll, global(other), 61617, 716, "x"), ""},
		{"a tunnel", ipv6.Header{Src: ll, Dst: us, NextHeader: ipv6.ProtoIPv6, HopLimit: 9, PayloadLen: 40}.Append(nil), ""},
		{"nothing", ipv6.Header{Src: ll, Dst: us, NextHeader: ipv6.ProtoNoNext, HopLimit: 9}.Append(nil), ""},
	}
	cases[len(cases)-2].packet = append(cases[len(cases)-2].packet, ipv6.Header{Src: global(peer), Dst: global(other), NextHeader: 59, HopLimit: 9}.Append(nil)...)
	for role, letter := range map[Role]string{Coordinator: "c", Router: "r", Host: "h"} {
		d := newDesk(t, role, nil)
		if role != Coordinator {
			d.join()
		}
		for _, c := range cases {
			d.pass(time.Second)
			before := d.Counters
			d.hear(peer, c.packet, false)
			after := d.Counters
			if want := strings.Contains(c.roles, letter); want != (after.Received == before.Received+1) {
				t.Errorf("%v, %s: passes %v, want %v", role, c.name, !want, want)
			}
			if after.Forwarded != before.Forwarded || len(d.host) > 0 {
				t.Errorf("%v, %s: forwarded", role, c.name)
				d.host = nil
			}
		}
	}
}

// A device takes from its agent, without a key, what is for its PANA client.
func TestAgentInClear(t *testing.T) {
	d := newDesk(t, Host, nil)
	d.started = true
	d.mac.Enable(true)
	d.mac.SetNetwork(15, 0xabcd)
	if err := d.auth.startClient(peer); err != nil {
		t.Fatal(err)
	}
	d.pass(time.Second)
	for _, c := range []struct {
		name     string
		src      ieee802154.ExtAddr
		from, to uint16
		passes   bool
	}{
		{"its agent's", peer, 716, portClient, true},
		{"of another node", other, 716, portClient, false},
		{"of another port", peer, 717, portClient, false},
		{"for another port", peer, 716, 5683, false},
	} {
		before := d.Counters.Received
		d.hear(c.src, udp(linkLocal(c.src), linkLocal(own), c.from, c.to, "x"), false)
		if got := d.Counters.Received > before; got != c.passes {
			t.Errorf("a datagram %s passes: %v", c.name, got)
		}
	}
	for _, f := range d.sent {
		if f.Type == ieee802154.FrameData && (f.Secured || f.Dst != ieee802154.ExtendedAddr(peer)) {
			t.Errorf("sends %+v", f)
		}
	}
}

// Answers go without a key to whom asked without, and to nobody else.
func TestAnswersInClear(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	us := linkLocal(own)
	d.hear(peer, udp(linkLocal(peer), us, 61617, 716, string([]byte{0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})), false)
	d.hear(other, udp(linkLocal(other), us, 61617, 716, string([]byte{0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})), true)
	d.sent = nil
	d.pass(time.Second)
	clear := map[ieee802154.ExtAddr]bool{}
	for _, f := range d.sent {
		if f.Dst.Mode == ieee802154.AddrExtended {
			clear[f.Dst.Ext] = !f.Secured
		}
	}
	if !clear[peer] || clear[other] || len(clear) != 2 {
		t.Errorf("in the clear: %v", clear)
	}
	// An echo to it is nothing that it may be told.
	d.sent = nil
	if err := d.FromHost(icmp(us, linkLocal(peer), 128, 0, 1, 0, 1)); err != nil {
		t.Fatal(err)
	}
	d.pass(time.Second)
	for _, f := range d.sent {
		if f.Type == ieee802154.FrameData && !f.Secured {
			t.Error("what the host sends went in the clear")
		}
	}
	if len(d.sent) == 0 {
		t.Error("it was not sent at all")
	}
}

// One device that says too much is cut short, and does not take the place of others.
func TestJoinersBounded(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	packet := udp(linkLocal(peer), linkLocal(own), 61617, 716, "x")
	for range 100 {
		d.hear(peer, packet, false)
	}
	if n := d.Counters.Received; n < uint64(joinerAllowance.most) || n > uint64(joinerAllowance.most)+1 {
		t.Errorf("%d of 100 at once", n)
	}
	before := d.Counters.Received
	d.hear(other, udp(linkLocal(other), linkLocal(own), 61617, 716, "x"), false)
	if d.Counters.Received != before+1 {
		t.Error("another device is refused")
	}
	for i := range 1000 {
		ext := ieee802154.ExtAddr{2, 0, 0, 0, 0, 9, byte(i >> 8), byte(i)}
		d.hear(ext, udp(linkLocal(ext), linkLocal(own), 61617, 716, "x"), false)
		d.pass(20 * time.Millisecond)
	}
	if n := len(d.joiners.heard); n > maxJoiners {
		t.Errorf("%d devices are remembered", n)
	}
	d.pass(joinerTime)
	if d.isJoiner(ieee802154.ExtendedAddr(peer)) {
		t.Error("remembered for ever")
	}
}

// Keys show themselves to nobody.
func TestKeyIsSecret(t *testing.T) {
	k := Key{Index: 7, Value: [16]byte{0xde, 0xad, 0xbe, 0xef}}
	nw := Network{Key: k, Other: k}
	j, err := json.Marshal(nw)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "key", k, "network", nw)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "key", k, "network", nw)
	for _, s := range []string{fmt.Sprint(k, nw), fmt.Sprintf("%v %+v %#v %s %x %q", k, nw, k, k, k, k), string(j), logged.String()} {
		for _, secret := range []string{"deadbeef", "222 173", "222,173", "3q2+7w", "0xde"} {
			if strings.Contains(strings.ToLower(s), secret) {
				t.Errorf("%q tells", s)
			}
		}
	}
}
