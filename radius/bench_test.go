package radius_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/eap/tls"
	"gatewayd/radius"
	"gatewayd/radius/udp"
)

// servePort makes the test program a RADIUS server on a port, with the
// embedded EAP server, so that a benchmark sees its CPU time alone.
const (
	servePort = "RADIUS_TEST_SERVE_PORT"
	serveDir  = "RADIUS_TEST_SERVE_DIR" // of the authority
)

func TestMain(m *testing.M) {
	if port := os.Getenv(servePort); port != "" {
		if err := serveEmbedded(port, os.Getenv(serveDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func serveEmbedded(port, dir string) error {
	cert, root, err := loadCertificate(dir)
	if err != nil {
		return err
	}
	backend, err := embeddedWith(cert, root)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	clock := new(alarm.Clock)
	sockets, err := udp.New(udp.Options{Listen: []netip.AddrPort{netip.AddrPortFrom(loopback, uint16(n))}, Clock: clock})
	if err != nil {
		return err
	}
	server, err := radius.NewServer(radius.ServerConfig{
		Clock: clock, Entropy: rand.Reader, Backend: backend, Send: sockets.Send,
		Clients: []radius.Authorized{{Prefix: netip.PrefixFrom(loopback, 32), Secret: radius.Secret(testSecret)}},
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	sockets.Run(ctx, server.Receive)
	return nil
}

// gatewaydServer runs the embedded server in a process of its own, on one
// processor.
func gatewaydServer(t testing.TB, ca *authority) (addr netip.AddrPort, pid int) {
	ca.issue(t, "gateway")
	port := freePort(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", servePort, port), serveDir+"="+ca.dir, "GOMAXPROCS=1")
	return netip.AddrPortFrom(loopback, uint16(port)), serve(t, port, cmd)
}

// BenchmarkAuthentication is whole authentications by a RADIUS server, 32 at a
// time, from the request for the identity to equal keys on both sides. The
// driver takes as much time as the server: server-ms/auth is the server's CPU
// time alone.
func BenchmarkAuthentication(b *testing.B) {
	servers := []struct {
		name  string
		start func(testing.TB, *authority) (netip.AddrPort, int)
		psk   bool
		// limit is how many authentications one run of the server takes:
		// hostapd keeps the last 1000 sessions for a while, and refuses.
		limit int
	}{
		{"gatewayd", gatewaydServer, true, 1 << 30},
		{"hostapd", func(t testing.TB, ca *authority) (netip.AddrPort, int) { return hostapd(t, ca) }, true, 900},
		{"FreeRADIUS", func(t testing.TB, ca *authority) (netip.AddrPort, int) {
			auth, _, pid := freeRADIUS(t, ca)
			return auth, pid
		}, false, 1 << 30},
	}
	ca := newAuthority(b, "ca")
	for _, method := range []string{"PSK", "TLS 1.2", "TLS 1.3"} {
		peer := peerMaker(b, method, ca)
		for _, s := range servers {
			if method == "PSK" && !s.psk {
				continue
			}
			b.Run(method+"/"+s.name, func(b *testing.B) {
				var cpu time.Duration
				b.ResetTimer()
				for left := b.N; left > 0; left -= s.limit {
					b.StopTimer()
					addr, pid := s.start(b, ca)
					g := startClient(b, radius.Upstream{Auth: addr})
					g.many(b, 1, peer) // everything is loaded, every lookup done
					before := cpuTime(b, pid)
					b.StartTimer()
					g.many(b, min(left, s.limit), peer)
					b.StopTimer()
					cpu += cpuTime(b, pid) - before
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "auths/s")
				b.ReportMetric(cpu.Seconds()*1e3/float64(b.N), "server-ms/auth")
			})
		}
	}
}

// peerMaker returns a function that makes peers.
func peerMaker(t testing.TB, method string, ca *authority) func() *eap.Peer {
	if method == "PSK" {
		m := []eap.PeerMethodFactory{&psk.Peer{Key: pskKey(t, testKey), Rand: rand.Reader}}
		return func() *eap.Peer { return eap.NewPeer(eap.PeerConfig{Identity: "joe", Methods: m}) }
	}
	m, err := tls.NewPeer(tls.PeerConfig{Options: tls.Options{
		Certificate: ca.issue(t, "tls"), Roots: []*x509.Certificate{ca.cert}, MaxVersion: versions[method], Rand: rand.Reader, Now: time.Now}})
	if err != nil {
		t.Fatal(err)
	}
	return func() *eap.Peer {
		return eap.NewPeer(eap.PeerConfig{Identity: "tls", Methods: []eap.PeerMethodFactory{m}})
	}
}

// many takes n peers through their conversations, 32 at a time.
func (g *gateway) many(b *testing.B, n int, peer func() *eap.Peer) {
	b.Helper()
	done := make(chan struct{})
	begun, ended := 0, 0
	var next func()
	next = func() {
		if begun == n {
			return
		}
		begun++
		p := peer()
		var v eap.Conversation
		v = g.client.Converse(station, func(r eap.Result) {
			in := p.Receive(r.Packet)
			if r.Outcome == eap.Continue {
				v.Receive(in.Packet)
				return
			}
			if r.Outcome != eap.Success || string(r.MSK) != string(in.MSK) {
				b.Errorf("%v: %v; peer: %v, %v", r.Outcome, r.Reason, in.Outcome, in.Reason)
			}
			p.Close()
			if ended++; ended == n {
				close(done)
			}
			next()
		})
		v.Begin()
	}
	g.Do(func() {
		for range 32 {
			next()
		}
	})
	<-done
}

// cpuTime is what a process has used, all its threads: the clock of another
// process is its inverted pid over the kind of clock, 2 being what the
// scheduler counts.
func cpuTime(t testing.TB, pid int) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}
