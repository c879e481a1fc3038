package mle

import (
	"net/netip"

	"gatewayd/ieee802154"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
)

// builder puts TLVs together that speak of this device.
type builder struct {
	TLVs
	m *MLE
}

func (m *MLE) build() *builder { return &builder{TLVs: make(TLVs, 0, 96), m: m} }

func (b *builder) add(t Type, v ...byte)   { b.TLVs = b.Append(t, v...) }
func (b *builder) uint16(t Type, v uint16) { b.TLVs = b.AppendUint16(t, v) }
func (b *builder) uint32(t Type, v uint32) { b.TLVs = b.AppendUint32(t, v) }
func (b *builder) request(types ...Type)   { b.TLVs = b.AppendRequest(types...) }
func (b *builder) source()                 { b.uint16(TypeSource, b.m.rloc16) }
func (b *builder) mode()                   { b.add(TypeMode, byte(b.m.mode)) }
func (b *builder) version()                { b.uint16(TypeVersion, Version) }
func (b *builder) challenge(c Challenge)   { b.add(TypeChallenge, c...) }
func (b *builder) response(c Challenge)    { b.add(TypeResponse, c...) }
func (b *builder) linkMargin(margin uint8) { b.add(TypeLinkMargin, margin) }
func (b *builder) status()                 { b.add(TypeStatus, statusError) }
func (b *builder) linkCounter()            { b.uint32(TypeLinkCounter, b.m.cfg.MAC.LinkCounter()) }
func (b *builder) mleCounter()             { b.uint32(TypeMLECounter, b.m.cfg.Keys.MLECounter()) }
func (b *builder) counters()               { b.linkCounter(); b.mleCounter() }

// statusError is the only status there is.
const statusError = 1

func (b *builder) leaderData() {
	d, _ := b.m.LeaderData()
	b.add(TypeLeaderData, d.Append(nil)...)
}

// netData adds the network data, or the part of it that is stable.
func (b *builder) netData(full bool) {
	d := b.m.NetData()
	if !full {
		s := d.StableSubset()
		d = &s
	}
	b.add(TypeNetworkData, d.Append(nil)...)
}

// timestamps adds those of the datasets there are.
func (b *builder) timestamps() {
	if d := b.m.active(); d.ActiveTimestamp != nil {
		b.TLVs = b.AppendTimestamp(TypeActiveTimestamp, *d.ActiveTimestamp)
	}
	if d := b.m.cfg.Datasets.Pending(); d != nil && d.PendingTimestamp != nil {
		b.TLVs = b.AppendTimestamp(TypePendingTimestamp, *d.PendingTimestamp)
	}
}

// known adds the timestamps of the datasets that need not be told again.
func (b *builder) known() {
	if !b.m.cfg.Datasets.Stale() {
		b.timestamps()
	} else if d := b.m.active(); d.ActiveTimestamp != nil {
		b.TLVs = b.AppendTimestamp(TypeActiveTimestamp, *d.ActiveTimestamp)
	}
}

// dataset adds the active or the pending dataset without its own timestamp,
// which travels in a TLV of its own.
func (b *builder) dataset(t Type) {
	switch t {
	case TypeActiveDataset:
		if d := b.m.active(); d.ActiveTimestamp != nil {
			b.add(t, meshcop.TLVs(d.Append(nil)).Without(meshcop.TypeActiveTimestamp)...)
		}
	case TypePendingDataset:
		if d := b.m.cfg.Datasets.Pending(); d != nil && d.PendingTimestamp != nil {
			b.add(t, meshcop.TLVs(d.Append(nil)).Without(meshcop.TypePendingTimestamp)...)
		}
	}
}

// route adds the whole Route64 TLV.
func (b *builder) route() {
	r := b.m.route()
	b.add(TypeRoute, r.Append(nil)...)
}

// newChallenge is eight random bytes.
func (m *MLE) newChallenge() Challenge {
	c := make(Challenge, 8)
	for i := range c {
		c[i] = byte(m.cfg.Rand.Uint32())
	}
	return c
}

// sendTo seals a message and sends it to a neighbour.
func (m *MLE) sendTo(c Command, b *builder, to ieee802154.ExtAddr) bool {
	return m.send(c, b.TLVs, linkLocal(to), link.Options{Security: link.Unsecured, SecureIfCut: true})
}

// send seals a message and sends it: without MAC security, unless it has to be
// cut into fragments, for it protects itself.
func (m *MLE) send(c Command, t TLVs, dst netip.Addr, o link.Options) bool {
	counter, ok := m.cfg.Keys.NextMLECounter()
	if !ok {
		m.log("MLE-0009", "frame counter exhausted")
		return false
	}
	if m.listening() && dst == linkLocal(m.cfg.Table.Parent.Ext) && o.Security == link.Unsecured {
		o.Security = link.Secured // with what tells the parent when we listen
	}
	src, seq := m.LinkLocal(), m.cfg.Keys.Sequence()
	p := Message{Command: c, TLVs: t}.Seal(make([]byte, 0, len(t)+16), m.cfg.Keys.MLE(seq),
		Header{Counter: counter, Sequence: seq}, m.cfg.MAC.Ext(), src, dst)
	return m.sendUDP(p, dst, o)
}

func (m *MLE) sendUDP(payload []byte, dst netip.Addr, o link.Options) bool {
	o.Priority = link.Net
	return m.cfg.IP.SendUDP(ip.Datagram{
		Src: netip.AddrPortFrom(m.LinkLocal(), Port), Dst: netip.AddrPortFrom(dst, Port),
		HopLimit: hopLimit, Payload: payload,
	}, o) == nil
}
