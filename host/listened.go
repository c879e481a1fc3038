package host

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"gatewayd/ipv6"
)

// maxListened bounds the groups that programs make the gateway listen to.
const maxListened = 64

// memberships is where the kernel tells who listens to what.
const memberships = "/proc/net/igmp6"

// Listened returns the groups that programs of the host listen to on the
// interface: not those of Config, and not those that the kernel is in by itself.
// The kernel reports every change of them by MLD, on the interface.
func (t *TUN) Listened() ([]netip.Addr, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.netlink == nil {
		return nil, fmt.Errorf("host: groups of %s: %w", t.name, os.ErrClosed)
	}
	b, err := os.ReadFile(memberships)
	if err != nil {
		return nil, fmt.Errorf("host: groups of %s: %w", t.name, err)
	}
	var own []netip.Addr
	if t.groups != nil {
		own = t.groups.joined
	}
	return listened(string(b), t.link.Index, own)
}

// listened reads the kernel's memberships, of which own are ours. A line is
//
//	7    wpan0           ff040000000000000000000000000123     1 00000004 0
//
// with the interface's index, its name, the group, and how many joined it.
func listened(text string, index int, own []netip.Addr) (all []netip.Addr, err error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] != strconv.Itoa(index) {
			continue
		}
		raw, err1 := hex.DecodeString(f[2])
		a, ok := netip.AddrFromSlice(raw)
		users, err2 := strconv.Atoi(f[3])
		if err := errors.Join(err1, err2); err != nil || !ok || !a.Is6() {
			return nil, fmt.Errorf("host: %s has %q", memberships, strings.TrimSpace(line))
		}
		if slices.Contains(own, a) {
			users--
		}
		if users > 0 && !kernelsOwn(a) && len(all) < maxListened {
			all = append(all, a)
		}
	}
	return all, nil
}

var (
	solicitedNodes = netip.MustParsePrefix("ff02::1:ff00:0/104") // RFC 4291 Section 2.7.1
	allRoutersSite = netip.MustParseAddr("ff05::2")
	allSnoopers    = netip.MustParseAddr("ff02::6a") // RFC 4286
)

// kernelsOwn reports whether it is the kernel that listens to a group, as a host
// or as a router.
func kernelsOwn(a netip.Addr) bool {
	return ipv6.Scope(a) < ipv6.ScopeLink || solicitedNodes.Contains(a) ||
		slices.Contains([]netip.Addr{ipv6.AllNodesLinkLocal, ipv6.AllRoutersLinkLocal, allRoutersSite, allSnoopers}, a)
}

// IsListenerReport reports whether a packet of the kernel's tells of groups that
// it began or ended to listen to: MLD (RFC 3810 Section 5, RFC 2710 Section 3).
func IsListenerReport(packet []byte) bool {
	if len(packet) < ipv6.HeaderLen || packet[6] != ipv6.ProtoHopByHop { // it has a router alert
		return false
	}
	proto, off, err := ipv6.Transport(packet)
	if err != nil || proto != ipv6.ProtoICMPv6 || off >= len(packet) {
		return false
	}
	switch packet[off] {
	case 131, 132, 143:
		return true
	}
	return false
}
