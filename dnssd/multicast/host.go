package multicast

import (
	"context"
	"fmt"
	"log/slog"

	"gatewayd/dnssd"
	"gatewayd/dnssd/mdns"
)

// Host is the name of the host itself. Name is required.
type Host struct {
	Name string // one label, to begin with
	// Services of the host. An instance without a name has the host's.
	Services []dnssd.Service
	// Named is told the name that the host has got, which is another one if
	// somebody else has Name, each time that it changes.
	Named func(name string)
	Log   *slog.Logger // default: discard
}

// Publish publishes the host by the addresses of all its interfaces that lead
// to other hosts, whatever becomes of them, until ctx is cancelled.
func Publish(ctx context.Context, h Host) error {
	p := &publisher{host: h}
	return run(ctx, h.Log, p.publish)
}

// publisher is a Host that is published.
type publisher struct {
	host  Host
	named string // told last
}

func (p *publisher) publish(m *mdns.Machine) error {
	host := dnssd.Host{Name: p.host.Name}
	for _, s := range p.host.Services {
		if s.Instance == "" {
			s.Instance = p.host.Name
		}
		host.Services = append(host.Services, s)
	}
	_, err := m.Publish("host", host, mdns.Options{LinkAddrs: true, Changed: func(r *mdns.Registration) {
		if st := r.Status(); st.State == mdns.Established && st.Host != p.named {
			p.named = st.Host
			if p.host.Named != nil {
				p.host.Named(st.Host)
			}
		}
	}})
	if err != nil {
		return fmt.Errorf("multicast: the name %q: %w", p.host.Name, err)
	}
	return nil
}
