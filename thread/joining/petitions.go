package joining

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// petitionTimeout is how long a commissioner may stay silent (Thread 1.4,
// TIMEOUT_LEAD_PET).
const petitionTimeout = 50 * time.Second

// PetitionsConfig is what Petitions need.
type PetitionsConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	TMF   *tmf.Agent
	// Leading reports whether the node is the leader and knows its network
	// data; only then are requests granted.
	Leading func() bool
	// Data is the present network data.
	Data func() *netdata.Data
	// SetCommissioning replaces the commissioning data of the leader's network
	// data and counts the change.
	SetCommissioning func(meshcop.TLVs) error
	// Locator is the RLOC16 in an address that is a routing locator of this
	// network; false for any other, anycast locators included.
	Locator func(netip.Addr) (rloc16 uint16, ok bool)
	// Address is the mesh-local address of an RLOC16 or ALOC16.
	Address func(locator16 uint16) netip.Addr
}

// Petitions is the leader's side of commissioning: it answers LEAD_PET, LEAD_KA,
// MGMT_COMMISSIONER_SET and MGMT_COMMISSIONER_GET (c/lp, c/la, c/cs, c/cg).
type Petitions struct {
	cfg     PetitionsConfig
	id      string // of the active commissioner
	session uint16
	timer   *alarm.Timer // runs while there is an active commissioner
}

// NewPetitions returns a machine that answers when the node is leader.
func NewPetitions(cfg PetitionsConfig) *Petitions {
	p := &Petitions{cfg: cfg, session: uint16(cfg.Rand.Uint32())}
	p.timer = cfg.Clock.NewTimer(func() {
		if cfg.Leading() {
			p.resign()
		}
	})
	cfg.TMF.Handle(tmf.LeaderPetition, p.petitioned)
	cfg.TMF.Handle(tmf.LeaderKeepAlive, p.keptAlive)
	cfg.TMF.Handle(tmf.CommissionerSet, p.set)
	cfg.TMF.Handle(tmf.CommissionerGet, p.get)
	return p
}

// Active is the active commissioner and its session; false if there is none, or
// the node does not lead.
func (p *Petitions) Active() (id string, session uint16, ok bool) {
	if !p.timer.Running() || !p.cfg.Leading() {
		return "", 0, false
	}
	return p.id, p.session, true
}

// Reset makes the node begin as leader: sessions count on from that in the
// network data, whose commissioner, if it has one, must petition again. What
// there is in the network data then is the number of none, also where there
// never was a commissioner. Call it when the node has become leader and the
// network data is there.
func (p *Petitions) Reset() {
	if c := p.info().Commissioning(); c.SessionID != nil {
		p.session = *c.SessionID
	}
	p.resign()
}

func (p *Petitions) info() Info { return Info{p.cfg.Data} }

// DatasetChanged tells the active commissioner that an operational dataset is
// another one (c/dc).
func (p *Petitions) DatasetChanged() {
	if p.timer.Running() && p.cfg.Leading() {
		p.cfg.TMF.Send(tmf.DatasetChanged, p.cfg.Address(CommissionerALOC16(p.session)), nil,
			tmf.Options{Priority: link.Net, Source: p.cfg.Address(leaderALOC16)}, nil)
	}
}

// petitioned answers LEAD_PET.req.
func (p *Petitions) petitioned(r *tmf.Request) {
	answer := meshcop.PetitionResponse{State: meshcop.StateReject}
	if p.admit(r) {
		answer.State, answer.SessionID = meshcop.StateAccept, &p.session
	}
	if p.timer.Running() {
		answer.CommissionerID = p.id
	}
	r.Respond(coap.Changed, answer.Append(nil))
}

// admit starts a session for who petitions, unless another one is active.
func (p *Petitions) admit(r *tmf.Request) bool {
	from, ok := p.cfg.Locator(r.From.Remote.Addr())
	m, err := meshcop.DecodePetition(r.Payload)
	if !ok || err != nil || !p.cfg.Leading() {
		return false
	}
	if p.timer.Running() {
		if p.id != m.CommissionerID {
			return false
		}
		p.resign()
	}
	p.session++
	session := p.session
	d := meshcop.CommissioningData{BorderAgentLocator: &from, SessionID: &session, SteeringData: meshcop.AllowNone()}
	if p.cfg.SetCommissioning(d.Append(nil)) != nil {
		return false
	}
	p.id = m.CommissionerID
	p.timer.Start(petitionTimeout)
	return true
}

// resign ends the session. What is left in the network data is the number of
// none.
func (p *Petitions) resign() {
	p.timer.Stop()
	p.id = ""
	p.session++
	session := p.session
	d := meshcop.CommissioningData{SessionID: &session}
	_ = p.cfg.SetCommissioning(d.Append(nil)) // shorter than what was there
}

// keptAlive answers LEAD_KA.req.
func (p *Petitions) keptAlive(r *tmf.Request) {
	if !p.cfg.Leading() {
		r.NoResponse()
		return
	}
	m, err := meshcop.DecodeKeepAlive(r.Payload)
	if err != nil {
		r.Respond(coap.BadRequest, nil)
		return
	}
	answer := meshcop.StateReject
	c := p.info().Commissioning()
	from, isLocator := p.cfg.Locator(r.From.Remote.Addr())
	switch {
	case c.BorderAgentLocator == nil || m.SessionID != p.session:
	case m.State != meshcop.StateAccept:
		p.resign()
	default:
		answer = meshcop.StateAccept
		if isLocator && *c.BorderAgentLocator != from { // it moved
			c.BorderAgentLocator = &from
			_ = p.cfg.SetCommissioning(c.Append(nil)) // no longer than before
		}
		p.timer.Start(petitionTimeout)
	}
	r.Respond(coap.Changed, meshcop.AppendState(nil, answer))
}

// set answers MGMT_COMMISSIONER_SET.req, which replaces all but the locator.
func (p *Petitions) set(r *tmf.Request) {
	if !p.cfg.Leading() {
		r.NoResponse()
		return
	}
	answer := meshcop.StateReject
	if p.replace(meshcop.TLVs(r.Payload)) {
		answer = meshcop.StateAccept
	}
	r.Respond(coap.Changed, meshcop.AppendState(nil, answer))
}

func (p *Petitions) replace(t meshcop.TLVs) bool {
	m, err := meshcop.DecodeCommissioningData(t)
	if err != nil || m.BorderAgentLocator != nil || m.SessionID == nil {
		return false
	}
	c := p.info().Commissioning()
	if c.SessionID != nil && *c.SessionID != *m.SessionID {
		return false
	}
	if c.BorderAgentLocator != nil {
		t = meshcop.TLVs(meshcop.AppendUint16(append(meshcop.TLVs(nil), t...), meshcop.TypeBorderAgentLocator, *c.BorderAgentLocator))
	}
	return p.cfg.SetCommissioning(t) == nil
}

// get answers MGMT_COMMISSIONER_GET.req.
func (p *Petitions) get(r *tmf.Request) {
	if !p.cfg.Leading() {
		r.NoResponse()
		return
	}
	types, err := meshcop.DecodeGet(r.Payload)
	if err != nil {
		r.Respond(coap.BadRequest, nil)
		return
	}
	d := p.cfg.Data()
	if d.Commissioning == nil {
		r.Respond(coap.Changed, nil)
		return
	}
	out := d.Commissioning.TLVs
	if types != nil {
		var chosen meshcop.TLVs
		for _, t := range types {
			if v, ok := out.Find(t); ok && !chosen.Has(t) {
				chosen = meshcop.AppendTLV(chosen, t, v)
			}
		}
		out = chosen
	}
	r.Respond(coap.Changed, out)
}
