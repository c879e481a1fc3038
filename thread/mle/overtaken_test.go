package mle_test

import (
	"net/netip"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/sim"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/mle"
)

// What a parent held for a sleepy child is taken, once, after what it has sent
// to all meanwhile; a child that always listens gets everything in order.
func TestOvertakenByMulticast(t *testing.T) {
	for _, kind := range []sim.Kind{sim.SED, sim.MTD} {
		w := newWorld(t, 96)
		n := w.net(sim.FTD, kind)
		parent, c := n[0], n[1]
		w.form(parent)
		w.attach(c)
		leader, _ := parent.MLE().LeaderData()
		from, src := parent.MAC().Ext(), parent.MLE().LinkLocal()
		tell := func(counter uint32, dst netip.Addr) bool {
			m := mle.Message{Command: mle.DataResponse, TLVs: mle.TLVs(nil).AppendUint16(mle.TypeSource, parent.MLE().RLOC16()).
				Append(mle.TypeLeaderData, leader.Append(nil)...)}
			payload := m.Seal(nil, parent.Keys().MLE(0), mle.Header{Counter: counter}, from, src, dst)
			before := c.MLE().Counters().Refused
			c.Do(func() {
				c.MLE().Receive(&ip.Datagram{Src: netip.AddrPortFrom(src, mle.Port), Dst: netip.AddrPortFrom(dst, mle.Port), HopLimit: 255,
					Payload: payload, Info: link.Info{Src: ieee802154.ExtendedAddr(from), RSSI: -50}})
			})
			return c.MLE().Counters().Refused == before
		}
		own, all := c.MLE().LinkLocal(), netip.MustParseAddr("ff02::1")
		next := c.Table().Parent.MLECounter
		for i, x := range []struct {
			counter uint32
			dst     netip.Addr
			want    bool
		}{
			{next - 1, own, false}, {next + 2, all, true}, {next, all, false}, {next, own, kind == sim.SED}, {next, own, false},
			{next + 1, own, kind == sim.SED}, {next + 2, own, false}, {next + 3, own, true},
		} {
			if got := tell(x.counter, x.dst); got != x.want {
				t.Errorf("%v, %d: taken %v", kind, i, got)
			}
		}
	}
}
