package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatewayd/gateway"
	"gatewayd/ieee802154"
	"gatewayd/internal/simair"
	"gatewayd/thread/meshcop"
)

var testEUI64 = ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, 0, 0, 0, 1}

// served is a gateway on a simulated radio, with its API on a socket.
type served struct {
	*Client
	gw     *gateway.Gateway
	socket string
	events *Events
}

// serve runs a gateway until the test ends.
func serve(t *testing.T) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{socket: socketPath(t), events: &Events{}}
	s.Client = NewClient(s.socket)
	l, err := Listen(ctx, s.socket)
	if err != nil {
		t.Fatal(err)
	}
	cfg := gateway.Defaults()
	cfg.Radio, cfg.TUN, cfg.DataDir, cfg.Socket = "sim:1", "", t.TempDir(), s.socket
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
		if _, err := os.Lstat(s.socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
	return s
}

// socketPath is short enough for a socket, wherever the test runs.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "sock")
}

// wait polls the status until ok says so.
func (s *served) wait(t *testing.T, what string, ok func(*Status) bool) Status {
	t.Helper()
	var st Status
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if st, err = s.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ok(&st) {
			return st
		}
	}
	b, _ := json.Marshal(st)
	t.Fatalf("waiting for %s: %s", what, b)
	return st
}

// code is an error's HTTP status, 0 for none.
func code(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := serve(t)
	st := s.wait(t, "the radio", func(st *Status) bool { return st.Radio.State == "ready" })
	if st.Version != "v0" || st.Role != "disabled" || st.Network != nil || st.RLOC16 != "" || st.Interface != "" {
		t.Errorf("status %+v", st)
	}
	r := st.Radio
	if r.URL != "sim:1" || r.EUI64 != testEUI64.String() || r.Version != "OPENTHREAD/simair; POSIX" || r.Spinel != "4.3" ||
		r.Problem != "" || len(r.Channels) != 16 || len(r.Capabilities) == 0 {
		t.Errorf("radio %+v", r)
	}
	if st.Counters["radio"]["frames_in"] == 0 || st.Counters["line"]["frames"] == 0 {
		t.Errorf("counters %v", st.Counters)
	}
	if _, ok := st.Counters["mac"]["rx_err_security"]; !ok {
		t.Errorf("counters of the MAC %v", st.Counters["mac"])
	}
	if _, ok := st.Counters["refused"]["replay"]; !ok {
		t.Errorf("refused %v", st.Counters["refused"])
	}
}

func TestDatasets(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	if _, err := s.Dataset(ctx, "active"); code(err) != http.StatusNotFound || !strings.Contains(err.Error(), "gatewayd dataset new") {
		t.Errorf("no dataset: %v", err)
	}
	d, err := s.NewDataset(ctx, NewDataset{Name: "kitchen", Channel: 17, PANID: new(uint16(0x1234)), MeshLocalPrefix: "fd12:3456::/64",
		ExtPANID: "0011223344556677", NetworkKey: "000102030405060708090a0b0c0d0e0f"})
	if err != nil {
		t.Fatal(err)
	}
	want := Network{Name: "kitchen", Channel: 17, PANID: "0x1234", ExtPANID: "0011223344556677", MeshLocalPrefix: "fd12:3456::/64"}
	if d.Network != want || d.NetworkKey != "redacted" || d.PSKc != "redacted" || *d.ActiveTimestamp != 1 {
		t.Errorf("new dataset %+v", d)
	}
	if shown, err := s.Dataset(ctx, "active"); err != nil || shown.Network != want || shown.NetworkKey != "redacted" {
		t.Errorf("dataset %+v, %v", shown, err)
	}
	tlvs, err := s.ExportDataset(ctx, "active")
	if err != nil || !strings.Contains(tlvs.TLVs, "0510000102030405060708090a0b0c0d0e0f") {
		t.Errorf("export %+v, %v", tlvs, err)
	}
	st, err := s.Status(ctx)
	if err != nil || st.Role == "disabled" || st.Network == nil || *st.Network != want {
		t.Errorf("status %+v, %v", st, err)
	}

	// The network is not left by accident, whichever way.
	if _, err := s.NewDataset(ctx, NewDataset{}); code(err) != http.StatusConflict || !strings.Contains(err.Error(), `"kitchen"`) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("another network: %v", err)
	}
	other, err := s.NewDataset(ctx, NewDataset{Force: true})
	if err != nil || other.ExtPANID == d.ExtPANID || other.Name != "gatewayd-"+strings.TrimPrefix(other.PANID, "0x") {
		t.Errorf("forced: %+v, %v", other, err)
	}
	if _, err := s.ImportDataset(ctx, "active", tlvs); code(err) != http.StatusConflict {
		t.Errorf("import over another network: %v", err)
	}
	tlvs.Force = true
	if back, err := s.ImportDataset(ctx, "active", tlvs); err != nil || back.Network != want {
		t.Errorf("import: %+v, %v", back, err)
	}
	// The same network's dataset may change without force.
	tlvs.Force = false
	if _, err := s.ImportDataset(ctx, "active", tlvs); err != nil {
		t.Errorf("import of the same: %v", err)
	}

	// An old copy does not undo what has changed since.
	newer := tlvs
	newer.TLVs = strings.Replace(tlvs.TLVs, "0e0800000000000", "0e080000ffff000", 1)
	if newer.TLVs == tlvs.TLVs {
		t.Fatalf("no active timestamp where it was looked for in %s", tlvs.TLVs)
	}
	if _, err := s.ImportDataset(ctx, "active", newer); err != nil {
		t.Errorf("import of a newer one: %v", err)
	}
	if _, err := s.ImportDataset(ctx, "active", tlvs); code(err) != http.StatusConflict || !strings.Contains(err.Error(), "changed since") {
		t.Errorf("import of an older one: %v", err)
	}
	tlvs.Force = true
	if _, err := s.ImportDataset(ctx, "active", tlvs); err != nil {
		t.Errorf("forced import of an older one: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := serve(t)
	// TLVs of an active dataset that lacks what is needed: name and channel only.
	const short = "0300061a0b" + "00030000" + "0f"
	tests := []struct {
		method, path, body string
		code               int
		want               string // in the answer
	}{
		{"GET", "/v1/nothing", "", 404, "there is no /v1/nothing"},
		{"GET", "/", "", 404, "there is no /"},
		{"PUT", "/v1/status", "", 405, "only GET"},
		{"GET", "/v1/ping", "", 405, "only POST"},
		{"PUT", "/v1/dataset/old", "{}", 404, `no dataset \"old\"`},
		{"GET", "/v1/dataset/pending", "", 404, "no pending dataset"},
		{"PUT", "/v1/dataset/active", "", 400, "makes no sense"},
		{"PUT", "/v1/dataset/active", "[]", 400, "makes no sense"},
		{"PUT", "/v1/dataset/active", `{"tlvs":"00"} x`, 400, "more than one value"},
		{"PUT", "/v1/dataset/active", `{"hex":"00"}`, 400, `unknown field \"hex\"`},
		{"PUT", "/v1/dataset/active", `{"tlvs":"0g"}`, 400, "not hexadecimal"},
		{"PUT", "/v1/dataset/active", `{"tlvs":"0003"}`, 400, "makes no sense"},
		{"PUT", "/v1/dataset/active", `{"tlvs":""}`, 400, "lacks"},
		{"PUT", "/v1/dataset/pending", `{"tlvs":""}`, 400, "lacks"},
		{"PUT", "/v1/dataset/active", `{"tlvs":"` + short + `"}`, 400, ""},
		{"PUT", "/v1/dataset/active", `{"tlvs":"` + strings.Repeat("00", MaxBody) + `"}`, 413, "16384 bytes"},
		{"POST", "/v1/dataset/new", `{"channel":10}`, 400, "does not do channel 10"},
		{"POST", "/v1/dataset/new", `{"channel":70000}`, 400, "makes no sense"},
		{"POST", "/v1/dataset/new", `{"name":"a name that is too long"}`, 400, "at most 16"},
		{"POST", "/v1/dataset/new", `{"pan_id":65535}`, 400, "0xffff"},
		{"POST", "/v1/dataset/new", `{"ext_pan_id":"12"}`, 400, "16 hexadecimal digits"},
		{"POST", "/v1/dataset/new", `{"network_key":"zz"}`, 400, "32 hexadecimal digits"},
		{"POST", "/v1/dataset/new", `{"mesh_local_prefix":"2001:db8::/64"}`, 400, "mesh-local prefix"},
		{"POST", "/v1/joiners", `{"eui64":"12","pskd":"J01NME"}`, 400, "EUI-64"},
		{"POST", "/v1/joiners", `{"eui64":"*","pskd":"short"}`, 400, "PSKd"},
		{"POST", "/v1/joiners", `{"eui64":"*","pskd":"J01NME","timeout":0.1}`, 400, "timeout"},
		{"POST", "/v1/joiners", `{"eui64":"*","pskd":"J01NME"}`, 409, "dataset new"},
		{"DELETE", "/v1/joiners/12", "", 400, "EUI-64"},
		{"POST", "/v1/ping", `{"address":"10.0.0.1"}`, 400, "not an IPv6 address"},
		{"POST", "/v1/ping", `{"address":"fe80::1%eth0"}`, 400, "not an IPv6 address"},
		{"POST", "/v1/ping", `{"address":"fd00::1","size":1233}`, 400, "1232 bytes"},
		{"POST", "/v1/ping", `{"address":"fd00::1","count":-1}`, 400, "pings"},
		{"POST", "/v1/ping", `{"address":"fd00::1","interval":0.001}`, 400, "interval"},
		{"POST", "/v1/ping", `{"address":"fd00::1","timeout":1e9}`, 400, "timeout"},
		{"POST", "/v1/ping", `{"address":"fd00::1"}`, 409, "no address to reach"},
	}
	for _, tt := range tests {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://x"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		text := string(b)
		if err != nil || resp.StatusCode != tt.code || !strings.HasPrefix(text, `{"error":"`) || !strings.Contains(text, tt.want) {
			t.Errorf("%s %s %.60s: %d %s (%v), want %d %q", tt.method, tt.path, tt.body, resp.StatusCode, text, err, tt.code, tt.want)
		}
	}
}

// A ping that has no end yet ends with its client, and the node's part of it
// too.
func TestPing(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	if _, err := s.NewDataset(ctx, NewDataset{Channel: 15}); err != nil {
		t.Fatal(err)
	}
	st := s.wait(t, "a leader with addresses", func(st *Status) bool { return st.Role == "leader" && len(st.Addresses) >= 4 })
	for _, a := range st.Addresses {
		var lines []PingLine
		if err := s.Ping(ctx, Ping{Address: a, Size: 1232, Count: 2, Interval: 0.01}, func(l PingLine) error {
			lines = append(lines, l)
			return nil
		}); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		if len(lines) != 3 || lines[0].From != a || lines[0].Size != 1232 || lines[1].Seq != 2 || lines[2] != (PingLine{Done: true, Sent: 2, Received: 2}) {
			t.Errorf("%s: %+v", a, lines)
		}
	}

	stop := errors.New("enough")
	n := 0
	err := s.Ping(ctx, Ping{Address: st.Addresses[0], Count: 1000, Interval: 0.02}, func(PingLine) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 3 {
		t.Errorf("%d replies, %v", n, err)
	}
	// Nobody there: the sum says so.
	nobody := strings.TrimSuffix(st.Network.MeshLocalPrefix, "/64") + "dead"
	var last PingLine
	if err := s.Ping(ctx, Ping{Address: nobody, Timeout: 0.05}, func(l PingLine) error { last = l; return nil }); err != nil || last != (PingLine{Done: true, Sent: 1}) {
		t.Errorf("%+v, %v", last, err)
	}
	// As many at a time as the node does, and no leak of those before.
	hold, release := context.WithCancel(ctx)
	started := make(chan struct{}, 64)
	for range 15 {
		go s.Ping(hold, Ping{Address: st.Addresses[0], Count: 1000, Interval: 0.02}, func(PingLine) error {
			started <- struct{}{}
			return nil
		})
		<-started
	}
	release()
}

func TestJoiners(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	if j, err := s.Joiners(ctx); err != nil || j.Commissioner != "disabled" || len(j.Joiners) != 0 {
		t.Errorf("%+v, %v", j, err)
	}
	if _, err := s.NewDataset(ctx, NewDataset{Channel: 15}); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "a leader", func(st *Status) bool { return st.Role == "leader" })
	j, err := s.AddJoiner(ctx, NewJoiner{EUI64: "18:B4:30:00:00:00:00:02", PSKd: "J01NME", Timeout: 60})
	if err != nil || j.ID != "18b4300000000002" || j.Progress != "waiting" || j.Expires < 59 || j.Expires > 60 {
		t.Errorf("added %+v, %v", j, err)
	}
	if j, err = s.AddJoiner(ctx, NewJoiner{EUI64: "*", PSKd: "J01NME"}); err != nil || j.ID != "*" || j.Expires < 119 {
		t.Errorf("added %+v, %v", j, err)
	}
	if _, err = s.AddJoiner(ctx, NewJoiner{EUI64: "0xabc/12", PSKd: "J01NME"}); err != nil {
		t.Error(err)
	}
	if err := s.RemoveJoiner(ctx, "0xabc/12"); err != nil {
		t.Error(err)
	}
	if err := s.RemoveJoiner(ctx, "18b4300000000003"); code(err) != http.StatusNotFound {
		t.Errorf("removing what is not there: %v", err)
	}
	list, err := s.Joiners(ctx)
	if err != nil || list.Commissioner != "active" || len(list.Joiners) != 2 || list.Joiners[1].ID != "*" {
		t.Errorf("%+v, %v", list, err)
	}
	st, err := s.Status(ctx)
	if err != nil || st.Commissioner != (Commissioner{State: "active", Joiners: 2}) {
		t.Errorf("%+v, %v", st.Commissioner, err)
	}

	// Another network has another commissioner, and nobody on its list.
	if _, err := s.NewDataset(ctx, NewDataset{Name: "other", Channel: 16, Force: true}); err != nil {
		t.Fatal(err)
	}
	st = s.wait(t, "a leader of another network", func(st *Status) bool { return st.Role == "leader" })
	if st.Network.Name != "other" || st.Commissioner != (Commissioner{State: "disabled"}) || len(st.Routers) != 1 || !st.Routers[0].Self {
		t.Errorf("status %+v", st)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	// With such a key it looks for others first.
	if _, err := s.NewDataset(ctx, NewDataset{Name: "before", Channel: 15, NetworkKey: "00112233445566778899aabbccddeeff"}); err != nil {
		t.Fatal(err)
	}
	tlvs, err := s.ExportDataset(ctx, "active")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(tlvs.TLVs)
	if err != nil {
		t.Fatal(err)
	}
	d, err := meshcop.DecodeDataset(b)
	if err != nil {
		t.Fatal(err)
	}
	d.ActiveTimestamp, d.PendingTimestamp = &meshcop.Timestamp{Seconds: 2}, &meshcop.Timestamp{Seconds: 7}
	d.NetworkName, d.Delay = "after", new(uint32(300000))
	tlvs.TLVs = hex.EncodeToString(d.Append(nil))
	if _, err := s.ImportDataset(ctx, "pending", tlvs); code(err) != http.StatusConflict || !strings.Contains(err.Error(), "leader") {
		t.Errorf("by who does not lead: %v", err)
	}
	s.wait(t, "a leader", func(st *Status) bool { return st.Role == "leader" })
	if _, err := s.ImportDataset(ctx, "pending", tlvs); err != nil {
		t.Error(err)
	}
	p, err := s.Dataset(ctx, "pending")
	if err != nil || p.Name != "after" || *p.PendingTimestamp != 7 || p.Delay <= 0 || p.Delay > 300 || p.NetworkKey != "redacted" {
		t.Errorf("%+v, %v", p, err)
	}
	if a, err := s.Dataset(ctx, "active"); err != nil || a.Name != "before" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestEvents(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	got, ended := make(chan string, 64), make(chan error, 1)
	go func() {
		ended <- s.Events(ctx, func(e json.RawMessage) error { got <- string(e); return nil })
	}()
	for listening := false; !listening; time.Sleep(time.Millisecond) {
		s.events.mu.Lock()
		listening = len(s.events.subs) == 1
		s.events.mu.Unlock()
	}
	slog.New(s.events.Handler(slog.LevelInfo)).Info("something", "id", "TEST-1", "n", 7)
	for {
		line := <-got
		if strings.Contains(line, `"id":"TEST-1"`) {
			if !strings.Contains(line, `"msg":"something"`) || !strings.Contains(line, `"n":7`) {
				t.Errorf("event %s", line)
			}
			break
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	for left := false; !left; time.Sleep(time.Millisecond) {
		s.events.mu.Lock()
		left = len(s.events.subs) == 0
		s.events.mu.Unlock()
	}
}

// Events never wait for a listener, and there is room for so many only.
func TestEventsSlowListener(t *testing.T) {
	var e Events
	for range maxListeners {
		if e.listen() == nil {
			t.Fatal("no room")
		}
	}
	if e.listen() != nil {
		t.Error("one too many")
	}
	for i := range 2 * eventsAhead {
		if n, err := fmt.Fprintf(&e, "%d\n", i); n == 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	for c := range e.subs {
		if len(c) != eventsAhead {
			t.Errorf("%d wait", len(c))
		}
	}
}

func TestUnreachable(t *testing.T) {
	path := socketPath(t)
	_, err := NewClient(path).Status(t.Context())
	var gone *UnreachableError
	if !errors.As(err, &gone) || !strings.Contains(err.Error(), "gatewayd run") || !strings.Contains(err.Error(), path) {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
	}()
	if _, err = NewClient(path).Status(t.Context()); !errors.As(err, &gone) {
		t.Errorf("somebody who says nothing: %v", err)
	}
}
