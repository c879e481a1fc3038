package border

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/alarm"
	"gatewayd/internal/netns"
	"gatewayd/ipv6"
	"gatewayd/ndp"
	"gatewayd/thread/netdata"
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

// A wire is an interface as the Manager sees it, and a Manager whose time can
// be put forward.
type wire struct {
	t         *testing.T
	fd, index int
	netns     string // of the host at the other end
	clock     alarm.Clock
	ahead     time.Duration // of the real time
	m         *Manager
	leader    *netdata.Leader
	sent      map[uint8]int // by type
}

func newWire(t *testing.T, netns string) *wire {
	t.Helper()
	ifi, err := net.InterfaceByName("v0")
	if err != nil {
		t.Fatal(err)
	}
	const proto = unix.ETH_P_IPV6<<8&0xff00 | unix.ETH_P_IPV6>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, proto)
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
	w := &wire{t: t, fd: fd, index: ifi.Index, netns: netns, sent: map[uint8]int{}}
	w.clock.Set(time.Now())
	rnd := rand.New(rand.NewPCG(1, 2))
	w.leader = netdata.NewLeader(rnd)
	mesh := Mesh{Attached: true, Router: true, RLOC16: 0x400, ExtPANID: [8]byte{0xde, 0xad, 0, 0xbe, 0xef, 0, 0xca, 0xfe}}
	var local netdata.Local
	var old Publication
	w.m = New(Config{
		Clock: &w.clock, Rand: rnd, Store: mapStore{storeULA: []byte("fd11:2233:4455::/48")}, Send: w.send,
		Publish: func(p Publication) {
			if err := p.Apply(&local, old); err != nil {
				t.Error(err)
			}
			old = p
			if _, err := w.leader.Register(w.clock.Now(), 0x400, local.Data(0x400)); err != nil {
				t.Error(err)
			}
			mesh.Data = w.leader.Data()
			w.m.SetMesh(mesh)
		},
	})
	w.m.SetMesh(mesh)
	link := mac(1)
	if err := w.m.SetLink("v0", LinkState{Up: true, LinkLocal: link.LinkLocal(), LinkAddr: link}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *wire) send(_ string, o ndp.Out) error {
	w.sent[o.Type]++
	to := unix.SockaddrLinklayer{Protocol: unix.ETH_P_IPV6<<8&0xff00 | unix.ETH_P_IPV6>>8, Ifindex: w.index, Halen: 6}
	if d := o.Dst.As16(); o.Dst.IsMulticast() {
		to.Addr = [8]byte{0x33, 0x33, d[12], d[13], d[14], d[15]}
	} else {
		copy(to.Addr[:], o.Link.Bytes())
	}
	return unix.Sendto(w.fd, o.AppendPacket(nil), 0, &to)
}

// receive waits a moment for a packet, and gives it to the Manager.
func (w *wire) receive() {
	b := make([]byte, 2048)
	n, from, err := unix.Recvfrom(w.fd, b, 0)
	ll, _ := from.(*unix.SockaddrLinklayer)
	if err != nil || ll == nil {
		return
	}
	h, payload, err := ipv6.DecodeHeader(b[:n])
	if err != nil || h.NextHeader != ipv6.ProtoICMPv6 || !ipv6.VerifyChecksum(h.Src, h.Dst, h.NextHeader, payload) {
		return
	}
	icmp, _ := ipv6.DecodeICMP(payload)
	w.m.Receive("v0", ndp.In{
		Src: h.Src, Dst: h.Dst, HopLimit: h.HopLimit, Type: icmp.Type, Code: icmp.Code, Body: icmp.Body,
		Link: ndp.EUI48([6]byte(ll.Addr[:6])),
	})
}

// pass lets time pass: d for the Manager, but hardly any for the host.
func (w *wire) pass(d time.Duration) {
	for end := w.ahead + d; w.ahead < end; {
		w.ahead += min(500*time.Millisecond, end-w.ahead)
		w.clock.Advance(time.Now().Add(w.ahead))
		w.receive()
	}
}

// host runs a program on the host, and returns what it prints.
func (w *wire) host(args ...string) string {
	w.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", w.netns}, args...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for deadline := time.Now().Add(10 * time.Second); ; {
		select {
		case err := <-done:
			if err != nil {
				w.t.Errorf("%v: %v: %s", args, err, out.String())
			}
			return out.String()
		default:
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			<-done
			w.t.Errorf("%v does not end: %s", args, out.String())
			return out.String()
		}
		w.receive()
		w.clock.Advance(time.Now().Add(w.ahead))
	}
}

// until waits for the host's kernel to have done something.
func (w *wire) until(what string, good func(kernel string) bool) {
	w.t.Helper()
	var got string
	for range 30 {
		got = w.host("ip", "-6", "addr", "show", "dev", "v1", "scope", "global") + w.host("ip", "-6", "route", "show", "dev", "v1")
		if good(got) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Errorf("%s:\n%s", what, got)
}

// awaitAddress waits until the kernel has a link-local address it may use.
const awaitAddress = `for i in 1 2 3 4 5 6 7 8 9; do
	ip -6 addr show dev v1 | grep -q 'inet6 fe80.*link *$' && exit; sleep 0.2; done; exit 1`

// What we say, as rdisc6 reads it and a stock kernel takes it.
func TestKernelHost(t *testing.T) {
	other, inside := netns.Between(t, "v0", "v1", host, "rdisc6")
	if !inside {
		return
	}
	w := newWire(t, other)
	w.host("sh", "-c", awaitAddress)
	w.m.SetEnabled(true)
	w.pass(time.Minute)
	if s := w.m.Status(); !s.Ready || s.Links[0].OnLink.State != OnLinkAdvertising {
		t.Fatalf("%+v", s)
	}
	got := w.host("rdisc6", "-1", "-n", "v1")
	want := `Soliciting ff02::2 (ff02::2) on v1...
		Hop limit                 :    undefined (      0x00)
		Stateful address conf.    :           No
		Stateful other conf.      :           No
		Mobile home agent         :           No
		Router preference         :       medium
		Neighbor discovery proxy  :           No
		Router lifetime           :            0 (0x00000000) seconds
		Reachable time            :  unspecified (0x00000000)
		Retransmit time           :  unspecified (0x00000000)
		 Prefix                   : fdde:ad00:beef:cafe::/64
		  On-link                 :          Yes
		  Autonomous address conf.:          Yes
		  Valid time              :         1800 (0x00000708) seconds
		  Pref. time              :         1800 (0x00000708) seconds
		 Route                    : fd11:2233:4455:1::/64
		  Route preference        :       medium
		  Route lifetime          :         1800 (0x00000708) seconds
		 Source link-layer address: 02:00:5E:00:00:01
		 from fe80::5eff:fe00:1`
	if a, b := strings.Fields(got), strings.Fields(want); strings.Join(a, " ") != strings.Join(b, " ") {
		t.Errorf("rdisc6:\n%s\nwant:\n%s", got, want)
	}
	took := []string{"inet6 fdde:ad00:beef:cafe:0:5eff:fe00:2/64 scope global"}
	_, err := os.Stat("/proc/sys/net/ipv6/conf/all/accept_ra_rt_info_max_plen")
	if err == nil {
		took = append(took, "fd11:2233:4455:1::/64 via fe80::5eff:fe00:1 proto ra")
	}
	for _, line := range took {
		w.until("the kernel has no "+line, func(k string) bool {
			return strings.Contains(k, line) && !strings.Contains(k, "default via") && !strings.Contains(k, "preferred_lft 0sec")
		})
	}
	w.m.SetEnabled(false)
	w.until("after the end", func(k string) bool {
		return !strings.Contains(k, "via fe80::5eff:fe00:1") && strings.Contains(k, "preferred_lft 0sec")
	})
}

// radvd's prefix is used instead of ours, and the kernel beside it answers our
// probes.
func TestRadvd(t *testing.T) {
	other, inside := netns.Between(t, "v0", "v1", host, "radvd")
	if !inside {
		return
	}
	dir := t.TempDir()
	conf := `interface v1 {
		AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1200; AdvOtherConfigFlag on;
		prefix 2001:db8:7::/64 { AdvValidLifetime 7200; AdvPreferredLifetime 3600; };
		route fd00:7:0:10::/60 { AdvRouteLifetime 900; AdvRoutePreference high; };
	};`
	if err := os.WriteFile(dir+"/radvd.conf", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWire(t, other)
	w.host("sh", "-c", awaitAddress)
	w.host("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/v1/forwarding")
	radvd := exec.Command("ip", "netns", "exec", other, "radvd", "-n", "-C", dir+"/radvd.conf", "-p", dir+"/radvd.pid", "-m", "stderr", "-u", "root")
	var log strings.Builder
	radvd.Stdout, radvd.Stderr = &log, &log
	if err := radvd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		radvd.Process.Kill()
		radvd.Wait()
	}()
	w.m.SetEnabled(true)
	favored := netip.MustParsePrefix("2001:db8:7::/64")
	for deadline := time.Now().Add(10 * time.Second); w.m.links[0].factors.favored != favored; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v; radvd: %s", w.m.Status(), log.String())
		}
		w.receive()
		w.clock.Advance(time.Now().Add(w.ahead))
	}
	w.pass(15 * time.Second)
	s := w.m.Status()
	o := s.Links[0].OnLink
	if !s.Ready || o.State != OnLinkIdle || o.Favored != favored || s.Published.Route.Prefix != defaultRoute {
		t.Errorf("%+v", s)
	}
	if r := s.Links[0].Routers; len(r) != 1 || r[0].Addr != mac(2).LinkLocal() || !r[0].Other || r[0].SNAC || r[0].Peer || r[0].Link != mac(2) {
		t.Errorf("routers %+v", r)
	}
	var heard []string
	for _, p := range s.Links[0].Prefixes {
		heard = append(heard, fmt.Sprint(p.Prefix, p.OnLink, p.Valid, p.Preferred, p.Preference))
	}
	for _, want := range []string{"2001:db8:7::/64 true 2h0m0s 1h0m0s medium", "fd00:7:0:10::/60 false 15m0s 0s high", "::/0 false 20m0s 0s medium"} {
		if !strings.Contains(strings.Join(heard, "\n"), want) {
			t.Errorf("heard %q, want %s", heard, want)
		}
	}
	// radvd hangs: the host still answers, until it does not.
	radvd.Process.Signal(unix.SIGSTOP)
	before := w.sent[ndp.TypeNeighborSolicit]
	w.pass(2 * time.Minute)
	if n := w.sent[ndp.TypeNeighborSolicit] - before; n == 0 || n > 3 || !w.m.Status().Links[0].Routers[0].Reachable {
		t.Errorf("%d probes; %+v", n, w.m.Status().Links[0].Routers)
	}
	w.host("ip", "link", "set", "v1", "down")
	w.pass(80 * time.Second)
	if s := w.m.Status(); s.Links[0].Routers[0].Reachable || s.Links[0].OnLink.State != OnLinkAdvertising {
		t.Errorf("%+v", s.Links[0])
	}
}
