package trel

import (
	"bytes"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/thread/keys"
)

// Packets of OpenThread's POSIX host, recorded on a LAN: an advertisement for
// all, a TMF message for a neighbour of ours, and its answer to a packet.
const (
	recordedBroadcast = `00 0f 4103 00000000 42ddc02123f9561d
		41d8390341ffff1d56f92321c0dd427f3b02f04d4c4d4c2edf00150000000000000000010e7afce21ae1b6f5
		bba6223f579859e940a354d3f5814a282d`
	recordedUnicast = `05 0f 4103 00000002 42ddc02123f9561d 26e7c11a1da010ec
		69983c0341004801480d0100000001f8086bea1a27d3eafc7e4f3b85e96984c3ddd99320c56376176f5a850a345dc4e76e1f400dc3dba2`
	recordedAck = `02 0f 4103 00000000 42ddc02123f9561d 26e7c11a1da010ec`

	recordedKey = "b7976129d4aceed3a60780767e9d0a2e"
)

var (
	recordedTheirs = ieee802154.ExtAddr{0x42, 0xdd, 0xc0, 0x21, 0x23, 0xf9, 0x56, 0x1d}
	recordedOurs   = ieee802154.ExtAddr{0x26, 0xe7, 0xc1, 0x1a, 0x1d, 0xa0, 0x10, 0xec}
)

func TestRecorded(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		want       Packet // without payload
	}{
		{"broadcast", recordedBroadcast, Packet{Type: Broadcast, Channel: 15, PANID: 0x4103, Src: recordedTheirs}},
		{"unicast", recordedUnicast, Packet{Type: Unicast, AckRequest: true, Channel: 15, PANID: 0x4103, Number: 2, Src: recordedTheirs, Dst: recordedOurs}},
		{"ack", recordedAck, Packet{Type: Ack, Channel: 15, PANID: 0x4103, Src: recordedTheirs, Dst: recordedOurs}},
	} {
		wire := unhex(t, tt.wire)
		p, err := Decode(wire)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if !bytes.Equal(p.Append(nil), wire) {
			t.Errorf("%s: encoded %x", tt.name, p.Append(nil))
		}
		tt.want.Payload = p.Payload
		if !bytes.Equal(tt.want.Append(nil), wire) {
			t.Errorf("%s: %+v", tt.name, p)
		}
	}
}

// The frame in a packet has no frame check sequence, and opens with the key of
// the network for TREL.
func TestRecordedFrame(t *testing.T) {
	p, err := Decode(unhex(t, recordedUnicast))
	if err != nil {
		t.Fatal(err)
	}
	f, err := ieee802154.Decode(p.Payload)
	if err != nil {
		t.Fatal(err)
	}
	key := keys.DeriveTREL([16]byte(unhex(t, recordedKey)), 0)
	if err := f.Open(p.Payload, ieee802154.NewCCM(key), recordedTheirs); err != nil {
		t.Fatal(err)
	}
	if f.Src.Short != 0x4801 || f.Dst.Short != 0x4800 || f.Security.KeyIndex != 1 || f.Security.Counter != 1 {
		t.Errorf("%+v", f)
	}
	// A first fragment's header, though it is the only one: its tag tells copies
	// of the datagram.
	if len(f.Payload) < 4 || f.Payload[0]>>3 != 0b11000 {
		t.Errorf("payload %x", f.Payload)
	}
}
