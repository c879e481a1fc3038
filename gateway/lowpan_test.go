package gateway

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"gatewayd/eap"
	"gatewayd/enrol"
	"gatewayd/internal/simair"
	"gatewayd/store"
	"gatewayd/wpan"
)

func plainConfig(t *testing.T) Config {
	c := testConfig(t)
	c.Mode = ModeLowpan
	return c
}

// startPlain runs a gateway with a plain network; do runs a function in it.
func startPlain(t *testing.T, cfg Config) (do func(func(*Lowpan)), stop func()) {
	t.Helper()
	g, stop := start(t, cfg, Options{Dial: simair.New(t.Context()).Radio(testEUI64)})
	return func(f func(*Lowpan)) {
		t.Helper()
		if err := g.DoLowpan(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}, stop
}

// A network is the same one after a restart, and what was decided holds.
func TestLowpanRestart(t *testing.T) {
	cfg := plainConfig(t)
	cfg.Lowpan.DHCP = true
	do, stop := startPlain(t, cfg)
	var nw wpan.Network
	key, err := enrol.ParsePSK("000102030405060708090a0b0c0d0e0f")
	if err != nil {
		t.Fatal(err)
	}
	do(func(l *Lowpan) {
		nw = l.Node.Network()
		if err := l.Permit(false); err != nil {
			t.Error(err)
		}
		if err := l.List.Add(enrol.Entry{Identity: "pump", Method: eap.TypePSK, PSK: key}, false); err != nil {
			t.Error(err)
		}
		if err := l.SaveList(); err != nil {
			t.Error(err)
		}
		m, err := dhcpv6.NewMessage()
		if err != nil {
			t.Fatal(err)
		}
		m.MessageType = dhcpv6.MessageTypeSolicit
		m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: 27, LinkLayerAddr: []byte{1, 2, 3, 4, 5, 6, 7, 8}}))
		m.AddOption(&dhcpv6.OptIANA{IaId: [4]byte{1}})
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		if reply, _ := l.Leases.Receive(netip.MustParseAddrPort("[fe80::302:304:506:708]:546"), m.ToBytes(), false); reply == nil {
			t.Error("no lease")
		}
	})
	counters := func() []string {
		files, err := filepath.Glob(filepath.Join(cfg.DataDir, "lowpan-counter.*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	for end := time.Now().Add(20 * time.Second); len(counters()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is sent")
		}
	}
	stop()
	do, stop = startPlain(t, cfg)
	do(func(l *Lowpan) {
		if got := l.Node.Network(); got != nw {
			t.Errorf("%+v became %+v", nw, got)
		}
		if l.Node.Permitted() {
			t.Error("new devices may join")
		}
		if k, ok := l.List.Key("pump"); !ok || k != key {
			t.Error("the credential is lost")
		}
		if n := len(l.Leases.Leases()); n != 1 {
			t.Errorf("%d leases", n)
		}
	})
	stop()

	// Counters that cannot be read: another key.
	for _, f := range counters() {
		if err := os.WriteFile(f, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do, stop = startPlain(t, cfg)
	do(func(l *Lowpan) {
		if got := l.Node.Network(); got.Key == nw.Key || got.Key.Index != 2 || got.PANID != nw.PANID || got.Prefix != nw.Prefix {
			t.Errorf("%+v became %+v", nw, got)
		}
	})
	stop()
	// No file is for others to read.
	files, err := filepath.Glob(filepath.Join(cfg.DataDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", f, st.Mode(), err)
		}
	}
}

// The key is changed when its time is over, whenever the gateway runs.
func TestRotationOverRestarts(t *testing.T) {
	cfg := plainConfig(t)
	cfg.Lowpan.KeyRotation = Duration(time.Hour)
	keys := func(wait time.Duration) (in, next uint8) {
		do, stop := startPlain(t, cfg)
		defer stop()
		for end := time.Now().Add(wait); next == 0; time.Sleep(10 * time.Millisecond) {
			do(func(l *Lowpan) { in, next = l.Node.Network().Key.Index, l.Node.Network().Other.Index })
			if time.Now().After(end) {
				break
			}
		}
		return in, next
	}
	if in, next := keys(200 * time.Millisecond); in != 1 || next != 0 {
		t.Errorf("at first: %d, %d", in, next)
	}
	s, err := store.Open(cfg.DataDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(time.Now().Add(-2 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save(storeRotated, b); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if in, next := keys(20 * time.Second); in != 1 || next != 2 {
		t.Errorf("two hours later: %d, %d", in, next)
	}
}

func TestAuthority(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	list := enrol.NewList()
	k1, _ := enrol.ParsePSK(strings.Repeat("11", 16))
	k2, _ := enrol.ParsePSK(strings.Repeat("22", 16))
	add := func(e enrol.Entry, replace bool) {
		t.Helper()
		if err := list.Add(e, replace); err != nil {
			t.Fatal(err)
		}
	}
	eui := testEUI64
	add(enrol.Entry{Identity: "pump", Method: eap.TypePSK, PSK: k1, Until: now.Add(time.Hour)}, false)
	add(enrol.Entry{Identity: "lamp", Method: eap.TypePSK, PSK: k1, EUI64: &eui}, false)
	clock := now
	a, err := newAuthority(EAP{}, "gw", list, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	first := a.key("pump")
	if first == nil || a.key("pump") != first || a.key("nobody") != nil {
		t.Error("keys are not kept, or made up")
	}
	add(enrol.Entry{Identity: "pump", Method: eap.TypePSK, PSK: k2, Until: now.Add(time.Hour)}, true)
	if a.key("pump") == first {
		t.Error("the key before is used")
	}
	port := eap.Port{CallingStation: enrol.Station(eui)}
	if err := a.mayUseKey("pump", port); err != nil {
		t.Error(err)
	}
	if err := a.mayUseKey("lamp", eap.Port{CallingStation: "02-00-00-00-00-00-00-09"}); err == nil {
		t.Error("another device uses the lamp's credential")
	}
	clock = now.Add(2 * time.Hour)
	if err := a.mayUseKey("pump", port); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("%v", err)
	}
	if _, err := list.Remove("pump"); err != nil {
		t.Fatal(err)
	}
	if a.key("pump") != nil {
		t.Error("who was removed gets in")
	}
	for _, who := range []string{"lamp", "nobody"} {
		if n := len(a.methods(who, port)); n != 1 {
			t.Errorf("%s is offered %d methods", who, n)
		}
	}
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.pem")
	if err := os.WriteFile(bad, []byte("-----BEGIN NOTHING-----\n-----END NOTHING-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]EAP{
		"absent": {Certificate: "/nowhere/x", Key: "/nowhere/y", CA: "/nowhere/z"},
		"empty":  {Certificate: bad, Key: bad, CA: bad},
	} {
		if _, err := newAuthority(cfg, "gw", list, time.Now); err == nil || !strings.Contains(err.Error(), "gateway: lowpan.eap") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readSecret(filepath.Join(dir, "none")); err == nil {
		t.Error("a secret of no file")
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSecret(empty); err == nil {
		t.Error("an empty secret")
	}
}
