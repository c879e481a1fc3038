package demo

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"net/netip"
	"time"

	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/netdata"
)

// look is how often something that is waited for is looked at.
const look = 5 * time.Millisecond

// until waits for done, which is called in the goroutine of whom it asks.
func until(ctx context.Context, what string, do func(f func()) error, done func() bool) error {
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		ok := false
		if err := do(func() { ok = done() }); err != nil {
			return fmt.Errorf("demo: %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("demo: %s: %w", what, context.Cause(ctx))
		case <-t.C:
		}
	}
}

// atGateway runs f in the goroutine that owns the gateway's node.
func (p *show) atGateway(ctx context.Context, f func(n *thread.Node)) error {
	return p.gate.Do(ctx, f)
}

// awaitGateway waits until done is true of the gateway's node.
func (p *show) awaitGateway(ctx context.Context, what string, done func(n *thread.Node) bool) error {
	return until(ctx, what, func(f func()) error {
		return p.gate.Do(ctx, func(*thread.Node) { f() })
	}, func() bool { return done(p.node) })
}

// form makes a network and waits for the gateway to lead it.
func (p *show) form(ctx context.Context) error {
	if err := p.atGateway(ctx, func(n *thread.Node) { p.node = n }); err != nil {
		return err
	}
	if err := p.awaitGateway(ctx, "waiting for the radio", func(n *thread.Node) bool { return n.MAC().Up() }); err != nil {
		return err
	}
	d, err := meshcop.NewRandom(crand.Reader, meshcop.AllChannels(), meshcop.AllChannels())
	if err != nil {
		return err
	}
	d.NetworkName = "gatewayd-demo"
	prefix := netip.PrefixFrom(d.MeshLocalPrefix.Addr(), 64)
	b := prefix.Addr().As16()
	b[7] = 1 // beside the mesh-local prefix
	prefix = netip.PrefixFrom(netip.AddrFrom16(b), 64)
	var started error
	err = p.atGateway(ctx, func(n *thread.Node) {
		p.story.say("gateway", "radio is up: %s, EUI-64 %v", n.MAC().Info().Version, n.EUI64())
		n.SetActiveDataset(&d)
		flags := (netdata.FlagPreferred | netdata.FlagSLAAC | netdata.FlagOnMesh | netdata.FlagDefault).With(netdata.Medium)
		if started = n.ServePrefix(prefix, flags, true); started == nil {
			started = n.Start()
		}
	})
	if err != nil || started != nil {
		return fmt.Errorf("demo: starting the network: %w", firstOf(started, err))
	}
	p.story.say("gateway", "makes the network %q on channel %d, PAN 0x%04x, and looks whether somebody has it already",
		d.NetworkName, d.Channel.Number, *d.PANID)
	if err := p.awaitGateway(ctx, "forming the network", func(n *thread.Node) bool { return n.MLE().Role() == mle.Leader }); err != nil {
		return err
	}
	err = p.atGateway(ctx, func(n *thread.Node) {
		p.story.say("gateway", "network formed: leader of partition %08x, as 0x%04x", n.MLE().Partition(), n.MLE().RLOC16())
	})
	if err != nil {
		return err
	}
	err = p.awaitGateway(ctx, "registering the prefix", func(n *thread.Node) bool {
		return n.MLE().NetData().IsOnMesh(prefix.Addr())
	})
	p.prefix = prefix
	p.story.say("gateway", "devices will give themselves addresses in %v", prefix)
	return err
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// openDoor starts the commissioner and tells it who may join.
func (p *show) openDoor(ctx context.Context) error {
	var failed error
	err := p.atGateway(ctx, func(n *thread.Node) { failed = n.Commissioner().Start() })
	if err != nil || failed != nil {
		return fmt.Errorf("demo: starting the commissioner: %w", firstOf(failed, err))
	}
	if err := p.awaitGateway(ctx, "petitioning", func(n *thread.Node) bool {
		return n.Commissioner().State() == joining.Active
	}); err != nil {
		return err
	}
	err = p.atGateway(ctx, func(n *thread.Node) {
		p.story.say("gateway", "its commissioner is active, session %d", n.Commissioner().SessionID())
		for _, d := range p.devices {
			if failed == nil {
				failed = n.Commissioner().Add(joining.EUI64(d.eui64), d.pskd, 2*time.Minute)
			}
		}
	})
	if err != nil || failed != nil {
		return fmt.Errorf("demo: telling the commissioner who may join: %w", firstOf(failed, err))
	}
	if err := p.awaitGateway(ctx, "waiting for the steering data", func(n *thread.Node) bool {
		return n.Commissioning().SteeringData() != nil && n.JoinerRouter().Port() != 0
	}); err != nil {
		return err
	}
	return p.atGateway(ctx, func(n *thread.Node) {
		p.story.say("gateway", "%d devices may join: steering data %x, joiner port %d",
			len(p.devices), []byte(n.Commissioning().SteeringData()), n.JoinerRouter().Port())
	})
}

// ownPing pings with the gateway's IPv6 stack.
type ownPing struct{ p *show }

func (o ownPing) ping(ctx context.Context, dst netip.Addr, size int) (time.Duration, error) {
	answer := make(chan time.Duration, 1)
	ended := make(chan struct{})
	err := o.p.atGateway(ctx, func(n *thread.Node) {
		ok := n.IP().Ping(&ip.Ping{Dst: dst, Size: size, Count: 1, Interval: pingTimeout, Timeout: pingTimeout,
			Reply: func(r ip.Reply) { answer <- r.RTT },
			Done:  func(int, int) { close(ended) }})
		if !ok {
			close(ended)
		}
	})
	if err != nil {
		return 0, err
	}
	return awaitReply(ctx, answer, ended)
}

// awaitReply waits for the answer to a ping, or its end without one.
func awaitReply(ctx context.Context, answer <-chan time.Duration, ended <-chan struct{}) (time.Duration, error) {
	select {
	case rtt := <-answer:
		return rtt, nil
	case <-ended:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	select {
	case rtt := <-answer:
		return rtt, nil
	default:
		return 0, errNoReply
	}
}
