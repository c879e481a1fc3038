package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gatewayd/alarm"
	"gatewayd/host"
	"gatewayd/otcli"
	"gatewayd/radio"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
	"gatewayd/store"
	"gatewayd/thread"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
)

// Options are what a Gateway needs beside its Config.
type Options struct {
	Log *slog.Logger // default: discard
	// Version is what other nodes are told of this program.
	Version string
	// NoTUN leaves the host's network alone, as does a Config without a name
	// for the interface: the node answers echo requests itself.
	NoTUN bool
	// Dial replaces how the radio is reached; the Config's radio is only shown.
	Dial func(context.Context) (transport.Conn, error)
	// Ready, if not nil, is called in a goroutine of its own when the gateway
	// answers commands. Run waits for it to return.
	Ready func(*Gateway)
}

// stack is the gateway's network, all of it one machine: a Thread node or a
// plain 6LoWPAN one.
type stack interface {
	Clock() *alarm.Clock
	Advance(now time.Time)
	Deadline() time.Time
	FromHost(packet []byte) error
	Radio() radio.Handler
	SetRadio(radio.Radio)
	Stop()
}

// Gateway is a running gateway. Its stack and everything it is made of belong to
// whoever steps: those who read from the radio and from the host's interface,
// and the goroutine of Run for all others, who reach it by Do.
type Gateway struct {
	cfg    Config
	opt    Options
	log    *slog.Logger
	store  *store.Store
	tun    *host.TUN
	stack  stack
	node   *thread.Node // the stack, if it is a Thread node
	lowpan *Lowpan      // what has the stack, if that is a plain 6LoWPAN node
	cli    *otcli.CLI
	wanted *meshcop.Dataset // of the network that the configuration names, or nil

	infra      *infrastructure // nil without infrastructure links
	filter     *filter         // likewise, and without an interface on the host
	services   *services       // likewise, and in other modes than Thread's
	nat64      *translation    // nil if the mesh is to have no IPv4, too
	discovery  *discovery      // likewise
	delegation *delegation     // nil if no prefix is to be asked for, too
	backbone   *crossing       // nil if multicast does not leave the mesh, too
	domain     *domain         // likewise
	listeners  *listeners      // nil without an interface of the host's, and in other modes than Thread's
	trel       *overInfra      // nil if nodes are not reached by the links, too
	link       *spinel.Link
	port       *transport.Port
	url        radio.URL
	dialer     *transport.Dialer // nil unless the radio is a device

	owner    sync.Mutex // held by who steps
	gen      uint64     // of the port's present connection
	lastErr  error      // why the radio's connection is away
	radioWhy string     // of the link's present state
	calls    chan func()
	dirty    bool // the host's interface may have to change
	leaving  bool // it ends, and only says so
	sync     chan host.Config
	hostHas  host.Config // what was last asked of the interface
	timer    *time.Timer // of the stack's deadline
	due      time.Time   // what it is set to; zero: nothing
	ended    bool
	repeats  repeats
	started  time.Time
	health   health
	stopping chan struct{}
	drivers  []func(context.Context) // of sockets that the stack has beside its radio
}

// ErrStopped is returned by Do when the gateway has ended.
var ErrStopped = errors.New("gateway: has stopped")

// Run runs a gateway until ctx is cancelled. It returns nil then, and an error
// if it could not start. When it returns, everything it started has ended.
func Run(ctx context.Context, cfg Config, opt Options) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	g := &Gateway{cfg: cfg, opt: opt, log: opt.Log, started: time.Now(),
		calls: make(chan func()), sync: make(chan host.Config, 1),
		stopping: make(chan struct{})}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if g.url, err = radio.ParseURL(cfg.Radio); err != nil && opt.Dial == nil {
		return fmt.Errorf("gateway: radio: %w", err)
	}
	if g.store, err = store.Open(cfg.DataDir, g.log); err != nil {
		return err
	}
	defer g.store.Close()
	if !opt.NoTUN && cfg.TUN != "" {
		if cfg.Infra != "" {
			if err := host.CheckBorderRouter(); err != nil {
				return err
			}
		}
		if g.tun, err = host.Open(host.Options{Name: cfg.TUN}); err != nil {
			return err
		}
		defer g.tun.Close()
	}
	return g.run(ctx)
}

func (g *Gateway) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer func() {
		wg.Wait()
		if g.services != nil {
			g.services.close()
		}
		if g.infra != nil {
			g.infra.close()
		}
		if g.trel != nil {
			g.trel.socket.close()
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer close(g.stopping)
	g.timer = time.NewTimer(time.Hour)
	defer g.timer.Stop()
	g.owner.Lock() // until it loops
	defer func() {
		g.ended = true
		g.owner.Unlock()
	}()

	if err := g.build(time.Now()); err != nil {
		return err
	}
	// The radio and other sockets are there a little longer than the rest, for
	// farewells.
	radioCtx, radioOff := context.WithCancel(context.WithoutCancel(ctx))
	defer radioOff()
	wg.Go(func() { _ = g.port.Run(radioCtx) })
	if g.tun != nil {
		wg.Go(func() { g.watchHealth(ctx) })
	}
	for _, run := range g.drivers {
		wg.Go(func() { run(radioCtx) })
	}
	if g.tun != nil {
		wg.Go(g.readTUN)
		wg.Go(func() { g.syncTUN(ctx) })
		defer g.tun.Close() // ends readTUN
	}
	if g.nat64 != nil {
		wg.Go(g.nat64.read)
		defer g.nat64.tun.Close()
	}
	if err := g.startNetwork(); err != nil {
		return err
	}
	if g.opt.Ready != nil {
		wg.Go(func() { g.opt.Ready(g) })
	}
	g.loop(ctx)
	g.leaving = true
	if g.backbone != nil {
		g.backbone.close()
		g.domain.stop()
		g.node.Backbone().SetEnabled(false) // a secondary one takes over
	}
	if g.delegation != nil {
		g.delegation.stop()
	}
	if g.services != nil {
		g.services.stop()
	}
	if g.infra != nil {
		g.infra.stop()
	}
	g.depart(radioCtx)
	g.stack.Stop()
	return nil
}

// build makes the stack and the link to its radio.
func (g *Gateway) build(now time.Time) error {
	if g.cfg.Mode == ModeLowpan {
		if err := g.buildLowpan(now); err != nil {
			return err
		}
		if g.cfg.Infra != "" {
			if err := g.buildLowpanInfra(); err != nil {
				return err
			}
		}
	} else {
		if g.cfg.trel() {
			if err := g.buildTREL(); err != nil {
				return err
			}
		}
		g.buildThread(now)
		if g.cfg.Infra != "" {
			if err := g.buildInfra(threadMesh{g}); err != nil {
				return err
			}
			if err := g.buildServices(); err != nil {
				return err
			}
			if g.trel != nil {
				if err := g.trel.start(); err != nil {
					return err
				}
			}
			if g.tun != nil && g.cfg.Backbone == "on" {
				g.buildBackbone()
			}
			if g.cfg.asksPrefix() {
				if err := g.buildDelegation(); err != nil {
					return err
				}
			}
			if g.tun != nil && g.cfg.translates() {
				if err := g.buildNAT64(); err != nil {
					return err
				}
				g.buildDiscovery()
			}
		}
	}
	g.link = spinel.NewLink(spinel.LinkConfig{
		Clock: g.stack.Clock(), Handler: g.stack.Radio(),
		Send:    func(b []byte) { g.port.Write(g.gen, b) },
		Notify:  g.radioEvent,
		BusTime: g.url.BusTime(),
		Tuning:  g.url.Tuning, IID: g.url.IID, NoReset: g.url.NoReset, SkipVersionCheck: g.url.SkipVersionCheck,
	})
	g.stack.SetRadio(g.link)
	dial := g.opt.Dial
	switch {
	case dial != nil:
	case g.url.Bus == radio.BusSim || g.url.Bus == radio.BusZEP:
		dial = g.dialMedium
	default:
		g.dialer = transport.NewDialer(g.url)
		dial = g.dialer.Dial
	}
	g.port = transport.NewPort(transport.PortConfig{Dial: dial, Handle: func(e transport.PortEvent) {
		g.step(func() { g.portEvent(e) })
	}})
	return nil
}

// keepServed is longer than border routing and services take to start.
const keepServed = 10 * time.Second

func (g *Gateway) buildThread(now time.Time) {
	cfg := thread.Config{
		Rand: rand.Reader, Store: nodeStore{g},
		Log:                 g.nodeEvent,
		Changed:             func() { g.dirty = true },
		Listening:           g.listening,
		Proxying:            g.proxying,
		ToBackbone:          g.toBackbone,
		StackVersion:        g.opt.Version,
		KeepCommissioner:    true,
		KeepServed:          keepServed,
		CommissionerChanged: func(s joining.CommissionerState, why error) { g.cli.CommissionerChanged(s, why) },
		JoinerChanged:       func(e joining.Entry) { g.cli.JoinerChanged(e) },
	}
	if g.tun != nil {
		cfg.Host = g.toHost
		g.listeners = &listeners{g: g, news: make(chan struct{}, 1)}
		g.drivers = append(g.drivers, g.listeners.run)
	}
	if g.trel != nil {
		cfg.TREL = g.trel.socket.send
	}
	g.node = thread.New(cfg, now)
	g.cli = newCLI(g, g.node, g.opt.Version)
	g.stack = g.node
}

// startNetwork brings the interface up and, if there is a network to be in,
// joins or forms it.
func (g *Gateway) startNetwork() error {
	if g.infra != nil {
		g.infra.start()
	}
	if g.lowpan != nil {
		g.lowpan.Node.Start()
		return nil
	}
	g.node.InterfaceUp()
	// The command line of the node may make a network, too.
	if err := g.publishPrefix(); err != nil {
		return err
	}
	if err := g.configured(); err != nil {
		return err
	}
	if g.node.Datasets().Active() == nil {
		return g.firstNetwork()
	}
	for _, f := range g.otherNetwork() {
		g.log.Warn(f.Text, "id", f.Code, "fix", f.Fix)
	}
	return g.node.Start()
}

// step runs f as the owner of the stack, which is at the present time, and sees
// to what follows from it. After the gateway's end it does nothing.
func (g *Gateway) step(f func()) {
	g.owner.Lock()
	defer g.owner.Unlock()
	if g.ended {
		return
	}
	g.stack.Advance(time.Now())
	f()
	g.settle()
}

// settle sees to what a step has left to do, and to when the next one is due.
func (g *Gateway) settle() {
	if g.dirty {
		g.dirty = false
		g.wantHost()
		if g.infra != nil {
			g.infra.update()
		}
		if g.services != nil && !g.leaving {
			g.services.registrar.Update() // the role may be another
		}
		if g.backbone != nil && !g.leaving {
			g.backbone.update()
			g.domain.update()
		}
	}
	if g.trel != nil {
		g.trel.publish()
	}
	if at := g.stack.Deadline(); !at.Equal(g.due) {
		g.due = at
		if at.IsZero() {
			g.timer.Stop()
		} else {
			g.timer.Reset(time.Until(at))
		}
	}
}

// loop lets others own the stack until ctx ends, and steps for those who do not
// by themselves.
func (g *Gateway) loop(ctx context.Context) {
	g.settle()
	g.owner.Unlock()
	defer g.owner.Lock()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-g.calls:
			g.step(f)
		case <-g.timer.C:
			g.step(func() { g.due = time.Time{} })
		}
	}
}

// Do runs f while nobody else has the Thread node and waits for it. f must
// not block. Afterwards it may still be running if ctx was cancelled. The error
// is ErrMode if the gateway runs a plain 6LoWPAN network.
func (g *Gateway) Do(ctx context.Context, f func(n *thread.Node)) error {
	if g.node == nil {
		return ErrMode
	}
	return g.do(ctx, func() { f(g.node) })
}

// deliver has the goroutine of Run step, and returns when it did or the gateway
// has ended.
func (g *Gateway) deliver(f func()) { _ = g.do(context.Background(), f) }

func (g *Gateway) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case g.calls <- func() { defer close(done); f() }:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-g.stopping:
		return ErrStopped
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-g.stopping:
		return ErrStopped
	}
}
