package pana

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Profile is a way to use PANA.
type Profile uint8

// The profiles.
const (
	// Standard is PANA as the RFCs have it.
	Standard Profile = iota
	// ZigBeeIP is the profile of ZigBee IP's joining process: the codes of
	// Encryption-Encap and Encryption-Algorithm are exchanged, timers are
	// slow and linear, nothing but HMAC-SHA2-256 is offered, and sessions
	// last forever.
	ZigBeeIP
)

func (p Profile) String() string {
	if p == ZigBeeIP {
		return "ZigBee IP"
	}
	return "standard"
}

// Translate exchanges, in place, the codes that the profile uses otherwise
// than RFC 6786 does. It translates in both directions.
func (p Profile) Translate(as AVPs) {
	if p != ZigBeeIP {
		return
	}
	for i := range as {
		switch a := &as[i]; {
		case a.Vendor != 0:
		case a.Code == CodeEncryptionEncap:
			a.Code = CodeEncryptionAlgorithm
		case a.Code == CodeEncryptionAlgorithm:
			a.Code = CodeEncryptionEncap
		}
	}
}

// VendorZigBee is the enterprise number of the ZigBee Alliance.
const VendorZigBee = 37244

// The ZigBee Alliance's AVPs.
const (
	CodeNetworkKey Code = 1
	CodeKeyRequest Code = 2
)

// NetworkKey is a link-layer key that the agent hands out: always within an
// Encryption-Encap, in either profile.
type NetworkKey struct {
	Key   [16]byte
	Index uint8
	// AuthCounter counts the authentications of the client.
	AuthCounter uint8
}

const networkKeyLen = 18

// AVP is the AVP that carries the key.
func (k *NetworkKey) AVP() AVP {
	return AVP{Code: CodeNetworkKey, Vendor: VendorZigBee, Value: append(k.Key[:len(k.Key):len(k.Key)], k.Index, k.AuthCounter)}
}

// NetworkKeys returns the network keys among decrypted AVPs.
func (as AVPs) NetworkKeys() ([]NetworkKey, error) {
	var ks []NetworkKey
	for i := range as {
		a := &as[i]
		if a.Vendor != VendorZigBee || a.Code != CodeNetworkKey {
			continue
		}
		if len(a.Value) != networkKeyLen {
			return nil, &DecodeError{"Network-Key", 0, ErrLength}
		}
		k := NetworkKey{Index: a.Value[16], AuthCounter: a.Value[17]}
		copy(k.Key[:], a.Value)
		ks = append(ks, k)
	}
	return ks, nil
}

// KeyRequest is a client's question for the network key it does not have yet.
type KeyRequest struct {
	Index uint8 // of the key it has
}

// AVP is the AVP that asks.
func (k KeyRequest) AVP() AVP {
	return AVP{Code: CodeKeyRequest, Vendor: VendorZigBee, Value: []byte{1, k.Index}}
}

// keyRequest finds a Key-Request whose request flag is set.
func (as AVPs) keyRequest() (KeyRequest, bool) {
	v, ok := as.FindVendor(VendorZigBee, CodeKeyRequest)
	if !ok || len(v) != 2 || v[0]&1 == 0 {
		return KeyRequest{}, false
	}
	return KeyRequest{Index: v[1]}, true
}

// ZigBeeKeys derives the keys that protect MLE and the link layer from a
// network key, as ZigBee IP does: the halves of
// HMAC-SHA256(networkKey, "ZigBeeIP").
func ZigBeeKeys(networkKey [16]byte) (mle, mac [16]byte) {
	h := hmac.New(sha256.New, networkKey[:])
	h.Write([]byte("ZigBeeIP"))
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	copy(mle[:], sum[:16])
	copy(mac[:], sum[16:])
	return mle, mac
}
