package gateway

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatewayd/eap"
	"gatewayd/enrol"
	"gatewayd/ieee802154"
	"gatewayd/internal/simair"
	"gatewayd/pana"
	"gatewayd/radius"
)

// freeUDP is a port of the loopback that nobody has.
func freeUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// until waits for something.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s in %v", what, limit)
		}
	}
}

// A RADIUS server has a session authenticate anew and then ends it, by
// FreeRADIUS's client.
func TestDynamicAuthorization(t *testing.T) {
	client, err := exec.LookPath("radclient")
	if err != nil {
		t.Skip("SKIPPED: no radclient (package freeradius-utils)")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("testing123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const key = "000102030405060708090a0b0c0d0e0f"
	psk, err := enrol.ParsePSK(key)
	if err != nil {
		t.Fatal(err)
	}

	// The server is another gateway's.
	cfg := plainConfig(t)
	cfg.Lowpan.Serving = Serving{Listen: freeUDP(t), Clients: []string{"127.0.0.0/8"}, SecretFile: secret}
	do, _ := startPlain(t, cfg)
	do(func(l *Lowpan) {
		if err := l.List.Add(enrol.Entry{Identity: "pump", Method: eap.TypePSK, PSK: psk}, false); err != nil {
			t.Error(err)
		}
	})

	t.Setenv("PORT_OFFSET", "93")
	nas := plainConfig(t)
	nas.Radio = "sim:1"
	nas.Lowpan.RADIUS = RADIUS{Servers: []string{cfg.Lowpan.Serving.Listen}, SecretFile: secret, Identifier: "plant", Dynamic: freeUDP(t)}
	g, _ := start(t, nas, Options{})
	var renewed, ended atomic.Int32
	startDevice(t, "sim:2", key, func(e pana.Event) {
		switch e.Kind {
		case pana.SessionReauthenticated:
			renewed.Add(1)
		case pana.SessionTerminated:
			ended.Add(1)
		}
	})
	var s pana.Info
	var id, station string
	until(t, "session", 20*time.Second, func() bool {
		found := false
		err := g.DoLowpan(t.Context(), func(l *Lowpan) {
			for n, x := range l.sessions {
				if s, found = l.Node.PAA().Session(n); found {
					id, station = x.id, l.station(s)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return found && s.State == pana.Open
	})

	order := func(kind, secret, attributes string) string {
		t.Helper()
		cmd := exec.Command(client, "-x", "-t", "2", "-r", "1", nas.Lowpan.RADIUS.Dynamic, kind, secret)
		cmd.Stdin = strings.NewReader(attributes)
		out, _ := cmd.CombinedOutput() // it fails with every NAK
		return string(out)
	}
	for _, tt := range []struct{ kind, secret, attributes, want string }{
		{"disconnect", "testing123", `User-Name = "lamp"`, "Session-Context-Not-Found"},
		{"disconnect", "testing123", `Acct-Session-Id = "1-2"`, "Session-Context-Not-Found"},
		{"disconnect", "testing123", `User-Name = "pump", Calling-Station-Id = "02-00-00-00-00-00-00-09"`, "Session-Context-Not-Found"},
		{"disconnect", "testing123", `User-Name = "pump", Class = 0x01`, "Session-Context-Not-Found"},
		{"disconnect", "testing123", `User-Name = "pump", NAS-Identifier = "other"`, "NAS-Identification-Mismatch"},
		{"disconnect", "wrong", `User-Name = "pump"`, "No reply"},
		{"coa", "testing123", `User-Name = "pump", Session-Timeout = 60`, "Unsupported-Attribute"},
		{"coa", "testing123", `User-Name = "pump", Calling-Station-Id = "` + station + `"`, "CoA-ACK"},
	} {
		if out := order(tt.kind, tt.secret, tt.attributes); !strings.Contains(out, tt.want) {
			t.Errorf("%s %s: %s, want %s", tt.kind, tt.attributes, out, tt.want)
		}
	}
	until(t, "new authentication", 10*time.Second, func() bool { return renewed.Load() == 1 })
	if ended.Load() != 0 {
		t.Error("the session ended")
	}
	if out := order("disconnect", "testing123", `User-Name = "pump", Acct-Session-Id = "`+id+`", NAS-Identifier = "plant"`); !strings.Contains(out, "Disconnect-ACK") {
		t.Error(out)
	}
	until(t, "end of the session", 10*time.Second, func() bool { return ended.Load() == 1 })
}

// What an order names, a session has all of.
func TestOrderMeans(t *testing.T) {
	cfg := plainConfig(t)
	g, _ := start(t, cfg, Options{Dial: simair.New(t.Context()).Radio(testEUI64)})
	eui := ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, 9}
	err := g.DoLowpan(t.Context(), func(l *Lowpan) {
		s := pana.Info{ID: 7, PaC: netip.MustParseAddrPort("[fe80::9]:716"), Identity: "pump"}
		own := l.Node.Network().Prefix.Addr().As16()
		own[15] = 9
		for _, tt := range []struct {
			name string
			o    radius.Order
			want bool
		}{
			{"user", radius.Order{UserName: "pump"}, true},
			{"another user", radius.Order{UserName: "lamp"}, false},
			{"all", radius.Order{UserName: "pump", SessionID: "a-7", CallingStation: enrol.Station(eui), Class: []byte("gold"), Address: netip.AddrFrom16(own)}, true},
			{"another session", radius.Order{UserName: "pump", SessionID: "a-8"}, false},
			{"another class", radius.Order{UserName: "pump", Class: []byte("lead")}, false},
			{"no class", radius.Order{UserName: "pump", Class: []byte{}}, false},
			{"address elsewhere", radius.Order{Address: netip.MustParseAddr("2001:db8::9")}, false},
			{"IPv4", radius.Order{Address: netip.MustParseAddr("192.0.2.9")}, false},
		} {
			l.sessions = map[uint32]*granted{7: {id: "a-7", userName: "pump", class: [][]byte{[]byte("tin"), []byte("gold")}}}
			if got := l.means(&tt.o, s); got != tt.want {
				t.Errorf("%s: %v", tt.name, got)
			}
			l.sessions = map[uint32]*granted{}
			if l.means(&tt.o, s) {
				t.Errorf("%s: means one that no server has let in", tt.name)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
