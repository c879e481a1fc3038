package tls

import (
	stdtls "crypto/tls"
	"errors"
	"io"
	"iter"
	"net"
	"time"
)

// engine runs crypto/tls as a machine. The handshake is a coroutine on a
// connection that is this engine: it gives way when it wants to read what has
// not come yet, and goes on in step.
type engine struct {
	conn *stdtls.Conn
	in   []byte
	out  []byte
	next func() (struct{}, bool)
	stop func()
	give func(struct{}) bool // the coroutine's way to give way

	closed bool
	// finished holds from the end of the handshake, with TLS 1.3 of the
	// success indication, in keys and state. err is set when TLS ended, before
	// or after.
	finished bool
	err      error
	state    stdtls.ConnectionState
	keys     keys

	sent, seen hello
}

// newServer and newClient begin a handshake. Nothing runs before step.
func newServer(cfg *stdtls.Config) *engine {
	e := new(engine)
	e.conn = stdtls.Server(e, cfg)
	e.start(func() error {
		if err := e.conn.Handshake(); err != nil {
			return err
		}
		if e.conn.ConnectionState().Version >= stdtls.VersionTLS13 {
			// The protected success indication: no handshake message comes
			// after it (RFC 9190 Section 2.1.1).
			if _, err := e.conn.Write([]byte{0}); err != nil {
				return err
			}
		}
		return e.finish(&e.seen, &e.sent)
	})
	return e
}

func newClient(cfg *stdtls.Config) *engine {
	e := new(engine)
	e.conn = stdtls.Client(e, cfg)
	e.start(func() error {
		if err := e.conn.Handshake(); err != nil {
			return err
		}
		if e.conn.ConnectionState().Version >= stdtls.VersionTLS13 {
			b := make([]byte, 2)
			n, err := e.conn.Read(b)
			switch {
			case err != nil:
				return err
			case n != 1 || b[0] != 0:
				return ErrNoSuccess
			}
		}
		return e.finish(&e.sent, &e.seen)
	})
	return e
}

// start makes the coroutine. When the handshake is over it waits for an
// alert, the only thing that may still come.
func (e *engine) start(handshake func() error) {
	e.next, e.stop = iter.Pull(func(give func(struct{}) bool) {
		e.give = give
		if e.err = handshake(); e.err != nil {
			return
		}
		var b [1]byte
		_, e.err = e.conn.Read(b[:])
		if e.err == nil {
			e.err = errors.New("application data")
		}
	})
}

// finish takes what is needed of a handshake that is complete.
func (e *engine) finish(client, server *hello) error {
	e.state = e.conn.ConnectionState()
	var err error
	if e.keys, err = export(&e.state, client, server); err != nil {
		return err
	}
	e.finished = true
	return nil
}

// step gives TLS octets to the handshake and returns what it wants to send,
// which is the caller's.
func (e *engine) step(in []byte) (out []byte) {
	if e.closed {
		return nil
	}
	e.in = in
	e.next()
	e.in = nil
	out, e.out = e.out, nil
	return out
}

// close ends the coroutine and wipes the keys.
func (e *engine) close() {
	if e.closed {
		return
	}
	e.closed = true
	e.stop()
	e.keys.wipe()
	e.in, e.out = nil, nil
}

// Read gives way until there is something.
func (e *engine) Read(b []byte) (int, error) {
	for len(e.in) == 0 {
		if e.closed || !e.give(struct{}{}) {
			return 0, io.EOF
		}
	}
	n := copy(b, e.in)
	e.seen.feed(e.in[:n])
	e.in = e.in[n:]
	return n, nil
}

func (e *engine) Write(b []byte) (int, error) {
	e.sent.feed(b)
	e.out = append(e.out, b...)
	return len(b), nil
}

// The rest of net.Conn, of which crypto/tls asks nothing that matters here:
// RemoteAddr is the client's key of the session cache, and each client has a
// cache of its own.
func (e *engine) Close() error                     { return nil }
func (e *engine) LocalAddr() net.Addr              { return addr{} }
func (e *engine) RemoteAddr() net.Addr             { return addr{} }
func (e *engine) SetDeadline(time.Time) error      { return nil }
func (e *engine) SetReadDeadline(time.Time) error  { return nil }
func (e *engine) SetWriteDeadline(time.Time) error { return nil }

type addr struct{}

func (addr) Network() string { return "eap" }
func (addr) String() string  { return "eap-tls" }
