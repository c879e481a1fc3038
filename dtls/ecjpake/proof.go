package ecjpake

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/bigmod"
	"filippo.io/nistec"
)

const (
	scalarLen = 32
	pointLen  = 65 // uncompressed: 4, x, y (SEC 1 Section 2.3.3)
)

// namedCurve is ECParameters for secp256r1 (RFC 8422 Section 5.4).
var namedCurve = [3]byte{3, 0, 23}

// order is the order of the group.
var order = func() *bigmod.Modulus {
	m, err := bigmod.NewModulus([]byte{
		0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
	})
	if err != nil {
		panic(err)
	}
	return m
}()

// What can be wrong with a message; wrapped in a DecodeError.
var (
	ErrShort  = errors.New("message too short")
	ErrLong   = errors.New("bytes left over")
	ErrPoint  = errors.New("not an uncompressed point of P-256")
	ErrScalar = errors.New("not a scalar of 1 to 32 bytes below the group order")
	ErrCurve  = errors.New("not the named curve secp256r1")
	ErrProof  = errors.New("zero-knowledge proof does not hold")
)

// A DecodeError says where in the peer's message the fault is.
type DecodeError struct {
	What   string // the element being read, "public key"
	Offset int    // byte offset into the message
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("ecjpake: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// appendKeyKP appends an ECJPAKEKeyKP: pub = g*x, and the proof that its
// sender knows x (ECSchnorrZKP).
func (e *Exchange) appendKeyKP(b []byte, g, pub *point, x *bigmod.Nat) ([]byte, error) {
	v, err := e.scalar()
	if err != nil {
		return nil, err
	}
	defer wipe(v)
	commit := mul(g, v)
	h := challenge(g, commit, pub, e.role)
	hx := clone(x).Mul(h, order)
	defer wipe(hx)
	r := clone(v).Sub(hx, order).Bytes(order)
	for len(r) > 1 && r[0] == 0 { // the peer sees r, so its length is no secret
		r = r[1:]
	}
	b = appendPoint(b, pub)
	b = appendPoint(b, commit)
	return append(append(b, byte(len(r))), r...), nil
}

// readKeyKP reads an ECJPAKEKeyKP of the peer and checks its proof over g.
func (e *Exchange) readKeyKP(d *decoder, g *point) (*point, error) {
	pub, err := d.point("public key")
	if err != nil {
		return nil, err
	}
	at := d.off
	commit, err := d.point("proof commitment")
	if err != nil {
		return nil, err
	}
	r, err := d.scalar("proof response")
	if err != nil {
		return nil, err
	}
	h := challenge(g, commit, pub, e.role.peer())
	got := nistec.NewP256Point().Add(mul(g, r), mul(pub, h))
	if subtle.ConstantTimeCompare(commit.Bytes(), got.Bytes()) != 1 {
		return nil, &DecodeError{What: "proof", Offset: at, Err: ErrProof}
	}
	return pub, nil
}

// challenge is the hash of the proof: generator, commitment, public key and
// identity, each with a 4-byte length in front.
func challenge(g, commit, pub *point, id Role) *bigmod.Nat {
	h := sha256.New()
	for _, b := range [][]byte{g.Bytes(), commit.Bytes(), pub.Bytes(), []byte(id.String())} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	return reduce(h.Sum(nil))
}

func appendPoint(b []byte, p *point) []byte { return append(append(b, pointLen), p.Bytes()...) }

// A decoder reads the elements of a message one after the other.
type decoder struct {
	b   []byte
	off int
}

func (d *decoder) take(n int, what string) ([]byte, error) {
	if len(d.b)-d.off < n {
		return nil, &DecodeError{What: what, Offset: d.off, Err: ErrShort}
	}
	b := d.b[d.off : d.off+n]
	d.off += n
	return b, nil
}

func (d *decoder) namedCurve() error {
	b, err := d.take(len(namedCurve), "curve")
	if err != nil {
		return err
	}
	if [3]byte(b) != namedCurve {
		return &DecodeError{What: "curve", Err: ErrCurve}
	}
	return nil
}

// point reads a point with its length. nistec would also take the compressed
// form and infinity, which the exchange must not.
func (d *decoder) point(what string) (*point, error) {
	at := d.off
	b, err := d.take(1+pointLen, what)
	if err != nil {
		return nil, err
	}
	if b[0] != pointLen || b[1] != 4 {
		return nil, &DecodeError{What: what, Offset: at, Err: ErrPoint}
	}
	p, err := nistec.NewP256Point().SetBytes(b[1:])
	if err != nil {
		return nil, &DecodeError{What: what, Offset: at, Err: ErrPoint}
	}
	return p, nil
}

// scalar reads a scalar with its length. Senders may leave out leading zeros.
func (d *decoder) scalar(what string) (*bigmod.Nat, error) {
	at := d.off
	n, err := d.take(1, what)
	if err != nil {
		return nil, err
	}
	if n[0] == 0 || n[0] > scalarLen {
		return nil, &DecodeError{What: what, Offset: at, Err: ErrScalar}
	}
	v, err := d.take(int(n[0]), what)
	if err != nil {
		return nil, err
	}
	var b [scalarLen]byte
	copy(b[scalarLen-len(v):], v)
	r, err := bigmod.NewNat().SetBytes(b[:], order)
	if err != nil {
		return nil, &DecodeError{What: what, Offset: at, Err: ErrScalar}
	}
	return r, nil
}

func (d *decoder) end() error {
	if d.off != len(d.b) {
		return &DecodeError{What: "end of message", Offset: d.off, Err: ErrLong}
	}
	return nil
}

// scalar draws a scalar from 1 to the order less one, by rejection.
func (e *Exchange) scalar() (*bigmod.Nat, error) {
	var b [scalarLen]byte
	defer clear(b[:])
	for {
		if _, err := io.ReadFull(e.rand, b[:]); err != nil {
			return nil, fmt.Errorf("ecjpake: drawing a scalar: %w", err)
		}
		k, err := bigmod.NewNat().SetBytes(b[:], order)
		if err == nil && k.IsZero() == 0 {
			return k, nil
		}
	}
}

// reduce turns 32 bytes into a scalar.
func reduce(b []byte) *bigmod.Nat {
	n, err := bigmod.NewNat().SetOverflowingBytes(b, order)
	if err != nil {
		panic(err) // only for more than 32 bytes
	}
	return n
}

// clone copies x: bigmod's operations write to their receiver.
func clone(x *bigmod.Nat) *bigmod.Nat {
	return bigmod.NewNat().ExpandFor(order).Add(x, order)
}

// wipe overwrites x with zero.
func wipe(x *bigmod.Nat) {
	clear(x.Bits())
}

// generator is the base point of the group, never written to.
var generator = nistec.NewP256Point().SetGenerator()

// mul returns p*k. For the generator there are tables, four times as fast.
func mul(p *point, k *bigmod.Nat) *point {
	b := k.Bytes(order)
	defer clear(b)
	q, err := nistec.NewP256Point(), error(nil)
	if p == generator {
		q, err = q.ScalarBaseMult(b)
	} else {
		q, err = q.ScalarMult(p, b)
	}
	if err != nil {
		panic(err) // only for a scalar of a wrong length
	}
	return q
}

// sum adds points and refuses infinity, over which no proof means anything.
func sum(first *point, more ...*point) (*point, error) {
	r := nistec.NewP256Point().Set(first)
	for _, p := range more {
		r.Add(r, p)
	}
	if r.IsInfinity() == 1 {
		return nil, &DecodeError{What: "sum of public keys", Err: ErrPoint}
	}
	return r, nil
}
