package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/subtle"
)

// withMA returns the attributes with a Message-Authenticator of zeros first.
func (as Attributes) withMA() Attributes {
	out := make(Attributes, 0, len(as)+1)
	out = append(out, Attribute{MessageAuthenticator, make([]byte, authLen)})
	for _, a := range as {
		if a.Type != MessageAuthenticator {
			out = append(out, a)
		}
	}
	return out
}

// maFirst is where the value of a Message-Authenticator that comes first is.
const maFirst = headerLen + 2

// AppendRequest appends the packet, a request, ready to send: with its
// Message-Authenticator first and, for the codes that have one, the computed
// Request Authenticator (RFC 2866 Section 3, RFC 5176 Section 2.3).
// Access-Request and Status-Server keep p's, which must be random.
// Accounting-Request has no Message-Authenticator.
func (p Packet) AppendRequest(b []byte, secret Secret) []byte {
	if p.Code == AccountingRequest {
		p.Authenticator = [16]byte{}
		start := len(b)
		b = p.Append(b)
		h := md5.New()
		h.Write(b[start:])
		h.Write(secret)
		h.Sum(b[start+authOffset : start+authOffset])
		return b
	}
	computed := p.Code == DisconnectRequest || p.Code == CoARequest
	if computed {
		p.Authenticator = [16]byte{}
	}
	p.Attributes = p.Attributes.withMA()
	start := len(b)
	b = p.Append(b)
	out := b[start:]
	h := hmac.New(md5.New, secret)
	h.Write(out)
	h.Sum(out[maFirst:maFirst])
	if computed {
		sum := md5.Sum(append(append([]byte(nil), out...), secret...))
		copy(out[authOffset:], sum[:])
	}
	return b
}

// AppendResponse appends the packet, an answer to a request with the
// authenticator given, ready to send: with its Message-Authenticator first and
// its Response Authenticator (RFC 2865 Section 3, RFC 3579 Section 3.2).
func (p Packet) AppendResponse(b []byte, secret Secret, request [16]byte) []byte {
	p.Authenticator = request
	p.Attributes = p.Attributes.withMA()
	start := len(b)
	b = p.Append(b)
	out := b[start:]
	h := hmac.New(md5.New, secret)
	h.Write(out)
	h.Sum(out[maFirst:maFirst])
	d := md5.New()
	d.Write(out)
	d.Write(secret)
	d.Sum(out[authOffset:authOffset])
	return b
}

// VerifyRequest checks the authenticators of a request as it came. An
// Access-Request or Status-Server must carry a Message-Authenticator; other
// requests must not carry a wrong one, and their Request Authenticator is
// checked.
func VerifyRequest(b []byte, secret Secret) error {
	b, err := trim(b)
	if err != nil {
		return err
	}
	var zero [16]byte
	switch Code(b[0]) {
	case AccessRequest, StatusServer:
		return verifyMA(b, secret, [16]byte(b[authOffset:]), true)
	}
	if err := verifyMD5(b, secret, zero); err != nil {
		return err
	}
	return verifyMA(b, secret, zero, false)
}

// VerifyResponse checks the authenticators of an answer as it came, to a
// request with the authenticator given. An answer to an Access-Request must
// carry a Message-Authenticator; no answer may carry a wrong one.
func VerifyResponse(b []byte, secret Secret, request [16]byte) error {
	b, err := trim(b)
	if err != nil {
		return err
	}
	required := false
	switch Code(b[0]) {
	case AccessAccept, AccessReject, AccessChallenge:
		required = true
	}
	return verifyResponse(b, secret, request, required)
}

// verifyResponse is VerifyResponse for an answer that is trimmed.
func verifyResponse(b []byte, secret Secret, request [16]byte, required bool) error {
	if err := verifyMD5(b, secret, request); err != nil {
		return err
	}
	return verifyMA(b, secret, request, required)
}

// verifyMD5 checks the header's authenticator, which is the MD5 of the packet
// with auth in its place, and the secret.
func verifyMD5(b []byte, secret Secret, auth [16]byte) error {
	h := md5.New()
	h.Write(b[:authOffset])
	h.Write(auth[:])
	h.Write(b[headerLen:])
	h.Write(secret)
	if subtle.ConstantTimeCompare(h.Sum(nil), b[authOffset:headerLen]) != 1 {
		return ErrAuthenticator
	}
	return nil
}

// verifyMA checks the Message-Authenticator, wherever it is, with auth in the
// place of the header's authenticator.
func verifyMA(b []byte, secret Secret, auth [16]byte, required bool) error {
	at := 0
	for off := headerLen; off < len(b); {
		n, err := attributeLen(b, off)
		if err != nil {
			return err
		}
		if Type(b[off]) == MessageAuthenticator {
			switch {
			case at != 0:
				return ErrTwoMessageAuthenticators
			case n != 2+authLen:
				return &DecodeError{What: "Message-Authenticator", Offset: off + 1, Err: ErrLength}
			}
			at = off + 2
		}
		off += n
	}
	if at == 0 {
		if required {
			return ErrNoMessageAuthenticator
		}
		return nil
	}
	var zero [authLen]byte
	h := hmac.New(md5.New, secret)
	h.Write(b[:authOffset])
	h.Write(auth[:])
	h.Write(b[headerLen:at])
	h.Write(zero[:])
	h.Write(b[at+authLen:])
	if !hmac.Equal(h.Sum(nil), b[at:at+authLen]) {
		return ErrMessageAuthenticator
	}
	return nil
}
