package web

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatewayd/api"
	"gatewayd/host/doctor"
)

var ready = api.Radio{State: "ready", Version: "OPENTHREAD/1.0"}

func TestPage(t *testing.T) {
	eth := Link{Name: "eth0", Up: true, Addresses: []netip.Addr{netip.MustParseAddr("fe80::1"), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}}
	net := &api.Network{Name: "home", Channel: 15}
	tests := []struct {
		name     string
		status   api.Status
		err      error
		links    []Link
		problems []string
		notices  []string
		noTime   []string
		ssh      *string
		local    bool
		want     []string
		not      []string
	}{
		{name: "all is well", status: api.Status{Radio: ready, Role: "leader", Network: net}, links: []Link{eth},
			want: []string{"The dongle works: OPENTHREAD/1.0.", "“home” on channel 15 runs; the gateway is its leader", "Connected by eth0 as 192.0.2.7, 2001:db8::7.",
				"Add the first device", "gatewayd joiner add &#39;*&#39; CODE"},
			not: []string{`class="bad"`, "There is no IPv6", "fe80"}},
		{name: "with devices", status: api.Status{Radio: ready, Role: "leader", Network: net, Children: make([]api.Child, 2), Routers: []api.Router{{Self: true}, {}}}, links: []Link{eth},
			want: []string{"Add the next device", "hears 3 now"}},
		{name: "no dongle", status: api.Status{Radio: api.Radio{State: "absent", Problem: "transport: /dev/ttyACM0: is it plugged in?"}, Role: "disabled"}, links: []Link{eth},
			want: []string{"No dongle works: /dev/ttyACM0: is it plugged in?<", "Plug in a dongle", "belongs to no Thread network yet"}, not: []string{"Add the first"}},
		{name: "Zigbee firmware", status: api.Status{Radio: api.Radio{State: "absent", Problem: "no answer", Looks: "/dev/ttyUSB0, X: it looks like Zigbee firmware (EZSP)", Hint: "Flash an RCP."}, Network: net, Role: "detached"},
			want: []string{"of no use yet: /dev/ttyUSB0, X: it looks like Zigbee firmware (EZSP).", "Flash an RCP.", "No network cable", "“home” is not on the air"}, not: []string{"Add the first", "No dongle works"}},
		{name: "no DHCP", status: api.Status{Radio: ready, Network: net, Role: "leader"}, links: []Link{{Name: "eth0", Up: true, Addresses: eth.Addresses[:1]}},
			want: []string{"The cable is plugged in (eth0), but nobody gave an address."}},
		{name: "cable out", status: api.Status{Radio: ready, Network: net, Role: "leader"}, links: []Link{{Name: "eth0"}},
			want: []string{"No network cable is plugged in."}},
		{name: "no IPv6", status: api.Status{Radio: ready, Network: net, Role: "leader"}, links: []Link{{Name: "eth0", Up: true, Addresses: eth.Addresses[:2]}},
			want: []string{"as 192.0.2.7.", "There is no IPv6 from the router"}},
		{name: "IPv6 only", status: api.Status{Radio: ready, Network: net, Role: "leader"}, links: []Link{{Name: "eth0", Up: true, Addresses: eth.Addresses[2:]}},
			want: []string{"as 2001:db8::7. Nobody gave an IPv4 address"}, not: []string{"There is no IPv6"}},
		{name: "not running", err: &api.UnreachableError{Socket: "/s", Err: fs.ErrNotExist},
			want: []string{"The gateway is not running."}, not: []string{"Add the first"}},
		{name: "stuck", err: errors.New("api: too slow"), want: []string{"The gateway does not answer: too slow."}},
		{name: "settings", status: api.Status{Radio: ready, Network: net, Role: "leader"}, problems: []string{"gatewayd.conf:3: <b>"},
			want: []string{"gatewayd.conf:3: &lt;b&gt;", "These lines of gatewayd.conf are not followed"}},
		{name: "no card", status: api.Status{Radio: ready, Network: net, Role: "leader"}, notices: []string{"The data partition cannot be used."},
			want: []string{"This box", "The data partition cannot be used."}, not: []string{"gatewayd.conf"}},
		{name: "told once", notices: []string{"The data partition cannot be used."}, status: api.Status{Radio: ready, Network: net, Role: "leader", Findings: []doctor.Finding{
			{Code: "HOST-DATATMP", Level: doctor.Problem, Text: "It is in memory.", Fix: "a volume"}, {Code: "HOST-DATAFULL", Level: doctor.Problem, Text: "It is full."}}},
			want: []string{"The data partition cannot be used.", "It is full."}, not: []string{"It is in memory."}},
		{name: "in memory elsewhere", status: api.Status{Radio: ready, Network: net, Role: "leader", Findings: []doctor.Finding{
			{Code: "HOST-DATATMP", Level: doctor.Problem, Text: "It is in memory.", Fix: "a volume"}}}, want: []string{"It is in memory. What helps: a volume"}},
		{name: "no internet", status: api.Status{Radio: ready, Network: net, Role: "leader"}, links: []Link{eth}, noTime: []string{"pool.ntp.org"},
			want: []string{"Connected by eth0", "No time server answers (pool.ntp.org): is there a way to the internet?"}},
		{name: "no cable is worse", status: api.Status{Radio: ready, Network: net, Role: "leader"}, noTime: []string{"pool.ntp.org"},
			want: []string{"No network cable"}, not: []string{"time server"}},
		{name: "SSH is off", status: api.Status{Radio: ready, Network: net, Role: "leader"}, ssh: new(string),
			want: []string{"SSH is off, because no key is given"}, not: []string{"ssh root", ".local"}},
		{name: "SSH is on", status: api.Status{Radio: ready, Network: net, Role: "leader"}, ssh: new("SHA256:abc"), local: true,
			want: []string{"ssh root@gw-cellar.local", "whose key is SHA256:abc.", "gatewayd v1 at http://gw-cellar.local. This page"}},
		{name: "a problem of the host", status: api.Status{Radio: ready, Network: net, Role: "leader", Findings: []doctor.Finding{
			{Code: "HOST-FORWARD", Level: doctor.Problem, Text: "IPv6 is not forwarded.", Fix: "sysctl x"}, {Code: "HOST-SYNC", Level: doctor.Warning, Text: "No time."}}},
			want: []string{"This box", "IPv6 is not forwarded.", "sysctl x"}, not: []string{"No time."}},
		{name: "another network", status: api.Status{Radio: ready, Network: net, Role: "leader", Findings: []doctor.Finding{
			{Code: doctor.OtherNetwork, Level: doctor.Warning, Text: "This is home.", Fix: "gatewayd dataset import --force - </f"}}},
			want: []string{"This box", "This is home. What helps: gatewayd dataset import --force - &lt;/f"}},
		{name: "devices are reached", status: api.Status{Radio: ready, Role: "leader", Network: net, Reach: &api.Reach{Ready: true, Prefix: "fd00::/64"}}, links: []Link{eth},
			want: []string{"The way between them", "hosts reach the devices by fd00::/64."}, not: []string{`class="bad"`}},
		{name: "devices are not reached yet", status: api.Status{Radio: ready, Role: "leader", Network: net, Reach: &api.Reach{}}, links: []Link{eth},
			want: []string{"The way between them", "do not reach the devices yet"}},
		{name: "no way without a cable", status: api.Status{Radio: ready, Role: "leader", Network: net, Reach: &api.Reach{}}, not: []string{"The way between them"}},
		{name: "no way without a network", status: api.Status{Radio: ready, Role: "detached", Network: net, Reach: &api.Reach{}}, links: []Link{eth}, not: []string{"The way between them"}},
		{name: "plain network", status: api.Status{Radio: ready, Lowpan: &api.Lowpan{Prefix: "fd00::/64", Registered: 4}},
			want: []string{"prefix fd00::/64, with 4 registered addresses"}, not: []string{"joiner add"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := New(Options{Version: "v1", Local: tt.local, NoTime: func() []string { return tt.noTime }, SSH: sshOf(tt.ssh), Status: func(context.Context) (api.Status, error) { return tt.status, tt.err },
				Links: func() []Link { return tt.links }, Problems: func() []string { return tt.problems },
				Notices: func() []string { return tt.notices }, Hostname: func() string { return "gw-cellar" }})
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
				t.Fatalf("%d, %v", w.Code, w.Header())
			}
			for _, s := range append(tt.want, "<h1>gw-cellar</h1>", "gatewayd v1") {
				if !strings.Contains(w.Body.String(), s) {
					t.Errorf("the page does not say %q:\n%s", s, w.Body)
				}
			}
			for _, s := range tt.not {
				if strings.Contains(w.Body.String(), s) {
					t.Errorf("the page says %q:\n%s", s, w.Body)
				}
			}
		})
	}
}

func sshOf(fingerprint *string) func() string {
	if fingerprint == nil {
		return nil
	}
	return func() string { return *fingerprint }
}

// However many look at the page, and whoever holds connections open, the
// gateway is asked now and then and the page answers.
func TestManyViewers(t *testing.T) {
	var asked atomic.Int32
	p := New(Options{Status: func(ctx context.Context) (api.Status, error) {
		asked.Add(1)
		time.Sleep(50 * time.Millisecond)
		return api.Status{}, ctx.Err() // whoever has asked may be gone
	}, Links: func() []Link { return nil }, Hostname: func() string { return "gw" }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.ListenAndServe(ctx, addr) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	var slow []net.Conn
	for len(slow) < 3*maxConns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			time.Sleep(10 * time.Millisecond) // it does not listen yet
			continue
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nX-A: ")
		slow = append(slow, c)
	}
	slow[0].SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := slow[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest connection is still open: %v", err)
	}
	slow[len(slow)-1].SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := slow[len(slow)-1].Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the newest connection: %v", err)
	}

	gone, leave := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, leave)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = gone
			}
			r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/", nil)
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				if i != 0 {
					t.Error(err)
				}
				return
			}
			defer a.Body.Close()
			if b, err := io.ReadAll(a.Body); err != nil || strings.Contains(string(b), "does not answer") {
				t.Errorf("%s, %v", b, err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n > 3 { // each half second, on a busy machine
		t.Errorf("the gateway was asked %d times", n)
	}
}

func TestRefused(t *testing.T) {
	p := New(Options{Status: func(context.Context) (api.Status, error) { t.Error("asked"); return api.Status{}, nil }})
	for _, tt := range []struct {
		method, path string
		code         int
	}{{"POST", "/", http.StatusMethodNotAllowed}, {"GET", "/v1/status", http.StatusNotFound}, {"DELETE", "/x", http.StatusNotFound}} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.code || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s: %d, %v", tt.method, tt.path, w.Code, w.Header())
		}
	}
}

// Metrics are there if they are wanted, and say so if the gateway does not run.
func TestMetrics(t *testing.T) {
	var failed error
	opt := Options{}
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		New(opt).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w
	}
	if w := get(); w.Code != http.StatusNotFound {
		t.Errorf("not wanted: %d", w.Code)
	}
	opt.Metrics = func(context.Context) ([]byte, error) { return []byte("x 1\n"), failed }
	if w := get(); w.Code != http.StatusOK || w.Body.String() != "x 1\n" || w.Header().Get("Content-Type") != api.MetricsType {
		t.Errorf("%d, %v, %s", w.Code, w.Header(), w.Body)
	}
	failed = errors.New("away")
	if w := get(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "away") {
		t.Errorf("%d, %s", w.Code, w.Body)
	}
}
