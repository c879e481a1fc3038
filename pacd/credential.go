package pacd

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

// Credential is what a client authenticates by: a key, a certificate, or both.
type Credential struct {
	Identity string
	PSK      enrol.PSK // zero: none
	// PEM files of EAP-TLS; all empty: none.
	Certificate, Key, CA string
	// MaxTLS is the newest version of TLS, of crypto/tls; 0: 1.3.
	MaxTLS uint16
}

// Methods are the EAP methods that the credential serves.
func (c *Credential) Methods() ([]eap.PeerMethodFactory, error) {
	var list []eap.PeerMethodFactory
	if err := enrol.CheckIdentity(c.Identity); err != nil {
		return nil, err
	}
	if c.PSK != (enrol.PSK{}) {
		k, err := psk.NewKey(c.PSK.Reveal())
		if err != nil {
			return nil, err
		}
		list = append(list, &psk.Peer{Key: k, Rand: rand.Reader})
	}
	if c.Certificate != "" {
		p, err := c.tls()
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, errors.New("pacd: neither a key nor a certificate to authenticate by")
	}
	return list, nil
}

func (c *Credential) tls() (*tls.Peer, error) {
	pair, err := stdtls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("pacd: certificate %s, key %s: %w", c.Certificate, c.Key, err)
	}
	b, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("pacd: certificate authority: %w", err)
	}
	var roots []*x509.Certificate
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("pacd: certificate authority %s: %w", c.CA, err)
		}
		roots = append(roots, ca)
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("pacd: certificate authority: %s has no certificate", c.CA)
	}
	return tls.NewPeer(tls.PeerConfig{Options: tls.Options{
		Certificate: pair, Roots: roots, Rand: rand.Reader, Now: time.Now, MaxVersion: c.MaxTLS}})
}

// peer makes EAP peers of a credential.
func (c *Credential) peer() (func() *eap.Peer, error) {
	m, err := c.Methods()
	if err != nil {
		return nil, err
	}
	return func() *eap.Peer { return eap.NewPeer(eap.PeerConfig{Identity: c.Identity, Methods: m}) }, nil
}
