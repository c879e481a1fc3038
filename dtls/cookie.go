package dtls

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
)

// cookieLen is an implementation constant.
const cookieLen = 16

// cookieFor computes the cookie of a ClientHello (RFC 6347 Section 4.2.1): all
// that must be the same when the hello is repeated, and who sent it.
func cookieFor(key, peer []byte, h *clientHello) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(peer)
	m.Write(h.random[:])
	m.Write(h.rest)
	return m.Sum(nil)[:cookieLen]
}

func cookieHolds(key, peer []byte, h *clientHello) bool {
	return len(key) > 0 && subtle.ConstantTimeCompare(h.cookie, cookieFor(key, peer, h)) == 1
}

// A Front is the stateless first line of a server with many peers: it asks for
// a cookie by HelloVerifyRequest and lets a ClientHello pass that brings it
// (RFC 6347 Section 4.2.1). Only for those a Conn need be made.
type Front struct {
	Key      []byte // secret, at least 16 bytes; new ones now and then end the life of old cookies
	Previous []byte // the key before, still good for cookies given out; may be empty
}

// Check looks at a datagram from a peer that has no Conn. Peer is its address
// and port in a form of fixed length. When ok, the datagram starts with a
// ClientHello that brings a good cookie: make a Server, without CookieKey, and
// give the datagram to its Handle. Else reply, if any, goes back to the peer
// and nothing is to be remembered.
//
// A ClientHello must come in one fragment; no client of this suite has cause to
// cut it.
func (f *Front) Check(peer, datagram []byte) (reply []byte, ok bool) {
	r, _, valid := nextRecord(datagram)
	if !valid || r.typ != typeHandshake || r.epoch != 0 {
		return nil, false
	}
	frag, _, valid := nextFragment(r.fragment)
	if !valid || frag.typ != clientHelloType || !frag.whole() {
		return nil, false
	}
	h, err := decodeClientHello(frag.data)
	if err != nil || !h.offers(suiteECJPAKE) {
		return nil, false
	}
	if cookieHolds(f.Key, peer, &h) || cookieHolds(f.Previous, peer, &h) {
		return nil, true
	}
	// Sequence numbers are those of the ClientHello, so that none is used
	// twice towards a client that drops replays (Section 4.2.1).
	m := message{typ: helloVerifyRequest, seq: frag.seq, body: appendHelloVerify(nil, cookieFor(f.Key, peer, &h))}
	return record{
		typ: typeHandshake, version: version12, seq: r.seq, fragment: m.append(nil),
	}.append(nil), false
}
