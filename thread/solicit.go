package thread

import (
	"encoding/binary"

	"gatewayd/coap"
	"gatewayd/thread/mle"
	"gatewayd/thread/tmf"
)

// Status of an Address Solicit answer (Thread 1.4 Section 5.9.10).
const (
	solicitOK      = 0
	solicitNone    = 1
	solicitRefused = 6
)

// solicitor is the CoAP side of router ids: Address Solicit and Release.
type solicitor struct{ n *Node }

// Solicit implements mle.Solicitor.
func (s solicitor) Solicit(reason mle.Reason, wanted uint16, done func(mle.Answer)) {
	n := s.n
	ext := n.mac.Ext()
	t := tmf.TLVs(nil).Append(tmf.ExtMAC, ext[:]...)
	if wanted != noRLOC16 {
		t = t.AppendUint16(tmf.RLOC16, wanted)
	}
	t = t.Append(tmf.Status, byte(reason))
	n.tmf.Send(tmf.AddressSolicit, n.mle.Locator(n.mle.LeaderRLOC16()), t, tmf.Options{Source: n.RLOC()},
		func(r tmf.Response, err error) {
			if err != nil {
				done(mle.Answer{})
				return
			}
			done(decodeAnswer(tmf.TLVs(r.Payload)))
		})
}

func decodeAnswer(t tmf.TLVs) mle.Answer {
	status, err1 := t.Uint8(tmf.Status)
	rloc16, err2 := t.Uint16(tmf.RLOC16)
	mask, err3 := t.Find(tmf.RouterMask, 9)
	if err1 != nil || err2 != nil || err3 != nil || status != solicitOK {
		return mle.Answer{}
	}
	return mle.Answer{OK: true, RLOC16: rloc16, IDSequence: mask[0], RouterMask: binary.BigEndian.Uint64(mask[1:])}
}

// Release implements mle.Solicitor.
func (s solicitor) Release(rloc16 uint16) {
	n := s.n
	ext := n.mac.Ext()
	t := tmf.TLVs(nil).AppendUint16(tmf.RLOC16, rloc16).Append(tmf.ExtMAC, ext[:]...)
	n.tmf.Send(tmf.AddressRelease, n.mle.Locator(n.mle.LeaderRLOC16()), t, tmf.Options{Source: n.RLOC()}, nil)
}

// solicited is the leader's side of Address Solicit.
func (n *Node) solicited(r *tmf.Request) {
	t := tmf.TLVs(r.Payload)
	ext, err1 := t.Ext(tmf.ExtMAC)
	reason, err2 := t.Uint8(tmf.Status)
	if err1 != nil || err2 != nil || r.Type != coap.Confirmable || n.mle.Leader() == nil {
		r.Respond(coap.BadRequest, nil)
		return
	}
	wanted, err := t.Uint16(tmf.RLOC16)
	if err != nil {
		wanted = noRLOC16
	}
	switch mle.Reason(reason) {
	case mle.TooFewRouters, mle.HaveChildIDRequest, mle.ParentPartitionChange, mle.BorderRouterRequest:
	default:
		r.Respond(coap.Changed, tmf.TLVs(nil).Append(tmf.Status, solicitRefused))
		return
	}
	a := n.mle.SolicitReceived(ext, wanted, mle.Reason(reason))
	if !a.OK {
		r.Respond(coap.Changed, tmf.TLVs(nil).Append(tmf.Status, solicitNone))
		return
	}
	mask := binary.BigEndian.AppendUint64([]byte{a.IDSequence}, a.RouterMask)
	r.Respond(coap.Changed, tmf.TLVs(nil).Append(tmf.Status, solicitOK).
		AppendUint16(tmf.RLOC16, a.RLOC16).Append(tmf.RouterMask, mask...))
}

// released is the leader's side of Address Release.
func (n *Node) released(r *tmf.Request) {
	t := tmf.TLVs(r.Payload)
	rloc16, err1 := t.Uint16(tmf.RLOC16)
	ext, err2 := t.Ext(tmf.ExtMAC)
	if err1 != nil || err2 != nil || n.mle.Leader() == nil {
		r.Respond(coap.BadRequest, nil)
		return
	}
	n.mle.ReleaseReceived(ext, rloc16)
	r.Respond(coap.Changed, nil)
}
