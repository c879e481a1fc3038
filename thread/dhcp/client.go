package dhcp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/netdata"
)

// Implementation constants, OpenThread's.
const (
	firstRetry  = time.Second
	maxRetry    = 120 * time.Second
	maxPrefixes = 4
)

// ClientConfig is what a Client needs.
type ClientConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	IP    *ip.Stack
	Data  func() *netdata.Data
	// Attached reports whether the node is part of a network.
	Attached func() bool
	// RLOC is the node's own locator, Locator the address of an RLOC16 or
	// ALOC16.
	RLOC    func() netip.Addr
	Locator func(locator16 uint16) netip.Addr
	EUI64   func() ieee802154.ExtAddr
}

// Client gets the node an address in every prefix with the DHCP flag. Update
// must be called when the network data or the role changed.
type Client struct {
	cfg    ClientConfig
	leases []*lease
	timer  *alarm.Timer
}

// lease is what is known of one prefix.
type lease struct {
	prefix      netip.Prefix
	agent       uint16 // where to ask, an RLOC16 or ALOC16
	transaction [3]byte
	began, next time.Time // of asking; next is zero when nothing is due
	wait        time.Duration
	addr        netip.Addr // that we have, or the zero Addr
	expires     time.Time  // zero: never
}

// NewClient returns a Client that asks for nothing.
func NewClient(cfg ClientConfig) *Client {
	c := &Client{cfg: cfg}
	c.timer = cfg.Clock.NewTimer(c.due)
	return c
}

// Update follows the network data: a prefix that is gone takes its address with
// it.
func (c *Client) Update() {
	had := len(c.leases) > 0
	var keep []*lease
	for _, p := range c.wanted() {
		i := slices.IndexFunc(c.leases, func(l *lease) bool { return l.prefix == p.prefix })
		if i >= 0 {
			c.leases[i].agent = p.agent
			keep = append(keep, c.leases[i])
		} else if len(keep) < maxPrefixes {
			c.ask(p, firstRetry)
			keep = append(keep, p)
		}
	}
	for _, l := range c.leases {
		if !slices.Contains(keep, l) && l.addr.IsValid() {
			c.cfg.IP.Remove(l.addr)
		}
	}
	c.leases = keep
	switch has := len(keep) > 0; {
	case has && !had:
		c.cfg.IP.HandleUDP(ClientPort, c.receive)
	case had && !has:
		c.cfg.IP.HandleUDP(ClientPort, nil)
	}
	c.arm()
}

// wanted are the prefixes with an agent.
func (c *Client) wanted() (all []*lease) {
	if !c.cfg.Attached() {
		return nil
	}
	for _, p := range c.cfg.Data().Prefixes {
		for _, e := range p.BorderRouters {
			if e.Flags.Has(netdata.FlagDHCP) && p.Prefix.Bits() <= 64 {
				l := &lease{prefix: p.Prefix, agent: e.RLOC16}
				if p.Context != nil {
					l.agent = netdata.AgentALOC(p.Context.ID) // whichever agent is nearest
				}
				all = append(all, l)
				break
			}
		}
	}
	return all
}

// ask begins to ask for an address, within a time.
func (c *Client) ask(l *lease, within time.Duration) {
	for i := range l.transaction {
		l.transaction[i] = byte(c.cfg.Rand.Uint32())
	}
	l.began, l.wait = time.Time{}, firstRetry
	l.next = c.cfg.Clock.Now().Add(time.Duration(c.cfg.Rand.Int64N(int64(within))))
}

func (c *Client) arm() {
	c.timer.Stop()
	for _, l := range c.leases {
		for _, at := range [...]time.Time{l.next, l.expires} {
			if !at.IsZero() && (!c.timer.Running() || at.Before(c.timer.At())) {
				c.timer.StartAt(at)
			}
		}
	}
}

func (c *Client) due() {
	now := c.cfg.Clock.Now()
	for _, l := range c.leases {
		if !l.expires.IsZero() && !now.Before(l.expires) {
			c.cfg.IP.Remove(l.addr)
			l.addr, l.expires = netip.Addr{}, time.Time{}
		}
		if !l.next.IsZero() && !now.Before(l.next) {
			c.solicit(l, now)
		}
	}
	c.arm()
}

// solicit sends a Solicit, and the next one after a wait that doubles.
func (c *Client) solicit(l *lease, now time.Time) {
	if l.began.IsZero() {
		l.began = now
	}
	elapsed := now.Sub(l.began)
	b := l.prefix.Addr().As16()
	m := Message{Type: Solicit, Transaction: l.transaction, Elapsed: &elapsed, ClientID: DUID(c.cfg.EUI64()), RapidCommit: true,
		IA: &IA{Addresses: []IAAddress{{Addr: netip.AddrFrom16(b)}}}}
	_ = c.cfg.IP.SendUDP(ip.Datagram{Src: netip.AddrPortFrom(c.cfg.RLOC(), ClientPort),
		Dst: netip.AddrPortFrom(c.cfg.Locator(l.agent), ServerPort), Payload: m.Append(nil)}, link.Options{Priority: link.Normal})
	l.next = now.Add(l.wait - l.wait/10 + time.Duration(c.cfg.Rand.Int64N(int64(l.wait/5))))
	l.wait = min(2*l.wait, maxRetry)
}

// receive takes a Reply.
func (c *Client) receive(d *ip.Datagram) {
	m, err := Decode(d.Payload)
	if err != nil || m.Type != Reply || m.Status != 0 || m.ServerID == nil || !m.RapidCommit || m.IA == nil || m.IA.Status != 0 ||
		!bytes.Equal(m.ClientID, DUID(c.cfg.EUI64())) {
		return
	}
	i := slices.IndexFunc(c.leases, func(l *lease) bool { return l.transaction == m.Transaction && !l.next.IsZero() })
	if i < 0 {
		return
	}
	l := c.leases[i]
	for _, a := range m.IA.Addresses {
		if l.prefix.Contains(a.Addr) && a.Valid > 0 && a.Preferred <= a.Valid {
			c.take(l, a)
			c.arm()
			return
		}
	}
}

// take uses an address until it expires. Half of the time in which it is
// preferred it is left alone.
func (c *Client) take(l *lease, a IAAddress) {
	now := c.cfg.Clock.Now()
	if l.addr.IsValid() && l.addr != a.Addr {
		c.cfg.IP.Remove(l.addr)
	}
	l.addr, l.expires, l.next = a.Addr, time.Time{}, time.Time{}
	if a.Valid != Forever {
		l.expires = now.Add(a.Valid)
		c.ask(l, firstRetry)
		l.next = now.Add(a.Preferred / 2)
	}
	c.cfg.IP.Add(ip.Address{Addr: a.Addr, Bits: 64, Preferred: a.Preferred > 0, Origin: ip.OriginDHCP})
}
