package thread

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/backbone"
	"gatewayd/thread/ip"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// duaPreferred is how long after its registration a domain unicast address is
// taken to be nobody else's; OpenThread's.
const duaPreferred = 100 * time.Second

// domainUnicast is the node's address in the prefix of its Thread domain, known
// on the backbone link (Thread 1.4 Section 5.23).
type domainUnicast struct {
	n      *Node
	count  uint8    // of duplicates that there were
	fixed  *[8]byte // an interface identifier that was set
	prefix netip.Prefix
	addr   netip.Addr // zero: none
	timer  *alarm.Timer
}

// savedDUA is what is stored.
type savedDUA struct{ Duplicates uint8 }

func (d *domainUnicast) init(n *Node) {
	d.n = n
	d.timer = n.clock.NewTimer(d.prefer)
	var s savedDUA
	if n.load(storeDUA, &s) {
		d.count = s.Duplicates
	}
}

// update follows the network data.
func (d *domainUnicast) update(data *netdata.Data) {
	p, ok := data.DomainPrefix()
	switch {
	case !ok:
		d.remove()
	case p != d.prefix || !d.addr.IsValid():
		d.remove()
		d.prefix = p
		d.add(d.fixed)
	}
}

func (d *domainUnicast) add(iid *[8]byte) {
	if iid != nil {
		b := d.prefix.Addr().As16()
		copy(b[8:], iid[:])
		d.addr = netip.AddrFrom16(b)
	} else {
		was := d.count
		d.addr, d.count = stableAddress(d.n.identity.Secret, d.prefix, d.count)
		if d.count != was {
			_ = d.n.save(storeDUA, savedDUA{d.count})
		}
	}
	d.n.ip.Add(ip.Address{Addr: d.addr, Bits: 64, Origin: ip.OriginThread})
	d.timer.Start(duaPreferred)
	d.n.registrar.Changed(d.n.identity.MLIID)
}

func (d *domainUnicast) remove() {
	if !d.addr.IsValid() {
		return
	}
	a := d.addr
	d.addr = netip.Addr{}
	d.timer.Stop()
	d.n.ip.Remove(a)
	d.n.registrar.Changed(d.n.identity.MLIID)
}

func (d *domainUnicast) prefer() {
	d.n.ip.Add(ip.Address{Addr: d.addr, Bits: 64, Preferred: true, Origin: ip.OriginThread})
}

// duplicate gives up the address for another one, for good.
func (d *domainUnicast) duplicate() {
	d.n.log(Event{ID: "DUA-DUPLICATE", Text: "another device has this address: taking another one", Attrs: []mle.Attr{{Key: "address", Value: d.addr}}})
	d.remove()
	d.count++
	_ = d.n.save(storeDUA, savedDUA{d.count})
	d.add(nil)
}

// refused takes that the Backbone Router does not take an address.
func (n *Node) refusedDUA(h backbone.Holder, s backbone.DUAStatus) {
	n.log(Event{ID: "DUA-REFUSED", Text: "the Backbone Router does not take an address of the domain",
		Attrs: []mle.Attr{{Key: "address", Value: h.DUA}, {Key: "status", Value: s}}})
	if h.MLEID == n.identity.MLIID {
		switch s {
		case backbone.DUAReregister:
			n.dua.remove()
			n.dua.add(n.dua.fixed)
		case backbone.DUAInvalid:
			n.dua.remove()
		case backbone.DUADuplicate:
			n.dua.duplicate()
		}
		return
	}
	for _, c := range n.table.Children {
		if childIID(c) != h.MLEID {
			continue
		}
		if s == backbone.DUAInvalid || s == backbone.DUADuplicate {
			n.removeChildAddress(c, h.DUA)
		}
		n.tmf.Send(tmf.DUANotify, n.mle.Locator(c.RLOC16), backbone.DUAAnswer{Status: s, Target: h.DUA}.Append(nil), tmf.Options{Source: n.RLOC()}, nil)
		return
	}
}

// duaNotified is DUA.ntf from the parent.
func (n *Node) duaNotified(q *tmf.Request) {
	a, err := backbone.DecodeDUAAnswer(q.Payload)
	switch {
	case q.Type != coap.Confirmable:
		q.NoResponse()
	case err != nil:
		q.Respond(coap.BadRequest, nil)
	default:
		q.Respond(coap.Changed, nil)
	}
	if err == nil && q.Code == coap.POST {
		n.registrar.Notified(a)
	}
}

// duaHolders are the node, and its children that are no full Thread devices, as
// far as they have an address in the domain's prefix.
func (n *Node) duaHolders() (all []backbone.Holder) {
	if n.dua.addr.IsValid() {
		all = append(all, backbone.Holder{DUA: n.dua.addr, MLEID: n.identity.MLIID})
	}
	domain, ok := n.backbone.DomainPrefix()
	if !ok {
		return all
	}
	for _, c := range n.table.Children {
		if c.State != neighbor.Valid || c.Mode.FullThread() {
			continue
		}
		for _, a := range c.Addresses {
			if domain.Contains(a) {
				all = append(all, backbone.Holder{DUA: a, MLEID: childIID(c), Heard: c.LastHeard})
				break
			}
		}
	}
	return all
}

// childIID is the interface identifier of a child's mesh-local EID; zero if it
// has registered none.
func childIID(c *neighbor.Child) (id [8]byte) {
	if len(c.Addresses) > 0 {
		b := c.Addresses[0].As16()
		copy(id[:], b[8:])
	}
	return id
}

// DUA is the node's domain unicast address; false if it has none.
func (n *Node) DUA() (netip.Addr, bool) { return n.dua.addr, n.dua.addr.IsValid() }

// DUAInterfaceID is the interface identifier that was set for it; nil if the
// node makes its own.
func (n *Node) DUAInterfaceID() *[8]byte { return n.dua.fixed }

// SetDUAInterfaceID sets the interface identifier of the domain unicast address
// until the node ends; with nil the node makes its own. It reports whether the
// identifier may be used.
func (n *Node) SetDUAInterfaceID(iid *[8]byte) bool {
	if iid != nil && reservedIID(iid[:]) {
		return false
	}
	n.dua.fixed = iid
	if n.dua.addr.IsValid() {
		n.dua.remove()
		n.dua.add(iid)
	}
	return true
}

// Registrar tells the Backbone Router of the domain unicast addresses of the
// node and its children.
func (n *Node) Registrar() *backbone.Registrar { return n.registrar }
