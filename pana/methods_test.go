package pana

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/eap/tls"
)

// method is an EAP method with both sides' credentials.
type method struct {
	name     string
	typ      eap.Type
	identity string
	server   eap.ServerMethodFactory
	peer     eap.PeerMethodFactory
}

func (m method) backend() eap.Backend {
	return &eap.Local{Rand: chacha(3), Methods: func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{m.server} }}
}

func (m method) client() Peer {
	return eap.NewPeer(eap.PeerConfig{Identity: m.identity, Methods: []eap.PeerMethodFactory{m.peer}})
}

// methods are EAP-PSK and EAP-TLS with certificates for P-256.
func methods(t testing.TB) []method {
	t.Helper()
	key, err := psk.NewKey([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(string) *psk.Key { return key }
	ms := []method{{"EAP-PSK", eap.TypePSK, "bob", &psk.Server{ID: "gateway", Rand: chacha(1), Lookup: lookup}, &psk.Peer{Key: key, Rand: chacha(2)}}}

	caKey, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string, serial int64, parent *x509.Certificate) stdtls.Certificate {
		k := caKey
		c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: day0.AddDate(-1, 0, 0), NotAfter: day0.AddDate(9, 0, 0), BasicConstraintsValid: true}
		if parent == nil {
			parent = c
			c.IsCA, c.KeyUsage, c.SubjectKeyId = true, x509.KeyUsageCertSign, []byte(name)
		} else {
			c.KeyUsage = x509.KeyUsageDigitalSignature
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
			c.DNSNames = []string{name}
			if k, err = ecdsa.GenerateKey(elliptic.P256(), crand.Reader); err != nil {
				t.Fatal(err)
			}
		}
		der, err := x509.CreateCertificate(crand.Reader, c, parent, &k.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: k, Leaf: leaf}
	}
	ca := issue("ca", 1, nil)
	gateway, device := issue("gateway", 2, ca.Leaf), issue("device", 3, ca.Leaf)
	for _, version := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		options := tls.Options{Roots: []*x509.Certificate{ca.Leaf}, MinVersion: version, MaxVersion: version,
			Rand: crand.Reader, Now: func() time.Time { return day0 }}
		options.Certificate = gateway
		server, err := tls.NewServer(tls.ServerConfig{Options: options})
		if err != nil {
			t.Fatal(err)
		}
		options.Certificate = device
		peer, err := tls.NewPeer(tls.PeerConfig{Options: options})
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, method{strings.Replace(stdtls.VersionName(version), "TLS", "EAP-TLS", 1), eap.TypeTLS, "device", server, peer})
	}
	return ms
}

// Real methods, whole and through a relay element that loses something.
func TestMethods(t *testing.T) {
	for _, m := range methods(t) {
		for _, noPiggy := range []bool{false, true} {
			t.Run(m.name, func(t *testing.T) {
				l := newLab(t, 4)
				l.loss, l.dup = 0.05, 0.1
				p := l.serve(func(c *PAAConfig) {
					c.Backend = m.backend()
					c.Relay = func(netip.AddrPort) bool { return true }
				})
				l.relay(preA, nil)
				d := l.join(pacAddr, func(c *PaCConfig) { c.Peer, c.NoPiggyback = m.client, noPiggy })
				d.Start(preA)
				l.run(time.Minute)
				if err := d.Reauthenticate(); err != nil {
					t.Fatalf("%v: %s; agent: %s", err, story(d.events), story(l.events))
				}
				l.run(time.Minute)
				is := p.Sessions()
				if len(is) == 0 || d.State() != Open || p.Counters.Reauths != 1 {
					t.Fatalf("client %v: %s; agent: %s", d.State(), story(d.events), story(l.events))
				}
				want(t, "identity", is[0].Identity, m.identity)
				want(t, "method", is[0].Method, m.typ)
			})
		}
	}
}

// The reason of EAP-PSK's server reaches the log.
func TestWrongPSK(t *testing.T) {
	m := methods(t)[0]
	l := newLab(t, 1)
	l.serve(func(c *PAAConfig) { c.Backend = m.backend() })
	wrong, err := psk.NewKey([]byte("0123456789abcdeF"))
	if err != nil {
		t.Fatal(err)
	}
	m.peer = &psk.Peer{Key: wrong, Rand: chacha(2)}
	d := l.join(pacAddr, func(c *PaCConfig) { c.Peer = m.client })
	d.Start(paaAddr)
	l.run(3 * time.Minute)
	last := l.events[len(l.events)-1]
	if last.Kind != SessionRefused || !errors.Is(last.Reason, psk.ErrWrongKey) || !errors.Is(last.Reason, ErrAuthentication) {
		t.Errorf("agent: %s", story(l.events))
	}
	if last := d.events[len(d.events)-1]; last.Kind != SessionRefused || !errors.Is(last.Reason, ErrAuthentication) {
		t.Errorf("client: %s", story(d.events))
	}
	want(t, "sessions", len(l.paa.sessions), 0)
}

// A client that floods is relayed at a bounded rate.
func TestRelayRate(t *testing.T) {
	l := newLab(t, 1)
	r := l.relay(preA, nil)
	m := Message{Type: Notification, Flags: FlagPing, SessionID: 5}
	for range 1000 {
		r.Receive(Datagram{From: pacAddr, HopLimit: 255, Payload: m.Append(nil)})
	}
	want(t, "relayed", r.Counters.ToPAA, 100)
	r.Receive(Datagram{From: clientAddr(77), HopLimit: 255, Payload: m.Append(nil)})
	want(t, "and another's", r.Counters.ToPAA, 101)
}
