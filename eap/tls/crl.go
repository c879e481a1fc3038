package tls

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"
)

// Revocation says how certificates are checked for having been revoked. The
// zero value checks nothing.
type Revocation struct {
	// Lists are certificate revocation lists (RFC 5280 Section 5), complete
	// ones. A list counts for the certificates of the issuer that signed it.
	Lists []*x509.RevocationList
	// Require refuses certificates whose issuer has no list here.
	Require bool
	// AllowStale takes lists whose next update is overdue. Otherwise such a
	// list counts as none, and the certificates of its issuer are refused.
	AllowStale bool
}

// revoker is a Revocation made ready for look-ups.
type revoker struct {
	Revocation
	lists []*revocationList
}

type revocationList struct {
	*x509.RevocationList
	revoked map[string]time.Time // by serial number
	// signer is the issuer whose key made the signature, once seen.
	signer *x509.Certificate
}

func newRevoker(r Revocation) (*revoker, error) {
	out := &revoker{Revocation: r}
	for _, l := range r.Lists {
		for _, ext := range l.Extensions {
			// A delta, or a list of some certificates only.
			if ext.Critical {
				return nil, fmt.Errorf("eap-tls: revocation list of %q is not a complete one", l.Issuer.String())
			}
		}
		list := &revocationList{RevocationList: l, revoked: make(map[string]time.Time, len(l.RevokedCertificateEntries))}
		for _, e := range l.RevokedCertificateEntries {
			list.revoked[string(e.SerialNumber.Bytes())] = e.RevocationTime
		}
		out.lists = append(out.lists, list)
	}
	return out, nil
}

// by reports whether issuer signed the list. The check is the same each time,
// so the last one that passed is remembered.
func (l *revocationList) by(issuer *x509.Certificate) bool {
	if !bytes.Equal(l.RawIssuer, issuer.RawSubject) {
		return false
	}
	if l.signer != nil && l.signer.Equal(issuer) {
		return true
	}
	if l.CheckSignatureFrom(issuer) != nil {
		return false
	}
	l.signer = issuer
	return true
}

// check says why a chain is not to be believed, if one of its certificates
// was revoked or that cannot be known. The chain goes up to the root.
func (r *revoker) check(chain []*x509.Certificate, now time.Time) error {
	for i := 0; i+1 < len(chain); i++ {
		if err := r.one(chain[i], chain[i+1], now); err != nil {
			return err
		}
	}
	return nil
}

func (r *revoker) one(c, issuer *x509.Certificate, now time.Time) error {
	var stale *revocationList
	fresh := false
	for _, l := range r.lists {
		if !l.by(issuer) {
			continue
		}
		if when, ok := l.revoked[string(c.SerialNumber.Bytes())]; ok {
			return fmt.Errorf("%w: %q, serial number %X, on %s", ErrRevoked, c.Subject.String(), c.SerialNumber,
				when.UTC().Format(timeFormat))
		}
		if !r.AllowStale && (now.Before(l.ThisUpdate) || !l.NextUpdate.IsZero() && now.After(l.NextUpdate)) {
			stale = l
			continue
		}
		fresh = true
	}
	switch {
	case fresh:
		return nil
	case stale != nil:
		return fmt.Errorf("%w: the revocation list of %q expired on %s", ErrRevocation, issuer.Subject.String(),
			stale.NextUpdate.UTC().Format(timeFormat))
	case r.Require:
		return fmt.Errorf("%w: no revocation list of %q", ErrRevocation, issuer.Subject.String())
	}
	return nil
}

// any checks all chains that verified: one that is good is enough.
func (r *revoker) any(chains [][]*x509.Certificate, now time.Time) error {
	var first error
	for _, chain := range chains {
		err := r.check(chain, now)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
