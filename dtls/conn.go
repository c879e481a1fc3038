package dtls

import (
	"errors"
	"fmt"
	"io"
	"time"

	"gatewayd/dtls/ecjpake"
)

// Defaults and limits of Config.
const (
	DefaultMTU     = 1232 // UDP payload of an IPv6 packet of the minimum MTU
	DefaultInitial = time.Second
	DefaultMax     = time.Minute

	minMTU = 128
	maxMTU = 1 << 16
)

// Config is what a session needs. Secret, Rand and Send are required.
//
// The callbacks run inside the method of Conn, or inside Client or Server, that
// causes them. Receive and Established may call Write and Close of the same
// Conn, and nothing else may be called from any of them. Slices they are given
// are theirs to keep.
type Config struct {
	Secret []byte    // 1 to 32 bytes: PSKd, PSKc or ePSKc
	Rand   io.Reader // cryptographically secure

	MTU              int           // largest datagram in bytes; 0 means DefaultMTU; below 512 a ClientHello gets cut, which mbedTLS and a Front refuse
	Initial          time.Duration // first retransmission; 0 means DefaultInitial
	Max              time.Duration // the wait doubles up to here; after one of this length the handshake has timed out; 0 means DefaultMax
	HandshakeTimeout time.Duration // whole handshake, counted from Client or Server; 0 means no limit of its own

	CookieKey []byte // server: ask for a cookie made with this key; empty means not to
	PeerID    []byte // server: what the cookie is bound to, the peer's address in a form of fixed length

	Send        func(datagram []byte) // to the peer
	Receive     func(data []byte)     // application data of one record; nil discards
	Established func()                // the handshake ended well; may be nil
	Closed      func(err error)       // the session ended, once, err as Err gives it; may be nil
}

func (cfg *Config) check() error {
	if cfg.MTU == 0 {
		cfg.MTU = DefaultMTU
	}
	if cfg.Initial == 0 {
		cfg.Initial = DefaultInitial
	}
	if cfg.Max == 0 {
		cfg.Max = max(DefaultMax, cfg.Initial)
	}
	switch {
	case cfg.Rand == nil:
		return errors.New("dtls: no source of randomness")
	case cfg.Send == nil:
		return errors.New("dtls: no way to send")
	case cfg.MTU < minMTU || cfg.MTU > maxMTU:
		return fmt.Errorf("dtls: MTU of %d bytes, want %d to %d", cfg.MTU, minMTU, maxMTU)
	case cfg.Initial < 0 || cfg.Max < cfg.Initial:
		return fmt.Errorf("dtls: retransmission from %v to %v", cfg.Initial, cfg.Max)
	case cfg.HandshakeTimeout < 0:
		return fmt.Errorf("dtls: handshake timeout of %v", cfg.HandshakeTimeout)
	}
	return nil
}

// state is how far the handshake is, named by what is waited for.
type state uint8

const (
	waitHello       state = iota // client: HelloVerifyRequest, ServerHello; server: ClientHello
	waitKeyExchange              // the peer's key exchange message
	waitHelloDone                // client only: ServerHelloDone
	waitFinished
	established
	closed
)

var stateNames = [...]string{"wait hello", "wait key exchange", "wait hello done", "wait finished", "established", "closed"}

func (s state) String() string { return stateNames[s] }

// A Conn is one side of one session. It is not safe for concurrent use.
type Conn struct {
	cfg    Config
	client bool
	state  state
	err    error
	limit  time.Time // of the handshake; zero for none

	exchange                   *ecjpake.Exchange
	clientRandom, serverRandom [randomLen]byte
	cookie                     []byte
	cookies                    int // HelloVerifyRequests answered
	extendedMaster             bool
	transcript                 []byte
	master                     [masterLen]byte
	kek                        [keyLen]byte

	in, out     direction // epoch 1; aead is nil until there are keys
	sendEpoch   uint16
	recordSeq   [2]uint64 // next to be sent, by epoch
	window      window    // of epoch 1
	maxFragment int       // plain text of a record to be sent

	sendSeq uint16 // message_seq to be sent next
	recv    reassembly
	flight  flight
}

func newConn(client bool, cfg Config, now time.Time) (*Conn, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	role := ecjpake.Server
	if client {
		role = ecjpake.Client
	}
	x, err := ecjpake.New(role, cfg.Secret, cfg.Rand)
	if err != nil {
		return nil, fmt.Errorf("dtls: %w", err)
	}
	cfg.Secret = nil
	c := &Conn{cfg: cfg, client: client, exchange: x, maxFragment: maxPlaintext}
	if cfg.HandshakeTimeout > 0 {
		c.limit = now.Add(cfg.HandshakeTimeout)
	}
	return c, nil
}

// Established reports whether the handshake ended well and the session is
// still open.
func (c *Conn) Established() bool { return c.state == established }

// Err returns why the session ended; nil while it has not. It is ErrTimeout,
// ErrClosed, ErrPeerClosed, or an *AlertError, which wraps ErrWrongSecret when
// the secrets differ.
func (c *Conn) Err() error { return c.err }

// KEK returns the key that entrusts a joiner: the first half of SHA-256 over
// the key block (Thread 1.3 Section 8.4.4). It is zero unless Established.
func (c *Conn) KEK() [16]byte {
	if c.state != established {
		return [16]byte{}
	}
	return c.kek
}

// MaxWrite returns how many bytes Write takes, given the MTU and the record
// size the peer asked for.
func (c *Conn) MaxWrite() int {
	return min(c.cfg.MTU-recordHeaderLen-sealedOverhead, c.maxFragment)
}

// Write sends b as one record in one datagram.
func (c *Conn) Write(b []byte) error {
	switch {
	case c.state == closed:
		return c.err
	case c.state != established:
		return ErrNotEstablished
	case len(b) > c.MaxWrite():
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, len(b), c.MaxWrite())
	}
	return c.sendRecord(typeApplicationData, b)
}

// Close ends the session and tells the peer by close_notify. All keys are
// overwritten, here as at any other end. Closing again does nothing.
func (c *Conn) Close() { c.end(ErrClosed) }

// establish ends the handshake well.
func (c *Conn) establish() {
	c.state = established
	c.flight.due = time.Time{}
	c.forget()
	if c.cfg.Established != nil {
		c.cfg.Established()
	}
}

// forget drops and overwrites what only the handshake needed.
func (c *Conn) forget() {
	c.exchange.Destroy()
	clear(c.master[:])
	c.transcript, c.cookie, c.recv.slots = nil, nil, [maxPending]*partial{}
}

// fail ends the session for a fault of the peer, or of our own.
func (c *Conn) fail(err error) {
	var a *AlertError
	if !errors.As(err, &a) {
		err = &AlertError{Alert: AlertInternalError, Err: err}
	}
	c.end(err)
}

// end ends the session for any reason, tells the peer unless it told us, and
// overwrites the keys.
func (c *Conn) end(err error) {
	if c.state == closed {
		return
	}
	level, alert, tell := byte(levelWarning), AlertCloseNotify, true
	var a *AlertError
	if errors.As(err, &a) {
		level, alert, tell = levelFatal, a.Alert, !a.Remote
	}
	// A close_notify is answered by one (RFC 5246 Section 7.2.1). A server
	// that nobody spoke to has nobody to tell.
	if tell && c.recordSeq != [2]uint64{} {
		_ = c.sendRecord(typeAlert, []byte{level, byte(alert)}) // fails only when 2^48 records were sent
	}
	c.state, c.err = closed, err
	c.forget()
	clear(c.kek[:])
	c.in, c.out, c.flight = direction{}, direction{}, flight{}
	if c.cfg.Closed != nil {
		c.cfg.Closed(err)
	}
}
