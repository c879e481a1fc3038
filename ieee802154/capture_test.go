package ieee802154_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	. "gatewayd/ieee802154"
	"gatewayd/pcap"
)

const captures = "../testdata/captures"

// A capture is a recording of the reference stack and what its sidecar tells.
type capture struct {
	psdus   [][]byte
	fcs     []uint16
	senders []rune // node that sent each frame, as its character

	shorts map[uint16]ExtAddr // of the last state of the network
	nodes  map[rune]ExtAddr
	keys   [][]byte // network keys
	keks   [][]byte
}

func loadCapture(t *testing.T, path string) capture {
	t.Helper()
	var sidecar struct {
		Secrets struct {
			NetworkKeys []string `json:"network_keys"`
			KEKs        []string `json:"keks"`
		} `json:"secrets"`
		AddrMap map[string]string `json:"addr_map"`
		Nodes   map[string]struct {
			ID      int    `json:"nodeid"`
			ExtAddr string `json:"extaddr"`
		} `json:"nodes_at_end"`
		Senders string `json:"tx_node_per_frame"`
	}
	b, err := os.ReadFile(path[:len(path)-len("pcap")] + "json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &sidecar); err != nil {
		t.Fatal(err)
	}
	c := capture{senders: []rune(sidecar.Senders), shorts: map[uint16]ExtAddr{}, nodes: map[rune]ExtAddr{}}
	for s, e := range sidecar.AddrMap {
		c.shorts[binary.BigEndian.Uint16(unhex(t, s))] = ext(t, e)
	}
	for _, n := range sidecar.Nodes {
		c.nodes[rune("0123456789abcdefghijklmnopqrstuvwxyz"[n.ID])] = ext(t, n.ExtAddr)
	}
	for _, k := range sidecar.Secrets.NetworkKeys {
		c.keys = append(c.keys, unhex(t, k))
	}
	for _, k := range sidecar.Secrets.KEKs {
		c.keks = append(c.keks, unhex(t, k))
	}

	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcap.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		c.psdus = append(c.psdus, p.PSDU)
		c.fcs = append(c.fcs, p.FCS)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ext(t *testing.T, s string) ExtAddr {
	t.Helper()
	e, err := ParseExtAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// macKey derives the MAC key of a Thread key sequence: the second half of
// HMAC-SHA256(network key, sequence || "Thread").
func macKey(networkKey []byte, seq uint32) [16]byte {
	h := hmac.New(sha256.New, networkKey)
	h.Write(binary.BigEndian.AppendUint32(nil, seq))
	h.Write([]byte("Thread"))
	return [16]byte(h.Sum(nil)[16:])
}

// candidates returns the keys that may have secured f: in these recordings no
// key sequence exceeds 127, so that an index names only one.
func (c *capture) candidates(t *testing.T, f *Frame) (keys [][16]byte) {
	switch f.Security.KeyIDMode {
	case KeyIDImplicit:
		for _, k := range c.keks {
			keys = append(keys, [16]byte(k))
		}
	case KeyIDIndex:
		for _, k := range c.keys {
			keys = append(keys, macKey(k, uint32(f.Security.KeyIndex-1)))
		}
	case KeyIDSource4: // Thread's well-known key
		keys = append(keys, [16]byte(unhex(t, "78581686fdb4580fb092546aecbd1566")))
	}
	return keys
}

// senderOf returns the extended address that went into the nonce. A device may
// have changed it, or have gone, before the sidecar was written: what it last
// sent with an extended source tells.
func (c *capture) senderOf(t *testing.T, f *Frame, i int) (ExtAddr, bool) {
	switch {
	case f.Security.KeyIDMode == KeyIDSource4:
		return ext(t, "3506feb823d48712"), true
	case f.Src.Mode == AddrExtended:
		c.nodes[c.senders[i]] = f.Src.Ext
		return f.Src.Ext, true
	}
	e, ok := c.nodes[c.senders[i]]
	if !ok && f.Src.Mode == AddrShort {
		e, ok = c.shorts[f.Src.Short]
	}
	return e, ok
}

// Every recorded frame is decoded and comes out of Append as it was; every
// secured one is opened and comes out of Seal as it was.
func TestCaptures(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(captures, "*.pcap"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	var frames, secured, opened, modes, acks int
	for _, path := range paths {
		c := loadCapture(t, path)
		name := filepath.Base(path)
		if len(c.senders) != len(c.psdus) {
			t.Fatalf("%s: %d senders of %d frames", name, len(c.senders), len(c.psdus))
		}
		for i, psdu := range c.psdus {
			frames++
			if got := FCS(psdu); got != c.fcs[i] {
				t.Errorf("%s frame %d: FCS %04x, want %04x", name, i+1, got, c.fcs[i])
			}
			f, err := Decode(psdu)
			if err != nil {
				t.Errorf("%s frame %d: %v", name, i+1, err)
				continue
			}
			if got := f.Append(nil); !bytes.Equal(got, psdu) {
				t.Errorf("%s frame %d: %x became %x", name, i+1, psdu, got)
			}
			if got := f.AppendHeader(nil); len(got) != f.HeaderLen() || !bytes.HasPrefix(psdu, got) {
				t.Errorf("%s frame %d: header %x of %d octets", name, i+1, got, f.HeaderLen())
			}
			if !f.Secured {
				c.senderOf(t, &f, i) // for what it tells of the node's address
				continue
			}
			secured++
			if c.reseal(t, f, psdu, i) {
				opened++
				modes |= 1 << f.Security.KeyIDMode
				if f.Type == FrameAck {
					acks++
				}
			} else {
				t.Errorf("%s frame %d: not opened: %v from %v, key mode %d index %d", name, i+1, f.Type, f.Src,
					f.Security.KeyIDMode, f.Security.KeyIndex)
			}
		}
	}
	t.Logf("%d frames in %d recordings; opened %d of %d secured ones, %d of these enhanced acks",
		frames, len(paths), opened, secured, acks)
	if frames < wantFrames || opened < wantOpened || acks < wantAcks {
		t.Errorf("fewer than measured before: %d frames, %d opened, %d enhanced acks", wantFrames, wantOpened, wantAcks)
	}
	if want := 1<<KeyIDImplicit | 1<<KeyIDIndex; modes&want != want {
		t.Errorf("key modes seen %03b, want %03b", modes, want)
	}
}

// What the recordings hold. None is secured with a key that is not known.
const (
	wantFrames = 2662
	wantOpened = 848
	wantAcks   = 5
)

// reseal opens f and seals it again, and reports whether a key fitted.
func (c *capture) reseal(t *testing.T, f Frame, psdu []byte, i int) bool {
	t.Helper()
	sender, ok := c.senderOf(t, &f, i)
	if !ok {
		return false
	}
	for _, key := range c.candidates(t, &f) {
		ccm := NewCCM(key)
		clear := bytes.Clone(psdu)
		g, err := Decode(clear)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Open(clear, ccm, sender); err != nil {
			if !errors.Is(err, ErrMIC) {
				t.Errorf("frame %d: %v", i+1, err)
			}
			if !bytes.Equal(clear, psdu) {
				t.Errorf("frame %d: changed although it was not opened", i+1)
			}
			continue
		}
		if got := g.Seal(ccm, sender, []byte("before"))[len("before"):]; !bytes.Equal(got, psdu) {
			t.Errorf("frame %d: %x opened and sealed is %x", i+1, psdu, got)
		}
		inPlace(t, g, psdu, ccm, sender)
		if g.Type == FrameCommand && g.Command != CommandDataRequest {
			t.Errorf("frame %d: command %d, want a data request", i+1, g.Command)
		}
		return true
	}
	return false
}

// inPlace does what a host and its radio do together: the host leaves key
// index, counter and MIC open, the radio fills them in.
func inPlace(t *testing.T, g Frame, want []byte, ccm *CCM, sender ExtAddr) {
	t.Helper()
	index, counter := g.Security.KeyIndex, g.Security.Counter
	g.Security.Counter, g.MIC = 0, nil
	if g.Security.KeyIDMode != KeyIDImplicit {
		g.Security.KeyIndex = 0
	}
	psdu := g.Append(nil)
	if err := SetSecurity(psdu, index, counter); err != nil {
		t.Fatal(err)
	}
	if err := EncryptInPlace(psdu, ccm, sender); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(psdu, want) {
		t.Errorf("in place: %x, want %x", psdu, want)
	}
}

// Version 2015 as it is on the air: an enhanced acknowledgment that we would
// send is the one that was recorded.
func TestEnhAckLikeRecorded(t *testing.T) {
	c := loadCapture(t, filepath.Join(captures, "ssed-csl.pcap"))
	n := 0
	for i := 1; i < len(c.psdus); i++ {
		rx, err := Decode(c.psdus[i-1])
		if err != nil {
			t.Fatal(err)
		}
		want, err := Decode(c.psdus[i])
		if err != nil {
			t.Fatal(err)
		}
		if want.Type != FrameAck || want.Version != Version2015 {
			continue
		}
		n++
		ack := EnhAck(&rx, want.Pending)
		ack.HeaderIEs = want.HeaderIEs
		if ack.Secured {
			ack.Security.Counter = want.Security.Counter
		}
		plain := want
		plain.MIC, plain.Encrypted = nil, false
		if !slices.Equal(ack.Append(nil), plain.Append(nil)) {
			t.Errorf("frame %d: ack %x, want %x", i+1, ack.Append(nil), plain.Append(nil))
		}
	}
	if n != 6 {
		t.Errorf("%d enhanced acknowledgments, want 6", n)
	}
}
