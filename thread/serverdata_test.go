package thread_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/thread/netdata"
)

// What a node serves in addition while the leader has not answered about the
// rest is registered soon, and so is what it serves no more.
func TestServeWhileAsking(t *testing.T) {
	w := newWorld(t, 49)
	routers := w.ring(3)
	leader, n := routers[0], routers[1]
	if n.MLE().Leader() != nil {
		leader, n = n, leader
	}
	first, second := netip.MustParsePrefix("fd00:1::/64"), netip.MustParsePrefix("fd00:2::/64")
	known := func(p netip.Prefix) bool {
		x := leader.MLE().NetData().FindPrefix(p)
		return x != nil && len(x.BorderRouters) > 0 // the leader keeps its context for a while
	}
	asked := func() { w.Run(2 * time.Millisecond) } // and not answered yet
	const flags = netdata.FlagOnMesh | netdata.FlagSLAAC
	n.Do(func() {
		if err := n.ServePrefix(first, flags, true); err != nil {
			t.Error(err)
		}
	})
	asked()
	n.Do(func() {
		if err := n.ServePrefix(second, flags, true); err != nil {
			t.Error(err)
		}
	})
	w.await("both", 10*time.Second, func() bool { return known(first) && known(second) })
	n.Do(func() { n.WithdrawPrefix(first) })
	asked()
	n.Do(func() { n.WithdrawPrefix(second) })
	w.await("neither", 10*time.Second, func() bool { return !known(first) && !known(second) })
}
