package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/dnssd"
	"gatewayd/host/infra"
)

// discovery finds out by the host's resolvers whether the infrastructure has a
// NAT64 of its own (RFC 7050).
type discovery struct {
	g      *Gateway
	ask    func(query []byte) ([]byte, error)
	tell   func(netip.Prefix)
	moved  chan struct{} // of capacity one: the links are others
	links  string        // as they were; the goroutine that owns the node uses it
	failed string        // what was last logged
}

func (g *Gateway) buildDiscovery() {
	d := &discovery{g: g, ask: newUpstream(g).ask, moved: make(chan struct{}, 1)}
	d.tell = func(p netip.Prefix) {
		g.deliver(func() {
			g.nat64.outside = p
			g.infra.tellNAT64()
		})
	}
	g.discovery = d
	g.drivers = append(g.drivers, d.run)
}

// follow asks again when the host's place in the network is another one.
func (d *discovery) follow(links []infra.Link) {
	var now string
	for _, l := range links {
		if l.Ready() {
			now += fmt.Sprint(l.Index, l.LinkLocal, l.Prefixes(), ";")
		}
	}
	if now == d.links {
		return
	}
	d.links = now
	select {
	case d.moved <- struct{}{}:
	default:
	}
}

// run asks until ctx ends.
func (d *discovery) run(ctx context.Context) {
	var state dnssd.Discovery
	var told netip.Prefix
	type reply struct {
		answer []byte
		err    error
	}
	for {
		replies := make(chan reply, 1)
		go func() { // ends within the time-outs of ask
			answer, err := d.ask(state.Query(uint16(rand.Uint32())))
			replies <- reply{answer, err}
		}()
		select {
		case <-ctx.Done():
			return
		case r := <-replies:
			_, err := state.Answered(time.Now(), r.answer, r.err)
			d.log(err)
		}
		if p := state.Prefix(); p != told {
			told = p
			d.g.log.Info("the infrastructure's NAT64", "id", "NAT64-OUTSIDE", "prefix", p)
			d.tell(p)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(state.Next())):
		case <-d.moved:
			state = dnssd.Discovery{} // what the other network had
		}
	}
}

// log tells once why there is no answer.
func (d *discovery) log(err error) {
	now := fmt.Sprint(err)
	if err != nil && now != d.failed {
		d.g.log.Debug("the resolvers do not say whether there is a NAT64", "id", "NAT64-OUTSIDE", "err", err)
	}
	d.failed = now
}
