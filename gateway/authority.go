package gateway

import (
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/eap/tls"
	"gatewayd/enrol"
)

// authority decides who may join: the embedded EAP server's policy, made of the
// enrolment list and of certificates.
type authority struct {
	list *enrol.List
	keys map[string]cachedKey // set up, by identity
	psk  psk.Server
	tls  *tls.Server // nil: no certificates are configured
	now  func() time.Time
}

// cachedKey is a key that was set up, and of what.
type cachedKey struct {
	of  enrol.PSK
	key *psk.Key
}

// resumeTime is how long a device may resume a TLS session in place of showing
// its certificate again.
const resumeTime = 24 * time.Hour

func newAuthority(cfg EAP, id string, list *enrol.List, now func() time.Time) (*authority, error) {
	a := &authority{list: list, keys: map[string]cachedKey{}, now: now}
	a.psk = psk.Server{ID: id, Rand: rand.Reader, Lookup: a.key, Authorize: a.mayUseKey}
	if cfg.Certificate == "" {
		return a, nil
	}
	opts, err := loadTLS(cfg, now)
	if err != nil {
		return nil, err
	}
	if a.tls, err = tls.NewServer(tls.ServerConfig{Options: opts, Resume: resumeTime}); err != nil {
		return nil, fmt.Errorf("gateway: lowpan.eap: %w", err)
	}
	return a, nil
}

// loadTLS reads the files of EAP-TLS.
func loadTLS(cfg EAP, now func() time.Time) (o tls.Options, err error) {
	o = tls.Options{Rand: rand.Reader, Now: now}
	if o.Certificate, err = stdtls.LoadX509KeyPair(cfg.Certificate, cfg.Key); err != nil {
		return o, fmt.Errorf("gateway: lowpan.eap: certificate %s, key %s: %w", cfg.Certificate, cfg.Key, err)
	}
	cas, err := readPEM(cfg.CA, "CERTIFICATE")
	if err != nil {
		return o, fmt.Errorf("gateway: lowpan.eap.ca: %w", err)
	}
	for _, der := range cas {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return o, fmt.Errorf("gateway: lowpan.eap.ca: %s: %w", cfg.CA, err)
		}
		o.Roots = append(o.Roots, c)
	}
	if cfg.CRL == "" {
		return o, nil
	}
	lists, err := readPEM(cfg.CRL, "X509 CRL")
	if err != nil {
		return o, fmt.Errorf("gateway: lowpan.eap.crl: %w", err)
	}
	for _, der := range lists {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return o, fmt.Errorf("gateway: lowpan.eap.crl: %s: %w", cfg.CRL, err)
		}
		o.Revocation.Lists = append(o.Revocation.Lists, l)
	}
	return o, nil
}

// readPEM returns the blocks of a kind in a file, at least one.
func readPEM(file, kind string) (list [][]byte, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == kind {
			list = append(list, block.Bytes)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no PEM block %q", file, kind)
	}
	return list, nil
}

// key is the key of EAP-PSK for a name.
func (a *authority) key(id string) *psk.Key {
	p, ok := a.list.Key(id)
	if !ok {
		delete(a.keys, id)
		return nil
	}
	if c, ok := a.keys[id]; ok && c.of == p {
		return c.key
	}
	k, err := psk.NewKey(p.Reveal())
	if err != nil {
		return nil // the list holds keys of the right length only
	}
	a.keys[id] = cachedKey{p, k}
	return k
}

func (a *authority) mayUseKey(id string, port eap.Port) error {
	_, err := a.list.PSK(id, port.CallingStation, a.now())
	return err
}

// methods is the policy: the method that the identity is enrolled for first.
// An identity that is unknown is offered the same as everybody, and fails in
// the end: who asks does not learn who is enrolled.
func (a *authority) methods(identity string, port eap.Port) []eap.ServerMethodFactory {
	var list []eap.ServerMethodFactory
	if a.tls != nil {
		list = append(list, a.tls.Allowing(func(c *x509.Certificate) error {
			_, err := a.list.Certificate(tls.Names(c), port.CallingStation, a.now())
			return err
		}))
	}
	if m, known := a.list.Method(identity); a.list.Has(eap.TypePSK) || !known {
		if known && m == eap.TypePSK {
			return append([]eap.ServerMethodFactory{&a.psk}, list...)
		}
		list = append(list, &a.psk)
	}
	return list
}

// backend is the embedded EAP server.
func (a *authority) backend() eap.Backend {
	return &eap.Local{Methods: a.methods, Rand: rand.Reader}
}

// loadList reads who may join.
func (g *Gateway) loadList() (*enrol.List, error) {
	b, err := g.store.Load(storeCredentials)
	switch {
	case err == nil:
		l, err := enrol.Unmarshal(b)
		if err != nil {
			return nil, fmt.Errorf("gateway: %w; restore the data directory from a copy, or remove its credentials.* to begin anew", err)
		}
		return l, nil
	case isDamaged(err):
		return nil, errors.New("gateway: the stored credentials are damaged in every generation; restore the data directory from a copy, or remove its credentials.* to begin anew")
	case isAbsent(err):
		return enrol.NewList(), nil
	default:
		return nil, err
	}
}

const storeCredentials = "credentials"
