package zep

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/internal/wireshark"
	"gatewayd/ipv6"
)

// Wireshark takes our datagrams for ZEP, and nothing in them for malformed.
func TestTshark(t *testing.T) {
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
	lo := netip.IPv6Loopback()
	var all []wireshark.Packet
	for _, p := range packets {
		b := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: lo, Dst: lo, HopLimit: 64}, 5000, Port, p.Append(nil))
		all = append(all, wireshark.Packet{At: now, Bytes: b})
	}
	lines := wireshark.Fields(t, all, []string{"zep.version", "zep.type", "zep.channel_id", "zep.device_id", "zep.lqi_mode", "zep.lqi", "zep.time", "zep.seqno",
		"zep.length", "wpan.fcs_ok", "wpan.src16", "_ws.malformed"})
	want := []string{ // of version 2 it shows the LQI only without an FCS
		"2|1|26|4660|1||Nov 23, 2026 16:00:00.500000000 UTC|77|15|1|0x0005|",
		"1||11|4660|1|9|||15|1|0x0005|",
		"2|2||||||77||||",
		"2|1|26|0|1||Jan  1, 1970 00:00:00.000000000 UTC|0|5|1||",
	}
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
