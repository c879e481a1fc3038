package lowpan_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/internal/capture"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
)

// replayed is a recording and what tshark makes of it.
type replayed struct {
	*capture.Capture
	tshark map[int]string // frame number to a hash of the packet
}

// loadTshark reads another implementation's results: by capture, by frame.
func loadTshark(t *testing.T) map[string]map[int]string {
	t.Helper()
	b, err := os.ReadFile("testdata/tshark.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]map[int]string)
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var name, hash string
		var frame int
		if _, err := fmt.Sscan(line, &name, &frame, &hash); err != nil {
			t.Fatal(err)
		}
		if m[name] == nil {
			m[name] = make(map[int]string)
		}
		m[name][frame] = hash
	}
	return m
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hop is one transmission's sender and receiver: a datagram that is forwarded
// is heard once for each.
type hop struct{ src, dst ieee802154.Addr }

// sent is what was heard of a datagram, a payload a frame.
type sent struct {
	payloads [][]byte
	rooms    []int
}

// tally counts frames and packets over all captures.
type tally struct {
	frames, packets, fragmented, meshed, stateful, same, tshark int
}

// Every packet that was recorded decompresses to one whose checksum is right,
// which covers the addresses, and compresses to the recorded bytes again,
// frame for frame, since OpenThread sent all of them.
func TestCaptures(t *testing.T) {
	all, err := capture.LoadAll("../testdata/captures")
	if err != nil {
		t.Fatal(err)
	}
	tshark := loadTshark(t)
	var total tally
	for _, recording := range all {
		t.Run(recording.Name, func(t *testing.T) {
			c := replayed{recording, tshark[recording.Name]}
			n := c.replay(t)
			total.frames += n.frames
			total.packets += n.packets
			total.fragmented += n.fragmented
			total.meshed += n.meshed
			total.same += n.same
			total.stateful += n.stateful
			total.tshark += n.tshark
		})
	}
	t.Logf("%d frames, %d packets: %d compressed to the same bytes; %d as tshark decompresses them; %d packets in fragments, %d frames with a mesh header, %d with a context id",
		total.frames, total.packets, total.same, total.tshark, total.fragmented, total.meshed, total.stateful)
	if total.packets < 1000 || total.fragmented < 50 || total.meshed < 100 || total.stateful == 0 || total.tshark < 1000 {
		t.Errorf("the captures hold more than that: %+v", total)
	}
}

func (c *replayed) replay(t *testing.T) (n tally) {
	reassemblers := make(map[hop]*lowpan.Reassembler)
	heard := make(map[hop]*sent)
	for i, p := range c.Packets {
		f, _, _, err := c.Open(i)
		if err != nil {
			t.Errorf("frame %d: %v", i+1, err)
			continue
		}
		if f.Type != ieee802154.FrameData || len(f.Payload) == 0 { // none: child supervision
			continue
		}
		n.frames++

		room := ieee802154.MaxPSDU - ieee802154.FCSLen - (len(p.PSDU) - len(f.Payload))
		link := lowpan.Link{Src: f.Src, Dst: f.Dst, Secure: f.Secured}
		rest := f.Payload
		if lowpan.IsMesh(rest) {
			m, after, err := lowpan.DecodeMesh(rest)
			if err != nil {
				t.Errorf("frame %d: %v", i+1, err)
				continue
			}
			if again := m.Append(nil); !bytes.Equal(again, rest[:len(rest)-len(after)]) {
				t.Errorf("frame %d: mesh header %+v became %x, was %x", i+1, m, again, rest)
			}
			link.Src, link.Dst = ieee802154.ShortAddr(m.Src), ieee802154.ShortAddr(m.Dst)
			room -= len(rest) - len(after)
			rest = after
			n.meshed++
		}

		if lowpan.IsIPHC(rest) && rest[1]&0x80 != 0 {
			n.stateful++
		}
		h := hop{f.Src, f.Dst}
		if !lowpan.IsFrag(rest) {
			packet, err := lowpan.DecompressPacket(nil, rest, link.Src, link.Dst, c.Contexts)
			if err != nil {
				t.Errorf("frame %d: %v: %x", i+1, err, rest)
				continue
			}
			c.check(t, &n, i+1, packet, link, &sent{[][]byte{rest}, []int{room}})
			continue
		}
		if reassemblers[h] == nil {
			reassemblers[h] = lowpan.NewReassembler(lowpan.ReassemblerConfig{})
		}
		if lowpan.IsFrag1(rest) {
			heard[h] = &sent{}
		}
		heard[h].payloads = append(heard[h].payloads, rest)
		heard[h].rooms = append(heard[h].rooms, room)
		packet, done, err := reassemblers[h].Add(p.Time, link, c.Contexts, rest)
		if err != nil {
			t.Errorf("frame %d: %v: %x", i+1, err, rest)
		}
		if done {
			n.fragmented++
			c.check(t, &n, i+1, packet, link, heard[h])
		}
	}
	return n
}

// check compares a packet's second journey with the first.
func (c *replayed) check(t *testing.T, n *tally, frame int, packet []byte, link lowpan.Link, want *sent) {
	n.packets++
	h, payload, err := ipv6.DecodeHeader(packet)
	if err != nil || len(payload) != len(packet)-ipv6.HeaderLen {
		t.Errorf("frame %d: %v: %x", frame, err, packet)
		return
	}
	proto, at, err := ipv6.Transport(packet)
	switch {
	case err != nil:
		t.Errorf("frame %d: %v", frame, err)
	case proto == ipv6.ProtoNoNext && at == len(packet): // a child tells its previous parent that it has moved
	case !ipv6.VerifyChecksum(h.Src, h.Dst, proto, packet[at:]):
		t.Errorf("frame %d: protocol %d, checksum is wrong: %x", frame, proto, packet)
	}

	if hash, ok := c.tshark[frame]; ok {
		if sum := sha256.Sum256(packet); hex.EncodeToString(sum[:8]) != hash {
			t.Errorf("frame %d: tshark decompresses it to another packet than %x", frame, packet)
		}
		n.tshark++
	}

	got := send(packet, link, c.Contexts, want)
	if !slices.EqualFunc(got, want.payloads, bytes.Equal) {
		t.Errorf("frame %d: %v > %v\n got %x\nwant %x", frame, h.Src, h.Dst, got, want.payloads)
		return
	}
	n.same++
}

// send makes the frames of a packet with the room each had when recorded.
func send(packet []byte, link lowpan.Link, ctx lowpan.Contexts, like *sent) (got [][]byte) {
	fragment := lowpan.IsFrag(like.payloads[0])
	var tag uint16
	if fragment {
		h, _, err := lowpan.DecodeFrag(like.payloads[0])
		if err != nil {
			return nil
		}
		tag = h.Tag
	}
	b, next, err := lowpan.AppendFirst(nil, packet, link.Src, link.Dst, ctx, like.rooms[0], tag, false)
	for i := 1; err == nil; i++ {
		got = append(got, b)
		if next == len(packet) || i == len(like.rooms) {
			break
		}
		b, next, err = lowpan.AppendNext(nil, packet, next, like.rooms[i], tag)
	}
	return got
}
