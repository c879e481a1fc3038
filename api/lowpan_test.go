package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"gatewayd/gateway"
	"gatewayd/internal/simair"
)

// servePlain runs a gateway with a plain network until the test ends.
func servePlain(t *testing.T, change func(*gateway.Config)) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{socket: socketPath(t), events: &Events{}}
	s.Client = NewClient(s.socket)
	l, err := Listen(ctx, s.socket)
	if err != nil {
		t.Fatal(err)
	}
	cfg := gateway.Defaults()
	cfg.Radio, cfg.TUN, cfg.DataDir, cfg.Socket, cfg.Mode = "sim:1", "", t.TempDir(), s.socket, gateway.ModeLowpan
	if change != nil {
		change(&cfg)
	}
	log := slog.New(s.events.Handler(slog.LevelDebug))
	ready, ended := make(chan *gateway.Gateway, 1), make(chan error, 1)
	go func() {
		ended <- gateway.Run(ctx, cfg, gateway.Options{Log: log, Dial: simair.New(ctx).Radio(testEUI64),
			Ready: func(g *gateway.Gateway) {
				ready <- g
				if err := NewServer(g, ServerConfig{Version: "v0", Log: log, Events: s.events}).Serve(ctx, l); err != nil {
					t.Error(err)
				}
			}})
	}()
	select {
	case s.gw = <-ready:
	case err := <-ended:
		t.Fatalf("gateway: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a request as a program other than ours does.
func (s *served) ask(t *testing.T, method, path, body string) (code int, text string) {
	t.Helper()
	var in any
	if body != "" {
		in = strings.NewReader(body)
	}
	b, err := s.send(t.Context(), method, path, in)
	if err == nil {
		b.Close()
		return http.StatusOK, ""
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return e.Code, e.Text + " " + e.Hint
}

func TestLowpanEndpoints(t *testing.T) {
	s := servePlain(t, nil)
	const psk = "00112233445566778899aabbccddeeff"
	tests := []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"GET", "/status", "", 200, ""},
		{"GET", "/credentials", "", 200, ""},
		{"POST", "/credentials", `{"identity": "a", "method": "psk", "psk": "` + psk + `"}`, 200, ""},
		{"POST", "/credentials", `{"identity": "a", "method": "psk", "psk": "` + psk + `"}`, 409, "--replace"},
		{"POST", "/credentials", `{"identity": "a", "method": "psk", "psk": "` + psk + `", "replace": true}`, 200, ""},
		{"POST", "/credentials", `{"identity": "b", "method": "tls", "eui64": "18-b4-30-00-00-00-00-02", "lifetime": 60}`, 200, ""},
		{"POST", "/credentials", `{"identity": "c", "method": "md5"}`, 400, "md5"},
		{"POST", "/credentials", `{"identity": "c", "method": "psk", "psk": "beef"}`, 400, "32 hexadecimal digits"},
		{"POST", "/credentials", `{"identity": "c", "method": "psk"}`, 400, "32 hexadecimal digits"},
		{"POST", "/credentials", `{"identity": "*", "method": "psk", "psk": "` + psk + `"}`, 400, "everybody"},
		{"POST", "/credentials", `{"identity": "", "method": "tls"}`, 400, "empty"},
		{"POST", "/credentials", `{"identity": "c", "method": "tls", "psk": "` + psk + `"}`, 400, "no pre-shared key"},
		{"POST", "/credentials", `{"identity": "c", "method": "tls", "eui64": "12"}`, 400, "EUI-64"},
		{"POST", "/credentials", `{"identity": "c", "method": "tls", "lifetime": -1}`, 400, "lifetime"},
		{"POST", "/credentials", `{"identity": "c", "method": "tls", "lifetime": 1e300}`, 400, "lifetime"},
		{"POST", "/credentials", `{"who": "c"}`, 400, "who"},
		{"POST", "/credentials", `{`, 400, ""},
		{"DELETE", "/credentials/nobody", "", 404, "nobody"},
		{"DELETE", "/credentials/b", "", 200, ""},
		{"GET", "/pana/sessions", "", 200, ""},
		{"DELETE", "/pana/sessions/nobody", "", 404, "pana sessions"},
		{"DELETE", "/pana/sessions/nobody?rotate=perhaps", "", 400, "perhaps"},
		{"POST", "/pana/sessions/nobody/reauth", "", 404, "nobody"},
		{"POST", "/radius/test", `{"identity": "a"}`, 409, "lowpan.radius.servers"},
		{"POST", "/radius/test", `{"identity": "\u0000"}`, 400, "identity"},
		{"GET", "/nd", "", 200, ""},
		{"GET", "/routes", "", 200, ""},
		{"GET", "/leases", "", 409, "lowpan.dhcp"},
		{"GET", "/border", "", 409, "set infra"},
		{"POST", "/permit", `{"permit": false}`, 200, ""},
		{"POST", "/permit", `{"permit": 3}`, 400, ""},
		{"POST", "/rotate-key", `{}`, 200, ""},
		{"POST", "/rotate-key", `{}`, 409, "already"},
		{"GET", "/rotate-key", "", 405, ""},
		// What only a Thread network has.
		{"GET", "/dataset/active", "", 409, "mode"},
		{"POST", "/dataset/new", `{}`, 409, "mode"},
		{"GET", "/joiners", "", 409, "mode"},
		{"GET", "/topology", "", 409, "mode"},
	}
	for _, tt := range tests {
		code, text := s.ask(t, tt.method, tt.path, tt.body)
		if code != tt.code || !strings.Contains(text, tt.says) {
			t.Errorf("%s %s %s: %d %q, want %d, %q", tt.method, tt.path, tt.body, code, text, tt.code, tt.says)
		}
		if strings.Contains(text, psk[:8]) || strings.Contains(text, "beef") {
			t.Errorf("%s %s tells the key: %s", tt.method, tt.path, text)
		}
	}
	list, err := s.Credentials(t.Context())
	if err != nil || len(list) != 1 || list[0].Identity != "a" || list[0].Method != "psk" {
		t.Errorf("%+v %v", list, err)
	}
}

// A plain network has border routing, with its own prefix and nothing that it is
// not told.
func TestLowpanBorder(t *testing.T) {
	s := servePlain(t, func(c *gateway.Config) { c.Infra = "absent0" })
	b, err := s.Border(t.Context())
	if err != nil || len(b.Links) != 1 || b.Links[0].Name != "absent0" || b.Links[0].Up || b.Delegated != "" || b.NAT64 != "" || b.Route != "" || b.Delegation == "" {
		t.Errorf("%+v %v", b, err)
	}
}

// A Thread network has none of it.
func TestLowpanElsewhere(t *testing.T) {
	s := serve(t)
	for _, x := range []struct{ method, path, body string }{
		{"GET", "/credentials", ""}, {"POST", "/credentials", `{"identity": "b", "method": "tls"}`}, {"DELETE", "/credentials/b", ""},
		{"GET", "/pana/sessions", ""}, {"DELETE", "/pana/sessions/b", ""}, {"POST", "/pana/sessions/b/reauth", ""},
		{"POST", "/radius/test", `{"identity": "a"}`}, {"GET", "/nd", ""}, {"GET", "/routes", ""}, {"GET", "/leases", ""},
		{"POST", "/permit", `{"permit": true}`}, {"POST", "/rotate-key", `{}`},
	} {
		if code, text := s.ask(t, x.method, x.path, x.body); code != http.StatusConflict || !strings.Contains(text, "mode") {
			t.Errorf("%s %s: %d %s", x.method, x.path, code, text)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"pump-7": "pump-7", "": "", "Pumpe ü": "Pumpe ü", "x\x1b[2J": `"x\x1b[2J"`, "\xff": `"\xff"`} {
		if got := printable(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
