package zep

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

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
	start(t, dispatch, "::1", fmt.Sprint(port))
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
		if h, f := next(); h.Src == them && h.Dst.IsBroadcast() && f.LQI == 255 {
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
