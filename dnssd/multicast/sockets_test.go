package multicast

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"gatewayd/dnssd/mdns"
)

// What is sent to the group on an interface comes back, with where it came by.
func TestLoopback(t *testing.T) {
	lo, err := Interface("lo")
	if err != nil {
		t.Skip(err)
	}
	if len(lo.Addrs) == 0 || lo.Addrs[0] != netip.MustParsePrefix("127.0.0.1/8") {
		t.Skipf("lo has addresses %v", lo.Addrs)
	}
	lo.V4 = true
	// Two pairs of sockets share the port.
	got := make(chan Datagram, 100)
	var socks []*Sockets
	for range 2 {
		s, err := Open()
		if err != nil {
			t.Skip(err)
		}
		defer s.Close()
		if err := s.SetInterfaces([]mdns.Interface{lo}); err != nil {
			t.Skip(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx, func(d Datagram) { got <- d }) }()
		defer func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Run ended with %v", err)
			}
		}()
		socks = append(socks, s)
	}
	b := mdns.Message{Questions: []mdns.Question{{Name: "\x06gwtest\x05local\x00", Type: mdns.TypeA, Class: mdns.ClassIN}}}.Append(nil)
	receive := func() (n int) {
		over := time.After(time.Second)
		for {
			select {
			case d := <-got:
				if string(d.Bytes) != string(b) {
					continue // another responder of the host
				}
				if n++; d.Iface != lo.Index || d.To != mdns.Group4 || d.From.Port() != mdns.Port || !d.From.Addr().Is4() {
					t.Errorf("got %+v", d)
				}
			case <-over:
				return n
			}
		}
	}
	socks[0].Send(lo.Index, netip.AddrPortFrom(mdns.Group4, mdns.Port), b)
	if n := receive(); n != 2 {
		t.Errorf("%d of two sockets heard it, unsent %d", n, socks[0].Unsent())
	}
	// One leaves the group.
	if err := socks[1].SetInterfaces(nil); err != nil {
		t.Error(err)
	}
	socks[0].Send(lo.Index, netip.AddrPortFrom(mdns.Group4, mdns.Port), b)
	if n := receive(); n != 1 {
		t.Errorf("%d sockets heard it, want one", n)
	}
	socks[0].Send(1<<30, netip.AddrPortFrom(mdns.Group4, mdns.Port), b)
	if n := socks[0].Unsent(); n != 1 {
		t.Errorf("%d were not sent on an interface that is not there", n)
	}
	lo.Index = 1 << 30
	if err := socks[1].SetInterfaces([]mdns.Interface{lo}); err == nil {
		t.Error("joined on an interface that is not there")
	}
}

func TestPktinfo(t *testing.T) {
	for _, b := range [][]byte{nil, {1}, make([]byte, 15), make([]byte, 64)} {
		if _, _, ok := pktinfo(b); ok {
			t.Errorf("%x has a packet's interface", b)
		}
	}
	if _, err := Interface("no such"); err == nil {
		t.Error("there is no such interface")
	}
}
