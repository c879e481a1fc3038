package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"gatewayd/dnssd/mdns"
	"gatewayd/host/doctor"
	"gatewayd/internal/filepages"
	"gatewayd/radio/spinel"
)

// How often the host is examined, and how soon after the start: what the
// gateway sets up itself is there by then.
const (
	firstExam = 20 * time.Second
	nextExam  = time.Minute
)

// Examination is what package doctor is to look at for a gateway with this
// configuration.
func (c *Config) Examination() doctor.Options {
	return doctor.Options{Mesh: c.TUN, Infra: c.infraNames(), Alone: c.Infra == "", DataDir: c.DataDir, Radio: c.Radio,
		PD: c.asksPrefix(), Closed: c.NoFirewall == failClosed}
}

// health is what the examinations of the host have found.
type health struct {
	mu       sync.Mutex
	examined time.Time
	findings []doctor.Finding
}

// watchHealth examines the host until ctx ends, and logs what comes and goes.
func (g *Gateway) watchHealth(ctx context.Context) {
	o := g.cfg.Examination()
	if g.nat64 != nil {
		o.NAT64 = nat64Name
	}
	for wait := firstExam; ; wait = nextExam {
		select {
		case <-ctx.Done():
			return
		case <-g.stopping:
			return
		case <-time.After(wait):
		}
		g.deliver(func() {
			if f := g.filter; f != nil {
				o.Firewall, o.Unfiltered = f.table != nil, f.why
			}
		})
		o.Unseen, o.Advertised = g.unseen(ctx), g.advertised()
		now := doctor.Run(ctx, o)
		if ctx.Err() != nil {
			return
		}
		// An examination takes much that nothing else does.
		if err := filepages.Unmap(); err != nil {
			g.log.Debug("what the examination needed stays mapped", "id", "GW-MEMORY", "err", err)
		}
		came, went := g.health.take(now, time.Now())
		for _, f := range came {
			g.log.Warn(f.Text, "id", f.Code, "level", f.Level, "fix", f.Fix)
		}
		for _, f := range went {
			g.log.Info("mended: "+f.Text, "id", f.Code)
		}
	}
}

// advertised is when router advertisements were last sent, where there is
// something to advertise.
func (g *Gateway) advertised() map[string]time.Time {
	last := map[string]time.Time{}
	g.deliver(func() {
		status, _, ok := g.Border()
		if !ok {
			return
		}
		for _, l := range status.Links {
			if l.Running && l.SameAs == "" && len(l.Advertised) > 0 {
				last[l.Name] = l.LastSent
			}
		}
	})
	return last
}

// unseen has the mDNS responder look whether what it multicasts comes back to it.
func (g *Gateway) unseen(ctx context.Context) (all []doctor.Unseen) {
	checked := make(chan []doctor.Unseen, 1)
	g.deliver(func() {
		if g.services == nil {
			checked <- nil
			return
		}
		g.services.mdns.Check(func(links []mdns.Visibility) { checked <- g.services.unseen(links) })
	})
	select {
	case all = <-checked:
	case <-ctx.Done():
	case <-g.stopping:
	}
	return all
}

// take puts findings in place of those before, and returns which are new and
// which are gone. One that only words itself differently is neither.
func (h *health) take(now []doctor.Finding, at time.Time) (came, went []doctor.Finding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	came, went = beyond(now, h.findings), beyond(h.findings, now)
	h.findings, h.examined = now, at
	return came, went
}

// beyond are the findings in a that b has not.
func beyond(a, b []doctor.Finding) (out []doctor.Finding) {
	for _, f := range a {
		if !slices.ContainsFunc(b, func(o doctor.Finding) bool { return f.Code == o.Code && f.Subject == o.Subject }) {
			out = append(out, f)
		}
	}
	return out
}

// Health is how the gateway and its host are.
type Health struct {
	Radio    spinel.State
	Findings []doctor.Finding // of the host's latest examination, and of the gateway itself
	Examined time.Time        // when that was; zero: not yet, or there is no interface to examine
}

// Health asks how the gateway and its host are.
func (g *Gateway) Health(ctx context.Context) (Health, error) {
	var h Health
	var own []doctor.Finding
	if err := g.do(ctx, func() { h.Radio, own = g.link.State(), g.otherNetwork() }); err != nil {
		return Health{}, err
	}
	g.health.mu.Lock()
	defer g.health.mu.Unlock()
	h.Findings, h.Examined = append(own, g.health.findings...), g.health.examined
	return h, nil
}
