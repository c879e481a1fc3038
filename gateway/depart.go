package gateway

import (
	"context"
	"slices"
	"time"

	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// Times of an orderly end. It forwards as before meanwhile.
const (
	// farewell is how long the end of a plain network may take to be on the air.
	farewell = 300 * time.Millisecond
	// hearAfter is how long a leader may take to answer, spreadFor how long what
	// the network data say now takes to be spread over some hops: each router
	// waits up to half a second.
	hearAfter = time.Second
	spreadFor = 1200 * time.Millisecond
	lookEvery = 20 * time.Millisecond
)

// depart lets the mesh hear that the gateway goes, which was said before, and
// goes on until it has.
//
// Its place in the mesh it does not give back: most gateways that stop start
// again, and one that had given its router id back would be a child for minutes,
// perhaps of a router that goes next. Nor can a leader's place be given to
// another: if it does not come back, a router notices in two minutes.
func (g *Gateway) depart(ctx context.Context) {
	if g.lowpan != nil {
		if g.infra != nil {
			g.linger(ctx, lastWords*lastWordGap, nil)
		}
		g.lowpan.stop()
		g.linger(ctx, farewell, nil)
		return
	}
	if g.infra == nil {
		return
	}
	if !g.inCompany() {
		g.linger(ctx, lastWords*lastWordGap, nil)
		return
	}
	g.linger(ctx, hearAfter, func() bool {
		return g.node.LocalData().Registered(g.node.MLE().NetData(), g.node.MLE().RLOC16())
	})
	g.linger(ctx, spreadFor, nil)
}

// linger goes on until something is done, but not for longer than a limit.
func (g *Gateway) linger(ctx context.Context, limit time.Duration, done func() bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var look func()
	look = func() {
		switch {
		case ctx.Err() != nil:
		case done():
			cancel()
		default:
			g.stack.Clock().After(lookEvery, look)
		}
	}
	if done != nil {
		look()
	}
	g.loop(ctx)
}

// inCompany reports whether there is anybody in the mesh to hear anything.
func (g *Gateway) inCompany() bool {
	role := g.node.MLE().Role()
	if role == mle.Child || role == mle.Router {
		return true
	}
	return role == mle.Leader && (g.hasChildren() || slices.ContainsFunc(g.node.Table().Routers[:], func(r *neighbor.Router) bool {
		return r != nil && r.State == neighbor.Valid
	}))
}

func (g *Gateway) hasChildren() bool {
	return slices.ContainsFunc(g.node.Table().Children, func(c *neighbor.Child) bool { return c.State == neighbor.Valid })
}
