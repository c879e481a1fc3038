//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/pana"
	"gatewayd/radius"
	"gatewayd/radius/udp"
)

// OpenPANA's programs read this from the folder they run in. Certificates are
// only asked for; the method is EAP-PSK, whose key has 16 octets.
var openPANA = template.Must(template.New("").Parse(`<?xml version="1.0" encoding='ISO-8859-1'?>
<CONFIG><IP_VERSION>4</IP_VERSION>
<PAC><INTERFACE>lo</INTERFACE><PORT>{{.PaC}}</PORT><IP_PAA>127.0.0.1</IP_PAA><PORT_PAA>{{.ToPAA}}</PORT_PAA>
<SESSION><TIMEOUT>150</TIMEOUT></SESSION><ALGORITHMS><PRF>2</PRF><INTEGRITY>7</INTEGRITY></ALGORITHMS>
<USER>user</USER><PASSWORD>passwordpassword</PASSWORD>
<CLIENT_CERTS><CA_CERT>ca.pem</CA_CERT><CLIENT_CERT>client.pem</CLIENT_CERT><CLIENT_KEY>client.pk8</CLIENT_KEY><PRIVATE_KEY>whatever</PRIVATE_KEY></CLIENT_CERTS>
<FRAGMENT_SIZE>1398</FRAGMENT_SIZE><EAP_PIGGYBACK>{{.Piggyback}}</EAP_PIGGYBACK>
<PING_MECHANISM><PING_TIME>1</PING_TIME><NUMBER_PING>2</NUMBER_PING></PING_MECHANISM></PAC>
<PAA><INTERFACE>lo</INTERFACE><PORT>{{.PAA}}</PORT><SESSION><TIMEOUT>100</TIMEOUT></SESSION>
<ALGORITHMS><PRF>2</PRF><INTEGRITY>7</INTEGRITY></ALGORITHMS>
<SERVER_CERTS><CA_CERT>ca.pem</CA_CERT><SERVER_CERT>client.pem</SERVER_CERT><SERVER_KEY>client.pk8</SERVER_KEY></SERVER_CERTS>
<TIMEOUT_CLIENT>60</TIMEOUT_CLIENT><TIME_ANSWER>3</TIME_ANSWER><WORKERS>1</WORKERS>
<AUTH_SERVER><IP_VERSION_AUTH>4</IP_VERSION_AUTH><AS_IP>127.0.0.1</AS_IP><AS_PORT>{{.RADIUS}}</AS_PORT><SHARED_SECRET>testing123</SHARED_SECRET></AUTH_SERVER>
<PING_MECHANISM><PING_TIME>1</PING_TIME><NUMBER_PING>0</NUMBER_PING></PING_MECHANISM></PAA>
<PRE><INTERFACE_PAC>lo</INTERFACE_PAC><PORT_PAC>{{.PREPaC}}</PORT_PAC><INTERFACE_PAA>lo</INTERFACE_PAA><PORT_PAA>{{.PREPAA}}</PORT_PAA>
<IP_PAA>127.0.0.1</IP_PAA><PORT_PAA>{{.ToPAA}}</PORT_PAA></PRE>
</CONFIG>
`))

type openPANAConfig struct {
	PaC, PAA, ToPAA, RADIUS, PREPaC, PREPAA uint16
	Piggyback                               int
}

// openProgram runs one of OpenPANA's programs and returns what it has said.
func openProgram(t *testing.T, name string, cfg openPANAConfig) (output func() string) {
	t.Helper()
	dir := t.TempDir()
	var config bytes.Buffer
	if err := openPANA.Execute(&config, cfg); err != nil {
		t.Fatal(err)
	}
	cert, key := selfSigned(t)
	for file, b := range map[string][]byte{"config.xml": config.Bytes(), "ca.pem": cert, "client.pem": cert, "client.pk8": key} {
		if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(panaPeers(t), name))
	cmd.Dir = dir
	var mu sync.Mutex
	var out bytes.Buffer
	w := writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(b)
	})
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	output = func() string {
		mu.Lock()
		defer mu.Unlock()
		return out.String()
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s says:\n%s", name, output())
		}
	})
	return output
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func selfSigned(t *testing.T) (cert, key []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder})
}

// panaPeers is the folder of an independent PANA implementation's programs.
func panaPeers(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PANA_PEER_DIR")
	if dir == "" {
		t.Skip("NOT RUN: PANA_PEER_DIR names no folder with OpenPANA's openpaa, openpac and openpre")
	}
	for _, name := range []string{"openpaa", "openpac", "openpre"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Skipf("NOT RUN: no %s in PANA_PEER_DIR: %v", name, err)
		}
	}
	return dir
}

// panaNode is a PANA machine with a socket on the loopback.
type panaNode struct {
	t     *testing.T
	clock *alarm.Clock
	*udp.Sockets
	addr   netip.AddrPort
	events chan pana.Event
}

func newPanaNode(t *testing.T) *panaNode {
	t.Helper()
	n := &panaNode{t: t, clock: new(alarm.Clock), events: make(chan pana.Event, 100)}
	n.clock.Set(time.Now())
	s, err := udp.New(udp.Options{Listen: []netip.AddrPort{loopback(freePort(t))}, Clock: n.clock})
	if err != nil {
		t.Fatal(err)
	}
	n.Sockets, n.addr = s, s.Addr(0)
	return n
}

func (n *panaNode) send(to netip.AddrPort, b []byte) { n.Send(0, to, b) }

func (n *panaNode) event(e pana.Event) {
	select {
	case n.events <- e:
	default:
		n.t.Errorf("too many events, the next is %v", e.Kind)
	}
}

func (n *panaNode) dropped(from netip.AddrPort, why error) {
	n.t.Logf("%v discards a message of %v: %v", n.addr, from, why)
}

func (n *panaNode) run(receive func(pana.Datagram)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- n.Run(ctx, func(_ int, from netip.AddrPort, b []byte) {
			receive(pana.Datagram{From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Payload: b})
		})
	}()
	n.t.Cleanup(func() { cancel(); <-done })
}

// expect waits for events of the kinds given, in order.
func (n *panaNode) expect(kinds ...pana.EventKind) (last pana.Event) {
	n.t.Helper()
	limit := time.After(10 * time.Second)
	for _, k := range kinds {
		select {
		case last = <-n.events:
			if last.Kind != k {
				n.t.Fatalf("%v at %v, cause %v, reason %v; want %v", last.Kind, n.addr, last.Cause, last.Reason, k)
			}
		case <-limit:
			n.t.Fatalf("nothing at %v, want %v", n.addr, k)
		}
	}
	return last
}

var panaKey = func() *psk.Key {
	k, err := psk.NewKey([]byte("passwordpassword"))
	if err != nil {
		panic(err)
	}
	return k
}()

func pskBackend() *eap.Local {
	m := &psk.Server{ID: "gateway", Rand: rand.Reader, Lookup: func(id string) *psk.Key {
		if id != "user" {
			return nil
		}
		return panaKey
	}}
	return &eap.Local{Rand: rand.Reader, Methods: func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{m} }}
}

// sha1 is all that OpenPANA knows; its client exits when it is offered more.
var sha1 = pana.Algorithms{PRF: []pana.PRF{pana.PRFHMACSHA1}, Integrity: []pana.Integrity{pana.HMACSHA1160}}

// ourPAA is our agent.
func ourPAA(t *testing.T, algorithms pana.Algorithms) (*panaNode, *pana.PAA) {
	t.Helper()
	n := newPanaNode(t)
	p, err := pana.NewPAA(pana.PAAConfig{Clock: n.clock, Random: rand.Reader, Backend: pskBackend(), Send: n.send,
		Event: n.event, Dropped: n.dropped, AllowRouted: true, Lifetime: time.Minute, Algorithms: algorithms,
		Relay: func(netip.AddrPort) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	n.run(p.Receive)
	return n, p
}

// ourPaC is our client, which starts with an agent at once.
func ourPaC(t *testing.T, agent netip.AddrPort, piggyback bool) (*panaNode, *pana.PaC) {
	t.Helper()
	n := newPanaNode(t)
	c, err := pana.NewPaC(pana.PaCConfig{Clock: n.clock, Random: rand.Reader, Send: n.send, Event: n.event, Dropped: n.dropped,
		AllowRouted: true, NoPiggyback: !piggyback, Timers: pana.Timers{Ping: time.Millisecond},
		Peer: func() pana.Peer {
			return eap.NewPeer(eap.PeerConfig{Identity: "user", Methods: []eap.PeerMethodFactory{&psk.Peer{Key: panaKey, Rand: rand.Reader}}})
		}})
	if err != nil {
		t.Fatal(err)
	}
	n.run(c.Receive)
	n.do(func() { c.Start(agent) })
	return n, c
}

func (n *panaNode) do(f func()) {
	n.t.Helper()
	if err := n.Do(f); err != nil {
		n.t.Fatal(err)
	}
}

// freePort is a UDP port of the loopback that is free now, below 32768: the
// programs read it as a signed number of 16 bits.
func freePort(t *testing.T) uint16 {
	t.Helper()
	for range 100 {
		port := 10000 + mrand.IntN(1<<15-10000)
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err == nil {
			c.Close()
			return uint16(port)
		}
	}
	t.Fatal("no port is free")
	return 0
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// waitUDP waits until a UDP port of the loopback is in use.
func waitUDP(t *testing.T, port uint16) {
	t.Helper()
	want := fmt.Sprintf(":%04X ", port)
	for range 100 {
		b, err := os.ReadFile("/proc/net/udp")
		if err != nil {
			t.Skip("NOT RUN: no /proc/net/udp")
		}
		if strings.Contains(string(b), want) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nobody listens on port %d", port)
}

// TestPANATheirClient: OpenPANA's client authenticates to our agent by
// EAP-PSK, with EAP piggy-backed and not, directly and through our relay
// element, pings, and is re-authenticated.
func TestPANATheirClient(t *testing.T) {
	for _, tt := range []struct {
		name      string
		piggyback int
		relay     bool
	}{{"piggy-backed", 1, false}, {"not piggy-backed", 0, false}, {"through our relay", 1, true}} {
		t.Run(tt.name, func(t *testing.T) {
			panaPeers(t)
			n, p := ourPAA(t, sha1)
			to := n.addr
			if tt.relay {
				r := newPanaNode(t)
				pre, err := pana.NewPRE(pana.PREConfig{Clock: r.clock, PAA: n.addr, Send: r.send, Dropped: r.dropped, AllowRouted: true})
				if err != nil {
					t.Fatal(err)
				}
				r.run(pre.Receive)
				to = r.addr
			}
			openProgram(t, "openpac", openPANAConfig{PaC: freePort(t), ToPAA: to.Port(), Piggyback: tt.piggyback})
			e := n.expect(pana.SessionOpened, pana.SessionAuthorized)
			if e.Session.Identity != "user" || e.Session.Method != eap.TypePSK || e.Session.PRE.IsValid() != tt.relay {
				t.Errorf("session %+v", e.Session)
			}
			time.Sleep(2500 * time.Millisecond) // it pings twice
			n.do(func() {
				if s, ok := p.Session(e.Session.ID); !ok || s.State != pana.Open {
					t.Errorf("session %+v, %v", s, ok)
				}
				if c := p.Counters; c.Retransmission != 0 || c.Dropped != 0 {
					t.Errorf("counters %+v", c)
				}
			})
			if tt.piggyback == 0 {
				return // without piggy-backing it answers a re-authentication without its nonce
			}
			n.do(func() {
				if err := p.Reauthenticate(e.Session.ID); err != nil {
					t.Error(err)
				}
			})
			n.expect(pana.SessionReauthenticated)
		})
	}
}

// TestPANATheirAgent: our client authenticates to OpenPANA's agent, which asks
// our RADIUS server, pings it, authenticates again, and ends the session.
func TestPANATheirAgent(t *testing.T) {
	for _, piggyback := range []bool{true, false} {
		t.Run(fmt.Sprintf("piggy-backed %v", piggyback), func(t *testing.T) {
			panaPeers(t)
			aaa := newPanaNode(t)
			server, err := radius.NewServer(radius.ServerConfig{Clock: aaa.clock, Entropy: rand.Reader, Send: aaa.Send, Backend: pskBackend(),
				Clients:   []radius.Authorized{{Prefix: netip.MustParsePrefix("127.0.0.1/32"), Secret: radius.Secret("testing123")}},
				Discarded: aaa.dropped})
			if err != nil {
				t.Fatal(err)
			}
			aaa.run(func(d pana.Datagram) { server.Receive(0, d.From, d.Payload) })
			port := freePort(t)
			openProgram(t, "openpaa", openPANAConfig{PAA: port, PaC: port, ToPAA: port, RADIUS: aaa.addr.Port()})
			waitUDP(t, port)
			n, c := ourPaC(t, loopback(port), piggyback)
			n.expect(pana.SessionOpened, pana.SessionAuthorized)
			n.do(func() {
				if i := c.Info(); i.Suite != (pana.Suite{PRF: pana.PRFHMACSHA1, Integrity: pana.HMACSHA1160}) || i.Lifetime != time.Minute {
					t.Errorf("session %+v", i)
				}
				if err := c.Ping(); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(300 * time.Millisecond)
			n.do(func() {
				if err := c.Reauthenticate(); err != nil {
					t.Error(err)
				}
			})
			n.expect(pana.SessionReauthenticated)
			n.do(func() {
				if c.State() != pana.Open {
					t.Errorf("client is %v", c.State())
				}
				c.Terminate()
			})
			n.expect(pana.SessionTerminated)
			time.Sleep(300 * time.Millisecond)
			n.do(func() {
				if c.State() != pana.Closed {
					t.Errorf("client is %v, its agent has not answered", c.State())
				}
			})
		})
	}
}

// TestPANATheirRelay: OpenPANA's relay element carries a session between our
// client and our agent: authentication, ping, re-authentication, termination.
func TestPANATheirRelay(t *testing.T) {
	panaPeers(t)
	n, p := ourPAA(t, pana.Algorithms{})
	port := freePort(t)
	openProgram(t, "openpre", openPANAConfig{PREPaC: port, PREPAA: freePort(t), ToPAA: n.addr.Port(), PaC: port, PAA: port})
	waitUDP(t, port)
	cn, c := ourPaC(t, loopback(port), true)
	cn.expect(pana.SessionOpened, pana.SessionAuthorized)
	e := n.expect(pana.SessionOpened, pana.SessionAuthorized)
	if e.Session.PaC != cn.addr || !e.Session.PRE.IsValid() {
		t.Errorf("session %+v", e.Session)
	}
	cn.do(func() {
		if err := c.Ping(); err != nil {
			t.Error(err)
		}
	})
	n.do(func() {
		if err := p.Reauthenticate(e.Session.ID); err != nil {
			t.Error(err)
		}
	})
	n.expect(pana.SessionReauthenticated)
	cn.expect(pana.SessionReauthenticated)
	n.do(func() {
		if err := p.Disconnect(e.Session.ID); err != nil {
			t.Error(err)
		}
	})
	if e := cn.expect(pana.SessionTerminated); e.Cause != pana.Administrative {
		t.Errorf("terminated with cause %v, reason %v", e.Cause, e.Reason)
	}
}
