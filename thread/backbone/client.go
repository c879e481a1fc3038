package backbone

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// How long a parent waits for more of its children's groups (Thread 1.4 Section
// 5.24.2.3: PARENT_AGGREGATE_DELAY).
const aggregateDelay = 5 * time.Second

// renewBefore is the least time before a registration's end at which it is
// renewed.
const renewBefore = 9 * time.Second

// Errors of a Client.
var (
	ErrNoPrimary = errors.New("backbone: the network has no Backbone Router")
	ErrBusy      = errors.New("backbone: a registration is under way")
	ErrNoGroups  = fmt.Errorf("backbone: 1 to %d groups are registered at once", MaxGroups)
)

// ClientConfig is what a Client needs.
type ClientConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	TMF   *tmf.Agent
	// Registers reports whether the node registers groups by itself: it is a
	// full Thread device, or its parent does not do it.
	Registers func() bool
	// Groups are those that the node and the children that it registers for
	// listen to; others than Wide ones are passed over.
	Groups func() []netip.Addr
	// Primary is the primary Backbone Router, of a network that the node is part
	// of.
	Primary func() (netdata.BackboneRouter, bool)
	// Server is where it is reached, RLOC the node's own locator.
	Server func(netdata.BackboneRouter) netip.Addr
	RLOC   func() netip.Addr
	// Session is the session of the node's commissioner, if that is active.
	Session func() (id uint16, ok bool)
}

// Client registers groups at the primary Backbone Router. Update must be called
// when the network data changed.
type Client struct {
	cfg        ClientConfig
	primary    netdata.BackboneRouter
	has        bool // a primary
	registered []netip.Addr
	pending    bool
	asked      bool // Register is under way
	timer      *alarm.Timer
	renewal    *alarm.Timer
}

// NewClient returns a Client that has registered nothing.
func NewClient(cfg ClientConfig) *Client {
	c := &Client{cfg: cfg}
	c.timer = cfg.Clock.NewTimer(c.send)
	c.renewal = cfg.Clock.NewTimer(c.renew)
	return c
}

// Registered are the groups that are registered. The slice must not be changed.
func (c *Client) Registered() []netip.Addr { return c.registered }

// Update follows the network data. What another primary knows must be told to a
// new one, in the time that it gives.
func (c *Client) Update() {
	p, ok := c.cfg.Primary()
	was, had := c.primary, c.has
	c.primary, c.has = p, ok
	switch {
	case !ok:
		c.registered = nil
		c.renewal.Stop()
		c.timer.Stop()
	case !had || was.RLOC16 != p.RLOC16 || was.Sequence != p.Sequence:
		c.renewal.StartEarlier(c.delay())
	case was != p:
		c.renewal.StartEarlier(c.untilRenewal())
	}
}

// GroupsChanged says that the node's own groups are others.
func (c *Client) GroupsChanged() { c.soon(0) }

// ChildChanged says that a child's groups may be others. More of them are
// waited for.
func (c *Client) ChildChanged() {
	c.soon(time.Second + time.Duration(c.cfg.Rand.Int64N(int64(aggregateDelay-time.Second))))
}

// soon registers, after d, what is not registered.
func (c *Client) soon(d time.Duration) {
	if c.has && !c.pending && len(c.missing()) > 0 {
		c.timer.StartEarlier(d)
	}
}

// delay is a random time in which to register again, or after a failure.
func (c *Client) delay() time.Duration {
	most := max(time.Duration(c.primary.ReregistrationDelay)*time.Second, time.Second)
	return time.Second + time.Duration(c.cfg.Rand.Int64N(int64(most-time.Second+time.Millisecond)))
}

// untilRenewal is a random time in the second half of the timeout.
func (c *Client) untilRenewal() time.Duration {
	t := min(max(time.Duration(c.primary.MLRTimeout)*time.Second, MinTimeout), MaxTimeout)
	return t/2 + time.Second + time.Duration(c.cfg.Rand.Int64N(int64(t/2-renewBefore-time.Second)))
}

func (c *Client) renew() {
	c.registered = nil
	c.send()
	c.renewal.Start(c.untilRenewal())
}

// missing are the groups to register, as many as go into one message. What
// nobody listens to any more is forgotten.
func (c *Client) missing() (all []netip.Addr) {
	groups := c.cfg.Groups()
	c.registered = slices.DeleteFunc(slices.Clone(c.registered), func(g netip.Addr) bool { return !slices.Contains(groups, g) })
	for _, g := range groups {
		if len(all) < MaxGroups && Wide(g) && !slices.Contains(c.registered, g) && !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

func (c *Client) send() {
	if c.pending || !c.has || !c.cfg.Registers() {
		return
	}
	groups := c.missing()
	if len(groups) == 0 {
		return
	}
	c.pending = true
	c.timer.Stop()
	at := c.primary
	c.request(groups, nil, func(a Answer, err error) {
		c.pending = false
		if !c.has || c.primary.RLOC16 != at.RLOC16 || c.primary.Sequence != at.Sequence {
			return // registered with nobody that counts
		}
		for _, g := range groups {
			if err == nil && (a.Status == Success || len(a.Failed) > 0 && !slices.Contains(a.Failed, g)) {
				c.registered = append(slices.Clip(c.registered), g)
			}
		}
		if err == nil && a.Status == Success {
			c.soon(0)
		} else {
			c.soon(c.delay())
		}
	})
}

func (c *Client) request(groups []netip.Addr, timeout *uint32, done func(Answer, error)) {
	m := Registration{Groups: groups, Timeout: timeout}
	if id, ok := c.cfg.Session(); ok {
		m.Session = &id
	}
	c.cfg.TMF.Send(tmf.MulticastListener, c.cfg.Server(c.primary), m.Append(nil), tmf.Options{Source: c.cfg.RLOC()}, func(r tmf.Response, err error) {
		if err != nil {
			done(Answer{}, err)
			return
		}
		if r.Code != coap.Changed {
			done(Answer{}, fmt.Errorf("backbone: the Backbone Router answers with %v", r.Code))
			return
		}
		done(DecodeAnswer(r.Payload))
	})
}

// Register registers groups for others, as a commissioner may do: with a
// timeout in seconds of its own, of which 0 ends the registration, or with nil.
// done is called with the answer, or the error that there was none.
func (c *Client) Register(groups []netip.Addr, timeout *uint32, done func(Answer, error)) error {
	switch {
	case len(groups) == 0 || len(groups) > MaxGroups:
		return ErrNoGroups
	case !c.has:
		return ErrNoPrimary
	case c.asked:
		return ErrBusy
	}
	c.asked = true
	c.request(groups, timeout, func(a Answer, err error) {
		c.asked = false
		done(a, err)
	})
	return nil
}
