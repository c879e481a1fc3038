package pana

import (
	"errors"
	"fmt"
	"net/netip"

	"gatewayd/alarm"
)

// PREConfig is what a PRE needs. Clock, PAA and Send are required.
type PREConfig struct {
	Clock *alarm.Clock
	// PAA is the agent. Only from this address are relayed messages taken.
	PAA netip.AddrPort
	// Send sends b: to the agent from any port that does not change, to a
	// client from the port that clients know, with a hop limit of 255. It must
	// not keep b.
	Send func(to netip.AddrPort, b []byte)
	// Dropped, which may be nil, is told of every message that was discarded.
	Dropped func(from netip.AddrPort, why error)
	// Zone is the zone of clients' link-local addresses, which a message
	// cannot carry.
	Zone string
	// Limits.ClientRate bounds a client's PCI and Limits.RelayRate all its
	// messages; the rest of it does not matter here.
	Limits Limits
	// AllowRouted relays for clients that are neither link-local nor known to
	// be neighbours by a hop limit of 255.
	AllowRouted bool
	// Seed makes clients unable to guess who shares a rate limit with whom.
	Seed uint64
}

// PRECounters count what a PRE did.
type PRECounters struct {
	ToPAA, ToPaC, Dropped uint64
}

// PRE is a PANA Relay Element (RFC 6345): it takes messages from clients that
// are neighbours to an agent that is not, and back. It keeps nothing about
// them.
type PRE struct {
	cfg      PREConfig
	buckets  buckets // of PCI
	messages buckets // of everything

	Counters PRECounters
}

// maxRelayed is the largest message that fits into a relay message.
const maxRelayed = 1<<16 - 1 - HeaderLen - 2*avpHeaderLen - 20 - 3

// NewPRE returns a relay element.
func NewPRE(cfg PREConfig) (*PRE, error) {
	if cfg.Clock == nil || cfg.Send == nil || !cfg.PAA.IsValid() {
		return nil, errors.New("pana: a relay element needs Clock, PAA and Send")
	}
	cfg.Limits = cfg.Limits.complete()
	p := &PRE{cfg: cfg}
	p.buckets.seed, p.messages.seed = cfg.Seed, cfg.Seed
	return p, nil
}

// Receive takes a datagram from a client or from the agent.
func (p *PRE) Receive(d Datagram) {
	if err := p.receive(&d); err != nil {
		p.Counters.Dropped++
		if p.cfg.Dropped != nil {
			p.cfg.Dropped(d.From, err)
		}
	}
}

func (p *PRE) receive(d *Datagram) error {
	m, err := Decode(d.Payload)
	switch {
	case err != nil:
		return err
	case m.Type == Relay && d.From != p.cfg.PAA:
		return ErrForeign
	case m.Type == Relay:
		return p.toPaC(m)
	case d.From == p.cfg.PAA:
		return fmt.Errorf("%w: not in a relay message", ErrUnexpected)
	}
	return p.toPAA(d, m)
}

// toPAA takes a client's message to the agent.
func (p *PRE) toPAA(d *Datagram, m *Message) error {
	switch {
	case !p.cfg.AllowRouted && !d.OnLink():
		return ErrOffLink
	case len(d.Payload) > maxRelayed:
		return fmt.Errorf("%w: too large to be relayed", ErrInvalid)
	case m.Type == Initiation &&
		!p.buckets.take(p.cfg.Clock.Now(), d.From.Addr(), p.cfg.Limits.ClientRate, clientBurst):
		return ErrRate
	case !p.messages.take(p.cfg.Clock.Now(), d.From.Addr(), p.cfg.Limits.RelayRate, relayBurst):
		return ErrRate
	}
	p.Counters.ToPAA++
	p.cfg.Send(p.cfg.PAA, appendRelay(nil, PaCInformation{Addr: d.From}, d.Payload))
	return nil
}

// toPaC takes an agent's message to a client.
func (p *PRE) toPaC(m *Message) error {
	if err := m.Check(); err != nil {
		return err
	}
	who, b, err := m.unwrap()
	if err != nil {
		return err
	}
	inner, err := Decode(b)
	switch {
	case err != nil:
		return err
	case inner.Type == Relay:
		return fmt.Errorf("%w: a relayed message in a relayed message", ErrInvalid)
	case who.Addr.Addr().IsMulticast(), who.Addr.Addr().IsUnspecified(), who.Addr.Port() == 0:
		return fmt.Errorf("%w: for nobody", ErrInvalid)
	case !p.cfg.AllowRouted && !who.Addr.Addr().IsLinkLocalUnicast():
		return ErrOffLink
	}
	to := who.Addr
	if to.Addr().Is6() && to.Addr().IsLinkLocalUnicast() {
		to = netip.AddrPortFrom(to.Addr().WithZone(p.cfg.Zone), to.Port())
	}
	p.Counters.ToPaC++
	p.cfg.Send(to, b)
	return nil
}
