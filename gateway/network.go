package gateway

import (
	"errors"
	"fmt"
	"time"

	"gatewayd/radio"
	"gatewayd/radio/hdlc"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
)

// Config is what the gateway was started with.
func (g *Gateway) Config() Config { return g.cfg }

// Started is when the gateway was started.
func (g *Gateway) Started() time.Time { return g.started }

// Radio is what the gateway knows of its radio.
type Radio struct {
	URL      radio.URL
	State    spinel.State
	Why      string       // of the state, or ""
	Err      error        // why there is no connection; nil while there is one
	Guess    spinel.Guess // while it is suspect or unusable
	Identity spinel.Identity
	Stats    spinel.Stats
	Line     hdlc.Stats
	Dropped  uint64 // writes that found the queue to the radio full
}

// Radio tells about the radio. Only a function that Do runs may call it.
func (g *Gateway) Radio() Radio {
	r := Radio{URL: g.url, State: g.link.State(), Why: g.radioWhy, Err: g.lastErr,
		Identity: g.link.Identity(), Stats: g.link.Stats(), Line: g.link.LineStats(), Dropped: g.port.Dropped()}
	if g.dialer != nil {
		r.URL = g.dialer.URL()
	}
	var unfit *transport.UnfitError
	switch {
	case r.State == spinel.Suspect || r.State == spinel.Unusable:
		r.Guess = g.guess()
	case errors.As(r.Err, &unfit) && unfit.Problem == "":
		r.Guess = unfit.Guess
		r.Guess.Looks = fmt.Sprintf("%s, %v: %s", unfit.Port.Path, unfit.Port, r.Guess.Looks)
	}
	return r
}

// UseDataset attaches to the network of a complete active dataset, or forms it.
// What is stored of another network is forgotten. Only a function that Do runs
// may call it.
func (g *Gateway) UseDataset(d *meshcop.Dataset) error {
	old := g.node.Datasets().Active()
	leaving := old != nil && !SameNetwork(old, d)
	if leaving {
		if err := g.node.Commissioner().Stop(); err != nil && !errors.Is(err, joining.ErrAlready) {
			return err
		}
	}
	g.node.Stop()
	if leaving {
		g.node.MLE().Forget()
	}
	g.node.SetActiveDataset(d)
	if err := g.publishPrefix(); err != nil {
		return err
	}
	return g.node.Start()
}

// SameNetwork reports whether two active datasets are an earlier and a later
// one of the same network.
func SameNetwork(a, b *meshcop.Dataset) bool {
	return a.ExtPANID != nil && b.ExtPANID != nil && *a.ExtPANID == *b.ExtPANID &&
		a.NetworkKey != nil && b.NetworkKey != nil && *a.NetworkKey == *b.NetworkKey
}
