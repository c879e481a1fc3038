package mle_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/sim"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

func linkLocal(e ieee802154.ExtAddr) netip.Addr {
	b := [16]byte{0: 0xfe, 1: 0x80}
	iid := e.IID()
	copy(b[8:], iid[:])
	return netip.AddrFrom16(b)
}

// everything has a TLV of each type that is as it should be.
func everything(source uint16) mle.TLVs {
	ts := meshcop.Timestamp{Seconds: 7}
	t := mle.TLVs(nil).AppendUint16(mle.TypeSource, source).Append(mle.TypeMode, 0x0f).AppendUint32(mle.TypeTimeout, 100).
		Append(mle.TypeChallenge, 1, 2, 3, 4, 5, 6, 7, 8).Append(mle.TypeResponse, 1, 2, 3, 4, 5, 6, 7, 8).
		AppendUint32(mle.TypeLinkCounter, 5).AppendUint32(mle.TypeMLECounter, 6).AppendUint16(mle.TypeAddress16, source|1)
	r := mle.Route{Sequence: 9, Mask: 1<<63 | 1<<40, Entries: [63]mle.RouteEntry{0: {Cost: 1}, 23: {Out: 3, In: 3, Cost: 2}}}
	c := mle.Connectivity{ActiveRouters: 2, SED: true}
	return t.Append(mle.TypeRoute, r.Append(nil)...).
		Append(mle.TypeLeaderData, mle.LeaderData{Partition: 5, Weight: 70, DataVersion: 3, StableVersion: 2, LeaderID: 23}.Append(nil)...).
		Append(mle.TypeNetworkData).AppendRequest(mle.TypeNetworkData, mle.TypeRoute, mle.TypeAddress16).
		Append(mle.TypeScanMask, 0xc0).Append(mle.TypeConnectivity, c.Append(nil)...).Append(mle.TypeLinkMargin, 40).
		AppendUint16(mle.TypeVersion, 5).Append(mle.TypeAddresses, 0x80, 1, 2, 3, 4, 5, 6, 7, 8).
		Append(mle.TypeChannel, 0, 0, 20).AppendUint16(mle.TypePANID, 0x1234).
		AppendTimestamp(mle.TypeActiveTimestamp, ts).AppendTimestamp(mle.TypePendingTimestamp, ts).
		Append(mle.TypeDiscovery, 0x80, 2, 0x50, 0).AppendUint16(mle.TypeSupervision, 100)
}

// Whatever arrives, from outside or sealed by somebody who has the network's
// key, as which neighbour and in which role: the device goes on. What has no
// good seal changes nothing.
func FuzzReceive(f *testing.F) {
	for c := range uint8(21) {
		for who := range uint8(4) {
			f.Add(c, who, []byte(everything(0x0000)), true)
			f.Add(c, who, []byte(everything(0x5c00)), true)
		}
		f.Add(c, c%4, []byte(everything(0x0000)), false)
	}
	f.Fuzz(func(t *testing.T, command, who uint8, tlvs []byte, sealed bool) {
		if len(tlvs) > 1000 {
			return
		}
		w := newWorld(t, 90)
		n := w.net(sim.FTD, sim.FTD, sim.SED)
		w.form(n[0])
		w.routers(n[1])
		w.attach(n[2])
		victim := n[int(who)%3]
		sender := n[(int(who)+1)%3].MAC().Ext()
		if who&4 != 0 {
			sender = ieee802154.ExtAddr{2, byte(who)}
		}
		src, dst := linkLocal(sender), victim.MLE().LinkLocal()
		if who&8 != 0 {
			dst = netip.MustParseAddr("ff02::1")
		}
		m := mle.Message{Command: mle.Command(command), TLVs: tlvs}
		payload := m.AppendUnsecured(nil)
		if sealed {
			payload = m.Seal(nil, victim.Keys().MLE(0), mle.Header{Counter: 1 << 20}, sender, src, dst)
		}
		d := &ip.Datagram{
			Src: netip.AddrPortFrom(src, mle.Port), Dst: netip.AddrPortFrom(dst, mle.Port), HopLimit: 255, Payload: payload,
			Info: link.Info{Src: ieee802154.ExtendedAddr(sender), Channel: uint8(w.dataset.Channel.Number), RSSI: -50, SrcPAN: *w.dataset.PANID},
		}
		role, rloc16, partition, kids := victim.MLE().Role(), victim.MLE().RLOC16(), victim.MLE().Partition(), len(victim.Table().Children)
		victim.Do(func() { victim.MLE().Receive(d) })
		if !sealed && (victim.MLE().Role() != role || victim.MLE().RLOC16() != rloc16 || victim.MLE().Partition() != partition ||
			len(victim.Table().Children) != kids || victim.MLE().Attaching()) {
			t.Error("a message without a seal changed something")
		}
		w.Run(5 * time.Second)
		victim.Do(func() { victim.MLE().Receive(d) })
		w.Run(5 * time.Second)
		for _, r := range victim.Table().Routers {
			if r != nil && r.NextHop != neighbor.InvalidID && r.NextHop > neighbor.MaxRouterID {
				t.Errorf("router %d by %d", r.ID, r.NextHop)
			}
		}
	})
}
