package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// upstream asks the host's resolvers on behalf of the mesh.
type upstream struct {
	g    *Gateway
	file string

	mu      sync.Mutex
	read    time.Time // when servers was read
	servers []netip.AddrPort
	busy    chan struct{}
}

// Implementation constants.
const (
	maxUpstream    = 32 // queries under way
	resolvConf     = "/etc/resolv.conf"
	resolvConfAge  = 5 * time.Second
	maxDNSDatagram = 4096
	// upstreamTimeout is how long a resolver may take.
	upstreamTimeout = 3 * time.Second
)

func newUpstream(g *Gateway) *upstream {
	return &upstream{g: g, file: resolvConf, busy: make(chan struct{}, maxUpstream)}
}

var errUpstreamBusy = errors.New("gateway: too many queries wait for the host's resolvers")

// forward implements dnssd.ResolverConfig.Forward.
func (u *upstream) forward(query []byte, done func([]byte, error)) {
	select {
	case u.busy <- struct{}{}:
	default:
		done(nil, errUpstreamBusy)
		return
	}
	query = append([]byte(nil), query...)
	go func() { // ends within the time-outs of ask, or with the gateway
		defer func() { <-u.busy }()
		answer, err := u.ask(query)
		u.g.deliver(func() { done(answer, err) })
	}()
}

// ask asks one resolver after the other.
func (u *upstream) ask(query []byte) ([]byte, error) {
	servers, err := u.list()
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("gateway: %s names no resolver", u.file)
	for _, s := range servers {
		var answer []byte
		if answer, err = askOne(s, query); err == nil {
			return answer, nil
		}
	}
	return nil, err
}

// askOne asks by UDP and, if the answer does not fit, by TCP (RFC 7766 Section
// 5). The socket's random port and the random id of the query are what a forger
// would have to guess (RFC 5452).
func askOne(server netip.AddrPort, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), upstreamTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	b := make([]byte, maxDNSDatagram)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return nil, err
		}
		switch {
		case n < 12 || len(query) < 12 || b[0] != query[0] || b[1] != query[1] || b[2]&0x80 == 0:
			continue // not an answer to this
		case b[2]&0x02 != 0: // truncated
			return askTCP(ctx, server, query)
		}
		return b[:n], nil
	}
}

func askTCP(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, b); err != nil {
		return nil, err
	}
	if len(b) < 12 || b[0] != query[0] || b[1] != query[1] {
		return nil, errors.New("gateway: the resolver answers something else")
	}
	return b, nil
}

// list are the resolvers of the host, read anew now and then.
func (u *upstream) list() ([]netip.AddrPort, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.servers != nil && time.Since(u.read) < resolvConfAge {
		return u.servers, nil
	}
	b, err := os.ReadFile(u.file)
	if err != nil {
		return nil, fmt.Errorf("gateway: the host's resolvers: %w", err)
	}
	u.servers, u.read = resolvers(string(b)), time.Now()
	return u.servers, nil
}

// maxResolvers is as many as the C library heeds (resolv.conf(5)).
const maxResolvers = 3

// resolvers reads the servers of a resolv.conf.
func resolvers(text string) (list []netip.AddrPort) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(list) == maxResolvers {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a, 53))
		}
	}
	return list
}
