package radius

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"gatewayd/eap"
)

// recorded is a datagram of a recording.
type recorded struct {
	From, To netip.AddrPort
	Data     []byte
}

// captured reads testdata/hostapd.pcap: eapol_test authenticating to hostapd
// 2.10, secret "testing123".
func captured(t testing.TB) (out []recorded) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "hostapd.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(data, r.LinkType(), gopacket.Default)
		udp, ok := p.TransportLayer().(*layers.UDP)
		if !ok {
			t.Fatalf("packet %d is not UDP: %v", len(out), p)
		}
		src, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Src().Raw())
		dst, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Dst().Raw())
		out = append(out, recorded{netip.AddrPortFrom(src, uint16(udp.SrcPort)), netip.AddrPortFrom(dst, uint16(udp.DstPort)), udp.Payload})
	}
}

// Every packet of the recording decodes, encodes to the same octets, carries
// an EAP packet of the kind that its code calls for, and verifies; every
// Accept gives an MSK; State comes back as it went out.
func TestCapture(t *testing.T) {
	secret := Secret("testing123")
	type id struct {
		client netip.AddrPort
		id     uint8
	}
	requests := map[id]Packet{}
	states := map[netip.AddrPort]string{}
	seen := map[Code]int{}
	methods := map[eap.Type]bool{}
	for i, d := range captured(t) {
		p, err := Decode(d.Data)
		if err != nil {
			t.Fatalf("packet %d: %v", i+1, err)
		}
		if diff := cmp.Diff(d.Data, p.Append(nil)); diff != "" {
			t.Errorf("packet %d changes when it is encoded (-want +got):\n%s", i+1, diff)
		}
		seen[p.Code]++
		packet, ok := p.Attributes.EAP()
		in, err := eap.Decode(packet)
		if !ok || err != nil || in.Len() != len(packet) {
			t.Fatalf("packet %d: EAP %x: %v", i+1, packet, err)
		}
		want := map[Code]eap.Code{AccessRequest: eap.CodeResponse, AccessChallenge: eap.CodeRequest, AccessAccept: eap.CodeSuccess}[p.Code]
		if in.Code != want {
			t.Errorf("packet %d: EAP %v in %v", i+1, in.Code, p.Code)
		}
		if in.Type > 3 {
			methods[in.Type] = true
		}
		if p.Code == AccessRequest {
			requests[id{d.From, p.ID}] = p
			if err := VerifyRequest(d.Data, secret); err != nil {
				t.Errorf("packet %d: %v", i+1, err)
			}
			if got := p.Attributes.Text(State); got != states[d.From] {
				t.Errorf("packet %d: State %x, want %x", i+1, got, states[d.From])
			}
			continue
		}
		request := requests[id{d.To, p.ID}]
		if err := VerifyResponse(d.Data, secret, request.Authenticator); err != nil {
			t.Errorf("packet %d: %v", i+1, err)
		}
		states[d.To] = p.Attributes.Text(State)
		if msk, ok, err := p.Attributes.MSK(secret, request.Authenticator); ok != (p.Code == AccessAccept) || err != nil || ok && len(msk) != 64 {
			t.Errorf("packet %d: %v with MSK %x, %v", i+1, p.Code, msk, err)
		}
	}
	if got, want := fmt.Sprint(seen), "map[Access-Request:34 Access-Accept:8 Access-Challenge:26]"; got != want {
		t.Errorf("recording has %s, want %s", got, want)
	}
	if !methods[eap.TypePSK] || !methods[eap.TypeTLS] {
		t.Errorf("recording has methods %v", methods)
	}
}
