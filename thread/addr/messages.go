package addr

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/coap"
	"gatewayd/ipv6"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

// maxFailures is how often a child may have failed to take a frame for us
// still to answer for it.
const maxFailures = 4

// queried answers an Address Query if the target is ours or a child's.
func (r *Resolver) queried(q *tmf.Request) {
	q.NoResponse()
	t := tmf.TLVs(q.Payload)
	target, err := t.Addr(tmf.Target)
	if err != nil || q.Type != coap.NonConfirmable {
		return
	}
	if r.cfg.IP.Has(target) {
		r.Notify(q.From.Remote.Addr(), target, iid(r.cfg.MLEID()), nil)
		return
	}
	if !r.cfg.Router() {
		return
	}
	for _, c := range r.cfg.Table.Children {
		if c.State != neighbor.Valid || c.Mode.FullThread() || c.Failures >= maxFailures || !slices.Contains(c.Addresses, target) {
			continue
		}
		last := r.cfg.Clock.Now().Sub(c.LastHeard)
		r.Notify(q.From.Remote.Addr(), target, iid(c.Addresses[0]), &last)
		return
	}
	r.extend(target, q.From.Remote.Addr())
}

// Notify tells who asked that target is here: the address of this node, of a
// child, or one beyond the mesh. The transaction time is told but for its own.
func (r *Resolver) Notify(to, target netip.Addr, mleid [8]byte, last *time.Duration) {
	rloc := r.cfg.RLOC()
	b := rloc.As16()
	t := tmf.TLVs(nil).AppendAddr(tmf.Target, target).Append(tmf.MLEID, mleid[:]...).
		AppendUint16(tmf.RLOC16, uint16(b[14])<<8|uint16(b[15]))
	if last != nil {
		t = t.AppendUint32(tmf.LastTransaction, uint32(*last/time.Second))
	}
	r.cfg.TMF.Send(tmf.AddressNotify, to, t, tmf.Options{Source: rloc}, nil)
}

// notified takes the answer to a query.
func (r *Resolver) notified(q *tmf.Request) {
	t := tmf.TLVs(q.Payload)
	target, err1 := t.Addr(tmf.Target)
	id, err2 := t.Find(tmf.MLEID, 8)
	rloc16, err3 := t.Uint16(tmf.RLOC16)
	if err1 != nil || err2 != nil || err3 != nil || q.Type != coap.Confirmable {
		q.Respond(coap.BadRequest, nil)
		return
	}
	q.Respond(coap.Changed, nil)
	var last time.Duration
	if s, err := t.Uint32(tmf.LastTransaction); err == nil {
		last = time.Duration(s) * time.Second
	}
	e := r.find(target)
	if e == nil {
		return
	}
	holder := withIID(r.cfg.MLEID(), [8]byte(id))
	now := r.cfg.Clock.Now()
	if e.Kind == Cached && e.MLEID.IsValid() && now.Before(e.Until) {
		// Two answers to one question: another holder is a duplicate, the same
		// one is believed at the place where it was last.
		if e.MLEID != holder {
			r.sendError(target, [8]byte(id), ipv6.AllRoutersRealm, true)
			return
		}
		if last >= e.LastTransaction {
			return
		}
	}
	e.Kind, e.RLOC16, e.MLEID, e.LastTransaction = Cached, rloc16, holder, last
	e.Until, e.retry, e.kept = now.Add(freshFor), r.cfg.Limits.FirstRetry, false
	r.touch(e)
	r.cfg.Resolved(target, true)
}

func (r *Resolver) sendError(target netip.Addr, id [8]byte, to netip.Addr, group bool) {
	t := tmf.TLVs(nil).AppendAddr(tmf.Target, target).Append(tmf.MLEID, id[:]...)
	r.cfg.TMF.Send(tmf.AddressError, to, t, tmf.Options{NonConfirmable: group, Source: r.cfg.RLOC()}, nil)
}

// Refute tells a node, or with no address all of them, that target is the
// address of the device with a mesh-local identifier, here and elsewhere.
func (r *Resolver) Refute(target netip.Addr, id [8]byte, to netip.Addr) {
	group := !to.IsValid()
	if group {
		to = ipv6.AllRoutersRealm
	}
	r.sendError(target, id, to, group)
}

// refuted takes an Address Error: two devices have the same address. The one
// whose mesh-local identifier is not the one told gives it up.
func (r *Resolver) refuted(q *tmf.Request) {
	if q.Type == coap.Confirmable && !q.Multicast {
		q.Respond(coap.Changed, nil)
	} else {
		q.NoResponse()
	}
	t := tmf.TLVs(q.Payload)
	target, err1 := t.Addr(tmf.Target)
	id, err2 := t.Find(tmf.MLEID, 8)
	if err1 != nil || err2 != nil {
		return
	}
	if r.cfg.IP.Has(target) && iid(r.cfg.MLEID()) != [8]byte(id) {
		r.cfg.Duplicate(target)
		return
	}
	r.Forget(target)
	if !r.cfg.Router() {
		return
	}
	for _, c := range r.cfg.Table.Children {
		if c.State != neighbor.Valid || c.Mode.FullThread() || !slices.Contains(c.Addresses, target) {
			continue
		}
		if iid(c.Addresses[0]) != [8]byte(id) {
			to := withIID(r.cfg.RLOC(), rlocIID(c.RLOC16))
			r.cfg.RemoveChildAddress(c, target)
			r.sendError(target, [8]byte(id), to, false)
			return
		}
	}
}

func iid(a netip.Addr) [8]byte {
	b := a.As16()
	return [8]byte(b[8:])
}

func withIID(a netip.Addr, id [8]byte) netip.Addr {
	b := a.As16()
	copy(b[8:], id[:])
	return netip.AddrFrom16(b)
}

func rlocIID(rloc16 uint16) [8]byte {
	return [8]byte{0, 0, 0, 0xff, 0xfe, 0, byte(rloc16 >> 8), byte(rloc16)}
}
