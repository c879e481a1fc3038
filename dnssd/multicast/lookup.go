package multicast

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatewayd/dnssd/mdns"
)

// lookupLimit is how long somebody may take to answer: hosts that sleep, or are
// behind a busy access point, miss the first question.
const lookupLimit = 3 * time.Second

// lookupMore is how long a better address may take after the first.
const lookupMore = 300 * time.Millisecond

// Local reports whether a name is one of multicast DNS's (RFC 6762 Section 3).
func Local(name string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(name, ".")), ".local")
}

// Lookup asks the host's links where a name is: of a host, "slzb-06.local"; of
// a service, "_slzb-06._tcp.local", which is the first that is found; or of one
// of several, "Attic._slzb-06._tcp.local". The port is that of a service, else
// 0. An IPv4 address is preferred, and one that is link-local has a zone.
func Lookup(ctx context.Context, name string) (netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	var found netip.AddrPort
	err := run(ctx, nil, func(m *mdns.Machine) error {
		_, err := watch(m, strings.TrimSuffix(name, "."), func(e mdns.Event) {
			addr := best(e, found.Addr())
			if e.Kind == mdns.Removed || addr == found.Addr() {
				return
			}
			found = netip.AddrPortFrom(addr, e.Service.Port)
			if addr.Is4() {
				cancel()
				return
			}
			time.AfterFunc(lookupMore, cancel) // for another address
		})
		return err
	})
	switch {
	case found.IsValid():
		return found, nil
	case ctx.Err() == context.DeadlineExceeded:
		return netip.AddrPort{}, fmt.Errorf("multicast: nobody on the network answers to %s", name)
	}
	return netip.AddrPort{}, fmt.Errorf("multicast: %s: %w", name, err)
}

// watch begins to look for a name.
func watch(m *mdns.Machine, name string, f func(mdns.Event)) (*mdns.Watch, error) {
	n, err := mdns.ParseName(name)
	if err != nil {
		return nil, err
	}
	labels := n.Labels()
	labels = labels[:max(len(labels)-1, 0)] // without "local"
	switch {
	case len(labels) == 1:
		return m.ResolveHost(labels[0], f)
	case len(labels) == 2 && labels[0] != "" && labels[0][0] == '_':
		return m.Discover(labels[0]+"."+labels[1], f)
	case len(labels) == 3:
		return m.Resolve(labels[0], labels[1]+"."+labels[2], f)
	}
	return nil, fmt.Errorf("%q is the name of neither a host nor a service", name)
}

// best is the address to use, or the one that there is if none is better: IPv4
// first, which every such device has; link-local ones last.
func best(e mdns.Event, addr netip.Addr) netip.Addr {
	rank := func(a netip.Addr) int {
		switch {
		case !a.IsValid():
			return 0
		case a.IsLinkLocalUnicast():
			return 1
		case a.Is6():
			return 2
		}
		return 3
	}
	for _, a := range e.Addrs {
		if rank(a) <= rank(addr) {
			continue
		}
		if addr = a; a.Is6() && a.IsLinkLocalUnicast() {
			addr = a.WithZone(fmt.Sprint(e.Iface))
		}
	}
	return addr
}
