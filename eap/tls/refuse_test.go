package tls

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"gatewayd/eap"
)

// Each way to be refused ends in EAP-Failure on both sides, with the reason
// at the side that refuses and TLS's alert at the other.
func TestRefused(t *testing.T) {
	past := func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) }
	future := func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) }
	tests := []struct {
		name   string
		change func(*testing.T, *setup)
		server error
		says   string // part of the server's reason
		peer   error
		hears  string // part of the peer's
	}{
		{"peer of an unknown authority", func(t *testing.T, s *setup) {
			s.peer.Certificate = newAuthority(t, "someone else").issue(t, "sensor-7", nil)
		}, ErrUnknownCA, `issued by "CN=someone else" to "CN=sensor-7"`, ErrAlert, "unknown certificate authority"},
		{"peer's certificate expired", func(t *testing.T, s *setup) {
			s.peer.Certificate = s.ca.issue(t, "sensor-7", past)
		}, ErrExpired, `"CN=sensor-7", 2026-05-01 12:00:00Z to 2026-06-01 11:59:59Z`, ErrAlert, "expired certificate"},
		{"peer's certificate not valid yet", func(t *testing.T, s *setup) {
			s.peer.Certificate = s.ca.issue(t, "sensor-7", future)
		}, ErrExpired, `"CN=sensor-7"`, ErrAlert, "expired certificate"},
		{"peer's certificate for another purpose", func(t *testing.T, s *setup) {
			s.peer.Certificate = s.ca.issue(t, "sensor-7", func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			})
		}, ErrHandshake, "key usage", ErrAlert, "bad certificate"},
		{"peer's certificate revoked", func(t *testing.T, s *setup) {
			s.server.Revocation.Lists = []*x509.RevocationList{s.ca.revoke(t, noon.AddDate(0, 0, 1), s.peer.Certificate)}
		}, ErrRevoked, `"CN=sensor-7", serial number 67, on 2026-05-26 12:00:00Z`, ErrAlert, "bad certificate"},
		{"peer's certificate revoked by a list of before", func(t *testing.T, s *setup) {
			s.server.Revocation.Lists = []*x509.RevocationList{
				s.ca.revoke(t, noon.AddDate(0, 0, -1), s.peer.Certificate), s.ca.revoke(t, noon.AddDate(0, 0, 1))}
		}, ErrRevoked, "", ErrAlert, "bad certificate"},
		{"revocation list expired", func(t *testing.T, s *setup) {
			s.server.Revocation.Lists = []*x509.RevocationList{s.ca.revoke(t, noon.Add(-time.Second))}
		}, ErrRevocation, `the revocation list of "CN=test root" expired on 2026-06-01 11:59:59Z`, ErrAlert, "bad certificate"},
		{"revocation list of the future", func(t *testing.T, s *setup) {
			s.server.Revocation.Lists = []*x509.RevocationList{s.ca.revoke(t, noon.AddDate(0, 1, 0))}
		}, ErrRevocation, "", ErrAlert, "bad certificate"},
		{"no revocation list", func(t *testing.T, s *setup) {
			s.server.Revocation = Revocation{Require: true}
		}, ErrRevocation, `no revocation list of "CN=test root"`, ErrAlert, "bad certificate"},
		{"revocation list forged", func(t *testing.T, s *setup) {
			s.server.Revocation = Revocation{Require: true, Lists: []*x509.RevocationList{
				newAuthority(t, "test root").revoke(t, noon.AddDate(0, 0, 1))}}
		}, ErrRevocation, "no revocation list", ErrAlert, "bad certificate"},
		{"intermediate authority revoked", func(t *testing.T, s *setup) {
			sub := s.ca.authority(t, "plant 4")
			s.peer.Certificate = sub.issue(t, "sensor-7", nil)
			s.peer.Certificate.Certificate = append(s.peer.Certificate.Certificate, sub.cert.Raw)
			s.server.Revocation.Lists = []*x509.RevocationList{
				s.ca.revoke(t, noon.AddDate(0, 0, 1), stdtls.Certificate{Leaf: sub.cert})}
		}, ErrRevoked, `"CN=plant 4"`, ErrAlert, "bad certificate"},
		{"peer's name not allowed", func(t *testing.T, s *setup) {
			s.server.Allow = Subjects("sensor-8", "sensor-77")
		}, ErrSubject, `["sensor-7"]`, ErrAlert, "bad certificate"},
		{"nobody allowed", func(t *testing.T, s *setup) {
			s.server.Allow = Subjects()
		}, ErrSubject, "", ErrAlert, "bad certificate"},

		{"server of an unknown authority", func(t *testing.T, s *setup) {
			s.server.Certificate = newAuthority(t, "someone else").issue(t, "gateway", nil)
		}, ErrAlert, "bad certificate", ErrUnknownCA, `issued by "CN=someone else"`},
		{"server's certificate expired", func(t *testing.T, s *setup) {
			s.server.Certificate = s.ca.issue(t, "gateway", past)
		}, ErrAlert, "bad certificate", ErrExpired, `"CN=gateway"`},
		{"server's certificate revoked", func(t *testing.T, s *setup) {
			s.peer.Revocation.Lists = []*x509.RevocationList{s.ca.revoke(t, noon.AddDate(0, 0, 1), s.server.Certificate)}
		}, ErrAlert, "bad certificate", ErrRevoked, `"CN=gateway"`},
		{"server's name not allowed", func(t *testing.T, s *setup) {
			s.peer.Allow = Subjects("aaa.example.org")
		}, ErrAlert, "bad certificate", ErrSubject, `["gateway"]`},
		{"server staples nothing", func(t *testing.T, s *setup) {
			s.peer.RequireStaple = true
		}, ErrAlert, "bad certificate", ErrRevocation, `no OCSP response is stapled to "CN=gateway"`},
		{"server staples nonsense", func(t *testing.T, s *setup) {
			s.server.Certificate.OCSPStaple = []byte("good, I swear")
		}, ErrAlert, "bad certificate", ErrRevocation, `stapled OCSP response for "CN=gateway": malformed`},
	}
	for _, v := range versions {
		for _, tt := range tests {
			t.Run(v.name+" "+tt.name, func(t *testing.T) {
				s := newSetup(t, v.id)
				tt.change(t, s)
				server, peer := s.sides(t)
				refused(t, run(t, server, peer, 300), tt.server, tt.says, tt.peer, tt.hears)
			})
		}
	}
}

// refused checks that both sides failed for these reasons, and that alert or
// its acknowledgement came before EAP-Failure.
func refused(t *testing.T, c talk, server error, says string, peer error, hears string) {
	t.Helper()
	if c.server.Outcome != eap.Failure || !errors.Is(c.server.Reason, server) || c.server.MSK != nil ||
		!strings.Contains(c.server.Reason.Error(), says) {
		t.Errorf("server: %v, %v", c.server.Outcome, c.server.Reason)
	}
	if c.peer.Outcome != eap.Failure || !errors.Is(c.peer.Reason, peer) || c.peer.MSK != nil ||
		!strings.Contains(c.peer.Reason.Error(), hears) {
		t.Errorf("peer: %v, %v", c.peer.Outcome, c.peer.Reason)
	}
}

// There is mutual authentication only.
func TestNoCertificate(t *testing.T) {
	for _, v := range versions {
		server, peer := newSetup(t, v.id).sides(t)
		peer.base.GetClientCertificate = func(*stdtls.CertificateRequestInfo) (*stdtls.Certificate, error) {
			return new(stdtls.Certificate), nil
		}
		refused(t, run(t, server, peer, 0), ErrHandshake, "client didn't provide a certificate", ErrAlert, "")
	}
}

// A list past its time, or none, can be put up with.
func TestLenient(t *testing.T) {
	for _, change := range []func(*setup){
		func(s *setup) {
			s.server.Revocation = Revocation{Require: true, AllowStale: true,
				Lists: []*x509.RevocationList{s.ca.revoke(t, noon.AddDate(0, -1, 0))}}
		},
		func(s *setup) { // a list of somebody else's
			s.server.Revocation.Lists = []*x509.RevocationList{newAuthority(t, "other").revoke(t, noon.AddDate(0, 0, 1))}
		},
		func(s *setup) {
			s.server.Revocation = Revocation{Require: true,
				Lists: []*x509.RevocationList{s.ca.revoke(t, noon.AddDate(0, 0, 1), s.server.Certificate)}}
		},
		func(s *setup) { s.server.Allow = Subjects("sensor-6", "SENSOR-7") },
	} {
		s := newSetup(t, 0)
		change(s)
		server, peer := s.sides(t)
		agree(t, run(t, server, peer, 0))
	}
}

// A rule for one conversation beats the server's own.
func TestAllowing(t *testing.T) {
	server, peer := newSetup(t, 0).sides(t)
	agree(t, run(t, server.Allowing(Subjects("sensor-7")), peer, 0))
	refused(t, run(t, server.Allowing(Subjects("sensor-8")), peer, 0), ErrSubject, "", ErrAlert, "")
	agree(t, run(t, server.Allowing(nil), peer, 0))
}

// Revocation lists that are replaced count at once.
func TestSetRevocation(t *testing.T) {
	s := newSetup(t, 0)
	server, peer := s.sides(t)
	agree(t, run(t, server, peer, 0))
	list := s.ca.revoke(t, noon.AddDate(0, 0, 1), s.peer.Certificate)
	if err := server.SetRevocation(Revocation{Lists: []*x509.RevocationList{list}}); err != nil {
		t.Fatal(err)
	}
	refused(t, run(t, server, peer, 0), ErrRevoked, "", ErrAlert, "")
}

func TestNames(t *testing.T) {
	c := newAuthority(t, "root").issue(t, "cn", func(c *x509.Certificate) {
		c.DNSNames = []string{"a.example.org", "cn"}
		c.EmailAddresses = []string{"a@example.org"}
	}).Leaf
	if got := strings.Join(Names(c), " "); got != "cn a.example.org a@example.org" {
		t.Errorf("names %q", got)
	}
	for _, name := range []string{"cn", "A.example.org", "a@example.org"} {
		if err := Subjects("x", name)(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "example.org", "*.example.org", "cn a.example.org"} {
		if err := Subjects(name)(c); !errors.Is(err, ErrSubject) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := identity(&x509.Certificate{}); got != "" {
		t.Errorf("identity %q of nobody", got)
	}
}

func TestConfig(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
	}{
		{"no certificate", func(o *Options) { o.Certificate.Certificate = nil }},
		{"no key", func(o *Options) { o.Certificate.PrivateKey = nil }},
		{"no authority", func(o *Options) { o.Roots = nil }},
		{"TLS 1.1 only", func(o *Options) { o.MaxVersion = stdtls.VersionTLS11 }},
		{"no randomness", func(o *Options) { o.Rand = nil }},
		{"no clock", func(o *Options) { o.Now = nil }},
	}
	for _, tt := range tests {
		s := newSetup(t, 0)
		tt.change(&s.server.Options)
		tt.change(&s.peer.Options)
		if _, err := NewServer(s.server); err == nil {
			t.Errorf("server with %s", tt.name)
		}
		if _, err := NewPeer(s.peer); err == nil {
			t.Errorf("peer with %s", tt.name)
		}
	}
	server, peer := newSetup(t, 0).sides(t)
	if _, err := server.Start(eap.ServerContext{Port: eap.Port{MTU: minMTU - 1}}); err == nil {
		t.Error("server with tiny packets")
	}
	if _, err := peer.Start(eap.PeerContext{MTU: minMTU - 1}); err == nil {
		t.Error("peer with tiny packets")
	}
}
