package tls

import (
	"bytes"
	"crypto"
	_ "crypto/sha1"   // identifies certificates in most responses, secures nothing
	_ "crypto/sha256" // the same, in some
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// An OCSP response as it is stapled (RFC 6960 Section 4.2.1). What follows
// the fields listed here in a sequence is extensions, which nobody needs.
type (
	ocspResponse struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type     asn1.ObjectIdentifier
			Response []byte
		} `asn1:"explicit,tag:0,optional"`
	}
	ocspBasic struct {
		Data      ocspData
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
		Certs     []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	ocspData struct {
		Raw        asn1.RawContent
		Version    int `asn1:"optional,default:0,explicit,tag:0"`
		Responder  asn1.RawValue
		ProducedAt time.Time `asn1:"generalized"`
		Responses  []ocspSingle
	}
	ocspSingle struct {
		ID         ocspCertID
		Good       asn1.Flag   `asn1:"tag:0,optional"`
		Revoked    ocspRevoked `asn1:"tag:1,optional"`
		Unknown    asn1.Flag   `asn1:"tag:2,optional"`
		ThisUpdate time.Time   `asn1:"generalized"`
		NextUpdate time.Time   `asn1:"generalized,explicit,tag:0,optional"`
	}
	ocspCertID struct {
		Hash       pkix.AlgorithmIdentifier
		IssuerName []byte // hash of the issuer's name
		IssuerKey  []byte // hash of its key
		Serial     *big.Int
	}
	ocspRevoked struct {
		Time   time.Time       `asn1:"generalized"`
		Reason asn1.Enumerated `asn1:"explicit,tag:0,optional"`
	}
)

// ocspMaxAge bounds a response that does not say when the next one comes.
const ocspMaxAge = 7 * 24 * time.Hour

var (
	oidBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

	// Hashes of certificate identifiers (RFC 5019 Section 2.1.1 and after).
	ocspHashes = []struct {
		oid  asn1.ObjectIdentifier
		hash crypto.Hash
	}{
		{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	}

	// Signatures (RFC 6960 Section 4.3, without SHA-1).
	ocspSignatures = []struct {
		oid asn1.ObjectIdentifier
		alg x509.SignatureAlgorithm
	}{
		{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, x509.ECDSAWithSHA256},
		{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, x509.ECDSAWithSHA384},
		{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, x509.ECDSAWithSHA512},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, x509.SHA256WithRSA},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, x509.SHA384WithRSA},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, x509.SHA512WithRSA},
		{asn1.ObjectIdentifier{1, 3, 101, 112}, x509.PureEd25519},
	}
)

// checkStaple says why a certificate is not to be believed by a stapled OCSP
// response: because it was revoked, or because the response does not show that
// it was not.
func checkStaple(response []byte, c, issuer *x509.Certificate, now time.Time) error {
	s, err := parseStaple(response, c, issuer, now)
	if err != nil {
		return fmt.Errorf("%w: stapled OCSP response for %q: %s", ErrRevocation, c.Subject.String(), err)
	}
	switch {
	case !s.Revoked.Time.IsZero():
		return fmt.Errorf("%w: %q, serial number %X, on %s, says the stapled OCSP response", ErrRevoked,
			c.Subject.String(), c.SerialNumber, s.Revoked.Time.UTC().Format(timeFormat))
	case !bool(s.Good):
		return fmt.Errorf("%w: its issuer does not know %q, says the stapled OCSP response", ErrRevocation,
			c.Subject.String())
	}
	return nil
}

// parseStaple finds what a response says of a certificate, if the response is
// genuine and current.
func parseStaple(b []byte, c, issuer *x509.Certificate, now time.Time) (*ocspSingle, error) {
	var r ocspResponse
	if err := unmarshal(b, &r); err != nil {
		return nil, err
	}
	if r.Status != 0 {
		return nil, fmt.Errorf("the responder reports error %d", r.Status)
	}
	if !r.Bytes.Type.Equal(oidBasic) {
		return nil, fmt.Errorf("of unknown type %v", r.Bytes.Type)
	}
	var basic ocspBasic
	if err := unmarshal(r.Bytes.Response, &basic); err != nil {
		return nil, err
	}
	if err := basic.verify(issuer, now); err != nil {
		return nil, err
	}
	for i := range basic.Data.Responses {
		s := &basic.Data.Responses[i]
		if !s.ID.is(c, issuer) {
			continue
		}
		until := s.NextUpdate
		if until.IsZero() {
			until = s.ThisUpdate.Add(ocspMaxAge)
		}
		if now.Before(s.ThisUpdate) || now.After(until) {
			return nil, fmt.Errorf("it was good from %s to %s", s.ThisUpdate.UTC().Format(timeFormat),
				until.UTC().Format(timeFormat))
		}
		return s, nil
	}
	return nil, errors.New("it is about another certificate")
}

func unmarshal(b []byte, v any) error {
	if rest, err := asn1.Unmarshal(b, v); err != nil || len(rest) > 0 {
		return errors.New("malformed")
	}
	return nil
}

// verify checks who signed: the issuer, or one that the issuer made a
// responder (RFC 6960 Section 4.2.2.2).
func (r *ocspBasic) verify(issuer *x509.Certificate, now time.Time) error {
	alg := x509.UnknownSignatureAlgorithm
	for _, s := range ocspSignatures {
		if s.oid.Equal(r.Algorithm.Algorithm) {
			alg = s.alg
		}
	}
	signedBy := func(c *x509.Certificate) bool {
		return c.CheckSignature(alg, r.Data.Raw, r.Signature.RightAlign()) == nil
	}
	if signedBy(issuer) {
		return nil
	}
	for _, raw := range r.Certs {
		c, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil {
			return errors.New("malformed certificate")
		}
		if slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) && !now.Before(c.NotBefore) &&
			!now.After(c.NotAfter) && bytes.Equal(c.RawIssuer, issuer.RawSubject) &&
			c.CheckSignatureFrom(issuer) == nil && signedBy(c) {
			return nil
		}
	}
	return errors.New("it is not signed by the issuer or a responder of the issuer's")
}

// is reports whether the identifier means the certificate.
func (id *ocspCertID) is(c, issuer *x509.Certificate) bool {
	if id.Serial == nil || id.Serial.Cmp(c.SerialNumber) != 0 {
		return false
	}
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &key); err != nil {
		return false
	}
	for _, h := range ocspHashes {
		if !h.oid.Equal(id.Hash.Algorithm) {
			continue
		}
		name, pub := h.hash.New(), h.hash.New()
		name.Write(issuer.RawSubject)
		pub.Write(key.Key.RightAlign())
		return bytes.Equal(name.Sum(nil), id.IssuerName) && bytes.Equal(pub.Sum(nil), id.IssuerKey)
	}
	return false
}
