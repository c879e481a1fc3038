package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatewayd/radio/rcpd"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
)

// portEvent passes what happens to the radio's connection to the link.
func (g *Gateway) portEvent(e transport.PortEvent) {
	switch e.Kind {
	case transport.PortOpened:
		g.gen, g.lastErr = e.Gen, nil
		g.link.Opened(e.At)
	case transport.PortReceived:
		g.link.Receive(e.At, e.Data)
	case transport.PortClosed:
		g.lastErr = e.Err
		g.log.Warn("radio connection lost, opening it again", "id", "RADIO-LOST", "radio", g.url.String(), "err", e.Err)
		g.link.Closed(e.At, e.Err)
	case transport.PortFailed:
		if g.lastErr == nil || g.lastErr.Error() != e.Err.Error() {
			g.log.Warn("radio cannot be opened, trying again", "id", "RADIO-OPEN", "radio", g.url.String(), "err", e.Err)
		}
		g.lastErr = e.Err
	}
}

// radioEvent logs what the link says, each kind of trouble at a bounded rate.
func (g *Gateway) radioEvent(e spinel.Event) {
	switch e.Kind {
	case spinel.EventReopen:
		g.port.Reopen(g.gen)
	case spinel.EventState:
		g.radioWhy = e.Text
		if e.To == spinel.Unusable || e.To == spinel.Suspect {
			guess := g.guess()
			g.log.Warn("radio is not usable", "id", "RADIO-STATE", "state", e.To, "why", e.Text, "looks", guess.Looks, "hint", guess.Advice)
			return
		}
		g.log.Info("radio", "id", "RADIO-STATE", "state", e.To, "why", e.Text)
	case spinel.EventLog:
		g.log.Debug("radio says", "id", "RADIO-LOG", "text", e.Text)
	default:
		if g.repeats.pass("RADIO-"+e.Kind.String(), time.Now()) {
			g.log.Warn("radio", "id", "RADIO-"+strings.ToUpper(e.Kind.String()), "event", e.String())
		}
	}
}

// guess is what the thing at the other end seems to be.
func (g *Gateway) guess() spinel.Guess {
	if caps := g.link.Identity().Caps; len(caps) > 0 {
		return spinel.RecogniseCaps(caps)
	}
	return spinel.Recognise(g.link.First())
}

// dialMedium makes a co-processor on the medium that the URL names.
func (g *Gateway) dialMedium(context.Context) (transport.Conn, error) {
	c, err := rcpd.Dial(g.url)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return c, nil
}
