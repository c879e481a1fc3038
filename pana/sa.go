package pana

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"slices"
)

// Exchange is what both sides contribute to the keys of a session besides the
// master session key (RFC 5191 Section 5.3).
type Exchange struct {
	Suite    Suite
	IPAR     []byte // the agent's first request, the whole message
	IPAN     []byte // the client's answer to it
	PaCNonce []byte
	PAANonce []byte
	KeyID    uint32
}

// SA is a security association: the keys of a session (RFC 5191 Section 5.3,
// RFC 6786 Section 6).
type SA struct {
	KeyID uint32
	Suite Suite

	auth    [32]byte // PANA_AUTH_KEY, as much of it as the algorithm takes
	pacEncr [16]byte // PANA_PAC_ENCR_KEY
	paaEncr [16]byte // PANA_PAA_ENCR_KEY
}

// mskLen is how long a master session key is at least (RFC 3748 Section 7.10).
const mskLen = 64

// NewSA derives the keys. All of msk is used; the caller wipes it.
func NewSA(msk []byte, x Exchange) (*SA, error) {
	_, n, _ := x.Suite.Integrity.new()
	switch {
	case n == 0 || x.Suite.PRF.new() == nil:
		return nil, ErrAlgorithms
	case len(msk) < mskLen:
		return nil, errKeyLength
	}
	id := binary.BigEndian.AppendUint32(nil, x.KeyID)
	derive := func(out []byte, label string) {
		k := prfPlus(x.Suite.PRF, msk, len(out), []byte(label), x.IPAR, x.IPAN, x.PaCNonce, x.PAANonce, id)
		copy(out, k)
		clear(k)
	}
	sa := &SA{KeyID: x.KeyID, Suite: x.Suite}
	derive(sa.auth[:n], "IETF PANA")
	if x.Suite.Encryption != 0 {
		derive(sa.pacEncr[:], "IETF PANA PaC Encr")
		derive(sa.paaEncr[:], "IETF PANA PAA Encr")
	}
	return sa, nil
}

// Wipe forgets the keys.
func (sa *SA) Wipe() {
	if sa != nil {
		*sa = SA{}
	}
}

func (sa *SA) mac(parts ...[]byte) []byte {
	h, key, tag := sa.Suite.Integrity.new()
	m := hmac.New(h, sa.auth[:key])
	for _, p := range parts {
		m.Write(p)
	}
	var sum [32]byte
	return m.Sum(sum[:0])[:tag]
}

// Seal ends the message that fills b with an AUTH AVP over all of it
// (RFC 5191 Section 5.4).
func (sa *SA) Seal(b []byte) []byte {
	_, _, tag := sa.Suite.Integrity.new()
	b = (&AVP{Code: CodeAuth, Value: make([]byte, tag)}).Append(b)
	setLength(b)
	sa.sign(b, len(b)-tag-pad4(tag), tag)
	return b
}

// sign fills in the tag of the message at b[at:at+n].
func (sa *SA) sign(b []byte, at, n int) {
	clear(b[at : at+n])
	copy(b[at:at+n], sa.mac(b))
}

// reseal protects a message again, in place, that another association of the
// session protected. It reports false where there is no AUTH that fits.
func (sa *SA) reseal(b []byte) bool {
	_, _, tag := sa.Suite.Integrity.new()
	m, err := Decode(b)
	if err != nil {
		return false
	}
	at, n := m.findAuth()
	if n != tag {
		return false
	}
	sa.sign(b, at, n)
	return true
}

// findAuth is where the value of the AUTH AVP is in what m was decoded from.
func (m *Message) findAuth() (at, n int) {
	at = HeaderLen
	for i := range m.AVPs {
		a := &m.AVPs[i]
		if a.Code == CodeAuth && a.Vendor == 0 {
			return at + avpHeaderLen, len(a.Value)
		}
		at += a.Len()
	}
	return 0, 0
}

// Verify reports whether m, which was decoded, carries a right AUTH.
func (sa *SA) Verify(m *Message) bool {
	at, n := m.findAuth()
	if _, _, tag := sa.Suite.Integrity.new(); n != tag || n == 0 {
		return false
	}
	var zero [32]byte
	return hmac.Equal(m.raw[at:at+n], sa.mac(m.raw[:at], zero[:n], m.raw[at+n:]))
}

// Side is one of the two ends of a session.
type Side uint8

// The sides.
const (
	PaCSide Side = iota
	PAASide
)

// crypt encrypts or decrypts in place (RFC 6786 Section 6): AES-128 in counter
// mode, the counter blocks formatted as SP 800-38C does for a nonce of 12
// octets, the first one numbered 1.
func (sa *SA) crypt(b []byte, from Side, session, seq uint32) {
	key := &sa.pacEncr
	if from == PAASide {
		key = &sa.paaEncr
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has 16 octets
	}
	var iv [aes.BlockSize]byte
	iv[0] = 0x02
	binary.BigEndian.PutUint32(iv[1:], sa.KeyID)
	binary.BigEndian.PutUint32(iv[5:], session)
	binary.BigEndian.PutUint32(iv[9:], seq)
	iv[15] = 1
	cipher.NewCTR(block, iv[:]).XORKeyStream(b, b)
}

// Encrypt returns the Encryption-Encap AVP that hides as in a message of the
// side from. There must be only one in the message with this session
// identifier and sequence number; a repeated message repeats its bytes.
func (sa *SA) Encrypt(as AVPs, from Side, session, seq uint32) AVP {
	b := as.Append(nil)
	sa.crypt(b, from, session, seq)
	return AVP{Code: CodeEncryptionEncap, Value: b}
}

// neverEncrypted are the AVPs that Encryption-Encap must not hold (RFC 6786
// Section 5).
var neverEncrypted = []Code{CodeAuth, CodeIntegrityAlgorithm, CodeKeyID, CodeNonce, CodePRFAlgorithm,
	CodeResultCode, CodePaCInformation, CodeRelayedMessage, CodeEncryptionEncap, CodeEncryptionAlgorithm}

// Decrypt returns what the value of an Encryption-Encap AVP hides. The
// message's AUTH must have been verified before.
func (sa *SA) Decrypt(encap []byte, from Side, session, seq uint32) (AVPs, error) {
	b := slices.Clone(encap)
	sa.crypt(b, from, session, seq)
	as, err := DecodeAVPs(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	for i := range as {
		if a := &as[i]; a.Vendor == 0 && slices.Contains(neverEncrypted, a.Code) {
			return nil, fmt.Errorf("%w: AVP %d among them", ErrDecrypt, a.Code)
		}
	}
	return as, nil
}
