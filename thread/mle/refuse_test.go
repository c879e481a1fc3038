package mle_test

import (
	"bytes"
	"net/netip"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/sim"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// What is refused, and why. Every case starts from a message that would pass.
func TestRefused(t *testing.T) {
	w := newWorld(t, 95)
	n := w.net(sim.FTD, sim.FTD, sim.MTD)
	a, r, c := n[0], n[1], n[2]
	w.form(a)
	w.routers(r)
	w.attach(c)
	stranger := ieee802154.ExtAddr{2, 1, 2, 3, 4, 5, 6, 7}
	victim := a.MLE()
	leader, _ := victim.LeaderData()
	other := leader
	other.Partition++
	sequence := a.Keys().Sequence()
	counter := uint32(1 << 24)
	free := uint8(0) // a router id that nobody has
	for a.Table().Router(free) != nil {
		free++
	}

	type letter struct {
		from     ieee802154.ExtAddr
		src      netip.Addr // if not from's link-local address
		hops     uint8
		rssi     int8
		key      [16]byte
		header   mle.Header
		m        mle.Message
		fromHost bool
		plain    bool                // unsecured
		change   func([]byte) []byte // on the way
	}
	challenge := func(t mle.TLVs) mle.TLVs { return t.Append(mle.TypeChallenge, 1, 2, 3, 4, 5, 6, 7, 8) }
	response := func(t mle.TLVs) mle.TLVs { return t.Append(mle.TypeResponse, 1, 2, 3, 4, 5, 6, 7, 8) }
	version := func(t mle.TLVs) mle.TLVs { return t.AppendUint16(mle.TypeVersion, 5) }
	route := r.MLE().Route()
	advert := func(source uint16, d mle.LeaderData) mle.TLVs {
		return mle.TLVs(nil).AppendUint16(mle.TypeSource, source).Append(mle.TypeLeaderData, d.Append(nil)...).
			Append(mle.TypeRoute, route.Append(nil)...)
	}
	linkAccept := response(version(mle.TLVs(nil).AppendUint16(mle.TypeSource, r.MLE().RLOC16()).AppendUint32(mle.TypeLinkCounter, 1).
		Append(mle.TypeLinkMargin, 50).Append(mle.TypeLeaderData, leader.Append(nil)...)))
	childID := version(response(mle.TLVs(nil).AppendUint32(mle.TypeLinkCounter, 1).Append(mle.TypeMode, 0x0f).
		AppendUint32(mle.TypeTimeout, 100).AppendRequest(mle.TypeAddress16)))
	dataRequest := mle.TLVs(nil).AppendRequest(mle.TypeNetworkData)

	cases := []struct {
		name   string
		change func(*letter)
		want   mle.Refusal
		none   bool
	}{
		{"a good one", func(*letter) {}, 0, true},
		{"from further away", func(l *letter) { l.hops = 254 }, mle.RefusedHopLimit, false},
		{"from the host", func(l *letter) { l.fromHost = true }, mle.RefusedEnvelope, false},
		{"from a routable address", func(l *letter) { l.src = r.MLEID() }, mle.RefusedEnvelope, false},
		{"empty", func(l *letter) { l.change = func([]byte) []byte { return nil } }, mle.RefusedEnvelope, false},
		{"unknown suite", func(l *letter) { l.change = func(b []byte) []byte { b[0] = 1; return b } }, mle.RefusedEnvelope, false},
		{"another security level", func(l *letter) { l.change = func(b []byte) []byte { b[1] = 0x14; return b } }, mle.RefusedEnvelope, false},
		{"key index of another sequence", func(l *letter) { l.change = func(b []byte) []byte { b[10]++; return b } }, mle.RefusedEnvelope, false},
		{"cut short", func(l *letter) { l.change = func(b []byte) []byte { return b[:15] } }, mle.RefusedEnvelope, false},
		{"one bit changed", func(l *letter) { l.change = func(b []byte) []byte { b[20] ^= 4; return b } }, mle.RefusedMIC, false},
		{"another address claimed", func(l *letter) { l.src = c.MLE().LinkLocal() }, mle.RefusedMIC, false},
		{"another key", func(l *letter) { l.key = [16]byte{1} }, mle.RefusedMIC, false},
		{"the victim's own address", func(l *letter) { l.from = a.MAC().Ext() }, mle.RefusedReplay, false},
		{"an old counter", func(l *letter) { l.header.Counter = 0 }, mle.RefusedReplay, false},
		{"unsecured", func(l *letter) { l.plain = true }, mle.RefusedSuite, false},
		{"unsecured parent request", func(l *letter) {
			l.plain, l.m = true, mle.Message{Command: mle.ParentRequest, TLVs: version(challenge(nil)).Append(mle.TypeScanMask, 0x80)}
		}, mle.RefusedSuite, false},
		{"without TLVs", func(l *letter) { l.m.TLVs = nil }, mle.RefusedMalformed, false},
		{"TLV too short", func(l *letter) { l.m.TLVs = mle.TLVs{byte(mle.TypeSource), 1, 0} }, mle.RefusedMalformed, false},
		{"version of the past", func(l *letter) {
			l.m = mle.Message{Command: mle.ParentRequest, TLVs: challenge(nil).AppendUint16(mle.TypeVersion, 1).Append(mle.TypeScanMask, 0x80)}
		}, mle.RefusedMalformed, false},
		{"unknown command", func(l *letter) { l.m.Command = 77 }, mle.RefusedState, false},
		{"answer to no request", func(l *letter) { l.m = mle.Message{Command: mle.LinkAccept, TLVs: linkAccept} }, mle.RefusedChallenge, false},
		{"link accept of no router", func(l *letter) {
			l.m = mle.Message{Command: mle.LinkAccept, TLVs: append(mle.TLVs(nil).AppendUint16(mle.TypeSource, neighbor.RouterRLOC16(free)), linkAccept...)}
		}, mle.RefusedUnknown, false},
		{"child id request out of the blue", func(l *letter) {
			l.from, l.m = stranger, mle.Message{Command: mle.ChildIDRequest, TLVs: childID}
		}, mle.RefusedUnknown, false},
		{"child id request with another response", func(l *letter) {
			l.from, l.m = c.MAC().Ext(), mle.Message{Command: mle.ChildIDRequest, TLVs: childID}
		}, mle.RefusedChallenge, false},
		{"child update response of nobody", func(l *letter) {
			l.from, l.m = stranger, mle.Message{Command: mle.ChildUpdateResponse, TLVs: response(nil)}
		}, mle.RefusedUnknown, false},
		{"data request of a stranger", func(l *letter) {
			l.from, l.m = stranger, mle.Message{Command: mle.DataRequest, TLVs: dataRequest}
		}, mle.RefusedUnknown, false},
		{"network data of another partition", func(l *letter) {
			l.m = mle.Message{Command: mle.DataResponse, TLVs: mle.TLVs(nil).Append(mle.TypeLeaderData, other.Append(nil)...)}
		}, mle.RefusedPartition, false},
		{"link request from another partition", func(l *letter) {
			l.m = mle.Message{Command: mle.LinkRequest, TLVs: version(challenge(nil)).Append(mle.TypeLeaderData, other.Append(nil)...)}
		}, mle.RefusedPartition, false},
		{"link request by a router that there is not", func(l *letter) {
			l.from, l.m = stranger, mle.Message{Command: mle.LinkRequest, TLVs: version(challenge(nil)).AppendUint16(mle.TypeSource, neighbor.RouterRLOC16(free))}
		}, mle.RefusedUnknown, false},
		{"link request with another's address", func(l *letter) {
			l.from, l.m = stranger, mle.Message{Command: mle.LinkRequest, TLVs: version(challenge(nil)).AppendUint16(mle.TypeSource, r.MLE().RLOC16())}
		}, mle.RefusedUnknown, false},
		{"another partition, hardly heard", func(l *letter) {
			l.from, l.rssi, l.m = stranger, -95, mle.Message{Command: mle.Advertisement, TLVs: advert(0, other)}
		}, mle.RefusedWeak, false},
		{"parent response to no request", func(l *letter) {
			l.m = mle.Message{Command: mle.ParentResponse, TLVs: everything(0)}
		}, mle.RefusedState, false},
		{"discovery response to no request", func(l *letter) {
			l.plain, l.m = true, mle.Message{Command: mle.DiscoveryResponse}
		}, mle.RefusedState, false},
		{"joiner where nobody may join", func(l *letter) {
			l.plain, l.m = true, mle.Message{Command: mle.DiscoveryRequest, TLVs: mle.TLVs(nil).Append(mle.TypeDiscovery, 128, 2, 0x58, 0)}
		}, mle.RefusedState, false},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			counter++
			l := letter{from: r.MAC().Ext(), hops: 255, rssi: -50, key: *w.dataset.NetworkKey,
				header: mle.Header{Counter: counter, Sequence: sequence},
				m:      mle.Message{Command: mle.Advertisement, TLVs: advert(r.MLE().RLOC16(), leader)}}
			x.change(&l)
			src, dst := linkLocal(l.from), victim.LinkLocal()
			key := a.Keys().MLE(sequence)
			if l.key != *w.dataset.NetworkKey {
				key = ieee802154.NewCCM(l.key)
			}
			payload := l.m.AppendUnsecured(nil)
			if !l.plain {
				payload = l.m.Seal(nil, key, l.header, l.from, src, dst)
			}
			if l.change != nil {
				payload = l.change(payload)
			}
			if l.src.IsValid() {
				src = l.src
			}
			send := func() {
				victim.Receive(&ip.Datagram{Src: netip.AddrPortFrom(src, mle.Port), Dst: netip.AddrPortFrom(dst, mle.Port),
					HopLimit: l.hops, Payload: bytes.Clone(payload),
					Info: link.Info{Src: ieee802154.ExtendedAddr(l.from), RSSI: l.rssi, FromHost: l.fromHost, Channel: 1}})
			}
			before := victim.Counters().Refused
			a.Do(send)
			after := victim.Counters().Refused
			if x.none {
				if after != before {
					t.Fatalf("refused: %v", after)
				}
				a.Do(send)
				if got := victim.Counters().Refused[mle.RefusedReplay] - before[mle.RefusedReplay]; got != 1 {
					t.Error("taken twice")
				}
				return
			}
			before[x.want]++
			if after != before {
				t.Errorf("counts %v, want one more %q: %v", after, x.want, before)
			}
		})
	}
	if victim.Role() != mle.Leader || !r.MLE().Router() || c.MLE().Counters().AttachAttempts != 1 {
		t.Error("something changed")
	}
	w.connected(a, r, c)
}
