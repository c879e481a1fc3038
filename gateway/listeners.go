package gateway

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// listeners has the node listen to what programs of the host listen to on the
// mesh's interface. Only the goroutine that owns the node uses joined.
type listeners struct {
	g      *Gateway
	news   chan struct{} // of capacity one: the kernel reported a change
	joined []netip.Addr  // for programs
}

// listenersSettle is how long after a report of the kernel's the groups are
// read: reports come in bunches.
const listenersSettle = 20 * time.Millisecond

// reported notes that the kernel listens to other groups than before.
func (l *listeners) reported() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// run follows the kernel until ctx ends.
func (l *listeners) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.news:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenersSettle):
		}
		groups, err := l.g.tun.Listened()
		if err != nil {
			l.g.log.Warn("programs of this host may not hear groups of the mesh", "id", "TUN-GROUPS", "err", err)
			continue
		}
		l.g.deliver(func() { l.follow(groups) })
	}
}

// follow joins and leaves what programs do. Groups that the node listens to
// anyway are not theirs to leave.
func (l *listeners) follow(groups []netip.Addr) {
	n := l.g.node.IP()
	for _, a := range slices.Clone(l.joined) {
		if !slices.Contains(groups, a) {
			l.joined = slices.DeleteFunc(l.joined, func(x netip.Addr) bool { return x == a })
			n.Leave(a)
		}
	}
	for _, a := range groups {
		if !slices.Contains(n.Groups(), a) {
			l.joined = append(l.joined, a)
			n.Join(a)
		}
	}
}

// others are the groups that the host is to listen to for the node: those that
// programs listen to it has from them.
func (l *listeners) others(groups []netip.Addr) (all []netip.Addr) {
	for _, a := range groups {
		if !slices.Contains(l.joined, a) {
			all = append(all, a)
		}
	}
	return all
}
