package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteIPv4 sends the packets for an IPv4 network to the interface and has those
// that come out of it forwarded: of a NAT64's, which has no IPv4 address itself.
// Close ends both.
func (t *TUN) RouteIPv4(network netip.Prefix) error {
	if !network.IsValid() || !network.Addr().Is4() {
		return fmt.Errorf("host: %v is not an IPv4 network", network)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.netlink == nil {
		return fmt.Errorf("host: interface %s: %w", t.name, net.ErrClosed)
	}
	r := &netlink.Route{LinkIndex: t.link.Index, Protocol: RouteProtocol, Scope: netlink.SCOPE_LINK,
		Dst: &net.IPNet{IP: network.Masked().Addr().AsSlice(), Mask: net.CIDRMask(network.Bits(), 32)}}
	if err := t.netlink.RouteAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
		return explainChange(t.name, "adding the route to "+network.String(), err)
	}
	err := setSysctl("/proc/sys/net/ipv4/conf/"+t.name+"/forwarding", "1")
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("host: interface %s: give the container net.ipv4.ip_forward=1, or the host if the container has its network: %w", t.name, err)
	case err != nil:
		return fmt.Errorf("host: interface %s: %w", t.name, err)
	}
	return nil
}
