package ndp

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/wireshark"
)

// Wireshark finds nothing malformed in what the machines say to each other,
// nor in any message and option of the vectors.
func TestWireshark(t *testing.T) {
	l, b, _, _ := mesh(t, RouterConfig{})
	l.hearing("h10", 10, "r1")
	l.hearing("h11", 11, "r2")
	x := addr("2001:db8::100")
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), x)
	l.ask("h11", eui(0x52), extended(11, 240, 10*time.Minute), x)
	l.ask("h10", eui(0x51), registering(10, 10*time.Minute), addr("2001:db8::101"))
	b.Receive(dar(Duplicate{Extended: true, TID: 3, Lifetime: time.Hour, ROVR: countingROVR(32), Addr: addr("2001:db8::102")}))
	b.Remove(x)
	l.advertiser(AdvertiserConfig{}).Set(lanRA)
	l.run(time.Minute)
	packets := l.packets

	src, dst := addr("fe80::1"), addr("fe80::2")
	for _, tt := range messageVectors {
		m, err := Decode(tt.typ, tt.code, unhex(t, tt.wire))
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, outgoing(src, dst, 255, LinkAddr{}, m).AppendPacket(nil))
	}
	for _, tt := range optionVectors {
		// What a receiver has to ignore, Wireshark may well call malformed; the
		// redirected packet of the vector is cut short.
		// An EARO of more than 64 bits is newer than it.
		switch o := tt.want.(type) {
		case RawOption, RedirectedHeader:
			continue
		case AddressRegistration:
			if o.ROVR.Len() > 8 {
				continue
			}
		}
		m := RouterAdvert{Lifetime: time.Hour, Options: []Option{tt.want}}
		packets = append(packets, outgoing(src, dst, 255, LinkAddr{}, m).AppendPacket(nil))
	}

	var all []wireshark.Packet
	for i, p := range packets {
		all = append(all, wireshark.Packet{At: time.Unix(int64(i), 0), Bytes: p})
	}
	lines := wireshark.Fields(t, all, []string{"icmpv6.type", "icmpv6.checksum.status", "_ws.malformed", "_ws.short", "_ws.expert.severity"})
	const (
		checksumGood  = "1"
		severityWarn  = 0x00600000
		severityError = 0x00800000
	)
	if len(lines) != len(packets) {
		t.Fatalf("%d lines for %d packets", len(lines), len(packets))
	}
	for i, line := range lines {
		f := strings.Split(line, "|")
		severity, _ := strconv.Atoi(f[4])
		if f[0] != strconv.Itoa(int(packets[i][40])) || f[1] != checksumGood || f[2] != "" || f[3] != "" ||
			severity == severityWarn || severity == severityError {
			t.Errorf("frame %d: type|checksum|malformed|short|severity %s\n%x", i+1, line, packets[i])
		}
	}
	for _, typ := range []uint8{TypeRouterSolicit, TypeRouterAdvert, TypeNeighborSolicit, TypeNeighborAdvert,
		TypeRedirect, TypeDuplicateRequest, TypeDuplicateConfirm} {
		if !slices.ContainsFunc(packets, func(p []byte) bool { return p[40] == typ }) {
			t.Errorf("no message of type %d", typ)
		}
	}
}
