package gateway

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestResolvers(t *testing.T) {
	text := "# a comment\nnameserver 192.0.2.1\nsearch example.org\nnameserver\t2001:db8::1\nnameserver fe80::1%eth0\nnameserver x\nnameserver 192.0.2.9\n"
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[2001:db8::1]:53"), netip.MustParseAddrPort("[fe80::1%eth0]:53")}
	if got := resolvers(text); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := resolvers(""); got != nil {
		t.Errorf("%v of nothing", got)
	}
}

// A resolver that answers something else first, and then that the answer does
// not fit, is asked by TCP.
func TestAskOne(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	at := netip.MustParseAddrPort(udp.LocalAddr().String())
	tcp, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Skipf("port %d is taken for TCP: %v", at.Port(), err)
	}
	defer tcp.Close()
	query := append([]byte{0x12, 0x34, 1, 0}, make([]byte, 12)...)
	long := append([]byte{0x12, 0x34, 0x81, 0x80}, bytes.Repeat([]byte{7}, 3000)...)
	go func() {
		b := make([]byte, 512)
		n, from, err := udp.ReadFrom(b)
		if err != nil || !bytes.Equal(b[:n], query) {
			return
		}
		_, _ = udp.WriteTo(append([]byte{0x12, 0x35, 0x81, 0x80}, make([]byte, 12)...), from) // another id
		_, _ = udp.WriteTo(query, from)                                                       // a question
		_, _ = udp.WriteTo(append([]byte{0x12, 0x34, 0x83, 0x80}, make([]byte, 12)...), from) // truncated
	}()
	go func() {
		c, err := tcp.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, b); err == nil && bytes.Equal(b, query) {
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(long))), long...))
		}
	}()
	got, err := askOne(at, query)
	if err != nil || !bytes.Equal(got, long) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A resolver that is silent is given up.
func TestAskNobody(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	if _, err := askOne(netip.MustParseAddrPort(c.LocalAddr().String()), make([]byte, 16)); err == nil {
		t.Error("an answer")
	}
	if took := time.Since(began); took > upstreamTimeout+2*time.Second {
		t.Errorf("took %v", took)
	}
}
