package host

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/netns"
)

var (
	onHost = netip.MustParseAddr("fd00:1::1")
	onMesh = netip.MustParseAddr("fd00:1::2")
	local  = netip.PrefixFrom(onHost, 64)
)

const (
	protoUDP    = 17
	protoICMPv6 = 58
)

// packet puts an IPv6 header before a payload and fills in the checksum at
// byte sum of it.
func packet(src, dst netip.Addr, proto, hops byte, sum int, payload []byte) []byte {
	p := []byte{0x60, 0, 0, 0}
	p = binary.BigEndian.AppendUint16(p, uint16(len(payload)))
	p = append(p, proto, hops)
	p = append(p, src.AsSlice()...)
	p = append(p, dst.AsSlice()...)
	p = append(p, payload...)
	body := p[40:]
	body[sum], body[sum+1] = 0, 0
	s := uint32(len(body)) + uint32(proto)
	for b := p[8:]; len(b) > 0; b = b[min(2, len(b)):] {
		s += uint32(b[0]) << 8
		if len(b) > 1 {
			s += uint32(b[1])
		}
	}
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	binary.BigEndian.PutUint16(body[sum:], ^uint16(s))
	return p
}

// echoReply answers an echo request, or returns nil.
func echoReply(p []byte) []byte {
	if len(p) < 48 || p[6] != protoICMPv6 || p[40] != 128 {
		return nil
	}
	src, _ := netip.AddrFromSlice(p[8:24])
	dst, _ := netip.AddrFromSlice(p[24:40])
	body := bytes.Clone(p[40:])
	body[0] = 129
	return packet(dst, src, protoICMPv6, 64, 2, body)
}

// The kernel's packets arrive, and what we answer is believed.
func TestPing(t *testing.T) {
	needNamespace(t)
	if _, err := exec.LookPath("ping"); err != nil {
		t.Skip("SKIPPED: no ping (iputils-ping)")
	}
	tun := open(t, Options{})
	mustSync(t, tun, Config{Addrs: []Address{{Prefix: local, OnLink: true}}})
	seen := packets(tun)
	go func() {
		for p := range seen {
			if r := echoReply(p); r != nil {
				tun.Write(r)
			}
		}
	}()
	if !eventually(func() bool {
		return strings.Contains(netns.IP(t, "-6", "route", "show", "table", "local"), "local "+onHost.String()+" ")
	}) {
		t.Fatal("the address does not become the host's")
	}
	for _, size := range []string{"16", "1232"} { // 1232 fills the MTU
		out, err := exec.Command("ping", "-6", "-c", "3", "-i", "0.01", "-W", "2", "-M", "do", "-s", size, onMesh.String()).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "3 received") {
			t.Errorf("%s bytes: %v\n%s", size, err, out)
		}
	}
}

// The other way round: the kernel answers a packet from the mesh.
func TestKernelAnswers(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	mustSync(t, tun, Config{
		Addrs:  []Address{{Prefix: local}},
		Routes: []Route{{Dst: local.Masked()}},
	})
	seen := packets(tun)
	request := []byte{128, 0, 0, 0, 0x12, 0x34, 0, 7, 'h', 'e', 'l', 'l', 'o'}
	want := packet(onHost, onMesh, protoICMPv6, 64, 2, append([]byte{129}, request[1:]...))
	for range 100 { // a new address counts as the host's a moment later
		if _, err := tun.Write(packet(onMesh, onHost, protoICMPv6, 64, 2, request)); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-seen:
			copy(got[1:4], want[1:4]) // the flow label is the kernel's own
			if !bytes.Equal(got, want) {
				t.Errorf("answer %x, want %x", got, want)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Error("no answer")
}

// An interface nobody uses is silent: no solicitations, no address of the
// kernel's own.
func TestSilent(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	seen := packets(tun)
	mustSync(t, tun, Config{Addrs: []Address{{Prefix: local, OnLink: true}, {Prefix: netip.MustParsePrefix("fe80::1/64")}}})
	select {
	case p := <-seen:
		t.Errorf("the kernel sent %x", p)
	case <-time.After(500 * time.Millisecond):
	}
	mustSync(t, tun, Config{})
	if a := addresses(t, "wpan0"); a != "" {
		t.Errorf("addresses %q", a)
	}
}

// A mesh device must not make itself the host's router.
func TestAdvertisementIgnored(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	advert, err := hex.DecodeString(strings.ReplaceAll(
		"86 00 0000 40 00 0708 00000000 00000000"+ // hop limit 64, router for 1800 s
			"03 04 40 c0 00000e10 00000e10 00000000"+ // prefix /64, on-link, autonomous, an hour
			"fd00bad0000000000000000000000000", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	p := packet(netip.MustParseAddr("fe80::bad"), netip.MustParseAddr("ff02::1"), protoICMPv6, 255, 2, advert)
	believed := func() bool { return strings.Contains(routes(t, "wpan0"), "default") }

	if _, err := tun.Write(p); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if believed() || strings.Contains(addresses(t, "wpan0"), "fd00:bad") {
		t.Errorf("the kernel believed it: routes %q, addresses %q", routes(t, "wpan0"), addresses(t, "wpan0"))
	}
	// That it was ours to refuse: with the kernel told to listen, it counts.
	if err := setSysctl(sysctlIPv6+"/conf/wpan0/accept_ra", "2"); err != nil {
		t.Fatal(err)
	}
	if _, err := tun.Write(p); err != nil {
		t.Fatal(err)
	}
	if !eventually(believed) {
		t.Error("the advertisement is none the kernel would ever believe: the test shows nothing")
	}
}

func TestGroups(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	group := netip.MustParseAddr("ff05::abcd")
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	port := conn.LocalAddr().(*net.UDPAddr).Port

	heard := func(within time.Duration) bool {
		t.Helper()
		udp := binary.BigEndian.AppendUint16([]byte{0x30, 0x39}, uint16(port))
		udp = append(udp, 0, 13, 0, 0, 'h', 'e', 'l', 'l', 'o')
		if _, err := tun.Write(packet(onMesh, group, protoUDP, 64, 6, udp)); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(within))
		b := make([]byte, 100)
		n, err := conn.Read(b)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		return string(b[:n]) == "hello"
	}
	config := Config{Addrs: []Address{{Prefix: local, OnLink: true}}}
	mustSync(t, tun, config)
	if heard(200 * time.Millisecond) {
		t.Error("heard a group that was not joined")
	}
	config.Groups = []netip.Addr{netip.MustParseAddr("ff05::1:3"), group}
	mustSync(t, tun, config)
	mustSync(t, tun, config)
	if !heard(10 * time.Second) {
		t.Error("did not hear a group that was joined")
	}
	config.Groups = config.Groups[:1]
	mustSync(t, tun, config)
	if heard(200 * time.Millisecond) {
		t.Error("heard a group that was left")
	}
}

func TestClose(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{Name: "mesh7"})
	mustSync(t, tun, Config{Addrs: []Address{{Prefix: local}}})
	done := make(chan error)
	go func() {
		_, err := tun.Read(make([]byte, 2048))
		done <- err
	}()
	time.Sleep(50 * time.Millisecond) // let it wait
	if err := tun.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("Read ended with %v", err)
		}
	case <-time.After(2 * time.Second):
		t.Fatal("Read did not end")
	}
	if _, err := net.InterfaceByName("mesh7"); err == nil {
		t.Error("the interface is still there")
	}
	if err := tun.Sync(Config{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Sync after Close: %v", err)
	}
	if _, err := tun.Write([]byte{0x60}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	open(t, Options{Name: "mesh7"})
}
