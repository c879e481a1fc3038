package tls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// Why an authentication failed. What is returned wraps one of them and says
// whose certificate, which date, which name.
var (
	ErrExpired    = errors.New("eap-tls: certificate expired or not yet valid")
	ErrRevoked    = errors.New("eap-tls: certificate revoked")
	ErrUnknownCA  = errors.New("eap-tls: certificate of an unknown authority")
	ErrSubject    = errors.New("eap-tls: certificate of a subject that is not allowed")
	ErrRevocation = errors.New("eap-tls: certificate whose revocation cannot be checked")
	// ErrNoEMS: TLS 1.2 without RFC 7627.
	ErrNoEMS = errors.New("eap-tls: the other side lacks the extended master secret, without which TLS 1.2 keys are not exported")
	// ErrCCMOnly: as many constrained devices do.
	ErrCCMOnly = errors.New("eap-tls: the peer offers AES-CCM cipher suites only, which are not supported")
	// ErrAlert means that the other side refused by a TLS alert.
	ErrAlert = errors.New("eap-tls: the other side refuses")
	// ErrHandshake is any other failure of TLS.
	ErrHandshake = errors.New("eap-tls: TLS handshake failed")
	// ErrFragment means a message that cannot be put together.
	ErrFragment = errors.New("eap-tls: bad fragment")
	// ErrTooLong means a message beyond the limit of reassembly.
	ErrTooLong = errors.New("eap-tls: TLS message too long")
	// ErrUnfinished means that the other side stopped in the midst of TLS.
	ErrUnfinished = errors.New("eap-tls: the other side left the handshake")
	// ErrNoSuccess means TLS 1.3 without the protected success indication
	// (RFC 9190 Section 2.1.1).
	ErrNoSuccess = errors.New("eap-tls: the server did not indicate success")
)

var ours = []error{
	ErrExpired, ErrRevoked, ErrUnknownCA, ErrSubject, ErrRevocation, ErrNoEMS, ErrCCMOnly, ErrNoSuccess,
}

// explain puts crypto/tls's errors into this package's.
func explain(err error) error {
	for _, e := range ours {
		if errors.Is(err, e) {
			return err
		}
	}
	if text, ok := strings.CutPrefix(err.Error(), "remote error: tls: "); ok {
		return fmt.Errorf("%w: %s", ErrAlert, text)
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w: issued by %q to %q", ErrUnknownCA, e.Cert.Issuer.String(), e.Cert.Subject.String())
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return fmt.Errorf("%w: %q, %s to %s", ErrExpired, e.Cert.Subject.String(),
			e.Cert.NotBefore.UTC().Format(timeFormat), e.Cert.NotAfter.UTC().Format(timeFormat))
	}
	return fmt.Errorf("%w: %s", ErrHandshake, strings.TrimPrefix(err.Error(), "tls: "))
}

const timeFormat = "2006-01-02 15:04:05Z"
