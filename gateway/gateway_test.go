package gateway

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/internal/simair"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
	"gatewayd/store"
	"gatewayd/thread"
)

var testEUI64 = ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, 0, 0, 0, 1}

func testConfig(t *testing.T) Config {
	c := Defaults()
	c.Radio, c.TUN, c.DataDir = "sim:1", "", t.TempDir()
	return c
}

// start runs a gateway; stop ends it.
func start(t *testing.T, cfg Config, opt Options) (g *Gateway, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan *Gateway, 1), make(chan error, 1)
	opt.Ready = func(g *Gateway) { ready <- g }
	go func() { ended <- Run(ctx, cfg, opt) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	select {
	case g = <-ready:
		return g, stop
	case err := <-ended:
		t.Fatal(err)
		return nil, nil
	}
}

// radioIs waits for what is known of the radio.
func radioIs(t *testing.T, g *Gateway, what string, ok func(Radio) bool) {
	t.Helper()
	var r Radio
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err := g.Do(t.Context(), func(*thread.Node) { r = g.Radio() }); err != nil {
			t.Fatal(err)
		}
		if ok(r) {
			return
		}
	}
	t.Fatalf("waiting for %s: %+v", what, r)
}

// A radio that goes away is named with what is wrong, and used again when it is
// back.
func TestRadioLost(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dial := simair.New(ctx).Radio(testEUI64)
	var last atomic.Value
	var away atomic.Bool
	unplugged := errors.New("no such device")
	g, stop := start(t, testConfig(t), Options{Dial: func(ctx context.Context) (transport.Conn, error) {
		if away.Load() {
			return nil, unplugged
		}
		c, err := dial(ctx)
		if err == nil {
			last.Store(c)
		}
		return c, err
	}})
	ready := func(r Radio) bool { return r.State == spinel.Ready && r.Err == nil }
	radioIs(t, g, "the radio", ready)
	away.Store(true)
	last.Load().(transport.Conn).Close()
	radioIs(t, g, "its loss", func(r Radio) bool { return r.State == spinel.Absent && errors.Is(r.Err, unplugged) })
	away.Store(false)
	radioIs(t, g, "the radio again", func(r Radio) bool { return ready(r) && r.Identity.EUI64 == testEUI64 })

	stop()
	if err := g.Do(t.Context(), func(*thread.Node) { t.Error("runs after the end") }); !errors.Is(err, ErrStopped) {
		t.Errorf("Do: %v", err)
	}
}

// The on-mesh prefix and the node's identity outlast a restart.
func TestRestart(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg, opt := testConfig(t), Options{Dial: simair.New(ctx).Radio(testEUI64)}
	look := func() (prefix, ext string) {
		g, stop := start(t, cfg, opt)
		defer stop()
		if err := g.Do(t.Context(), func(n *thread.Node) {
			p, err := g.onMeshPrefix()
			if err != nil {
				t.Error(err)
			}
			prefix, ext = p.String(), n.MAC().Ext().String()
		}); err != nil {
			t.Error(err)
		}
		return prefix, ext
	}
	p1, e1 := look()
	p2, e2 := look()
	if p1 != p2 || e1 != e2 || !strings.HasPrefix(p1, "fd") || !strings.HasSuffix(p1, ":1::/64") {
		t.Errorf("%s %s, then %s %s", p1, e1, p2, e2)
	}
	other := testConfig(t)
	cfg = other
	if p3, e3 := look(); p3 == p1 || e3 == e1 {
		t.Errorf("another gateway has the same: %s %s", p3, e3)
	}
}

func TestRunRefuses(t *testing.T) {
	cfg := testConfig(t)
	cfg.LogLevel = "loud"
	if err := Run(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "log-level") {
		t.Errorf("a bad setting: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg = testConfig(t)
	start(t, cfg, Options{Dial: simair.New(ctx).Radio(testEUI64)})
	var used *store.InUseError
	if err := Run(t.Context(), cfg, Options{}); !errors.As(err, &used) {
		t.Errorf("a data directory in use: %v", err)
	}
}
