package firewall

import (
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseDevice(t *testing.T) {
	for in, want := range map[string]Device{
		"fd00::1":                 {Prefix: netip.MustParsePrefix("fd00::1/128")},
		"fd00:1::7/64":            {Prefix: netip.MustParsePrefix("fd00:1::/64")},
		"fd00:1:2:3:4:5:6:7":      {Prefix: netip.MustParsePrefix("fd00:1:2:3:4:5:6:7/128")},
		"0123456789abcdef":        {EUI64: EUI64{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}},
		"01-23-45-67-89-AB-CD-EF": {EUI64: EUI64{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}},
		"01:23:45:67:89:ab:cd:ef": {EUI64: EUI64{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}},
	} {
		if got, err := ParseDevice(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "192.0.2.1", "10.0.0.0/8", "0123", "fe80::1%eth0", "0123456789abcdeg"} {
		if got, err := ParseDevice(in); err == nil {
			t.Errorf("%q is %+v", in, got)
		}
	}
}

func TestNames(t *testing.T) {
	for i := range Inbound(3) {
		if got, err := ParseInbound(i.String()); got != i || err != nil {
			t.Errorf("%v: %v, %v", i, got, err)
		}
	}
	if _, err := ParseInbound("some"); err == nil {
		t.Error("inbound some")
	}
	if v, err := ParseVerdict("drop"); v != Drop || err != nil {
		t.Errorf("drop: %v, %v", v, err)
	}
	if v, err := ParseVerdict("accept"); v != Accept || err != nil {
		t.Errorf("accept: %v, %v", v, err)
	}
	if _, err := ParseVerdict("reject"); err == nil {
		t.Error("verdict reject")
	}
}

func TestEgressAllows(t *testing.T) {
	v4 := netip.MustParsePrefix("192.0.2.0/24")
	p := Policy{
		Mesh: "wpan0", Egress: Drop,
		EgressRules: []Rule{
			{Device: Device{EUI64: EUI64{7: 7}}, Remote: []netip.Prefix{v4}, Ports: []Ports{{443, 443}}},
			{Device: Device{EUI64: EUI64{7: 7}}, Verdict: Drop},
			{Remote: []netip.Prefix{v4}, Proto: 1},
			{Device: Device{Prefix: netip.MustParsePrefix("fd34::/64")}, Proto: 17, Ports: []Ports{{53, 53}, {5683, 5684}}},
		},
		Addresses: map[EUI64][]netip.Addr{{7: 7}: {netip.MustParseAddr("fd34::aa")}},
	}
	seven, other := netip.MustParseAddr("fd34::aa"), netip.MustParseAddr("fd34::1")
	in, out := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("198.51.100.9")
	for _, tt := range []struct {
		name        string
		device, dst netip.Addr
		proto       uint8
		port        uint16
		want        bool
	}{
		{"the device's service", seven, in, 6, 443, true},
		{"by the address of its EUI-64", netip.MustParseAddr("fd77::200:0:0:7"), in, 6, 443, true},
		{"over UDP", seven, in, 17, 443, true},
		{"another port", seven, in, 6, 80, false},
		{"another network", seven, out, 6, 443, false},
		{"ping, which its other rule forbids", seven, in, 1, 0, false},
		{"ping of another", other, in, 1, 0, true},
		{"ports in ranges", other, out, 17, 5684, true},
		{"beside the ranges", other, out, 17, 5685, false},
		{"another protocol", other, out, 6, 53, false},
		{"a device of no rule", netip.MustParseAddr("fd35::1"), out, 17, 53, false},
	} {
		if got := p.EgressAllows(tt.device, tt.dst, tt.proto, tt.port); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := probePolicy.Validate(); err != nil {
		t.Error(err)
	}
	for want, p := range map[string]Policy{
		`"" cannot name`:            {},
		`"1234567890123456" cannot`: {Mesh: "1234567890123456"},
		"10.0.0.0/8 is no IPv6":     {Mesh: "a", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		"invalid Prefix is no IPv6": {Mesh: "a", Local: []netip.Prefix{{}}},
		"no inbound policy 9":       {Mesh: "a", Inbound: 9},
		"ports 2 to 1 are none":     {Mesh: "a", EgressRules: []Rule{{Ports: []Ports{{2, 1}}}}},
		"protocol 58 has no ports":  {Mesh: "a", InboundRules: []Rule{{Proto: 58, Ports: []Ports{{1, 2}}}}},
		"a rule has an invalid":     {Mesh: "a", InboundRules: []Rule{{Remote: []netip.Prefix{{}}}}},
		"the NAT64 needs":           {Mesh: "a", NAT64: &NAT64{Interface: "b", Network: netip.MustParsePrefix("fd00::/64")}},
		"a device has no IPv4":      {Mesh: "a", EgressRules: []Rule{{Device: Device{Prefix: netip.MustParsePrefix("10.0.0.1/32")}}}},
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", p, err, want)
		}
	}
}

// What kernels without nftables say, or with parts of it.
func TestUnsupported(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EPROTONOSUPPORT, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOENT} {
		if err := explain("opening", errno); !errors.Is(err, ErrUnsupported) || !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	for _, errno := range []unix.Errno{unix.EPERM, unix.ENOBUFS, unix.EBUSY} {
		if err := explain("opening", errno); errors.Is(err, ErrUnsupported) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

func TestNoCapability(t *testing.T) {
	needNamespace(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread loses the capability
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		if _, err := Open(Options{}); err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") || errors.Is(err, ErrUnsupported) {
			t.Errorf("without the capability: %v", err)
		}
	}()
	<-done
}
