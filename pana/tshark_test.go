package pana

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// tshark reads what our client, relay element and agent say to each other, and
// finds nothing wrong with it.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("NOT RUN: no tshark")
	}
	file := filepath.Join(t.TempDir(), "pana.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, 1)
	written := 0
	l.tap = func(from, to netip.AddrPort, b []byte) bool {
		buf := gopacket.NewSerializeBuffer()
		ip := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolUDP, HopLimit: 255, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
		udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: layers.EthernetTypeIPv6}, ip, udp, gopacket.Payload(b)); err != nil {
			t.Fatal(err)
		}
		ci := gopacket.CaptureInfo{Timestamp: l.clock.Now(), CaptureLength: len(buf.Bytes()), Length: len(buf.Bytes())}
		if err := w.WritePacket(ci, buf.Bytes()); err != nil {
			t.Fatal(err)
		}
		written++
		return true
	}
	p := l.serve(func(c *PAAConfig) {
		c.Encrypt = true
		c.Deliver = func(Info) []AVP { return []AVP{netKey.AVP()} }
		c.Relay = func(netip.AddrPort) bool { return true }
	})
	l.relay(preA, nil)
	for i, to := range []netip.AddrPort{paaAddr, preA} {
		d := l.join(clientAddr(i+10), func(c *PaCConfig) {
			c.Delivered = func([]AVP) {}
			c.NoPiggyback = i == 1
		})
		d.Start(to)
		l.run(time.Second)
		_ = d.Ping()
		_ = d.Ask(KeyRequest{}.AVP())
		_ = d.Reauthenticate()
		l.run(time.Second)
		p.PushAll([]AVP{netKey.AVP()})
		l.run(time.Second)
		d.Terminate()
		l.run(time.Second)
		want(t, "client is", d.State(), Closed)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	// What tshark prints for each packet: its protocols, and what is wrong.
	out, err := exec.Command(tshark, "-r", file, "-T", "fields", "-e", "frame.protocols", "-e", "_ws.malformed", "-e", "_ws.expert.message", "-e", "pana.type").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) != 4 || !strings.HasPrefix(fields[0], "eth:") {
			continue // a remark on running as root
		}
		n++
		if !strings.Contains(fields[0], ":pana") || fields[1] != "" || fields[2] != "" || fields[3] == "" {
			t.Errorf("packet %d: %q", n, fields)
		}
	}
	if n != written || n < 50 {
		t.Errorf("tshark read %d packets of %d", n, written)
	}
}
