package demo

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"gatewayd/gateway"
	"gatewayd/sim"
	"gatewayd/thread"
)

// Config is how the demonstration runs. Only Out is required.
type Config struct {
	Out   io.Writer // what a person reads
	Stay  bool      // stay up after the summary, until ctx ends
	Color bool      // on a terminal
	// InProcess leaves namespaces and the kernel's IPv6 stack out of it.
	InProcess bool
	// Mode is the kind of network: gateway.ModeThread, which "" is too, or
	// gateway.ModeLowpan.
	Mode string
	// Log takes what the gateway logs beside; nil discards it.
	Log *slog.Logger
}

// limit is how long everything but Stay may take.
const limit = 60 * time.Second

// Run runs the demonstration. It returns nil if every step of it worked, and
// what did not otherwise, having said so on Out.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := newStory(cfg.Out, cfg.Color)
	inside := os.Getenv(insideEnv) != ""
	why := "as asked for"
	if !cfg.InProcess && !inside {
		started, err := isolated(ctx, cfg.Out)
		if started {
			return err
		}
		cfg.InProcess, why = true, err.Error()
	}
	if inside && !cfg.InProcess {
		if err := prepareHost(); err != nil {
			cfg.InProcess, why = true, err.Error()
		}
	}
	title := "gatewayd: a gateway and three devices, on a simulated air"
	if cfg.Mode == gateway.ModeLowpan {
		title = "gatewayd: a plain 6LoWPAN gateway and three devices that authenticate, on a simulated air"
	}
	s.title(title)
	if cfg.InProcess {
		s.say("host", "no network namespace of our own: %s", why)
		s.say("host", "all stays inside this process, and the gateway's own IPv6 stack will ping")
	} else {
		s.say("host", "in a user and network namespace of our own: the kernel will ping, over interface wpan0")
	}
	err := perform(ctx, cfg, s)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		s.say("host", "interrupted")
	default:
		s.fail("%v", err)
	}
	return err
}

// stage is what every performance needs.
type stage struct {
	cfg    Config
	story  *story
	air    *air
	gate   *gateway.Gateway
	pinger pinger
}

// show is the performance of a Thread network.
type show struct {
	*stage
	world   *sim.World
	node    *thread.Node // the gateway's; only within gate.Do
	prefix  netip.Prefix // of the devices' addresses
	devices []*device
}

// performance is what happens on a stage.
type performance interface {
	// configure changes the gateway's configuration, whose data directory
	// exists.
	configure(*gateway.Config) error
	// script is what happens, until the summary.
	script(context.Context) error
	// own pings with the gateway's IPv6 stack.
	own() pinger
	// addresses are the devices'.
	addresses() []netip.Addr
}

// pinger pings a device from the host.
type pinger interface {
	ping(ctx context.Context, dst netip.Addr, size int) (time.Duration, error)
}

func perform(ctx context.Context, cfg Config, s *story) (err error) {
	dir, err := os.MkdirTemp("", "gatewayd-demo-")
	if err != nil {
		return fmt.Errorf("demo: directory for the gateway's state: %w", err)
	}
	defer os.RemoveAll(dir)
	var seed [8]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return fmt.Errorf("demo: seed: %w", err)
	}
	p := &stage{cfg: cfg, story: s}
	var play performance
	if cfg.Mode == gateway.ModeLowpan {
		play, err = newLowpanShow(p, binary.BigEndian.Uint64(seed[:]))
	} else {
		play, err = newShow(p, binary.BigEndian.Uint64(seed[:]))
	}
	if err != nil {
		return err
	}

	var wg sync.WaitGroup
	defer wg.Wait()
	airCtx, stopAir := context.WithCancel(context.Background())
	defer stopAir() // last: the gateway's radio is on it
	wg.Go(func() { p.air.run(airCtx) })

	gcfg := gateway.Defaults()
	gcfg.Radio, gcfg.DataDir, gcfg.Socket = "sim:", dir, dir+"/socket"
	if err := play.configure(&gcfg); err != nil {
		return err
	}
	gctx, stop := context.WithCancelCause(ctx)
	ready := make(chan *gateway.Gateway, 1)
	ended := make(chan error, 1)
	wg.Go(func() {
		err := gateway.Run(gctx, gcfg, gateway.Options{
			Log: cfg.Log, NoTUN: cfg.InProcess, Dial: p.air.dial,
			Ready: func(g *gateway.Gateway) { ready <- g },
		})
		stop(errors.Join(errGatewayEnded, err))
		ended <- err
	})
	defer func() {
		stop(nil)
		if gerr := <-ended; err == nil {
			err = gerr
		}
	}()
	select {
	case p.gate = <-ready:
	case <-gctx.Done():
		return context.Cause(gctx)
	}
	if cfg.InProcess {
		p.pinger = play.own()
	} else {
		k, err := newKernelPing()
		if err != nil {
			return err
		}
		defer k.close()
		p.pinger = k
	}
	if err := play.script(gctx); err != nil {
		return err
	}
	if cfg.Stay {
		p.staying(play.addresses())
		<-gctx.Done()
		if ctx.Err() == nil {
			return context.Cause(gctx)
		}
	}
	return nil
}

var errGatewayEnded = errors.New("demo: the gateway ended")

func newShow(s *stage, seed uint64) (*show, error) {
	p := &show{stage: s, world: sim.New(seed, sim.Options{Began: time.Now()})}
	station := p.world.Air().Add()
	station.Place(0, 0)
	s.air = newAir(seed, p.world, station)
	p.addDevices()
	return p, nil
}

func (p *show) configure(*gateway.Config) error { return nil }

func (p *show) own() pinger { return ownPing{p} }

func (p *show) addresses() (all []netip.Addr) {
	for _, d := range p.devices {
		all = append(all, d.addr)
	}
	return all
}

// script is what happens, until the summary.
func (p *show) script(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("demo: not done after %v", limit))
	defer cancel()
	if err := p.form(ctx); err != nil {
		return err
	}
	if err := p.openDoor(ctx); err != nil {
		return err
	}
	errs := make(chan error)
	for i, d := range p.devices {
		go func() {
			select {
			case <-time.After(time.Duration(i) * powerGap):
				errs <- p.live(ctx, d)
			case <-ctx.Done():
				errs <- context.Cause(ctx)
			}
		}()
	}
	var failed []error
	for range p.devices {
		if err := <-errs; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	for _, d := range p.devices {
		var err error
		if d.pings, err = p.pingDevice(ctx, d.name, d.addr); err != nil {
			return err
		}
	}
	p.summary()
	return nil
}

// powerGap lies between turning on one device and the next.
const powerGap = 400 * time.Millisecond

// staying says what can be done now.
func (p *stage) staying(addrs []netip.Addr) {
	p.story.say("host", "staying up; Ctrl-C ends it")
	if !p.cfg.InProcess {
		p.story.say("host", "from another terminal: nsenter -t %d -U -n --preserve-credentials ping %v", os.Getpid(), addrs[0])
	}
}
