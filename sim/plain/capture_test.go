package plain

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/internal/wireshark"
	"gatewayd/pana"
	"gatewayd/pcap"
	"gatewayd/radio/medium"
	"gatewayd/wpan"
)

// Wireshark, which has the keys, finds nothing malformed in what a network
// says, and finds in it what ought to be there.
func TestCapture(t *testing.T) {
	wireshark.Program(t)
	name := filepath.Join(t.TempDir(), "lowpan.pcapng")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pcap.NewWriter(f, pcap.Options{Application: "sim/plain"})
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, 40, nil)
	frames := 0
	l.Tap(func(s medium.Sighting) {
		frames++
		n := len(s.PSDU) - ieee802154.FCSLen
		p := pcap.Packet{Time: s.At, Channel: s.Channel, PSDU: s.PSDU[:n], HasFCS: true, FCS: uint16(s.PSDU[n]) | uint16(s.PSDU[n+1])<<8}
		if err := out.Write(&p); err != nil {
			t.Fatal(err)
		}
	})
	far := l.device("far", wpan.Router, l.key, nil)
	r := l.device("router", wpan.Router, l.key, nil)
	h := l.device("host", wpan.Host, l.key, nil)
	l.Link(l.root.Station, r.Station, 0)
	l.Link(r.Station, h.Station, 0)
	l.Link(r.Station, far.Station, 0)
	serveDHCP(t, l)
	l.await("all are in the network", 3*time.Minute, func() bool { return l.reaches(r) && l.reaches(far) && l.reaches(h) })
	l.Run(30 * time.Second)
	keys := []string{macKey(l)}
	l.ping(l.root, h, 16, 10)
	l.ping(h, l.root, 600, 10)
	l.ping(l.root, far, 16, 10)
	solicit(l, h)
	l.rotate()
	l.Run(time.Minute)
	keys = append(keys, macKey(l))
	l.ping(l.root, h, 16, 10)
	l.root.Do(func() { l.root.PAA().ReauthenticateAll() })
	l.Run(10 * time.Second)
	h.Do(h.Leave)
	l.Run(10 * time.Second)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	options := []string{"-o", "6lowpan.context0:fd00:1::/64"}
	for i, k := range keys {
		options = append(options, "-o", fmt.Sprintf(`uat:ieee802154_keys:"%s","%d","No hash"`, k, i+1))
	}
	// One pass, all frames with their protocols and what is asked below.
	fields := []string{"frame.number", "frame.protocols", "_ws.malformed", "_ws.expert.severity", "wpan.security", "icmpv6.type",
		"icmpv6.code", "pana.type", "eap.type", "dhcpv6.msgtype", "ipv6.routing.type", "6lowpan.frag.offset", "wpan.aux_sec.key_index", "_ws.expert.message"}
	seen := map[string]int{}
	for _, line := range wireshark.Read(t, name, fields, options...) {
		v := strings.Split(line, "|")
		for i, x := range v {
			for y := range strings.SplitSeq(x, ",") {
				seen[fields[i]+"="+y]++
			}
		}
		protocols := v[1]
		for p := range strings.SplitSeq(protocols, ":") {
			seen[p]++
		}
		// 8388608 is an error: bad checksums, cut messages.
		if v[2] != "" || strings.Contains(v[3], "8388608") {
			t.Errorf("frame %s is malformed: %s %s", v[0], protocols, v[13])
		}
		if v[4] == "1" && !strings.Contains(protocols, "6lowpan") {
			t.Errorf("frame %s was not decrypted: %s", v[0], protocols)
		}
	}
	for _, want := range []string{
		"6lowpan", "pana", "eap", "dhcpv6", "icmpv6",
		"pana.type=1", "pana.type=2", "pana.type=3", "pana.type=4", "pana.type=5", "eap.type=47",
		"icmpv6.type=133", "icmpv6.type=134", "icmpv6.type=135", "icmpv6.type=136", "icmpv6.type=157", "icmpv6.type=158",
		"icmpv6.type=155", "icmpv6.type=128", "icmpv6.type=129", "ipv6.routing.type=3",
		"dhcpv6.msgtype=12", "dhcpv6.msgtype=13", "dhcpv6.msgtype=1", "dhcpv6.msgtype=7",
		"wpan.aux_sec.key_index=0x01", "wpan.aux_sec.key_index=0x02",
	} {
		if seen[want] == 0 {
			t.Errorf("nothing is %s", want)
		}
	}
	t.Logf("%d frames", frames)
}

// macKey is the key in use, as the frames are encrypted by it.
func macKey(l *lab) string {
	_, mac := pana.ZigBeeKeys(l.root.Network().Key.Value)
	return hex.EncodeToString(mac[:])
}
