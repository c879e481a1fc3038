package mroute

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/internal/netns"
	"gatewayd/ipv6"
)

// As root, the tests run in a namespace of their own.
func TestMain(m *testing.M) { netns.Main(m, nil) }

func needKernel(t *testing.T) {
	t.Helper()
	netns.Need(t)
	if err := Probe(); errors.Is(err, ErrUnsupported) {
		t.Skip("SKIPPED:", err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// port is the far end of an interface: what is written there comes in here.
type port struct {
	t    *testing.T
	fd   int
	link Link // the near end
}

// wire makes an interface and its far end, which has no IPv6 of its own.
func wire(t *testing.T, name string) *port {
	t.Helper()
	far := name + "-far"
	for _, c := range []string{"link add " + name + " type veth peer name " + far, "link set " + name + " up", "link set " + far + " up"} {
		if c == "link set "+name+" up" {
			netns.Set(t, "ipv6/conf/"+far+"/disable_ipv6", "1")
			netns.Set(t, "ipv6/conf/"+name+"/accept_dad", "0")
		}
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", c, err, out)
		}
	}
	t.Cleanup(func() { exec.Command("ip", "link", "del", far).Run() })
	near, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	i, err := net.InterfaceByName(far)
	if err != nil {
		t.Fatal(err)
	}
	proto := binary.NativeEndian.Uint16([]byte{0x86, 0xdd})
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: i.Index}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100000}); err != nil {
		t.Fatal(err)
	}
	return &port{t: t, fd: fd, link: Link{Name: name, Index: near.Index}}
}

// send sends a datagram to a group.
func (p *port) send(src, group string, hops uint8, text string) {
	p.t.Helper()
	a, g := netip.MustParseAddr(src), netip.MustParseAddr(group)
	b := ipv6.Header{Src: a, Dst: g, HopLimit: hops, NextHeader: 253, PayloadLen: uint16(len(text))}.Append(nil)
	b = append(b, text...)
	x := g.As16()
	to := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{0x86, 0xdd}), Ifindex: p.link.Index, Halen: 6}
	copy(to.Addr[:], []byte{0x33, 0x33, x[12], x[13], x[14], x[15]})
	i, err := net.InterfaceByName(p.link.Name + "-far")
	if err != nil {
		p.t.Fatal(err)
	}
	to.Ifindex = i.Index
	if err := unix.Sendto(p.fd, b, 0, to); err != nil {
		p.t.Fatal(err)
	}
}

// gets reports whether a datagram with a text comes, within limit.
func (p *port) gets(text string, limit time.Duration) bool {
	p.t.Helper()
	b := make([]byte, 2048)
	for end := time.Now().Add(limit); time.Now().Before(end); {
		n, _, err := unix.Recvfrom(p.fd, b, 0)
		if err != nil {
			continue
		}
		if h, rest, err := ipv6.DecodeHeader(b[:n]); err == nil && h.NextHeader == 253 && strings.HasPrefix(string(rest), text) {
			return true
		}
	}
	return false
}

func open(t *testing.T, mesh Link) *Router {
	t.Helper()
	r, err := Open(mesh, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

const (
	soon  = 3 * time.Second
	never = 400 * time.Millisecond
)

// From a link come the groups that somebody listens to; from the mesh goes what
// is wider than it and is not from an address that is only the mesh's.
func TestRoutes(t *testing.T) {
	needKernel(t)
	mesh, lan, dmz := wire(t, "mesh"), wire(t, "lan"), wire(t, "dmz")
	netns.Set(t, "ipv6/conf/all/forwarding", "1")
	r := open(t, mesh.link)
	if _, err := Open(lan.link, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	want := Want{Links: []Link{lan.link, dmz.link}, Groups: []netip.Addr{netip.MustParseAddr("ff04::123")},
		Closed: []netip.Prefix{netip.MustParsePrefix("fd01::/64")}}
	if err := r.Set(want); err != nil {
		t.Fatal(err)
	}
	n := 0
	try := func(from *port, src, group string, hops uint8, to []*port, notTo ...*port) {
		t.Helper()
		n++
		text := fmt.Sprintf("datagram %d.", n)
		from.send(src, group, hops, text)
		for _, p := range to {
			if !p.gets(text, soon) {
				t.Errorf("%s to %s does not get to %s: %+v", src, group, p.link.Name, r.Routes())
			}
		}
		for _, p := range notTo {
			if p.gets(text, never) {
				t.Errorf("%s to %s gets to %s: %+v", src, group, p.link.Name, r.Routes())
			}
		}
	}
	for range 2 { // asked for, and known
		try(lan, "fd02::1", "ff04::123", 5, []*port{mesh}, dmz)
		try(lan, "fd02::1", "ff04::124", 5, nil, mesh, dmz)
		try(mesh, "fd03::1", "ff05::7", 5, []*port{lan, dmz})
		try(mesh, "fd01::1", "ff05::7", 5, nil, lan, dmz)
	}
	try(lan, "fd02::1", "ff04::123", 1, nil, mesh) // its hops end here
	try(mesh, "fd03::1", "ff03::7", 5, nil, lan)
	try(mesh, "fe80::1", "ff05::7", 5, nil, lan)

	// A group gets a listener, and another loses its last.
	want.Groups = []netip.Addr{netip.MustParseAddr("ff04::124")}
	if err := r.Set(want); err != nil {
		t.Fatal(err)
	}
	try(lan, "fd02::1", "ff04::124", 5, []*port{mesh})
	try(lan, "fd02::1", "ff04::123", 5, nil, mesh)
	groups, err := os.ReadFile("/proc/net/igmp6")
	if err != nil {
		t.Fatal(err)
	}
	if s := string(groups); !strings.Contains(s, "ff040000000000000000000000000124") || strings.Contains(s, "ff040000000000000000000000000123") {
		t.Errorf("groups:\n%s", s)
	}

	// A link is taken away, another one disappears.
	want.Links = want.Links[1:]
	if err := r.Set(want); err != nil {
		t.Fatal(err)
	}
	try(mesh, "fd03::1", "ff05::7", 5, []*port{dmz}, lan)
	if slices.ContainsFunc(r.Routes(), func(x Route) bool { return x.From == "lan" }) {
		t.Errorf("routes: %+v", r.Routes())
	}
	if out, err := exec.Command("ip", "link", "del", "dmz").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want.Links = []Link{lan.link}
	if err := r.Set(want); err != nil {
		t.Error(err)
	}
	try(mesh, "fd03::1", "ff05::7", 5, []*port{lan})
	try(lan, "fd02::1", "ff04::124", 5, []*port{mesh})

	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for _, f := range []string{"ip6_mr_vif", "ip6_mr_cache"} {
		b, err := os.ReadFile("/proc/net/" + f)
		if err != nil || strings.Count(string(b), "\n") > 1 {
			t.Errorf("%s after the end: %v\n%s", f, err, b)
		}
	}
	if b, _ := os.ReadFile("/proc/sys/net/ipv6/conf/mesh/mc_forwarding"); strings.TrimSpace(string(b)) != "0" {
		t.Errorf("mc_forwarding is %s", b)
	}
	if err := r.Set(want); !errors.Is(err, os.ErrClosed) {
		t.Errorf("set after the end: %v", err)
	}
}

// Whoever sends to many groups gets no more of the kernel's memory than there is.
func TestBound(t *testing.T) {
	needKernel(t)
	mesh := wire(t, "mesh")
	netns.Set(t, "ipv6/conf/all/forwarding", "1")
	r := open(t, mesh.link)
	for i := range maxRoutes + 50 {
		mesh.send("fd03::1", fmt.Sprintf("ff05::%x", i+1), 5, "flood")
		for end := time.Now().Add(soon); ; {
			all := r.Routes()
			if slices.ContainsFunc(all, func(x Route) bool { return x.Group == netip.MustParseAddr(fmt.Sprintf("ff05::%x", i+1)) }) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("group %d is not asked about; %d routes", i, len(all))
			}
		}
	}
	if n := len(r.Routes()); n != maxRoutes {
		t.Errorf("%d routes", n)
	}
	b, err := os.ReadFile("/proc/net/ip6_mr_cache")
	if n := strings.Count(string(b), "\n") - 1; err != nil || n != maxRoutes {
		t.Errorf("the kernel has %d routes: %v", n, err)
	}
}

// The layout of what goes to the kernel (linux/mroute6.h).
func TestLayout(t *testing.T) {
	k := key{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("ff04::123")}
	b := mfc(k, 1, []int{0, 33})
	if len(b) != 92 || binary.NativeEndian.Uint16(b) != unix.AF_INET6 || b[8] != 0xfd || b[36] != 0xff ||
		binary.NativeEndian.Uint16(b[56:]) != 1 || binary.NativeEndian.Uint32(b[60:]) != 1 || binary.NativeEndian.Uint32(b[64:]) != 2 {
		t.Errorf("% x", b)
	}
	msg := make([]byte, msgLen)
	msg[1] = msgNoCache
	binary.NativeEndian.PutUint16(msg[2:], 7)
	src, dst := k.source.As16(), k.group.As16()
	copy(msg[8:], src[:])
	copy(msg[24:], dst[:])
	if got, from, ok := question(msg); !ok || got != k || from != 7 {
		t.Errorf("%+v %d %v", got, from, ok)
	}
	for _, bad := range [][]byte{nil, msg[:39], append([]byte{1}, msg[1:]...), append([]byte{0, 2}, msg[2:]...)} {
		if _, _, ok := question(bad); ok {
			t.Errorf("taken: % x", bad)
		}
	}
}
