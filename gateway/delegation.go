package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"time"

	"gatewayd/border"
	"gatewayd/dhcp6"
	"gatewayd/host/infra"
)

// delegation asks the routers of the infrastructure link for a prefix of the
// mesh's own (RFC 8415 Section 6.3). Only the goroutine that owns the node uses
// it, but for the socket.
type delegation struct {
	off    bool // as the command line has it
	g      *Gateway
	client *dhcp6.Client
	last   dhcp6.Delegation // of before a restart, or before it was off
	link   infra.Link       // the one it is asked for on
	conn   *net.UDPConn
}

// storeDelegation holds what was delegated, over a restart.
const storeDelegation = "delegation"

// buildDelegation makes the client; it begins when there is a link.
func (g *Gateway) buildDelegation() error {
	d := &delegation{g: g}
	random, err := newRand()
	if err != nil {
		return err
	}
	// One identity for each data directory: that of the border router's prefix
	// would do, but this one is there before any link.
	seed, err := g.identitySeed()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(seed)
	iaid := fnv.New32a()
	iaid.Write([]byte(g.cfg.Infra))
	cfg := dhcp6.ClientConfig{Clock: g.stack.Clock(), Rand: random, DUID: dhcp6.DUIDFromEUI64([8]byte(sum[:8])), IAID: iaid.Sum32(),
		Hint: netip.MustParsePrefix("::/64"), RapidCommit: true, Send: d.send, Changed: d.changed}
	if b, err := g.store.Load(storeDelegation); err == nil && json.Unmarshal(b, &cfg.Last) != nil {
		g.log.Warn("the stored delegation makes no sense, asking anew", "id", "PD-STORE")
	}
	d.last = cfg.Last
	d.client = dhcp6.NewClient(cfg)
	g.delegation = d
	return nil
}

// storeSeed is what identities towards others are made of.
const storeSeed = "identity-seed"

func (g *Gateway) identitySeed() ([]byte, error) {
	b, err := g.store.Load(storeSeed)
	switch {
	case err == nil && len(b) > 0:
		return b, nil
	case err != nil && !isAbsent(err):
		return nil, err
	}
	r, err := newRand()
	if err != nil {
		return nil, err
	}
	b = make([]byte, 16)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b, g.store.Save(storeSeed, b)
}

// use follows the first link that is ready.
func (d *delegation) use(links []infra.Link) {
	for _, l := range links {
		if !l.Ready() {
			continue
		}
		if l.Index == d.link.Index && l.LinkLocal == d.link.LinkLocal {
			return
		}
		was := d.link.Index != 0
		d.close()
		if err := d.open(l); err != nil {
			d.g.log.Warn("no prefix can be asked for", "id", "PD-SOCKET", "link", l.ID, "err", err)
			return
		}
		if d.off {
			return
		}
		if was {
			d.client.LinkChanged()
		} else {
			d.client.Start()
		}
		return
	}
}

// open opens the client's port on a link.
func (d *delegation) open(l infra.Link) error {
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: l.LinkLocal.AsSlice(), Port: dhcp6.ClientPort, Zone: l.Name})
	if err != nil {
		return err
	}
	d.conn, d.link = conn, l
	go func() { // ends with the connection
		buf := make([]byte, 64<<10)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					d.g.log.Warn("reading answers about prefixes", "id", "PD-SOCKET", "err", err)
				}
				return
			}
			if from.Port() != dhcp6.ServerPort || !from.Addr().IsLinkLocalUnicast() {
				continue
			}
			b := append([]byte(nil), buf[:n]...)
			d.g.deliver(func() { d.client.Receive(b) })
		}
	}()
	return nil
}

func (d *delegation) send(b []byte) {
	if d.conn == nil {
		return
	}
	to := netip.AddrPortFrom(dhcp6.AllServersAndRelays.WithZone(d.link.Name), dhcp6.ServerPort)
	if _, err := d.conn.WriteToUDPAddrPort(b, to); err != nil && d.g.repeats.pass("PD-SEND", d.g.stack.Clock().Now()) {
		d.g.log.Warn("a question for a prefix was not sent", "id", "PD-SEND", "err", err)
	}
}

// changed takes up what is delegated now.
func (d *delegation) changed(now dhcp6.Delegation) {
	b, err := json.Marshal(now)
	if err == nil {
		err = d.g.store.Save(storeDelegation, b)
	}
	if err != nil {
		d.g.log.Warn("the delegated prefix cannot be stored", "id", "PD-STORE", "err", err)
	}
	d.apply(now)
}

// resume takes up what was delegated before a restart: the client waits for a
// link to ask on, and devices have addresses of it.
func (d *delegation) resume() {
	now := d.g.stack.Clock().Now()
	over := func(p dhcp6.Delegated) bool { return !p.Valid.IsZero() && !p.Valid.After(now) }
	d.last.Prefixes = slices.DeleteFunc(slices.Clone(d.last.Prefixes), over)
	if len(d.last.Prefixes) > 0 {
		d.apply(d.last)
	}
}

func (d *delegation) apply(now dhcp6.Delegation) {
	var list []border.Delegated
	var all []netip.Prefix
	for _, p := range now.Prefixes {
		list = append(list, border.Delegated{Prefix: p.Prefix, Preferred: p.Preferred, Valid: p.Valid})
		all = append(all, p.Prefix)
		d.g.log.Info("a prefix is delegated", "id", "PD", "prefix", p.Prefix, "until", p.Valid.Format(time.RFC3339))
	}
	if len(list) == 0 {
		d.g.log.Info("no prefix is delegated", "id", "PD")
	}
	if err := d.g.infra.follower.SetUnreachable(all); err != nil {
		d.g.log.Warn("unused parts of the delegated prefix may go round and round", "id", "PD-ROUTE", "err", err)
	}
	d.g.infra.mesh.delegated(list)
}

// setEnabled has prefixes asked for, or what is delegated left alone.
func (d *delegation) setEnabled(on bool) {
	if on == !d.off {
		return
	}
	d.off = !on
	switch {
	case !on:
		d.last = d.client.Delegation()
		d.client.Stop()
		d.apply(dhcp6.Delegation{})
	case d.link.Index != 0:
		d.resume()
		d.client.Start()
	}
}

// stop ends it; the prefix stays ours for the next start.
func (d *delegation) stop() {
	d.client.Stop()
	d.close()
}

func (d *delegation) close() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

// Delegation is what has been delegated; false where nobody is asked. Only a
// function that Do runs may call it.
func (g *Gateway) Delegation() (dhcp6.Delegation, dhcp6.ClientState, bool) {
	if g.delegation == nil {
		return dhcp6.Delegation{}, dhcp6.Stopped, false
	}
	return g.delegation.client.Delegation(), g.delegation.client.State(), true
}
