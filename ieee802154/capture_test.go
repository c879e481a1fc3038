package ieee802154_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	. "gatewayd/ieee802154"
	"gatewayd/internal/capture"
)

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

// Every recorded frame is decoded and comes out of Append as it was; every
// secured one is opened and comes out of Seal as it was.
func TestCaptures(t *testing.T) {
	all, err := capture.LoadAll("../testdata/captures")
	if err != nil {
		t.Fatal(err)
	}
	var frames, secured, opened, modes, acks int
	for _, c := range all {
		name := c.Name
		for i, p := range c.Packets {
			psdu := p.PSDU
			frames++
			if got := FCS(psdu); got != p.FCS {
				t.Errorf("%s frame %d: FCS %04x, want %04x", name, i+1, got, p.FCS)
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
				continue
			}
			secured++
			if reseal(t, c, f, i) {
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
		frames, len(all), opened, secured, acks)
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
func reseal(t *testing.T, c *capture.Capture, f Frame, i int) bool {
	t.Helper()
	psdu := c.Packets[i].PSDU
	keys, sender := c.Keys(i, &f)
	for _, key := range keys {
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
	c, err := capture.Load("../testdata/captures/ssed-csl.pcap")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := 1; i < len(c.Packets); i++ {
		rx, err := Decode(c.Packets[i-1].PSDU)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Decode(c.Packets[i].PSDU)
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
