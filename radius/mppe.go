package radius

import (
	"crypto/md5"
)

// mskHalf is how much of the MSK each of the two key attributes carries.
const mskHalf = 32

// AddMSK appends the 64 octets of an MSK as MS-MPPE-Recv-Key and
// MS-MPPE-Send-Key, the authenticator's receiving half first, encrypted for the
// answer to a request with the authenticator given (RFC 2548 Section 2.4, RFC
// 5216 Section 2.3). The salts must differ from each other; their top bits are
// set here.
func (as *Attributes) AddMSK(msk []byte, secret Secret, request [16]byte, salts [2][2]byte) {
	as.AddVendor(VendorMicrosoft, msMPPERecvKey, sealKey(msk[:mskHalf], secret, request, salts[0]))
	as.AddVendor(VendorMicrosoft, msMPPESendKey, sealKey(msk[mskHalf:2*mskHalf], secret, request, salts[1]))
}

// MSK returns the MSK that the two key attributes carry, and whether there are
// both. An error means that they do not decrypt to two halves of an MSK.
func (as Attributes) MSK(secret Secret, request [16]byte) (msk []byte, ok bool, err error) {
	recv, ok1 := as.Vendor(VendorMicrosoft, msMPPERecvKey)
	send, ok2 := as.Vendor(VendorMicrosoft, msMPPESendKey)
	if !ok1 || !ok2 {
		return nil, false, nil
	}
	msk = make([]byte, 0, 2*mskHalf)
	for _, sealed := range [][]byte{recv, send} {
		key, err := openKey(sealed, secret, request)
		if err != nil {
			return nil, true, err
		}
		msk = append(msk, key...)
		clear(key)
	}
	return msk, true, nil
}

// sealKey encrypts a key: salt, then length, key and padding, each block of 16
// XORed with the MD5 of the secret and the block before.
func sealKey(key []byte, secret Secret, request [16]byte, salt [2]byte) []byte {
	salt[0] |= 0x80
	out := append(salt[:len(salt):len(salt)], byte(len(key)))
	out = append(out, key...)
	for (len(out)-len(salt))%md5.Size != 0 {
		out = append(out, 0)
	}
	cryptKey(out, secret, request, func(block, mask []byte) []byte {
		xor(block, mask)
		return block // ciphertext
	})
	return out
}

// openKey decrypts half an MSK.
func openKey(sealed []byte, secret Secret, request [16]byte) ([]byte, error) {
	if len(sealed) < 2+md5.Size || (len(sealed)-2)%md5.Size != 0 {
		return nil, ErrKey
	}
	out := append([]byte(nil), sealed...)
	cryptKey(out, secret, request, func(block, mask []byte) []byte {
		cipher := append([]byte(nil), block...)
		xor(block, mask)
		return cipher
	})
	n := int(out[2])
	if n != mskHalf || 3+n > len(out) {
		clear(out)
		return nil, ErrKey
	}
	return out[3 : 3+n], nil
}

// cryptKey gives each block behind the salt to f with its mask; f returns the
// ciphertext, which the next mask depends on.
func cryptKey(b []byte, secret Secret, request [16]byte, f func(block, mask []byte) []byte) {
	h := md5.New()
	h.Write(secret)
	h.Write(request[:])
	h.Write(b[:2])
	for off := 2; off < len(b); off += md5.Size {
		cipher := f(b[off:off+md5.Size], h.Sum(nil))
		h.Reset()
		h.Write(secret)
		h.Write(cipher)
	}
}

func xor(b, mask []byte) {
	for i := range b {
		b[i] ^= mask[i]
	}
}
