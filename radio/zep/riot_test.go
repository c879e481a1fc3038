package zep

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/dhcp6"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/radio"
)

// program finds one of RIOT's native programs.
func program(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RIOT_DIR")
	if dir == "" {
		t.Skip("RIOT_DIR is not set: no native nodes of RIOT's to talk to")
	}
	p := filepath.Join(dir, name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("%v", err)
	}
	return p
}

// start runs a program until the test ends.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	// A node reads its input in a process of its own, which outlives it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := cmd.StdinPipe(); err != nil { // open, or the node ends
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
}

// A node of RIOT's behind RIOT's dispatcher: it is heard, it hears, both
// acknowledge.
func TestRIOT(t *testing.T) {
	dispatch, host := program(t, "zep_dispatch"), program(t, "riot_host.elf")
	hub := listener(t)
	port := hub.LocalAddr().(*net.UDPAddr).Port
	hub.Close()
	// Who is who the dispatcher knows by their Hellos.
	topology := filepath.Join(t.TempDir(), "topology")
	if err := os.WriteFile(topology, []byte("us := 02:00:00:00:00:00:00:01\nthem := 02:00:00:00:00:00:00:0A\nus them 1.0 0.99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dispatch, "-t", topology, "::1", fmt.Sprint(port))
	time.Sleep(100 * time.Millisecond)

	m := open(t, Config{Remote: fmt.Sprintf("[::1]:%d", port), EUI64: ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 1}})
	s := newStation(t, m)
	s.configure(radio.Settings{
		Enabled: true, Receiving: true, Channel: 26, PANID: 0x23,
		Short: ieee802154.InvalidShort, AltShort: ieee802154.InvalidShort, Ext: m.EUI64(),
	})
	start(t, host, "-z", fmt.Sprintf("[::1]:%d", port), "--eui64", "02:00:00:00:00:00:00:0a")

	us := ieee802154.Addr{Mode: ieee802154.AddrExtended, Ext: m.EUI64()}
	them := ieee802154.Addr{Mode: ieee802154.AddrExtended, Ext: ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 0xa}}
	next := func() (ieee802154.Frame, radio.RxFrame) {
		t.Helper()
		select {
		case f := <-s.rx:
			h, err := ieee802154.Decode(f.PSDU)
			if err != nil {
				t.Fatal(err)
			}
			return h, f
		case <-time.After(10 * time.Second):
			t.Fatal("RIOT says nothing")
		}
		return ieee802154.Frame{}, radio.RxFrame{}
	}
	// It asks for routers, by multicast.
	for {
		if h, f := next(); h.Src == them && h.Dst.IsBroadcast() && f.LQI == 252 {
			break
		}
	}
	// It answers pings: each request is acknowledged by it, each reply by us.
	const pings = 40
	replies := 0
	for i := range pings {
		src, dst := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::a")
		packet := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: src, Dst: dst, HopLimit: 64}, ipv6.ICMPEchoRequest, 0,
			ipv6.Echo{ID: 5, Seq: uint16(i), Data: make([]byte, i)}.Append(nil))
		b, n, err := lowpan.Compress(nil, packet, us, them, lowpan.Contexts{}, 80)
		if err != nil {
			t.Fatal(err)
		}
		f := ieee802154.Frame{
			Type: ieee802154.FrameData, Version: ieee802154.Version2006, AckRequest: true, PANCompressed: true, Seq: uint8(i),
			DstPAN: 0x23, Dst: them, Src: us, Payload: append(b, packet[n:]...),
		}
		if r := s.transmit(26, f.Append(nil)); r.Status != radio.TxOK {
			t.Fatalf("ping %d: %v", i, r.Status)
		}
		for {
			h, _ := next()
			if h.Src != them || h.Dst != us {
				continue
			}
			replies++
			got, err := lowpan.DecompressPacket(nil, h.Payload, them, us, lowpan.Contexts{})
			if err != nil {
				t.Fatal(err)
			}
			if got[40] == ipv6.ICMPEchoReply && got[47] == byte(i) {
				break
			}
		}
	}
	// Without acknowledgments in time it would send each reply four times.
	time.Sleep(20 * time.Millisecond)
	for len(s.rx) > 0 {
		if h, _ := next(); h.Src == them && h.Dst == us {
			replies++
		}
	}
	if replies > 2*pings {
		t.Errorf("RIOT needed %d frames for %d replies", replies, pings)
	}
	t.Logf("%d frames for %d replies", replies, pings)
}

// A node of RIOT's with a DHCPv6 client, over ZEP and 6LoWPAN, gets an address
// and has it.
func TestRIOTDHCP(t *testing.T) {
	node := program(t, "riot_dhcp.elf")
	a, b := listener(t), listener(t)
	atUs, atThem := a.LocalAddr().String(), b.LocalAddr().String()
	a.Close()
	b.Close()
	m := open(t, Config{Remote: atThem, Local: atUs, EUI64: ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 1}})
	s := newStation(t, m)
	s.configure(radio.Settings{
		Enabled: true, Receiving: true, Channel: 26, PANID: 0x23,
		Short: ieee802154.InvalidShort, AltShort: ieee802154.InvalidShort, Ext: m.EUI64(),
	})
	clock := new(alarm.Clock)
	clock.Set(time.Now())
	assigned := false
	server, err := dhcp6.NewServer(dhcp6.Config{
		Clock: clock, DUID: dhcp6.DUIDFromEUI64(m.EUI64()), Pools: []dhcp6.Pool{{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), EUI64: true}},
		Notify: func(e dhcp6.Event) {
			t.Logf("%v %v %v", e.Kind, e.Lease.Addr, e.Err)
			assigned = assigned || e.Kind == dhcp6.EventAssigned
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, node, "-z", atThem+","+atUs, "--eui64", "02:00:00:00:00:00:12:34")

	us := ieee802154.Addr{Mode: ieee802154.AddrExtended, Ext: m.EUI64()}
	them := ieee802154.Addr{Mode: ieee802154.AddrExtended, Ext: ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0x12, 0x34}}
	seq := uint8(0)
	send := func(packet []byte) {
		t.Helper()
		b, n, err := lowpan.Compress(nil, packet, us, them, lowpan.Contexts{}, 80)
		if err != nil {
			t.Fatal(err)
		}
		seq++
		f := ieee802154.Frame{
			Type: ieee802154.FrameData, Version: ieee802154.Version2006, AckRequest: true, PANCompressed: true, Seq: seq,
			DstPAN: 0x23, Dst: them, Src: us, Payload: append(b, packet[n:]...),
		}
		if r := s.transmit(26, f.Append(nil)); r.Status != radio.TxOK {
			t.Fatalf("sent: %v", r.Status)
		}
	}
	local, address := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("2001:db8:1::1234")
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); {
		select {
		case f := <-s.rx:
			h, err := ieee802154.Decode(f.PSDU)
			if err != nil || h.Src != them {
				continue
			}
			packet, err := lowpan.DecompressPacket(nil, h.Payload, h.Src, h.Dst, lowpan.Contexts{})
			if err != nil {
				t.Logf("not understood: %v", err)
				continue
			}
			ip, payload, err := ipv6.DecodeHeader(packet)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v > %v: %x", ip.Src, ip.Dst, payload)
			switch {
			case ip.NextHeader == ipv6.ProtoUDP && binary.BigEndian.Uint16(payload[2:]) == dhcp6.ServerPort:
				clock.Advance(time.Now())
				if r, to := server.Receive(netip.AddrPortFrom(ip.Src, 546), payload[8:], !ip.Dst.IsMulticast()); r != nil {
					send(ipv6.AppendUDPPacket(nil, ipv6.Header{Src: local, Dst: to.Addr(), HopLimit: 64}, dhcp6.ServerPort, to.Port(), r))
				}
			case ip.NextHeader != ipv6.ProtoICMPv6:
			case payload[0] == 133: // a router solicitation: addresses are by DHCP
				e := m.EUI64()
				body := append([]byte{64, 0x80, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}, e[:]...)
				send(ipv6.AppendICMPPacket(nil, ipv6.Header{Src: local, Dst: ip.Src, HopLimit: 255}, 134, 0, append(body, 0, 0, 0, 0, 0, 0)))
			case payload[0] == ipv6.ICMPEchoReply && ip.Src == address:
				return
			}
		case <-time.After(300 * time.Millisecond):
			if assigned { // does it have it?
				send(ipv6.AppendICMPPacket(nil, ipv6.Header{Src: local, Dst: address, HopLimit: 64}, ipv6.ICMPEchoRequest, 0,
					ipv6.Echo{ID: 5, Seq: 1}.Append(nil)))
			}
		}
	}
	t.Fatal("RIOT's node does not answer from an address")
}
