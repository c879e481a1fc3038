package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"gatewayd/ipv6"
)

// errNoReply is what a ping without an answer returns.
var errNoReply = errors.New("no answer")

// pingTimeout is how long an answer may take: a sleepy device wakes up only
// now and then.
const pingTimeout = 5 * time.Second

// kernelPing sends echo requests through the kernel's own IPv6 stack.
type kernelPing struct {
	conn net.PacketConn
	seq  uint16
}

func newKernelPing() (*kernelPing, error) {
	c, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, fmt.Errorf("demo: socket for pings: %w", err)
	}
	return &kernelPing{conn: c}, nil
}

func (k *kernelPing) close() { k.conn.Close() }

// ping sends one request with size bytes of data and waits for its answer.
func (k *kernelPing) ping(ctx context.Context, dst netip.Addr, size int) (time.Duration, error) {
	k.seq++
	const id = 0x6777
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i)
	}
	// The kernel fills in the checksum of its own raw sockets (RFC 3542
	// Section 3.1).
	request := append([]byte{ipv6.ICMPEchoRequest, 0, 0, 0}, ipv6.Echo{ID: id, Seq: k.seq, Data: data}.Append(nil)...)
	began := time.Now()
	if err := k.conn.SetReadDeadline(began.Add(pingTimeout)); err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { k.conn.SetReadDeadline(time.Now()) })()
	if _, err := k.conn.WriteTo(request, &net.IPAddr{IP: dst.AsSlice()}); err != nil {
		return 0, fmt.Errorf("the kernel does not send to %v: %w", dst, err)
	}
	buf := make([]byte, 2048)
	for {
		n, _, err := k.conn.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
			return 0, errNoReply
		}
		if n == len(request) && buf[0] == ipv6.ICMPEchoReply && binary.BigEndian.Uint16(buf[4:]) == id && binary.BigEndian.Uint16(buf[6:]) == k.seq {
			return time.Since(began), nil
		}
	}
}
