package wpan

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

func TestRelayForward(t *testing.T) {
	want, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(`
		0c 00
		fd000001000000000000000000000001
		fe800000000000000000000000000002
		0009 0004 01aabbcc`))
	if err != nil {
		t.Fatal(err)
	}
	got := appendRelayForward(nil, global(own), linkLocal(peer), []byte{1, 0xaa, 0xbb, 0xcc})
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestRelayReply(t *testing.T) {
	m := dhcpv6.RelayMessage{MessageType: dhcpv6.MessageTypeRelayReply, LinkAddr: global(own).AsSlice(), PeerAddr: linkLocal(peer).AsSlice()}
	inner := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply}
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionInterfaceID, OptionData: []byte("x")})
	m.AddOption(dhcpv6.OptRelayMessage(inner))
	b := m.ToBytes()
	to, got, ok := relayed(b)
	if !ok || to != linkLocal(peer) || !bytes.Equal(got, inner.ToBytes()) {
		t.Errorf("%v %x %v", to, got, ok)
	}
	for n := range b {
		if _, _, ok := relayed(b[:n]); ok {
			t.Errorf("%d of %d bytes make sense", n, len(b))
		}
	}
}

// What is relayed is part of the message.
func FuzzRelayed(f *testing.F) {
	f.Add(append(appendRelayForward(nil, global(own), linkLocal(peer), []byte{7, 1, 2, 3}), 0))
	f.Add([]byte{13, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		peer, b, ok := relayed(in)
		if ok && (len(b) == 0 || !bytes.Contains(in, b) || !peer.Is6()) {
			t.Errorf("%v %x", peer, b)
		}
	})
}
