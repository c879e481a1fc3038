package enrol

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatewayd/eap"
	"gatewayd/ieee802154"
)

const secret = "00112233445566778899aabbccddeeff"

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func psk(t *testing.T) PSK {
	t.Helper()
	p, err := ParsePSK(secret)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePSK(t *testing.T) {
	for _, s := range []string{secret, "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff", strings.ToUpper(secret) + "\n"} {
		p, err := ParsePSK(s)
		if err != nil || fmt.Sprintf("%x", p.Reveal()) != secret {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", secret[2:], secret + "00", "zz" + secret[2:], strings.Repeat("0", 32)} {
		if _, err := ParsePSK(s); err == nil {
			t.Errorf("%q is a key", s)
		} else if s != "" && strings.Contains(err.Error(), s) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

// Nothing that prints a key tells it.
func TestPSKRedacted(t *testing.T) {
	p := psk(t)
	e := Entry{Identity: "a", Method: eap.TypePSK, PSK: p}
	for _, s := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", p)} {
		if strings.Contains(s, "1122") || strings.Contains(s, "0x11") || strings.Contains(s, "17 34") {
			t.Errorf("told: %s", s)
		}
	}
}

func TestList(t *testing.T) {
	l := NewList()
	device := ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 1}
	if err := l.Add(Entry{Identity: "lamp", Method: eap.TypePSK, PSK: psk(t), EUI64: &device, Added: now}, false); err != nil {
		t.Fatal(err)
	}
	if err := l.Add(Entry{Identity: "lamp", Method: eap.TypePSK, PSK: psk(t)}, false); !errors.Is(err, ErrExists) {
		t.Errorf("twice: %v", err)
	}
	if p, err := l.PSK("lamp", "02-00-00-00-00-00-00-01", now); err != nil || p != psk(t) {
		t.Errorf("the device itself: %v", err)
	}
	if _, err := l.PSK("lamp", "02-00-00-00-00-00-00-02", now); err == nil {
		t.Error("another device used the lamp's key")
	}
	if _, err := l.PSK("lamb", "02-00-00-00-00-00-00-01", now); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown identity: %v", err)
	}
	if err := l.Add(Entry{Identity: "meter.example", Method: eap.TypeTLS, Until: now.Add(time.Hour)}, false); err != nil {
		t.Fatal(err)
	}
	if id, err := l.Certificate([]string{"x", "meter.example"}, "", now); err != nil || id != "meter.example" {
		t.Errorf("%q %v", id, err)
	}
	if _, err := l.Certificate([]string{"meter.example"}, "", now.Add(2*time.Hour)); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("after its end: %v", err)
	}
	if _, err := l.Certificate([]string{"x"}, "", now); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown subject: %v", err)
	}
	if err := l.Add(Entry{Identity: Anybody, Method: eap.TypeTLS}, false); err != nil {
		t.Fatal(err)
	}
	if id, err := l.Certificate([]string{"x"}, "", now); err != nil || id != "x" {
		t.Errorf("anybody: %q %v", id, err)
	}
	l.Tried("lamp", eap.TypePSK, Attempt{At: now, Device: "d", Reason: "wrong key"})
	l.Tried("nobody", eap.TypePSK, Attempt{At: now})
	if l.Len() != 3 {
		t.Errorf("%d entries", l.Len())
	}

	b, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Entries(), l.Entries()) {
		t.Errorf("stored and read:\n%+v\n%+v", again.Entries(), l.Entries())
	}
	if n, err := l.Remove("lamp"); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if _, err := l.Remove("lamp"); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for _, e := range []Entry{
		{Method: eap.TypePSK, PSK: psk(t)},
		{Identity: "a\x00b", Method: eap.TypePSK, PSK: psk(t)},
		{Identity: "\xff", Method: eap.TypePSK, PSK: psk(t)},
		{Identity: strings.Repeat("x", 254), Method: eap.TypePSK, PSK: psk(t)},
		{Identity: "a", Method: eap.TypePSK},
		{Identity: Anybody, Method: eap.TypePSK, PSK: psk(t)},
		{Identity: "a", Method: eap.TypeTLS, PSK: psk(t)},
		{Identity: "a", Method: eap.TypeIdentity},
	} {
		if err := NewList().Add(e, false); err == nil {
			t.Errorf("accepted %+v", e)
		}
	}
	for _, b := range []string{"", "{}", `[{"identity":"a","method":47,"psk":"00"}]`, `[{"identity":"a","method":13,"eui64":"x"}]`} {
		if _, err := Unmarshal([]byte(b)); err == nil {
			t.Errorf("read %s", b)
		}
	}
}
