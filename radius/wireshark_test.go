package radius_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

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
	bin := program(t, "tshark", "tshark")
	w.mu.Lock()
	defer w.mu.Unlock()
	name := filepath.Join(t.TempDir(), "radius.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pw := pcapgo.NewWriter(f)
	if err := pw.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for i, p := range w.packets {
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(p), Length: len(p)}
		if err := pw.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bin, "-n", "-r", name, "-o", "radius.shared_secret:"+testSecret, "-o", "radius.validate_authenticator:TRUE",
		"-T", "fields", "-e", "radius.code", "-e", "eap.code", "-e", "radius.authenticator.valid", "-e", "radius.invalid_length",
		"-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "_ws.expert.message")
	for _, s := range servers {
		cmd.Args = append(cmd.Args, "-d", fmt.Sprintf("udp.port==%d,radius", s.Port()))
	}
	var why bytes.Buffer
	cmd.Stderr = &why
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, &why)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(w.packets) || len(lines) < 2 {
		t.Fatalf("tshark shows %d of %d packets", len(lines), len(w.packets))
	}
	for i, line := range lines {
		field := strings.Split(line, "\t")
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
