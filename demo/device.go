package demo

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/sim"
	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/joining"
	"gatewayd/thread/mle"
)

// device is one of the simulated devices.
type device struct {
	name  string
	kind  sim.Kind
	model string
	eui64 ieee802154.ExtAddr
	pskd  joining.PSKd
	node  *sim.Node

	on, joined, attached time.Duration
	rloc16, parent       uint16
	addr                 netip.Addr
	pings                [len(pingSizes)]time.Duration
}

// pingSizes are bytes of echo data: one frame, a few, and as much as fits.
var pingSizes = [...]int{16, 500, 1232}

// sleepyPoll is how often the sleepy device asks for what waits for it.
const sleepyPoll = 250 * time.Millisecond

func (p *show) addDevices() {
	for i, d := range []*device{
		{name: "lamp", kind: sim.FTD, model: "full Thread device, could become a router"},
		{name: "switch", kind: sim.MTD, model: "minimal device that always listens"},
		{name: "sensor", kind: sim.SED, model: fmt.Sprintf("sleepy device, wakes up every %v", sleepyPoll)},
	} {
		d.eui64 = ieee802154.ExtAddr{0x02, 0, 0, 0, 0, 0, 0, byte(i + 1)}
		d.pskd = newPSKd()
		// Around the gateway, which is in the middle.
		places := [...]sim.Place{{X: 5}, {X: -3, Y: 4}, {Y: -6}}
		d.node = p.world.Add(sim.Config{Name: d.name, Kind: d.kind, EUI64: d.eui64, Place: &places[i]})
		p.devices = append(p.devices, d)
	}
}

// newPSKd makes what is printed on a device's label.
func newPSKd() joining.PSKd {
	const letters = "0123456789ABCDEFGHJKLMNPRSTUVWXY"
	b := make([]byte, 8)
	crand.Read(b) // cannot fail
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	s, err := joining.ParsePSKd(string(b))
	if err != nil {
		panic(err) // the alphabet above is wrong
	}
	return s
}

// maxTries is how often a device looks for the network: a discovery can go
// unheard on a busy air.
const maxTries = 3

// live is a device's life, up to its addresses.
func (p *show) live(ctx context.Context, d *device) error {
	d.on = p.story.elapsed()
	p.story.say(d.name, "is turned on: %s; on its label EUI-64 %v, PSKd %s", d.model, d.eui64, d.pskd.Reveal())
	if err := p.air.do(d.node.InterfaceUp); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := p.join(ctx, d)
		if err == nil {
			break
		}
		if try == maxTries || ctx.Err() != nil {
			return fmt.Errorf("demo: %s does not join: %w", d.name, err)
		}
		p.story.say(d.name, "could not join (%v), tries again", err)
	}
	d.joined = p.story.elapsed()
	return p.attach(ctx, d)
}

// join lets a device join by its PSKd.
func (p *show) join(ctx context.Context, d *device) error {
	result := make(chan error, 1)
	var failed error
	err := p.air.do(func() {
		failed = d.node.Joiner().Start(d.pskd, "", joining.Vendor{Name: "gatewayd", Model: d.name, SWVersion: "1"},
			func(err error) { result <- err })
	})
	if err != nil || failed != nil {
		return firstOf(failed, err)
	}
	told := joining.JoinerDiscover
	tell := func() {
		for s := d.node.Joiner().State(); told < s; {
			told++
			p.tellJoining(d, told)
		}
	}
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		select {
		case err := <-result:
			if err != nil {
				return err
			}
			return p.air.do(func() {
				if told < joining.JoinerEntrust {
					told = joining.JoinerEntrust
					p.tellJoining(d, told)
				}
				p.story.say(d.name, "was entrusted with the network's key: joined")
			})
		case <-t.C:
			if err := p.air.do(tell); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tellJoining words a joiner's state.
func (p *show) tellJoining(d *device, s joining.JoinerState) {
	switch s {
	case joining.JoinerConnecting:
		p.story.say(d.name, "discovered a network on channel %d, PAN 0x%04x, whose steering data says it may join",
			d.node.MAC().Channel(), d.node.MAC().PANID())
	case joining.JoinerConnected:
		p.story.say(d.name, "DTLS handshake done: both sides know the PSKd, and nobody heard it")
	case joining.JoinerEntrust:
		p.story.say(d.name, "was accepted by the commissioner, waits for the network's key")
	}
}

// attach waits for a device that has joined to be part of the network.
func (p *show) attach(ctx context.Context, d *device) error {
	var failed error
	err := p.air.do(func() {
		if d.kind == sim.SED {
			d.node.MLE().Tuning.PollPeriod = sleepyPoll
		}
		failed = d.node.Start()
	})
	if err != nil || failed != nil {
		return fmt.Errorf("demo: starting %s: %w", d.name, firstOf(failed, err))
	}
	if err := until(ctx, d.name+" attaching", p.air.do, func() bool { return d.node.MLE().Role() >= mle.Child }); err != nil {
		return err
	}
	d.attached = p.story.elapsed()
	err = p.air.do(func() {
		d.rloc16, d.parent = d.node.MLE().RLOC16(), d.node.Table().Parent.RLOC16
		p.story.say(d.name, "attached as %v 0x%04x, its parent is 0x%04x", d.node.MLE().Role(), d.rloc16, d.parent)
	})
	if err != nil {
		return err
	}
	if err := until(ctx, d.name+" getting an address", p.air.do, func() bool {
		d.addr, _ = slaacAddress(d.node.Node, p.prefix)
		return d.addr.IsValid()
	}); err != nil {
		return err
	}
	// The gateway must know it too, for a child that registers its addresses.
	if err := p.awaitGateway(ctx, d.name+" registering its address", func(n *thread.Node) bool {
		return d.kind == sim.FTD || n.Table().ChildByAddress(d.addr) != nil
	}); err != nil {
		return err
	}
	p.story.say(d.name, "gave itself the address %v", d.addr)
	return nil
}

// slaacAddress is a node's own address in a prefix.
func slaacAddress(n *thread.Node, prefix netip.Prefix) (netip.Addr, bool) {
	for _, a := range n.IP().Addresses() {
		if a.Origin == ip.OriginSLAAC && prefix.Contains(a.Addr) {
			return a.Addr, true
		}
	}
	return netip.Addr{}, false
}

// pingDevice pings a device from the host, in each size.
func (p *stage) pingDevice(ctx context.Context, name string, addr netip.Addr) (rtts [len(pingSizes)]time.Duration, err error) {
	var said []string
	for i, size := range pingSizes {
		for range maxTries { // a datagram may be lost; a device that is gone answers none
			if rtts[i], err = p.pinger.ping(ctx, addr, size); err == nil {
				break
			}
		}
		if err != nil {
			return rtts, fmt.Errorf("demo: ping %s with %d bytes: %w", name, size, err)
		}
		said = append(said, fmt.Sprintf("%d bytes %s", size, millis(rtts[i])))
	}
	p.story.say("host", "pings %s: %s", name, strings.Join(said, ", "))
	return rtts, nil
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// summary is the end of the story.
func (p *show) summary() {
	rows := [][]string{{"device", "joined", "attached", "address", "ping 16", "500", "1232 bytes"}}
	for _, d := range p.devices {
		row := []string{d.name, seconds(d.joined - d.on), fmt.Sprintf("%s, 0x%04x", seconds(d.attached-d.joined), d.rloc16), d.addr.String()}
		for _, rtt := range d.pings {
			row = append(row, millis(rtt))
		}
		rows = append(rows, row)
	}
	p.story.table(fmt.Sprintf("All %d devices joined, attached and answered, in %s:", len(p.devices), seconds(p.story.elapsed())), rows)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
