package radius_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"gatewayd/internal/wireshark"
	"gatewayd/radius"
)

// wiretap notes datagrams to and from a server.
type wiretap struct {
	mu      sync.Mutex
	packets [][]byte
}

func (w *wiretap) add(t testing.TB, from, to netip.AddrPort, b []byte) {
	if _, timed := t.(*testing.B); timed || !from.Addr().Is4() || !to.Addr().Is4() {
		return
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	u := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	u.SetNetworkLayerForChecksum(ip)
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, u, gopacket.Payload(b)); err != nil {
		t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packets = append(w.packets, bytes.Clone(buf.Bytes()))
}

// expertError is the severity from which Wireshark calls a packet wrong.
const expertError = 0x800000

// dissect has tshark read the packets of some servers. All must be RADIUS, and
// EAP where they are about access; every answer must be authentic; and nothing
// malformed.
func (w *wiretap) dissect(t *testing.T, servers ...netip.AddrPort) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var packets []wireshark.Packet
	for i, p := range w.packets {
		packets = append(packets, wireshark.Packet{At: time.Unix(int64(i), 0), Bytes: p})
	}
	options := []string{"-n", "-o", "radius.shared_secret:" + testSecret, "-o", "radius.validate_authenticator:TRUE"}
	for _, s := range servers {
		options = append(options, "-d", fmt.Sprintf("udp.port==%d,radius", s.Port()))
	}
	lines := wireshark.Fields(t, packets, []string{"radius.code", "eap.code", "radius.authenticator.valid", "radius.invalid_length",
		"_ws.malformed", "_ws.expert.severity", "_ws.expert.message"}, options...)
	if len(lines) != len(w.packets) || len(lines) < 2 {
		t.Fatalf("tshark shows %d of %d packets", len(lines), len(w.packets))
	}
	for i, line := range lines {
		field := strings.Split(line, "|")
		code, _ := strconv.Atoi(field[0])
		about, answer := false, true
		switch radius.Code(code) {
		case radius.AccessRequest:
			about, answer = true, false
		case radius.AccessAccept, radius.AccessReject, radius.AccessChallenge:
			about = true
		case radius.AccountingRequest, radius.StatusServer, radius.DisconnectRequest, radius.CoARequest:
			answer = false
		case 0:
			t.Errorf("packet %d is not RADIUS for Wireshark: %q", i+1, line)
		}
		wrong := field[3] != "" || field[4] != "" || about && field[1] == "" || answer && field[2] != "1" && field[2] != "True"
		for _, s := range strings.Split(field[5], ",") {
			n, _ := strconv.ParseInt(s, 0, 64)
			wrong = wrong || n >= expertError
		}
		if wrong {
			t.Errorf("Wireshark objects to packet %d: %q", i+1, line)
		}
	}
}
