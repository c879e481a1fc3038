package coap

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// libcoap returns the path of one of libcoap's example programs.
func libcoap(t *testing.T, name string) string {
	t.Helper()
	for _, suffix := range []string{"-notls", "", "-openssl", "-gnutls"} {
		if p, err := exec.LookPath(name + suffix); err == nil {
			return p
		}
	}
	t.Skipf("NOT TESTED against libcoap: %s is not installed (Debian package libcoap3-bin)", name)
	return ""
}

// udpNode runs an endpoint on a UDP socket of the loopback interface. Access
// to the endpoint is under mu.
type udpNode struct {
	*Endpoint[netip.AddrPort]
	mu   sync.Mutex
	conn *net.UDPConn
}

func newUDPNode(t *testing.T) *udpNode {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	u := &udpNode{conn: conn}
	u.Endpoint = New(Config[netip.AddrPort]{
		Rand: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)),
		Send: func(to netip.AddrPort, b []byte) {
			// The peer may be gone: a loss like any other.
			_, _ = conn.WriteToUDPAddrPort(b, to)
		},
	})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		b := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			select {
			case <-stop:
				return
			default:
			}
			if err == nil {
				u.mu.Lock()
				u.Receive(time.Now(), from, b[:n])
				u.mu.Unlock()
			}
		}
	})
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				u.mu.Lock()
				u.Advance(time.Now())
				u.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		conn.Close()
		wg.Wait()
	})
	return u
}

func (u *udpNode) url(path string) string {
	return fmt.Sprintf("coap://%v/%s", u.conn.LocalAddr(), path)
}

// coapClient runs coap-client and returns what it printed.
func coapClient(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, libcoap(t, "coap-client"), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("coap-client %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestLibcoapClient(t *testing.T) {
	libcoap(t, "coap-client")
	u := newUDPNode(t)
	store := []byte("first")
	var uploads int
	u.Handle("store", Blockwise(BlockConfig{}, func(r *Request[netip.AddrPort]) {
		switch r.Code {
		case GET:
			r.Respond(Content, store)
		case PUT:
			uploads++
			store = r.Payload
			r.Respond(Changed, nil)
		case POST:
			r.Respond(Content, append([]byte(r.Path()+"?"+strings.Join(r.Queries(), "&")+" "), r.Payload...))
		default:
			r.Respond(MethodNotAllowed, nil)
		}
	}))
	var slow *Request[netip.AddrPort]
	u.Handle("slow", func(r *Request[netip.AddrPort]) {
		slow = r
		time.AfterFunc(300*time.Millisecond, func() {
			u.mu.Lock()
			defer u.mu.Unlock()
			slow.RespondAt(time.Now(), Content, []byte("late"))
		})
	})

	if got := coapClient(t, u.url("store")); !strings.Contains(got, "first") {
		t.Errorf("GET: %q", got)
	}
	if got := coapClient(t, "-N", u.url("store")); !strings.Contains(got, "first") {
		t.Errorf("non-confirmable GET: %q", got)
	}
	if got := coapClient(t, "-m", "post", "-e", "body", u.url("store?a=1&b")); !strings.Contains(got, "store?a=1&b body") {
		t.Errorf("POST: %q", got)
	}
	if got := coapClient(t, "-m", "delete", u.url("store")); !strings.Contains(got, "4.05") {
		t.Errorf("DELETE: %q", got)
	}
	if got := coapClient(t, u.url("none")); !strings.Contains(got, "4.04") {
		t.Errorf("GET of nothing: %q", got)
	}
	if got := coapClient(t, u.url("slow")); !strings.Contains(got, "late") {
		t.Errorf("separate response: %q", got)
	}

	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for i, args := range [][]string{nil, {"-b", "64"}, {"-b", "256"}} {
		body := text(20000 + i)
		if err := os.WriteFile(in, body, 0o600); err != nil {
			t.Fatal(err)
		}
		coapClient(t, append(args, "-m", "put", "-f", in, u.url("store"))...)
		u.mu.Lock()
		if uploads != i+1 || !bytes.Equal(store, body) {
			t.Errorf("PUT %v: %d uploads, stored %d bytes, want %d", args, uploads, len(store), len(body))
		}
		u.mu.Unlock()
		coapClient(t, append(args, "-o", out, u.url("store"))...)
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, body) {
			t.Errorf("GET %v: %d bytes, want %d, %v", args, len(got), len(body), err)
		}
	}
}

// coap-client observes a resource whose states have several blocks.
func TestLibcoapObserver(t *testing.T) {
	libcoap(t, "coap-client")
	u := newUDPNode(t)
	for _, size := range []int{10, 3000} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			state := func(i int) []byte { return append(text(size), fmt.Sprintf("<state %d>", i)...) }
			u.mu.Lock()
			l := NewObservers(u.Endpoint, 0)
			u.Handle("x", Blockwise(BlockConfig{}, func(r *Request[netip.AddrPort]) { l.Respond(r, Content, state(0)) }))
			u.mu.Unlock()
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := 1; i < 4; {
					select {
					case <-stop:
						return
					case <-time.After(500 * time.Millisecond):
					}
					u.mu.Lock()
					if l.Len() > 0 {
						l.Notify(time.Now(), Content, state(i))
						i++
					}
					u.mu.Unlock()
				}
			})
			got := coapClient(t, "-s", "3", u.url("x"))
			close(stop)
			wg.Wait()
			for i := range 4 {
				if !strings.Contains(got, string(state(i))) {
					t.Errorf("state %d is missing in %d bytes of output", i, len(got))
				}
			}
			// coap-client does not wait for the answer to its deregistration.
			for i := 0; ; i++ {
				u.mu.Lock()
				left := l.Len()
				u.mu.Unlock()
				if left == 0 {
					break
				}
				if i == 50 {
					t.Fatal("coap-client is gone but still an observer")
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

func TestLibcoapServer(t *testing.T) {
	server := libcoap(t, "coap-server")
	probe, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	to := probe.LocalAddr().(*net.UDPAddr).AddrPort()
	probe.Close()
	cmd := exec.Command(server, "-A", "127.0.0.1", "-p", fmt.Sprint(to.Port()), "-d", "10")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // was killed
	})
	u := newUDPNode(t)
	type result struct {
		Response[netip.AddrPort]
		err error
	}
	results := make(chan result, 100) // more than a test causes
	done := func(r Response[netip.AddrPort], err error) { results <- result{r, err} }
	next := func(what string) result {
		t.Helper()
		select {
		case r := <-results:
			if r.err != nil {
				t.Fatalf("%s: %v", what, r.err)
			}
			return r
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: nothing came", what)
			return result{}
		}
	}
	do := func(what string, m Message, opts TransferOptions) result {
		t.Helper()
		u.mu.Lock()
		_, err := u.Transfer(time.Now(), to, m, opts, done)
		u.mu.Unlock()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return next(what)
	}

	r := do("GET", Message{Code: GET, Options: path(".well-known/core")}, TransferOptions{})
	if f, _ := r.ContentFormat(); r.Code != Content || f != FormatLink || !strings.Contains(string(r.Payload), "</time>") {
		t.Errorf("GET: %v %q", r.Code, r.Payload)
	}
	if r = do("GET in small blocks", Message{Code: GET, Options: path(".well-known/core")}, TransferOptions{BlockSize: 32}); !strings.Contains(string(r.Payload), "</time>") {
		t.Errorf("GET in small blocks: %q", r.Payload)
	}
	if r = do("non-confirmable", Message{Type: NonConfirmable, Code: GET, Options: path("time")}, TransferOptions{}); r.Code != Content {
		t.Errorf("non-confirmable: %v", r.Message)
	}
	if r = do("nothing", Message{Code: GET, Options: path("none")}, TransferOptions{}); r.Code != NotFound {
		t.Errorf("GET of nothing: %v", r.Message)
	}
	if r = do("separate", Message{Code: GET, Options: append(path("async"), StringOption(OptionURIQuery, "1"))}, TransferOptions{}); string(r.Payload) != "done" || r.Type != Confirmable {
		t.Errorf("separate response: %v %q", r.Message, r.Payload)
	}
	for i, size := range []int{0, 64} {
		body := text(5000 + i)
		opts := TransferOptions{BlockSize: size}
		if r = do("PUT", Message{Code: PUT, Options: path(fmt.Sprint("new", i)), Payload: body}, opts); r.Code != Created {
			t.Errorf("PUT: %v", r.Message)
		}
		if r = do("GET", Message{Code: GET, Options: path(fmt.Sprint("new", i))}, opts); !bytes.Equal(r.Payload, body) {
			t.Errorf("came back with %d bytes, want %d", len(r.Payload), len(body))
		}
	}

	u.mu.Lock()
	o, err := u.Observe(time.Now(), to, Message{Code: GET, Options: path("time")}, TransferOptions{}, done)
	u.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for range 3 { // it changes every second
		r := next("notification")
		if r.Code != Content || string(r.Payload) == last {
			t.Errorf("notification: %v %q after %q", r.Message, r.Payload, last)
		}
		last = string(r.Payload)
	}
	u.mu.Lock()
	o.Cancel(time.Now())
	u.mu.Unlock()
	select {
	case r := <-results:
		t.Errorf("came after the end: %v %v", r.Message, r.err)
	case <-time.After(2500 * time.Millisecond):
	}
}
