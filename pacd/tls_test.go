package pacd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatewayd/eap/tls"
	"gatewayd/pana"
)

// authority is a certificate authority of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// issue makes a certificate and its key, good until then.
func (a *authority) issue(name string, until time.Time) (cert, key string) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", raw)
}

// A client gets in by its certificate, by either version of TLS, and not by one
// that has ended or is another authority's.
func TestUDPByCertificate(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	cert, key := ca.issue("gateway.example", time.Now().Add(time.Hour))
	pair, err := stdtls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server, err := tls.NewServer(tls.ServerConfig{Options: tls.Options{Certificate: pair, Roots: []*x509.Certificate{ca.cert}, Rand: rand.Reader, Now: time.Now}})
	if err != nil {
		t.Fatal(err)
	}
	a := serveMethods(t, pana.Standard, server)
	good, goodKey := ca.issue("meter", time.Now().Add(time.Hour))
	old, oldKey := ca.issue("old", time.Now().Add(-time.Hour))
	other, otherKey := stranger.issue("other", time.Now().Add(time.Hour))
	caFile := filepath.Join(ca.dir, "ca.pem")
	for _, c := range []struct {
		name string
		cred Credential
		err  error
	}{
		{"TLS 1.3", Credential{Identity: "meter", Certificate: good, Key: goodKey, CA: caFile}, nil},
		{"TLS 1.2", Credential{Identity: "meter", Certificate: good, Key: goodKey, CA: caFile, MaxTLS: stdtls.VersionTLS12}, nil},
		{"expired", Credential{Identity: "old", Certificate: old, Key: oldKey, CA: caFile}, ErrRefused},
		{"of another authority", Credential{Identity: "other", Certificate: other, Key: otherKey, CA: caFile}, ErrRefused},
		{"trusts another authority", Credential{Identity: "meter", Certificate: good, Key: goodKey, CA: filepath.Join(stranger.dir, "ca.pem")}, ErrRefused},
	} {
		err := RunUDP(t.Context(), UDPConfig{Agent: a.at, Credential: c.cred})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
	wrong := Credential{Identity: "x", Certificate: good, Key: goodKey, CA: goodKey}
	if _, err := wrong.Methods(); err == nil {
		t.Error("a key is an authority")
	}
}
