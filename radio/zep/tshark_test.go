package zep

import (
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

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
)

// Wireshark takes our datagrams for ZEP, and nothing in them for malformed.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	now := time.Date(2026, 11, 23, 16, 0, 0, 500_000_000, time.UTC)
	data := ieee802154.Frame{
		Type: ieee802154.FrameData, Version: ieee802154.Version2006, PANCompressed: true, Seq: 3,
		DstPAN: 0x23, Dst: ieee802154.ShortAddr(0xffff), Src: ieee802154.ShortAddr(5), Payload: []byte{0x3f, 1, 2, 3},
	}
	frame := withFCS(data.Append(nil))
	packets := []Packet{
		{Version: 2, Type: Data, Channel: 26, Device: 0x1234, FCS: true, LQI: 255, Time: NewTimestamp(now), Seq: 77, Payload: frame},
		{Version: 1, Type: Data, Channel: 11, Device: 0x1234, FCS: true, LQI: 9, Payload: frame},
		{Version: 2, Type: Ack, Seq: 77},
		{Version: 2, Type: Data, Channel: 26, FCS: true, Payload: withFCS(ieee802154.AppendImmAck(nil, 3, false))},
	}
	name := filepath.Join(t.TempDir(), "zep.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	lo := netip.IPv6Loopback()
	for _, p := range packets {
		b := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: lo, Dst: lo, HopLimit: 64}, 5000, Port, p.Append(nil))
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: now, CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-r", name, "-T", "fields", "-E", "separator=|"}
	for _, e := range []string{"zep.version", "zep.type", "zep.channel_id", "zep.device_id", "zep.lqi_mode", "zep.lqi", "zep.time", "zep.seqno", "zep.length", "wpan.fcs_ok", "wpan.src16", "_ws.malformed"} {
		args = append(args, "-e", e)
	}
	cmd := exec.Command(tshark, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, out)
	}
	want := []string{ // of version 2 it shows the LQI only without an FCS
		"2|1|26|4660|1||Nov 23, 2026 16:00:00.500000000 UTC|77|15|1|0x0005|",
		"1||11|4660|1|9|||15|1|0x0005|",
		"2|2||||||77||||",
		"2|1|26|0|1||Jan  1, 1970 00:00:00.000000000 UTC|0|5|1||",
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, l := range lines {
		t.Log(l)
		if i >= len(want) || l != want[i] {
			t.Errorf("packet %d: %s", i, l)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("tshark saw %d packets", len(lines))
	}
}
