package ndp

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/alarm"
	"gatewayd/internal/netns"
	"gatewayd/ipv6"
)

// host makes the other end of the wire a host as it comes, and keeps the kernel
// out of this one.
func host(w *netns.Wire) {
	w.IP(w.Ours, "link", "set", "v0", "address", "02:00:5e:00:00:01", "addrgenmode", "none")
	w.IP(w.Peer, "link", "set", "v1", "address", "02:00:5e:00:00:02")
	for _, set := range []string{"accept_dad", "router_solicitations"} {
		w.Set(w.Peer, "ipv6/conf/v1/"+set, "0")
	}
	w.Set(w.Peer, "ipv6/conf/v1/accept_ra", "2")
	w.Set(w.Peer, "ipv6/conf/v1/accept_ra_rt_info_max_plen", "64")
}

// An etherPort sends and receives whole IPv6 packets on an interface.
type etherPort struct {
	fd, index int
}

func openEtherPort(t *testing.T, name string) *etherPort {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	proto := uint16(unix.ETH_P_IPV6<<8&0xff00 | unix.ETH_P_IPV6>>8)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, int(proto))
	if err != nil {
		t.Skipf("packet socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: ifi.Index}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_ALLMULTI}); err != nil {
		t.Fatal(err)
	}
	tv := unix.NsecToTimeval(int64(10 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	return &etherPort{fd, ifi.Index}
}

func (p *etherPort) send(t *testing.T, o Out) {
	to := unix.SockaddrLinklayer{Protocol: unix.ETH_P_IPV6<<8&0xff00 | unix.ETH_P_IPV6>>8, Ifindex: p.index, Halen: 6}
	if d := o.Dst.As16(); o.Dst.IsMulticast() {
		to.Addr = [8]byte{0x33, 0x33, d[12], d[13], d[14], d[15]}
	} else {
		copy(to.Addr[:], o.Link.Bytes())
	}
	if err := unix.Sendto(p.fd, o.AppendPacket(nil), 0, &to); err != nil {
		t.Errorf("send: %v", err)
	}
}

// receive waits a moment for a packet and returns it if it is neighbour
// discovery.
func (p *etherPort) receive() (in In, ok bool) {
	b := make([]byte, 2048)
	n, from, err := unix.Recvfrom(p.fd, b, 0)
	if err != nil {
		return In{}, false
	}
	ll, _ := from.(*unix.SockaddrLinklayer)
	if ll == nil || ll.Pkttype == unix.PACKET_OUTGOING {
		return In{}, false
	}
	h, payload, err := ipv6.DecodeHeader(b[:n])
	if err != nil || h.NextHeader != ipv6.ProtoICMPv6 || !ipv6.VerifyChecksum(h.Src, h.Dst, h.NextHeader, payload) {
		return In{}, false
	}
	m, _ := ipv6.DecodeICMP(payload)
	return In{
		Src: h.Src, Dst: h.Dst, HopLimit: h.HopLimit, Type: m.Type, Code: m.Code, Body: m.Body,
		Link: EUI48([6]byte(ll.Addr[:6])),
	}, true
}

// serve runs a program at the other end and hands to the machines what comes
// until it ends, or the packets suffice.
func (p *etherPort) serve(t *testing.T, clock *alarm.Clock, receive func(In) (enough bool), netns string, args ...string) string {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns}, args...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	deadline := time.Now().Add(10 * time.Second)
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%v: %v: %s", args, err, out.String())
			}
			return out.String()
		default:
		}
		enough := false
		if in, ok := p.receive(); ok {
			enough = receive(in)
		}
		clock.Advance(time.Now())
		if late := time.Now().After(deadline); late || enough {
			cmd.Process.Kill()
			<-done
			if late {
				t.Errorf("%v does not end: %s", args, out.String())
			}
			return out.String()
		}
	}
}

// awaitAddress waits until the kernel at the other end has a link-local
// address that it may use.
const awaitAddress = `for i in 1 2 3 4 5 6 7 8 9; do
	ip -6 addr show dev v1 | grep -q 'inet6 fe80.*link *$' && exit; sleep 0.2; done; exit 1`

func sameLines(t *testing.T, what, got, want string) {
	t.Helper()
	trim := func(s string) string {
		var lines []string
		for line := range strings.Lines(s) {
			if line = strings.Join(strings.Fields(line), " "); line != "" {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
	if got, want = trim(got), trim(want); got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

// An Advertiser on Ethernet, seen by rdisc6 and by the kernel of a host; and a
// Border's answer to ndisc6.
func TestKernelHost(t *testing.T) {
	other, inside := netns.Between(t, "v0", "v1", host, "rdisc6", "ndisc6")
	if !inside {
		return
	}
	port := openEtherPort(t, "v0")
	clock := new(alarm.Clock)
	clock.Set(time.Now())
	r := rand.New(rand.NewPCG(1, 2))
	link := EUI48([6]byte{2, 0, 0x5e, 0, 0, 1})
	send := func(o Out) { port.send(t, o) }
	adv := NewAdvertiser(AdvertiserConfig{Clock: clock, Rand: r, Send: send, Src: link.LinkLocal(), LinkAddr: link})
	border := NewBorder(BorderConfig{
		Clock: new(alarm.Clock), Rand: r, Send: send, LinkAddr: link, Addr: addr("2001:db8:1::1"),
	})
	receive := func(in In) bool {
		switch in.Type {
		case TypeRouterSolicit:
			adv.Receive(in)
		case TypeNeighborSolicit:
			border.Receive(in)
		}
		return false
	}
	port.serve(t, clock, receive, other, "sh", "-c", awaitAddress)

	ra := lanRA
	ra.HopLimit, ra.Other, ra.Preference = 64, true, High
	ra.Reachable, ra.Retrans = 30*time.Second, time.Second
	ra.Options = append(append([]Option(nil), lanRA.Options...), MTU(1400), DNSSL{Lifetime: time.Hour, Domains: []string{"home.arpa"}})
	adv.Set(ra)
	sameLines(t, "rdisc6", port.serve(t, clock, receive, other, "rdisc6", "-1", "-n", "v1"), `
		Soliciting ff02::2 (ff02::2) on v1...
		Hop limit                 :           64 (      0x40)
		Stateful address conf.    :           No
		Stateful other conf.      :          Yes
		Mobile home agent         :           No
		Router preference         :         high
		Neighbor discovery proxy  :           No
		Router lifetime           :         1800 (0x00000708) seconds
		Reachable time            :        30000 (0x00007530) milliseconds
		Retransmit time           :         1000 (0x000003e8) milliseconds
		 Source link-layer address: 02:00:5E:00:00:01
		 Prefix                   : 2001:db8:1::/64
		  On-link                 :          Yes
		  Autonomous address conf.:          Yes
		  Valid time              :        86400 (0x00015180) seconds
		  Pref. time              :        14400 (0x00003840) seconds
		 Route                    : fd00:1:2:30::/60
		  Route preference        :       medium
		  Route lifetime          :         1800 (0x00000708) seconds
		 Recursive DNS server     : 2001:db8:1::53
		 Recursive DNS server     : 2001:db8:1::54
		  DNS servers lifetime    :         1800 (0x00000708) seconds
		 MTU                      :         1400 bytes (valid)
		 DNS search list          : home.arpa
		  DNS search list lifetime:         3600 (0x00000e10) seconds
		 from fe80::5eff:fe00:1`)
	sameLines(t, "ndisc6", port.serve(t, clock, receive, other, "ndisc6", "-1", "-n", "fe80::5eff:fe00:1", "v1"), `
		Soliciting fe80::5eff:fe00:1 (fe80::5eff:fe00:1) on v1...
		Target link-layer address: 02:00:5E:00:00:01
		 from fe80::5eff:fe00:1`)

	kernel := func() string {
		return port.serve(t, clock, receive, other, "ip", "-6", "addr", "show", "dev", "v1", "scope", "global") +
			port.serve(t, clock, receive, other, "ip", "-6", "route", "show", "dev", "v1")
	}
	took := []string{
		"inet6 2001:db8:1::5eff:fe00:2/64 scope global",
		"default via fe80::5eff:fe00:1 proto ra",
		"pref high",
		"hoplimit 64",
	}
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/all/accept_ra_rt_info_max_plen"); err == nil {
		took = append(took, "fd00:1:2:30::/60 via fe80::5eff:fe00:1 proto ra")
	}
	// The kernel acts on an advertisement in its own time.
	until := func(what string, good func(string) bool) {
		t.Helper()
		got := kernel()
		for range 20 {
			if good(got) {
				return
			}
			time.Sleep(50 * time.Millisecond)
			got = kernel()
		}
		t.Errorf("%s:\n%s", what, got)
	}
	for _, want := range took {
		until("the kernel has no "+want, func(got string) bool { return strings.Contains(got, want) })
	}
	adv.Stop()
	until("the kernel still has, after the end", func(got string) bool {
		return !strings.Contains(got, "via fe80::5eff:fe00:1") && strings.Contains(got, "preferred_lft 0sec")
	})
}

// What radvd says is what the Listener has.
func TestRadvd(t *testing.T) {
	other, inside := netns.Between(t, "v0", "v1", host, "radvd")
	if !inside {
		return
	}
	port := openEtherPort(t, "v0")
	clock := new(alarm.Clock)
	clock.Set(time.Now())
	dir := t.TempDir()
	conf := `interface v1 {
		AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;
		AdvDefaultLifetime 1200; AdvDefaultPreference low; AdvLinkMTU 1480; AdvOtherConfigFlag on;
		prefix 2001:db8:7::/64 { AdvValidLifetime 3600; AdvPreferredLifetime 1800; };
		route fd00:7:0:10::/60 { AdvRouteLifetime 900; AdvRoutePreference high; };
		RDNSS 2001:db8:7::53 { AdvRDNSSLifetime 600; };
		DNSSL home.arpa { AdvDNSSLLifetime 600; };
	};`
	if err := os.WriteFile(dir+"/radvd.conf", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	lis := NewListener(ListenerConfig{
		Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), Send: func(o Out) { port.send(t, o) },
		Src: addr("fe80::5eff:fe00:1"), LinkAddr: EUI48([6]byte{2, 0, 0x5e, 0, 0, 1}),
	})
	none := func(In) bool { return false }
	port.serve(t, clock, none, other, "sh", "-c", awaitAddress)
	port.serve(t, clock, none, other, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/v1/forwarding")
	lis.Solicit()
	log := port.serve(t, clock, func(in In) bool { return lis.Receive(in) == nil }, other,
		"radvd", "-n", "-C", dir+"/radvd.conf", "-p", dir+"/radvd.pid", "-m", "stderr", "-u", "root")
	rs := lis.Routers()
	if len(rs) != 1 {
		t.Fatalf("heard %+v; radvd: %s", rs, log)
	}
	r := rs[0]
	if r.Addr != addr("fe80::5eff:fe00:2") || r.Link != EUI48([6]byte{2, 0, 0x5e, 0, 0, 2}) || r.MTU != 1480 ||
		r.Advert.Lifetime != 20*time.Minute || r.Advert.Preference != Low || !r.Advert.Other || r.Advert.Managed {
		t.Errorf("heard %+v", r)
	}
	want := map[string]Option{
		"2001:db8:7::/64": PrefixInfo{
			Prefix: prefix("2001:db8:7::/64"), OnLink: true, Autonomous: true, Valid: time.Hour, Preferred: 30 * time.Minute,
		},
		"fd00:7:0:10::/60": RouteInfo{Prefix: prefix("fd00:7:0:10::/60"), Preference: High, Lifetime: 15 * time.Minute},
		"2001:db8:7::53":   RDNSS{Lifetime: 10 * time.Minute, Servers: []netip.Addr{addr("2001:db8:7::53")}},
		"home.arpa":        DNSSL{Lifetime: 10 * time.Minute, Domains: []string{"home.arpa"}},
	}
	if len(r.Options) != len(want) {
		t.Errorf("options %+v", r.Options)
	}
	for _, o := range r.Options {
		if k := keyOf(o.Option).what; !reflect.DeepEqual(o.Option, want[k]) {
			t.Errorf("%s: %+v, want %+v", k, o.Option, want[k])
		}
	}
}
