package srp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
	"time"
)

// Why a signature is refused.
var (
	ErrAlgorithm = errors.New("srp: the key or signature is not ECDSA P-256 with SHA-256")
	ErrKey       = errors.New("srp: the key is not a point of P-256")
	ErrSigner    = errors.New("srp: signed in the name of another than the host")
	ErrExpired   = errors.New("srp: the signature is not valid at this time")
	ErrSignature = errors.New("srp: the signature does not match")
)

const (
	algorithmP256 = 13 // RFC 6605 Section 4
	keyProtocol   = 3  // RFC 2535 Section 3.1.3
	keyFixed      = 4  // flags, protocol, algorithm
	sigFixed      = 18 // RDATA of SIG before the signer's name
	scalarLen     = 32 // of P-256

	// signatureSkew is by how much a clock of a client may be ahead.
	signatureSkew = 5 * time.Minute
)

// key is the RDATA of a KEY record, flags as they were sent (RFC 9665 Section
// 3.3.3).
type key [keyFixed + 2*scalarLen]byte

// decodeKey takes the key from a KEY record.
func decodeKey(data []byte) (k key, err error) {
	if len(data) < keyFixed || data[2] != keyProtocol || data[3] != algorithmP256 || len(data) != len(k) {
		return k, ErrAlgorithm
	}
	copy(k[:], data)
	return k, nil
}

// public is the key to verify with.
func (k *key) public() (*ecdsa.PublicKey, error) {
	point := append([]byte{4}, k[keyFixed:]...) // uncompressed (SEC 1 Section 2.3.3)
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, ErrKey
	}
	return pub, nil
}

// signature is a SIG(0) record and what it signs (RFC 2931 Section 3.1).
type signature struct {
	inception, expiration uint32 // seconds, both zero: always
	signer                []string
	r, s                  []byte
	digest                [sha256.Size]byte
}

// decodeSignature takes the signature from the last record of a message.
func decodeSignature(r *reader, sig record) (s signature, err error) {
	if len(sig.data) < sigFixed || len(sig.name) != 0 {
		return s, &DecodeError{"SIG record", sig.dataStart, ErrRData}
	}
	covered, algorithm := binary.BigEndian.Uint16(sig.data), sig.data[2]
	if covered != 0 || algorithm != algorithmP256 {
		return s, ErrAlgorithm
	}
	s.expiration = binary.BigEndian.Uint32(sig.data[8:])
	s.inception = binary.BigEndian.Uint32(sig.data[12:])
	signer, n, err := r.nameIn(sig, sigFixed)
	if err != nil {
		return s, err
	}
	s.signer = signer
	value := sig.data[n:]
	if len(value) != 2*scalarLen {
		return s, &DecodeError{"SIG record", sig.dataStart + n, ErrRData}
	}
	s.r, s.s = value[:scalarLen], value[scalarLen:]

	// Signed are the SIG record's data without the signature, the signer's name
	// uncompressed, then the message as it was before SIG was added.
	h := sha256.New()
	h.Write(sig.data[:sigFixed])
	h.Write(appendName(nil, signer))
	head := [headerLen]byte(r.msg)
	binary.BigEndian.PutUint16(head[10:], binary.BigEndian.Uint16(head[10:])-1)
	h.Write(head[:])
	h.Write(r.msg[headerLen:sig.start])
	h.Sum(s.digest[:0])
	return s, nil
}

// verify checks the signature with a key, at a time.
func (s *signature) verify(k key, now time.Time) error {
	if s.inception != 0 || s.expiration != 0 {
		// Times are serial numbers (RFC 4034 Section 3.1.5).
		t := uint32(now.Unix())
		if int32(s.expiration-t) < 0 || int32(t+uint32(signatureSkew/time.Second)-s.inception) < 0 {
			return ErrExpired
		}
	}
	pub, err := k.public()
	if err != nil {
		return err
	}
	if !ecdsa.Verify(pub, s.digest[:], new(big.Int).SetBytes(s.r), new(big.Int).SetBytes(s.s)) {
		return ErrSignature
	}
	return nil
}
