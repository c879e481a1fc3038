package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"gatewayd/eap"
)

// noon is the time of day in these tests.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

// authority is a certificate authority with P-256 keys.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(tb testing.TB, name string) *authority {
	tb.Helper()
	return (*authority)(nil).authority(tb, name)
}

// authority makes an authority below a, or a root if a is nil.
func (a *authority) authority(tb testing.TB, name string) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	sub := &authority{key: key, next: 100}
	if a == nil {
		a = sub
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(a.serial()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             noon.AddDate(-1, 0, 0),
		NotAfter:              noon.AddDate(9, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId:          []byte(name),
	}
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	if sub.cert, err = x509.ParseCertificate(der); err != nil {
		tb.Fatal(err)
	}
	return sub
}

func (a *authority) serial() int64 { a.next++; return a.next }

// issue makes a certificate for name; change may alter the template.
func (a *authority) issue(tb testing.TB, name string, change func(*x509.Certificate)) stdtls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    noon.AddDate(0, -1, 0),
		NotAfter:     noon.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// revoke makes a revocation list that is good until the given time.
func (a *authority) revoke(tb testing.TB, until time.Time, certs ...stdtls.Certificate) *x509.RevocationList {
	tb.Helper()
	template := &x509.RevocationList{
		Number:     big.NewInt(a.serial()),
		ThisUpdate: until.AddDate(0, 0, -7),
		NextUpdate: until,
	}
	for _, c := range certs {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: template.ThisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// setup is a server and a peer that believe the same authority.
type setup struct {
	ca     *authority
	server ServerConfig
	peer   PeerConfig
}

func newSetup(tb testing.TB, version uint16) *setup {
	tb.Helper()
	ca := newAuthority(tb, "test root")
	options := func(name string) Options {
		return Options{
			Certificate: ca.issue(tb, name, nil),
			Roots:       []*x509.Certificate{ca.cert},
			MinVersion:  version,
			MaxVersion:  version,
			Rand:        rand.Reader,
			Now:         clock,
		}
	}
	return &setup{
		ca:     ca,
		server: ServerConfig{Options: options("gateway")},
		peer:   PeerConfig{Options: options("sensor-7")},
	}
}

// sides makes both sides.
func (s *setup) sides(tb testing.TB) (*Server, *Peer) {
	tb.Helper()
	server, err := NewServer(s.server)
	if err != nil {
		tb.Fatal(err)
	}
	peer, err := NewPeer(s.peer)
	if err != nil {
		tb.Fatal(err)
	}
	return server, peer
}

// talk is a conversation over a lossless lower layer with packets of at most
// mtu octets.
type talk struct {
	server, peer eap.Result
	packets      [][]byte // requests and responses, in turn
}

func run(tb testing.TB, server eap.ServerMethodFactory, peer eap.PeerMethodFactory, mtu int) talk {
	tb.Helper()
	s := eap.NewServer(eap.ServerConfig{
		Methods: func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{server} },
		Port:    eap.Port{MTU: mtu},
	})
	p := eap.NewPeer(eap.PeerConfig{Identity: "anonymous@example.org", Methods: []eap.PeerMethodFactory{peer}, MTU: mtu})
	defer s.Close()
	defer p.Close()
	var t talk
	t.server = s.Begin()
	for t.server.Packet != nil {
		if n := len(t.server.Packet); mtu > 0 && n > mtu {
			tb.Fatalf("request of %d octets, more than %d", n, mtu)
		}
		t.packets = append(t.packets, t.server.Packet)
		t.peer = p.Receive(t.server.Packet)
		if t.server.Outcome != eap.Continue || t.peer.Packet == nil {
			break
		}
		if n := len(t.peer.Packet); mtu > 0 && n > mtu {
			tb.Fatalf("response of %d octets, more than %d", n, mtu)
		}
		t.packets = append(t.packets, t.peer.Packet)
		t.server = s.Receive(t.peer.Packet)
	}
	return t
}
