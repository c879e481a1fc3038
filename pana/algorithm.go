package pana

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"
)

// PRF is a pseudo-random function by its number as an IKEv2 transform of type
// 2 (RFC 5191 Section 8.6).
type PRF uint32

// Integrity is a message authentication code by its number as an IKEv2
// transform of type 3 (RFC 5191 Section 8.3).
type Integrity uint32

// Encryption is an algorithm for Encryption-Encap (RFC 6786 Section 3).
type Encryption uint32

// The algorithms known here.
const (
	PRFHMACSHA1   PRF = 2 // everybody's
	PRFHMACSHA256 PRF = 5

	HMACSHA1160   Integrity = 7 // everybody's; the whole 20 octets
	HMACSHA256128 Integrity = 12

	AES128CTR Encryption = 1
)

// new is the hash that the PRF is made of, nil if it is unknown.
func (p PRF) new() func() hash.Hash {
	switch p {
	case PRFHMACSHA1:
		return sha1.New
	case PRFHMACSHA256:
		return sha256.New
	}
	return nil
}

// new is the hash, the length of a key and that of a tag in octets.
func (i Integrity) new() (h func() hash.Hash, key, tag int) {
	switch i {
	case HMACSHA1160:
		return sha1.New, 20, 20
	case HMACSHA256128:
		return sha256.New, 32, 16
	}
	return nil, 0, 0
}

// Algorithms are what a side accepts, the preferred first. Nothing else is
// ever agreed on, so leaving out the weak ones sets a minimum.
type Algorithms struct {
	PRF       []PRF       // empty: HMAC-SHA2-256, HMAC-SHA1
	Integrity []Integrity // empty: HMAC-SHA2-256-128, HMAC-SHA1-160
}

// complete fills in the profile's algorithms and reports unknown ones.
func (a Algorithms) complete(p Profile) (Algorithms, error) {
	if len(a.PRF) == 0 {
		a.PRF = []PRF{PRFHMACSHA256, PRFHMACSHA1}
		if p == ZigBeeIP {
			a.PRF = a.PRF[:1]
		}
	}
	if len(a.Integrity) == 0 {
		a.Integrity = []Integrity{HMACSHA256128, HMACSHA1160}
		if p == ZigBeeIP {
			a.Integrity = a.Integrity[:1]
		}
	}
	for _, x := range a.PRF {
		if x.new() == nil {
			return a, fmt.Errorf("pana: unknown pseudo-random function %d", x)
		}
	}
	for _, x := range a.Integrity {
		if h, _, _ := x.new(); h == nil {
			return a, fmt.Errorf("pana: unknown integrity algorithm %d", x)
		}
	}
	return a, nil
}

// Suite is what two sides agreed on.
type Suite struct {
	PRF        PRF
	Integrity  Integrity
	Encryption Encryption // 0: none
}

func (s Suite) avps() AVPs {
	as := AVPs{
		avpUint32(CodeIntegrityAlgorithm, uint32(s.Integrity)),
		avpUint32(CodePRFAlgorithm, uint32(s.PRF)),
	}
	if s.Encryption != 0 {
		as = append(as, avpUint32(CodeEncryptionAlgorithm, uint32(s.Encryption)))
	}
	return as
}

// offer is what an agent puts into its first request.
func (a Algorithms) offer(encrypt bool) AVPs {
	var as AVPs
	for _, x := range a.Integrity {
		as = append(as, avpUint32(CodeIntegrityAlgorithm, uint32(x)))
	}
	for _, x := range a.PRF {
		as = append(as, avpUint32(CodePRFAlgorithm, uint32(x)))
	}
	if encrypt {
		as = append(as, avpUint32(CodeEncryptionAlgorithm, uint32(AES128CTR)))
	}
	return as
}

// choose is a client's choice from what the agent offers: the first of its
// own that is there.
func (a Algorithms) choose(offer AVPs, encrypt bool) (Suite, error) {
	var s Suite
	prfs, ints := offer.all(CodePRFAlgorithm), offer.all(CodeIntegrityAlgorithm)
	for _, x := range slices.Backward(a.PRF) {
		if slices.Contains(prfs, uint32(x)) {
			s.PRF = x
		}
	}
	for _, x := range slices.Backward(a.Integrity) {
		if slices.Contains(ints, uint32(x)) {
			s.Integrity = x
		}
	}
	if encrypt && slices.Contains(offer.all(CodeEncryptionAlgorithm), uint32(AES128CTR)) {
		s.Encryption = AES128CTR
	}
	if s.PRF == 0 || s.Integrity == 0 {
		return s, fmt.Errorf("%w: offered are PRF %v, integrity %v", ErrAlgorithms, prfs, ints)
	}
	return s, nil
}

// chosen checks a client's choice against what was offered.
func (a Algorithms) chosen(choice AVPs, encrypt bool) (Suite, error) {
	prf, ok1 := choice.uint32(CodePRFAlgorithm)
	integ, ok2 := choice.uint32(CodeIntegrityAlgorithm)
	if !ok1 || !ok2 {
		return Suite{}, fmt.Errorf("%w: none chosen", ErrInvalid)
	}
	s := Suite{PRF: PRF(prf), Integrity: Integrity(integ)}
	if !slices.Contains(a.PRF, s.PRF) || !slices.Contains(a.Integrity, s.Integrity) {
		return s, fmt.Errorf("%w: PRF %d, integrity %d", ErrNotOffered, prf, integ)
	}
	if enc, ok := choice.uint32(CodeEncryptionAlgorithm); ok {
		if s.Encryption = Encryption(enc); !encrypt || s.Encryption != AES128CTR {
			return s, fmt.Errorf("%w: encryption %d", ErrNotOffered, enc)
		}
	}
	return s, nil
}

// prfPlus is prf+ of IKEv2 (RFC 5191 Section 5.3), n octets of it.
func prfPlus(p PRF, key []byte, n int, seed ...[]byte) []byte {
	mac := hmac.New(p.new(), key)
	var out, t []byte
	for i := byte(1); len(out) < n; i++ {
		mac.Reset()
		mac.Write(t)
		for _, s := range seed {
			mac.Write(s)
		}
		mac.Write([]byte{i})
		t = mac.Sum(nil)
		out = append(out, t...)
	}
	clear(out[n:])
	return out[:n]
}

var errKeyLength = errors.New("pana: master session key is shorter than 64 octets")
