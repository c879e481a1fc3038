// Package ecjpake implements the password-authenticated key exchange EC J-PAKE
// over P-256 with SHA-256, in the form TLS carries it:
//
//   - the exchange: RFC 8236 Section 3, with the roles of draft-cragie-tls-ecjpake-01
//   - its zero-knowledge proof: RFC 8235 Section 3, hashed as the draft's Section 7 has it
//   - the TLS structures ECJPAKEKeyKP, ECJPAKEKeyKPPairList, ServerECJPAKEParams and
//     ClientECJPAKEParams: Section 7 of the draft
//
// An [Exchange] is one run seen from one side. Messages are handed over as
// bytes, randomness comes from the reader given to [New]; nothing here does
// I/O of its own. Group operations take constant time.
package ecjpake

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"filippo.io/bigmod"
	"filippo.io/nistec"
)

// A Role says which side of the TLS handshake runs the exchange. It decides
// the identity that goes into the proofs.
type Role int

const (
	Client Role = iota
	Server
)

// String returns the identity of the role, "client" or "server".
func (r Role) String() string {
	if r == Client {
		return "client"
	}
	return "server"
}

func (r Role) peer() Role { return 1 - r }

// MaxSecret is the longest secret in bytes, the length of a scalar.
const MaxSecret = 32

// ErrOrder reports a message asked for or offered before the one it builds on.
var ErrOrder = errors.New("ecjpake: call out of order")

// An Exchange is one run of the protocol, from one side: RoundOne and
// ReadRoundOne in either order, then RoundTwo and ReadRoundTwo in either order,
// then Secret. It is not safe for concurrent use.
type Exchange struct {
	role Role
	rand io.Reader

	s            *bigmod.Nat // the shared secret as a scalar
	x1, x2       *bigmod.Nat // own private keys
	pub1, pub2   *point      // own public keys, X1 and X2 of the draft
	peer1, peer2 *point      // the peer's, X3 and X4
	peerTwo      *point      // the peer's key of round two
	roundOne     []byte
}

// New starts an exchange as role with secret, 1 to MaxSecret bytes (a PSKd, a
// PSKc), drawing its private keys and nonces from rand.
func New(role Role, secret []byte, rand io.Reader) (*Exchange, error) {
	if role != Client && role != Server {
		return nil, fmt.Errorf("ecjpake: unknown role %d", int(role))
	}
	if len(secret) == 0 || len(secret) > MaxSecret {
		return nil, fmt.Errorf("ecjpake: secret of %d bytes, want 1 to %d", len(secret), MaxSecret)
	}
	if rand == nil {
		return nil, errors.New("ecjpake: no source of randomness")
	}
	var b [scalarLen]byte
	copy(b[scalarLen-len(secret):], secret)
	s := reduce(b[:])
	clear(b[:])
	if s.IsZero() == 1 {
		return nil, errors.New("ecjpake: secret is zero")
	}
	return &Exchange{role: role, rand: rand, s: s}, nil
}

// RoundOne returns the ECJPAKEKeyKPPairList of this side, which both hello
// messages carry in their extension. The bytes are the same at each call, as a
// ClientHello that is repeated with a cookie needs them.
func (e *Exchange) RoundOne() ([]byte, error) {
	if e.roundOne != nil {
		return e.roundOne, nil
	}
	x1, err := e.scalar()
	if err != nil {
		return nil, err
	}
	pub1 := mul(generator, x1)
	out, err := e.appendKeyKP(nil, generator, pub1, x1)
	if err != nil {
		return nil, err
	}
	x2, err := e.scalar()
	if err != nil {
		return nil, err
	}
	pub2 := mul(generator, x2)
	if out, err = e.appendKeyKP(out, generator, pub2, x2); err != nil {
		return nil, err
	}
	e.x1, e.x2, e.pub1, e.pub2, e.roundOne = x1, x2, pub1, pub2, out
	return out, nil
}

// ReadRoundOne takes the peer's ECJPAKEKeyKPPairList and checks both proofs.
// Errors are a *DecodeError.
func (e *Exchange) ReadRoundOne(b []byte) error {
	d := decoder{b: b}
	p1, err := e.readKeyKP(&d, generator)
	if err != nil {
		return err
	}
	p2, err := e.readKeyKP(&d, generator)
	if err != nil {
		return err
	}
	if err := d.end(); err != nil {
		return err
	}
	e.peer1, e.peer2 = p1, p2
	return nil
}

// RoundTwo returns this side's second message: ServerECJPAKEParams with the
// curve in front, or ClientECJPAKEParams. It draws a new proof at each call.
func (e *Exchange) RoundTwo() ([]byte, error) {
	if e.peer1 == nil || e.roundOne == nil {
		return nil, ErrOrder
	}
	g, err := sum(e.peer1, e.peer2, e.pub1)
	if err != nil {
		return nil, err
	}
	var out []byte
	if e.role == Server {
		out = append(out, namedCurve[:]...)
	}
	xs := clone(e.x2).Mul(e.s, order)
	defer wipe(xs)
	return e.appendKeyKP(out, g, mul(g, xs), xs)
}

// ReadRoundTwo takes the peer's second message and checks its proof. Errors
// are ErrOrder or a *DecodeError.
func (e *Exchange) ReadRoundTwo(b []byte) error {
	if e.peer1 == nil || e.roundOne == nil {
		return ErrOrder
	}
	d := decoder{b: b}
	if e.role == Client {
		if err := d.namedCurve(); err != nil {
			return err
		}
	}
	g, err := sum(e.pub1, e.pub2, e.peer1)
	if err != nil {
		return err
	}
	p, err := e.readKeyKP(&d, g)
	if err != nil {
		return err
	}
	if err := d.end(); err != nil {
		return err
	}
	e.peerTwo = p
	return nil
}

// Secret returns the premaster secret, 32 bytes: SHA-256 over the x coordinate
// of the agreed point. Both sides arrive at the same one when they were given
// the same secret; nothing before that tells them.
func (e *Exchange) Secret() ([]byte, error) {
	if e.peerTwo == nil {
		return nil, ErrOrder
	}
	// K = (peerTwo - peer2*x2*s) * x2
	xs := clone(e.x2).Mul(e.s, order)
	neg := bigmod.NewNat().ExpandFor(order).Sub(xs, order)
	defer wipe(xs)
	defer wipe(neg)
	base, err := sum(e.peerTwo, mul(e.peer2, neg))
	if err != nil {
		return nil, err
	}
	x, err := mul(base, e.x2).BytesX()
	if err != nil {
		return nil, &DecodeError{What: "agreed point", Err: ErrPoint}
	}
	d := sha256.Sum256(x)
	clear(x)
	return d[:], nil
}

// Destroy overwrites the secret and the private keys. The Exchange is of no
// use afterwards: every call returns ErrOrder.
func (e *Exchange) Destroy() {
	for _, n := range []*bigmod.Nat{e.s, e.x1, e.x2} {
		if n != nil {
			wipe(n)
		}
	}
	*e = Exchange{role: e.role, rand: destroyed{}}
}

// destroyed keeps RoundOne of a destroyed exchange from starting anew.
type destroyed struct{}

func (destroyed) Read([]byte) (int, error) { return 0, ErrOrder }

// point is a point of the group; the zero value is not usable.
type point = nistec.P256Point
