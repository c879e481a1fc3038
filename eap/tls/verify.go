package tls

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Names lists the names a certificate is for: its subject's common name, then
// the subject alternative names (DNS, mail, URI, address), without repetition.
func Names(c *x509.Certificate) []string {
	var all []string
	add := func(name string) {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	add(c.Subject.CommonName)
	for _, n := range c.DNSNames {
		add(n)
	}
	for _, n := range c.EmailAddresses {
		add(n)
	}
	for _, u := range c.URIs {
		add(u.String())
	}
	for _, ip := range c.IPAddresses {
		add(ip.String())
	}
	return all
}

// identity is who a certificate is of: the first of its names, or the whole
// subject.
func identity(c *x509.Certificate) string {
	if names := Names(c); len(names) > 0 {
		return names[0]
	}
	return c.Subject.String()
}

// Subjects returns a rule that allows certificates with one of the names,
// whatever the case of its letters. There are no wildcards. Without names
// nobody is allowed.
func Subjects(names ...string) func(*x509.Certificate) error {
	names = slices.Clone(names)
	return func(c *x509.Certificate) error {
		have := Names(c)
		for _, n := range have {
			if slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(n, s) }) {
				return nil
			}
		}
		return fmt.Errorf("%w: %q", ErrSubject, have)
	}
}

// Options are what server and peer have in common.
type Options struct {
	// Certificate is the own one, with its chain and its key; and with an
	// OCSP response to staple, if there is one.
	Certificate stdtls.Certificate
	// Roots are the authorities that the other side's certificate may come
	// from. At least one.
	Roots []*x509.Certificate
	// Allow says why a certificate that is valid is refused all the same,
	// for instance Subjects; nil: none is.
	Allow func(*x509.Certificate) error
	// Revocation says how revoked certificates are found.
	Revocation Revocation
	// MinVersion and MaxVersion are of crypto/tls; 0: TLS 1.2 and 1.3.
	MinVersion, MaxVersion uint16
	// Curves are the key exchanges, the preferred one first; nil: P-256,
	// X25519 and P-384. The hybrid ones with ML-KEM, which crypto/tls would
	// prefer, make a handshake 2.3 KB longer: that is much on a slow link.
	Curves []stdtls.CurveID
	// Rand gives random numbers, Now the time of day.
	Rand io.Reader
	Now  func() time.Time
}

// base makes the part of crypto/tls's configuration that both sides share.
func (o *Options) base() (*stdtls.Config, error) {
	cfg := &stdtls.Config{
		Certificates:     []stdtls.Certificate{o.Certificate},
		MinVersion:       max(o.MinVersion, stdtls.VersionTLS12),
		MaxVersion:       o.MaxVersion,
		CurvePreferences: o.Curves,
		Rand:             o.Rand,
		Time:             o.Now,
	}
	if cfg.CurvePreferences == nil {
		cfg.CurvePreferences = []stdtls.CurveID{stdtls.CurveP256, stdtls.X25519, stdtls.CurveP384}
	}
	switch {
	case len(o.Certificate.Certificate) == 0 || o.Certificate.PrivateKey == nil:
		return nil, errors.New("eap-tls: no certificate with its key")
	case len(o.Roots) == 0:
		return nil, errors.New("eap-tls: no authority to believe")
	case cfg.MaxVersion != 0 && cfg.MaxVersion < cfg.MinVersion:
		return nil, errors.New("eap-tls: no TLS version left: 1.2 and 1.3 are supported")
	case o.Rand == nil || o.Now == nil:
		return nil, errors.New("eap-tls: no random source or clock")
	}
	return cfg, nil
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}
