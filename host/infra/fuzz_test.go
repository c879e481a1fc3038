package infra

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// control is a control message as the kernel aligns it.
func control(typ int32, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(len(data))))
	binary.NativeEndian.PutUint32(b[unix.SizeofCmsghdr-8:], unix.IPPROTO_IPV6)
	binary.NativeEndian.PutUint32(b[unix.SizeofCmsghdr-4:], uint32(typ))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

// A message is taken only with its hop limit and destination, and is a copy.
func FuzzIncoming(f *testing.F) {
	hops := control(unix.IPV6_HOPLIMIT, binary.NativeEndian.AppendUint32(nil, 255))
	dst := netip.MustParseAddr("ff02::1").As16()
	info := control(unix.IPV6_PKTINFO, append(dst[:], 7, 0, 0, 0))
	f.Add([]byte{134, 0, 0, 0, 64, 0, 7, 8}, append(bytes.Clone(info), hops...))
	f.Add([]byte{134, 0, 0, 0}, hops)
	f.Add([]byte{134, 0, 0}, info)
	f.Add([]byte{}, hops[:13])
	from := &net.IPAddr{IP: net.ParseIP("fe80::1")}
	f.Fuzz(func(t *testing.T, b, oob []byte) {
		in, ok := incoming(b, oob, from)
		if !ok {
			return
		}
		if !in.Dst.IsValid() || in.Src != netip.MustParseAddr("fe80::1") || in.Type != b[0] || !bytes.Equal(in.Body, b[4:]) {
			t.Fatalf("%x with %x is %+v", b, oob, in)
		}
		if len(b) > 4 {
			b[4]++
			if in.Body[0] == b[4] {
				t.Fatal("the body is not a copy")
			}
		}
	})
}

func TestIncoming(t *testing.T) {
	hops := control(unix.IPV6_HOPLIMIT, binary.NativeEndian.AppendUint32(nil, 64))
	dst := netip.MustParseAddr("ff02::2").As16()
	info := control(unix.IPV6_PKTINFO, append(dst[:], 7, 0, 0, 0))
	in, ok := incoming([]byte{133, 0, 0xab, 0xcd, 0, 0, 0, 0}, append(bytes.Clone(hops), info...), &net.IPAddr{IP: net.ParseIP("fe80::9")})
	if !ok || in.HopLimit != 64 || in.Dst != netip.AddrFrom16(dst) || in.Type != 133 || len(in.Body) != 4 {
		t.Errorf("%+v, %v", in, ok)
	}
	if _, ok := incoming([]byte{133, 0, 0, 0}, hops, &net.IPAddr{IP: net.ParseIP("fe80::9")}); ok {
		t.Error("taken without its destination")
	}
	if _, ok := incoming([]byte{133, 0, 0, 0}, info, &net.IPAddr{IP: net.ParseIP("fe80::9")}); ok {
		t.Error("taken without its hop limit")
	}
}

// note is a netlink message.
func note(typ uint16, body ...byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, make([]byte, 10)...)
	b = append(b, body...)
	return append(b, make([]byte, -len(b)&3)...)
}

func TestMatters(t *testing.T) {
	narrow := note(unix.RTM_NEWROUTE, unix.AF_INET6, 64, 0, 0)
	all := note(unix.RTM_DELROUTE, unix.AF_INET, 0, 0, 0)
	for name, tt := range map[string]struct {
		b    []byte
		want bool
	}{
		"a route":                 {narrow, false},
		"the default route":       {all, true},
		"both":                    {append(bytes.Clone(narrow), all...), true},
		"an interface":            {note(unix.RTM_NEWLINK), true},
		"an address after routes": {append(append(bytes.Clone(narrow), narrow...), note(unix.RTM_NEWADDR)...), true},
		"nothing":                 {nil, false},
		"half a message":          {narrow[:len(narrow)-1], true},
	} {
		if got := matters(tt.b); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Whatever comes, the loop ends; and a route before it changes nothing.
func FuzzMatters(f *testing.F) {
	f.Add(note(unix.RTM_NEWROUTE, unix.AF_INET6, 64, 0, 0))
	f.Add(note(unix.RTM_NEWROUTE, unix.AF_INET6, 0))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if matters(b) != matters(append(note(unix.RTM_NEWROUTE, unix.AF_INET6, 64), b...)) {
			t.Fatalf("%x matters, or not, depending on a route before it", b)
		}
	})
}
