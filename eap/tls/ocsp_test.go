package tls

import (
	"bytes"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatewayd/eap"
)

// ocspFile reads one of the files that `openssl ocsp` (3.0.22) made in
// November 2026, for ten years; see the table for what they say.
func ocspFile(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "ocsp", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func ocspCert(tb testing.TB, name string) *x509.Certificate {
	tb.Helper()
	block, _ := pem.Decode(ocspFile(tb, name))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var ocspNow = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

func TestStaple(t *testing.T) {
	ca, leaf, gone := ocspCert(t, "ca.pem"), ocspCert(t, "leaf.pem"), ocspCert(t, "gone.pem")
	tests := []struct {
		file string
		cert *x509.Certificate
		now  time.Time
		want error
		says string
	}{
		{"good.der", leaf, ocspNow, nil, ""},
		{"sha256.der", leaf, ocspNow, nil, ""},    // names the certificate by SHA-256
		{"delegated.der", leaf, ocspNow, nil, ""}, // signed by a responder of the authority's
		{"rogue.der", leaf, ocspNow, ErrRevocation, "not signed by the issuer"},
		{"revoked.der", gone, ocspNow, ErrRevoked, `"CN=gateway", serial number 1002, on 2026-09-01 00:00:00Z`},
		{"unknown.der", leaf, ocspNow, ErrRevocation, "another certificate"},
		{"good.der", gone, ocspNow, ErrRevocation, "another certificate"},
		{"good.der", leaf, ocspNow.AddDate(0, -1, 0), ErrRevocation, "it was good from 2026-11-23"},
		{"good.der", leaf, ocspNow.AddDate(10, 0, 0), ErrRevocation, "to 2036-11-20"},
		{"nonext.der", leaf, ocspNow.AddDate(0, 0, -2), nil, ""}, // says not when the next one comes
		{"nonext.der", leaf, ocspNow, ErrRevocation, "to 2026-11-30"},
		{"ca.pem", leaf, ocspNow, ErrRevocation, "malformed"},
	}
	for _, tt := range tests {
		err := checkStaple(ocspFile(t, tt.file), tt.cert, ca, tt.now)
		if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s on %v: %v, want %v, %s", tt.file, tt.now, err, tt.want, tt.says)
		}
	}
	// Of a certificate the responder does not know: status unknown.
	s, err := parseStaple(ocspFile(t, "unknown.der"), &x509.Certificate{SerialNumber: ca.SerialNumber.SetInt64(0x1004)},
		ocspCert(t, "ca.pem"), ocspNow)
	if err != nil || bool(s.Good) || !bool(s.Unknown) {
		t.Errorf("%+v, %v", s, err)
	}
	// Any octet altered of what is signed spoils it.
	good := ocspFile(t, "good.der")
	var r ocspResponse
	var basic ocspBasic
	if unmarshal(good, &r) != nil || unmarshal(r.Bytes.Response, &basic) != nil {
		t.Fatal("no response")
	}
	at := bytes.Index(good, basic.Data.Raw)
	for i := range basic.Data.Raw {
		forged := bytes.Clone(good)
		forged[at+i] ^= 1
		if checkStaple(forged, leaf, ca, ocspNow) == nil {
			t.Errorf("altered at %d: accepted", at+i)
		}
	}
}

// A server that staples is checked, in whole conversations.
func TestStapled(t *testing.T) {
	block, _ := pem.Decode(ocspFile(t, "leaf.key"))
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	ca, leaf := ocspCert(t, "ca.pem"), ocspCert(t, "leaf.pem")
	for _, v := range versions {
		for file, want := range map[string]error{"good.der": nil, "delegated.der": nil, "rogue.der": ErrRevocation} {
			s := newSetup(t, v.id)
			s.peer.Certificate = s.ca.issue(t, "sensor-7", func(c *x509.Certificate) { c.NotAfter = ocspNow.AddDate(1, 0, 0) })
			s.server.Certificate = stdtls.Certificate{
				Certificate: [][]byte{leaf.Raw},
				PrivateKey:  key,
				OCSPStaple:  ocspFile(t, file),
			}
			s.peer.Roots = []*x509.Certificate{ca}
			s.peer.RequireStaple = true
			s.peer.Now = func() time.Time { return ocspNow }
			s.server.Now = s.peer.Now
			server, peer := s.sides(t)
			c := run(t, server, peer, 0)
			if want == nil {
				agree(t, c)
			} else if c.peer.Outcome != eap.Failure || !errors.Is(c.peer.Reason, want) || !errors.Is(c.server.Reason, ErrAlert) {
				t.Errorf("TLS %s, %s: %v, %v", v.name, file, c.peer.Reason, c.server.Reason)
			}
		}
	}
}

// Parsing neither panics nor believes.
func FuzzStaple(f *testing.F) {
	ca, leaf := ocspCert(f, "ca.pem"), ocspCert(f, "leaf.pem")
	for _, name := range []string{"good.der", "revoked.der", "delegated.der", "unknown.der", "nonext.der"} {
		f.Add(ocspFile(f, name))
	}
	genuine := map[string]bool{}
	for _, name := range []string{"good.der", "sha256.der", "delegated.der"} {
		var r ocspResponse
		if err := unmarshal(ocspFile(f, name), &r); err != nil {
			f.Fatal(err)
		}
		var b ocspBasic
		if err := unmarshal(r.Bytes.Response, &b); err != nil {
			f.Fatal(err)
		}
		genuine[string(b.Data.Raw)] = true
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if checkStaple(in, leaf, ca, ocspNow) != nil {
			return
		}
		var r ocspResponse
		var b ocspBasic
		if unmarshal(in, &r) != nil || unmarshal(r.Bytes.Response, &b) != nil || !genuine[string(b.Data.Raw)] {
			t.Errorf("believed %x", in)
		}
	})
}
