package mle

import (
	"bytes"
	"net/netip"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

// class is how far a message may move our key sequence (Thread 1.4 Section
// 7.1.4).
type class uint8

const (
	untrusted     class = iota // not at all
	peer                       // one step, if the guard time allows
	authoritative              // anywhere: it answered our challenge
)

// rx is a received message.
type rx struct {
	reader
	command   Command
	ext       ieee802154.ExtAddr // the sender
	from      netip.Addr
	multicast bool
	info      link.Info
	margin    uint8 // dB
	counter   uint32
	sequence  uint32
	class     class
	// n is the sender's record if it is a neighbour that has proved itself or
	// is being restored.
	n *neighbor.Neighbor
}

// valid reports whether the sender has proved itself.
func (x *rx) valid() bool { return x.n != nil && x.n.State == neighbor.Valid }

// Receive takes a datagram to the MLE port.
func (m *MLE) Receive(d *ip.Datagram) {
	src := d.Src.Addr()
	if d.Info.FromHost || !src.IsLinkLocalUnicast() {
		m.refuse(nil, RefusedEnvelope, "not from a neighbour")
		return
	}
	if d.HopLimit != hopLimit {
		m.refuse(nil, RefusedHopLimit, "")
		return
	}
	p, err := DecodePacket(d.Payload)
	if err != nil {
		m.refuse(nil, RefusedEnvelope, err.Error())
		return
	}
	iid := src.As16()
	x := &rx{
		from: src, ext: ieee802154.ExtAddrFromIID([8]byte(iid[8:])), multicast: d.Dst.Addr().IsMulticast(),
		info: d.Info, margin: m.margin(d.Info.RSSI),
	}
	if p.Suite == SuiteUnsecured {
		x.command, x.TLVs = p.Plain.Command, p.Plain.TLVs
		m.unsecured(x)
		return
	}
	if m.role == Disabled {
		return
	}
	x.counter, x.sequence = p.Header.Counter, p.Header.Sequence
	msg, err := p.Open(m.cfg.Keys.MLE(x.sequence), x.ext, src, d.Dst.Addr())
	if err != nil {
		m.refuse(x, RefusedMIC, "")
		return
	}
	x.command, x.TLVs = msg.Command, msg.TLVs
	if x.ext == m.cfg.MAC.Ext() {
		m.refuse(x, RefusedReplay, "sent by this device")
		return
	}
	if !m.fresh(x) {
		if !m.copied(x) {
			m.refuse(x, RefusedReplay, "")
		}
		return
	}
	proved := x.valid()
	m.cfg.MAC.HeardBy(x.n, x.info.Radio)
	m.dispatch(x)
	if x.class == authoritative {
		proved = true
	}
	m.adoptSequence(x)
	m.cfg.MAC.Authentic(x.ext, x.info.Radio, proved)
}

// copied reports whether a message is the one that its sender sent before, by
// another link.
func (m *MLE) copied(x *rx) bool {
	n := m.sender(x.ext, x.command)
	if n == nil || x.sequence != n.KeySequence || x.counter+1 != n.MLECounter || !m.cfg.MAC.Overlaid() {
		return false
	}
	if !n.Links.Copied(x.counter) {
		m.cfg.MAC.HeardBy(n, x.info.Radio)
	}
	return true
}

// margin is the link margin of a frame in dB.
func (m *MLE) margin(rssi int8) uint8 {
	return uint8(max(0, int(rssi)-int(m.cfg.MAC.Info().RxSensitivity)))
}

// unsecured handles what may come without security: discovery.
func (m *MLE) unsecured(x *rx) {
	switch x.command {
	case DiscoveryRequest:
		m.discoveryRequested(x)
	case DiscoveryResponse:
		m.discoveryAnswered(x)
	default:
		m.refuse(x, RefusedSuite, "")
	}
}

// fresh finds the sender and refuses what it sent before: counters and key
// sequences only grow. Of nodes that have not proved themselves nothing is
// known; what they send counts only as far as it answers a challenge.
func (m *MLE) fresh(x *rx) bool {
	n := m.sender(x.ext, x.command)
	if n != nil && n.State == neighbor.Valid && !m.advances(n, x) {
		return false
	}
	if m.receiveOnly(n) {
		// A child has no link of its own with a router that it merely listens to.
		switch x.command {
		case Advertisement, LinkRequest, LinkAccept, LinkAcceptAndRequest:
		default:
			n = nil
		}
	}
	x.n = n
	return true
}

// advances takes the key sequence and the counter of a message of a neighbour;
// false for what it sent before.
func (m *MLE) advances(n *neighbor.Neighbor, x *rx) bool {
	parent := m.parentOf(n)
	switch {
	case x.sequence < n.KeySequence, x.counter == ^uint32(0):
		return false
	case x.sequence > n.KeySequence:
		n.KeySequence = x.sequence
		n.StartCounters(0)
		n.MLECounter = x.counter
	case x.counter < n.MLECounter:
		// What waits at the parent until it is polled for is overtaken by what
		// the parent sends to all.
		return parent != nil && !m.mode.RxOnWhenIdle() && !x.multicast && parent.Overtaken(x.counter)
	}
	if parent != nil {
		parent.Heard(x.counter)
	} else {
		n.MLECounter = x.counter + 1
	}
	return true
}

// parentOf is the record of the parent, or of who is to be, that a neighbour's
// record is part of; nil for others.
func (m *MLE) parentOf(n *neighbor.Neighbor) *neighbor.Parent {
	for _, p := range [...]*neighbor.Parent{&m.cfg.Table.Parent, &m.cfg.Table.Candidate} {
		if n == &p.Neighbor {
			return p
		}
	}
	return nil
}

// sender finds the record of a neighbour that has proved itself or is to.
func (m *MLE) sender(ext ieee802154.ExtAddr, c Command) *neighbor.Neighbor {
	t := m.cfg.Table
	if m.role <= Child || c == ChildIDResponse {
		if p := &t.Parent.Neighbor; p.Usable() && p.Ext == ext {
			return p
		}
		if p := &t.Candidate.Neighbor; p.Usable() && p.Ext == ext {
			return p
		}
	}
	if ch := t.ChildByExt(ext); ch != nil && ch.Usable() {
		return &ch.Neighbor
	}
	if r := t.RouterByExt(ext); r != nil && r.State == neighbor.Valid {
		return &r.Neighbor
	}
	return nil
}

// receiveOnly reports whether a neighbour is a router that we, as a child,
// listen to beside our parent.
func (m *MLE) receiveOnly(n *neighbor.Neighbor) bool {
	if n == nil || m.role != Child {
		return false
	}
	r := m.cfg.Table.RouterByExt(n.Ext)
	return r != nil && &r.Neighbor == n
}

func (m *MLE) dispatch(x *rx) {
	switch x.command {
	case Advertisement:
		m.advertisementReceived(x)
	case DataResponse:
		m.dataResponseReceived(x)
	case DataRequest:
		m.dataRequestReceived(x)
	case ParentRequest:
		m.parentRequestReceived(x)
	case ParentResponse:
		m.parentResponseReceived(x)
	case ChildIDRequest:
		m.childIDRequestReceived(x)
	case ChildIDResponse:
		m.childIDResponseReceived(x)
	case ChildUpdateRequest:
		if m.Router() {
			m.childAsked(x)
		} else {
			m.parentAsked(x)
		}
	case ChildUpdateResponse:
		if m.Router() {
			m.childAnswered(x)
		} else {
			m.parentAnswered(x)
		}
	case LinkRequest:
		m.linkRequestReceived(x)
	case LinkAccept, LinkAcceptAndRequest:
		m.linkAcceptReceived(x)
	case Announce:
		m.announceReceived(x)
	case LinkMetricsRequest:
		m.metricsRequested(x)
	case LinkMetricsResponse:
		m.metricsAnswered(x)
	case LinkProbe:
		m.linkProbed(x)
	default:
		m.refuse(x, RefusedState, "")
	}
}

// adoptSequence follows a higher key sequence as far as the message's class
// allows. A neighbour more than one step ahead has to prove itself anew.
func (m *MLE) adoptSequence(x *rx) {
	own := m.cfg.Keys.Sequence()
	if x.sequence <= own {
		return
	}
	switch x.class {
	case authoritative:
		m.cfg.Keys.SetSequence(x.sequence)
	case peer:
		if !x.valid() {
			return
		}
		if x.sequence-own == 1 {
			m.cfg.Keys.Heard(x.sequence)
			return
		}
		m.proveAgain(x.n)
	}
	x.class = untrusted // done
}

// proveAgain challenges a neighbour.
func (m *MLE) proveAgain(n *neighbor.Neighbor) {
	switch {
	case !m.Attached():
	case m.role == Child && n == &m.cfg.Table.Parent.Neighbor:
		m.updateParent(updateChallenge)
	case neighbor.IsRouterRLOC16(n.RLOC16):
		if r := m.cfg.Table.Router(neighbor.RouterID(n.RLOC16)); r != nil && &r.Neighbor == n {
			m.sendLinkRequest(r)
		}
	default:
		if c := m.cfg.Table.ChildByExt(n.Ext); c != nil {
			c.State, c.Challenge = neighbor.ChildUpdateRequest, m.newChallenge()
			m.updateChild(c)
		}
	}
}

// malformed refuses a message whose TLVs the reader did not like.
func (m *MLE) malformed(x *rx) bool {
	if x.err == nil {
		return false
	}
	m.refuse(x, RefusedMalformed, x.err.Error())
	return true
}

// refuse counts a message that goes no further, and says why.
func (m *MLE) refuse(x *rx, r Refusal, why string) {
	m.counters.Refused[r]++
	attrs := []Attr{{"reason", r.String()}}
	if x != nil {
		attrs = append(attrs, Attr{"from", x.ext})
		if r != RefusedMIC {
			attrs = append(attrs, Attr{"message", x.command.String()})
		}
	}
	if why != "" {
		attrs = append(attrs, Attr{"detail", why})
	}
	m.log("MLE-0002", "message refused", attrs...)
}

func (m *MLE) log(id, what string, attrs ...Attr) {
	if m.cfg.Events.Log != nil {
		m.cfg.Events.Log(Event{ID: id, What: what, Attr: attrs})
	}
}

// matches compares a response with the challenge that was sent.
func matches(response, challenge Challenge) bool {
	return len(challenge) > 0 && bytes.Equal(response, challenge)
}

var allNodes, allRouters = ipv6.AllNodesLinkLocal, ipv6.AllRoutersLinkLocal
