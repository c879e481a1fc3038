// Package transport reaches radio co-processors: it opens what a radio.URL
// names, a serial device, a program on a pseudo terminal, a TCP or a unix
// socket, keeps it open (Port), and finds out what is there (Probe).
//
// Serial lines are set up with Linux's termios2, so that any baud rate can be
// asked for. A device is ours alone while it is open.
package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/dnssd/multicast"
	"gatewayd/radio"
)

// ErrHungUp is what a connection returns when the other end went away: the
// dongle was unplugged, the program ended, the peer closed.
var ErrHungUp = errors.New("hung up")

// Conn is a connection to a co-processor. Close unblocks Read and Write.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Implementation constants.
const (
	connectTimeout = 5 * time.Second
	// tcpGone is how long what we sent may stay unacknowledged. Without it a
	// serial server that lost its power is missed only after minutes.
	tcpGone      = 10 * time.Second
	tcpKeepIdle  = 15 * time.Second
	tcpKeepEvery = 5 * time.Second
	tcpKeepCount = 3
)

// Dial opens what u names. Simulated radios are not reached by bytes, so
// radio.BusSim is an error.
func Dial(ctx context.Context, u radio.URL) (Conn, error) {
	switch u.Bus {
	case radio.BusUART:
		return openSerial(u)
	case radio.BusPTY:
		return startProgram(u)
	case radio.BusTCP:
		addr, err := resolve(ctx, u.Addr)
		if err != nil {
			return nil, err
		}
		return dialNet(ctx, "tcp", addr)
	case radio.BusUnix:
		return dialNet(ctx, "unix", u.Path)
	}
	return nil, fmt.Errorf("transport: %v has no bytes to open", u)
}

// resolve puts an address in place of a name of multicast DNS, which the
// system's resolver may know nothing of. Other names it leaves alone.
func resolve(ctx context.Context, addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = addr, "" // a service
	}
	if !multicast.Local(host) {
		return addr, nil
	}
	found, err := multicast.Lookup(ctx, host)
	switch {
	case err != nil:
		return "", fmt.Errorf("transport: %w", err)
	case port == "":
		return found.String(), nil
	}
	return net.JoinHostPort(found.Addr().String(), port), nil
}

func dialNet(ctx context.Context, network, addr string) (Conn, error) {
	d := net.Dialer{
		Timeout: connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: tcpKeepIdle, Interval: tcpKeepEvery, Count: tcpKeepCount,
		},
		Control: func(network, _ string, c syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			var err error
			ctl := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(tcpGone/time.Millisecond))
			})
			return errors.Join(err, ctl)
		},
	}
	c, err := d.DialContext(ctx, network, addr) // with TCP_NODELAY, Go's default
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	return &conn{Conn: c, name: addr}, nil
}

// conn says of every way in which a connection can end that it hung up.
type conn struct {
	Conn
	name string
	why  func() string // more about it, or nil
}

// base is the connection itself.
func (c *conn) base() Conn { return c.Conn }

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.explain(err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.explain(err)
}

func (c *conn) explain(err error) error {
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, os.ErrClosed), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("transport: %s: %w", c.name, fs.ErrClosed)
	case errors.Is(err, io.EOF), errors.Is(err, unix.EIO), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV),
		errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.ETIMEDOUT):
		more := ""
		if c.why != nil {
			more = c.why()
		}
		return fmt.Errorf("transport: %s %w%s", c.name, ErrHungUp, more)
	}
	return fmt.Errorf("transport: %s: %w", c.name, err)
}
