package ndp

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/pcap"
)

// recorded is a neighbour discovery message of a capture.
type recorded struct {
	frame int
	In
	to LinkAddr
}

// zepHeaders is what comes before the frame: Ethernet, IPv6, UDP, ZEP v2.
const zepHeaders = 14 + 40 + 8 + 32

// riotContexts is what RIOT's 6LBR announces in the captures.
var riotContexts = lowpan.Contexts{{ID: 0, Prefix: netip.MustParsePrefix("2001:db8::/64"), Compress: true}}

// readRIOT decodes the neighbour discovery messages in a capture of RIOT nodes
// on ZEP, without link-layer security: an ack, frame, or fragments at a time.
func readRIOT(t testing.TB, file string) (all []recorded) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcap.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	reassembler := lowpan.NewReassembler(lowpan.ReassemblerConfig{})
	for n := 1; ; n++ {
		p, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		psdu := p.Data[zepHeaders : len(p.Data)-ieee802154.FCSLen]
		frame, err := ieee802154.Decode(psdu)
		if err != nil || frame.Type != ieee802154.FrameData {
			continue // acknowledgments, and the recorder's greeting
		}
		var packet []byte
		if lowpan.IsFrag(frame.Payload) {
			link := lowpan.Link{Src: frame.Src, Dst: frame.Dst}
			whole, done, err := reassembler.Add(p.Time, link, riotContexts, frame.Payload)
			if errors.Is(err, lowpan.ErrOrder) {
				continue // retransmitted, after its acknowledgment was lost
			}
			if err != nil {
				t.Fatalf("%s frame %d: %v", file, n, err)
			}
			if !done {
				continue
			}
			packet = append(packet, whole...)
		} else if packet, err = lowpan.DecompressPacket(nil, frame.Payload, frame.Src, frame.Dst, riotContexts); err != nil {
			t.Fatalf("%s frame %d: %v", file, n, err)
		}
		h, payload, err := ipv6.DecodeHeader(packet)
		if err != nil || h.NextHeader != ipv6.ProtoICMPv6 || !ipv6.VerifyChecksum(h.Src, h.Dst, h.NextHeader, payload) {
			t.Fatalf("%s frame %d: %v, %x", file, n, err, packet)
		}
		m, _ := ipv6.DecodeICMP(payload)
		if !IsMessage(m.Type) {
			continue
		}
		all = append(all, recorded{frame: n, to: FromIEEE802154(frame.Dst), In: In{
			Src: h.Src, Dst: h.Dst, HopLimit: h.HopLimit, Type: m.Type, Code: m.Code,
			Body: m.Body, Link: FromIEEE802154(frame.Src),
		}})
	}
}

var (
	riotBorder = EUI64([8]byte{0: 2, 7: 1})
	riotHostA  = EUI64([8]byte{0: 2, 7: 0xa})
	riotHostB  = EUI64([8]byte{0: 2, 7: 0xb})
	riotPrefix = netip.MustParsePrefix("2001:db8::/64")
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// Every message of RIOT decodes to what is known of the nodes, passes the
// checks of a receiver, and encodes to the same bytes.
func TestRIOTMessages(t *testing.T) {
	for _, tt := range []struct {
		file string
		want map[uint8]int
	}{
		{"testdata/riot-hosts.pcap", map[uint8]int{133: 3, 134: 2, 135: 7, 136: 4}},
		{"testdata/riot-multihop.pcap", map[uint8]int{133: 3, 134: 3, 135: 4, 136: 4}},
	} {
		got := make(map[uint8]int)
		for _, r := range readRIOT(t, tt.file) {
			got[r.Type]++
			m, err := r.open()
			if err != nil {
				t.Errorf("%s frame %d: %v", tt.file, r.frame, err)
				continue
			}
			// RIOT writes its border router option with a lifetime of 0,
			// which stands for 10000 minutes; we never write 0.
			want := append([]byte(nil), r.Body...)
			if i := abroAt(want); i >= 0 && want[i+6] == 0 && want[i+7] == 0 {
				want[i+6], want[i+7] = 10000>>8, 10000&0xff
			}
			if b := m.Append(nil); string(b) != string(want) {
				t.Errorf("%s frame %d: encoded\n%x, want\n%x", tt.file, r.frame, b, want)
			}
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: messages by type %v, want %v", tt.file, got, tt.want)
		}
	}
}

// abroAt finds the border router option of an advertisement.
func abroAt(body []byte) int {
	for i := 12; len(body) > 24 && i+1 < len(body) && body[i+1] > 0; i += 8 * int(body[i+1]) {
		if body[i] == OptBorderRouter {
			return i
		}
	}
	return -1
}

func TestRIOTValues(t *testing.T) {
	msgs := readRIOT(t, "testdata/riot-hosts.pcap")
	byFrame := make(map[int]Message)
	for _, r := range msgs {
		byFrame[r.frame], _ = r.open()
	}
	for frame, want := range map[int]Message{
		2: RouterSolicit{Options: []Option{SourceLinkAddr{riotHostA}}},
		6: RouterAdvert{Lifetime: 30 * time.Minute, Options: []Option{
			SourceLinkAddr{riotBorder},
			BorderRouter{Version: 0, Lifetime: 10000 * time.Minute, Addr: addr("2001:db8::1")},
			PrefixInfo{Prefix: riotPrefix, Autonomous: true, Valid: Infinity, Preferred: Infinity},
			ContextOption{ID: 0, Prefix: riotPrefix, Compress: true, Lifetime: 6046 * time.Minute},
			RDNSS{Lifetime: 4294966296 * time.Second, Servers: []netip.Addr{addr("2620:fe::fe")}},
		}},
		9: NeighborSolicit{Target: addr("fe80::1"), Options: []Option{
			SourceLinkAddr{riotHostA},
			AddressRegistration{Lifetime: 15 * time.Minute, ROVR: ROVROf([8]byte{0: 2, 7: 0xa})},
		}},
		17: NeighborAdvert{Router: true, Solicited: true, Target: addr("fe80::1"), Options: []Option{
			AddressRegistration{Lifetime: 15 * time.Minute, ROVR: ROVROf([8]byte{0: 2, 7: 0xa})},
		}},
		28: NeighborSolicit{Target: addr("2001:db8::a"), Options: []Option{SourceLinkAddr{riotBorder}}},
		30: NeighborAdvert{Solicited: true, Target: addr("2001:db8::a")},
	} {
		if got := byFrame[frame]; !reflect.DeepEqual(got, want) {
			t.Errorf("frame %d:\n got %+v\nwant %+v", frame, got, want)
		}
	}
}
