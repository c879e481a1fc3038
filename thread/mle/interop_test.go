//go:build interop

package mle_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio/medium/udp"
	"gatewayd/radio/rcp"
	"gatewayd/sim"
	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// real is a node of ours in real time on OpenThread's simulated medium.
type real struct {
	t     *testing.T
	n     *thread.Node
	store *sim.Store
	cfg   thread.Config
	node  int
	port  int
	do    chan func()
	stop  context.CancelFunc
	ended chan struct{}
}

func (r *real) run(t *testing.T) {
	m, err := udp.Open(udp.Config{Node: r.node, PortOffset: r.port})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.ended, r.do = stop, make(chan struct{}), make(chan func())
	r.n = thread.New(r.cfg, time.Now())
	radio := rcp.New(rcp.Config{Clock: r.n.Clock(), Rand: mrand.New(mrand.NewPCG(1, uint64(r.node))), Port: m, EUI64: udp.EUI64(r.node)})
	r.n.SetRadio(radio)
	radio.Start(time.Now(), r.n.Radio())
	go m.Run(ctx)
	go func() {
		defer close(r.ended)
		defer m.Close()
		for {
			wait := time.Hour
			if at := r.n.Deadline(); !at.IsZero() {
				wait = time.Until(at)
			}
			select {
			case <-ctx.Done():
				return
			case f := <-r.do:
				r.n.Advance(time.Now())
				f()
			case d := <-m.Frames():
				r.n.Advance(time.Now())
				m.Deliver(d)
			case <-time.After(wait):
			}
			r.n.Advance(time.Now())
		}
	}()
}

func newReal(t *testing.T, node, port int, mode neighbor.Mode) *real {
	r := &real{t: t, node: node, port: port, store: &sim.Store{}}
	r.cfg = thread.Config{Rand: rand.Reader, Store: r.store, Mode: &mode, MinimalOnly: !mode.FullThread(), Log: func(e thread.Event) {
		s := fmt.Sprintf("%s ours %d: %s %s", time.Now().Format("05.000"), node, e.ID, e.Text)
		for _, a := range e.Attrs {
			s += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		}
		t.Log(s)
	}}
	r.run(t)
	t.Cleanup(r.end)
	return r
}

func (r *real) end() { r.stop(); <-r.ended }

// call runs f in the node's goroutine.
func (r *real) call(f func(n *thread.Node)) {
	done := make(chan struct{})
	r.do <- func() { f(r.n); close(done) }
	<-done
}

func (r *real) start(d meshcop.Dataset) {
	r.call(func(n *thread.Node) {
		n.MLE().Tuning.SelectionJitter = 2 * time.Second
		if !n.MLE().Mode().RxOnWhenIdle() {
			n.MLE().Tuning.PollPeriod = 300 * time.Millisecond
		}
		n.SetActiveDataset(&d)
		n.InterfaceUp()
		if err := n.Start(); err != nil {
			r.t.Error(err)
		}
	})
}

func (r *real) await(what string, limit time.Duration, ok func(n *thread.Node) bool) time.Duration {
	r.t.Helper()
	began := time.Now()
	for done := false; !done; time.Sleep(20 * time.Millisecond) {
		r.call(func(n *thread.Node) { done = ok(n) })
		if time.Since(began) > limit {
			r.t.Fatalf("%s: not within %v", what, limit)
		}
	}
	r.t.Logf("%s -- %s after %v", time.Now().Format("05.000"), what, time.Since(began).Round(time.Millisecond))
	return time.Since(began)
}

func (r *real) ping(to string, size int) bool {
	a := parse(r.t, to)
	ok := make(chan bool, 1)
	r.call(func(n *thread.Node) {
		got := false
		n.IP().Ping(&ip.Ping{Dst: a, Size: size, Count: 1, Timeout: 3 * time.Second,
			Reply: func(ip.Reply) { got = true }, Done: func(int, int) { ok <- got }})
	})
	return <-ok
}

func parse(t *testing.T, s string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// theirs is a node of OpenThread's.
type theirs struct {
	t     *testing.T
	in    io.Writer
	lines chan string
}

func ot(t *testing.T, program string, node, port int) *theirs {
	dir := os.Getenv("OT_SIM_DIR")
	if dir == "" {
		t.Skip("no OT_SIM_DIR")
	}
	cmd := exec.Command(filepath.Join(dir, "examples/apps/cli", program), fmt.Sprint(node))
	cmd.Env = append(os.Environ(), fmt.Sprint("PORT_OFFSET=", port))
	cmd.Dir = t.TempDir()
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	c := &theirs{t: t, in: in, lines: make(chan string, 10000)}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if line := strings.TrimSpace(strings.TrimPrefix(s.Text(), "> ")); !strings.Contains(line, " [N] ") && !strings.Contains(line, " [W] ") {
				c.lines <- line
			}
		}
		close(c.lines)
	}()
	return c
}

func (c *theirs) ask(command string) string {
	c.t.Helper()
	fmt.Fprintln(c.in, command)
	limit := time.After(15 * time.Second)
	var got []string
	for {
		select {
		case line, ok := <-c.lines:
			switch {
			case !ok || strings.HasPrefix(line, "Error"):
				c.t.Fatalf("%s: %q %s", command, got, line)
			case line == "Done":
				return strings.Join(got, "\n")
			case line != command && line != "":
				got = append(got, line)
			}
		case <-limit:
			c.t.Fatalf("%s: no end after %q", command, got)
		}
	}
}

func (c *theirs) await(what string, limit time.Duration, command string, states ...string) time.Duration {
	c.t.Helper()
	began := time.Now()
	for got := ""; ; time.Sleep(50 * time.Millisecond) {
		got = c.ask(command)
		for _, s := range states {
			if strings.Contains(got, s) {
				c.t.Logf("%s -- %s after %v", time.Now().Format("05.000"), what, time.Since(began).Round(time.Millisecond))
				return time.Since(began)
			}
		}
		if time.Since(began) > limit {
			c.t.Fatalf("%s: %q not within %v", what, got, limit)
		}
	}
}

func (c *theirs) start(d meshcop.Dataset, more ...string) {
	c.ask("dataset set active " + hex.EncodeToString(d.Append(nil)))
	for _, s := range append(more, "ifconfig up", "thread start") {
		c.ask(s)
	}
}

func (c *theirs) ping(to string, size int) bool {
	c.t.Helper()
	return strings.Contains(c.ask(fmt.Sprintf("ping %s %d 1 1 64 3", to, size)), "1 packets received")
}

const (
	rdn = neighbor.ModeRxOnWhenIdle | neighbor.ModeFullThread | neighbor.ModeFullNetworkData
	rn  = neighbor.ModeRxOnWhenIdle | neighbor.ModeFullNetworkData
)

func newDataset(t *testing.T) meshcop.Dataset {
	d, err := meshcop.NewRandom(rand.Reader, meshcop.AllChannels(), meshcop.AllChannels())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pingBoth(t *testing.T, r *real, c *theirs) {
	t.Helper()
	var mine string
	r.call(func(n *thread.Node) { mine = n.MLEID().String() })
	their := c.ask("ipaddr mleid")
	for _, size := range []int{16, 500, 1200} {
		if !r.ping(their, size) {
			t.Errorf("ours to theirs, %d bytes: no answer", size)
		}
		if !c.ping(mine, size) {
			t.Errorf("theirs to ours, %d bytes: no answer", size)
		}
	}
}

// Their devices of every kind attach to our leader.
func TestTheirsOnOurLeader(t *testing.T) {
	for i, x := range []struct {
		name, program string
		more          []string
	}{
		{"FTD", "ot-cli-ftd", []string{"routerselectionjitter 2"}},
		{"MED", "ot-cli-mtd", []string{"mode rn"}},
		{"SED", "ot-cli-mtd", []string{"mode -", "pollperiod 300"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			port := 130 + i
			d := newDataset(t)
			r := newReal(t, 1, port, rdn)
			r.start(d)
			r.await("ours leads", 10*time.Second, func(n *thread.Node) bool { return n.MLE().Role() == mle.Leader })
			c := ot(t, x.program, 2, port)
			c.start(d, x.more...)
			c.await("theirs is a child", 10*time.Second, "state", "child", "router")
			time.Sleep(time.Second)
			pingBoth(t, r, c)
			if x.name == "FTD" {
				c.await("theirs is a router", 20*time.Second, "state", "router")
				time.Sleep(5 * time.Second)
				pingBoth(t, r, c)
				t.Log(c.ask("router table"))
				t.Log(c.ask("neighbor table"))
			}
			c.ask("thread stop")
			c.ask("thread start")
			c.await("theirs is back", 10*time.Second, "state", "child", "router")
			time.Sleep(time.Second)
			pingBoth(t, r, c)
		})
	}
}

// Our devices of every kind attach to their leader.
func TestOursOnTheirLeader(t *testing.T) {
	for i, x := range []struct {
		name string
		mode neighbor.Mode
	}{{"FTD", rdn}, {"MED", rn}, {"SED", 0}} {
		t.Run(x.name, func(t *testing.T) {
			port := 140 + i
			d := newDataset(t)
			c := ot(t, "ot-cli-ftd", 1, port)
			c.start(d)
			c.await("theirs leads", 15*time.Second, "state", "leader")
			r := newReal(t, 2, port, x.mode)
			r.start(d)
			r.await("ours is a child", 10*time.Second, func(n *thread.Node) bool { return n.MLE().Attached() })
			time.Sleep(time.Second)
			pingBoth(t, r, c)
			t.Log(c.ask("child table"))
			if x.mode == rdn {
				r.await("ours is a router", 20*time.Second, func(n *thread.Node) bool { return n.MLE().Router() })
				time.Sleep(5 * time.Second)
				pingBoth(t, r, c)
				t.Log(c.ask("router table"))
				t.Log(c.ask("neighbor table"))
			}
			r.end()
			r.run(t)
			r.call(func(n *thread.Node) {
				if !n.MLE().Mode().RxOnWhenIdle() {
					n.MLE().Tuning.PollPeriod = 300 * time.Millisecond
				}
				n.InterfaceUp()
				if err := n.Start(); err != nil {
					t.Error(err)
				}
			})
			took := r.await("ours is back", 10*time.Second, func(n *thread.Node) bool { return n.MLE().Attached() })
			if took > 3*time.Second {
				t.Errorf("after %v", took)
			}
			time.Sleep(time.Second)
			pingBoth(t, r, c)
		})
	}
}

// Three routers, one of them ours: whoever leads, when the leader dies the
// others agree on another one.
func TestLeaderDiesAmongTheirs(t *testing.T) {
	const timeout = 15 // s
	for i, oursLeads := range []bool{false, true} {
		t.Run(map[bool]string{false: "theirs", true: "ours"}[oursLeads], func(t *testing.T) {
			port := 150 + i
			d := newDataset(t)
			fast := func(n *thread.Node) { n.MLE().Tuning.LeaderTimeout = timeout * time.Second }
			r := newReal(t, 1, port, rdn)
			r.call(fast)
			a, b := ot(t, "ot-cli-ftd", 2, port), ot(t, "ot-cli-ftd", 3, port)
			more := []string{"routerselectionjitter 2", fmt.Sprint("networkidtimeout ", timeout)}
			if oursLeads {
				r.start(d)
				r.await("ours leads", 10*time.Second, func(n *thread.Node) bool { return n.MLE().Role() == mle.Leader })
				a.start(d, more...)
			} else {
				a.start(d, more...)
				a.await("theirs leads", 10*time.Second, "state", "leader")
				r.start(d)
				r.await("ours is a router", 20*time.Second, func(n *thread.Node) bool { return n.MLE().Router() })
			}
			b.start(d, more...)
			b.await("b is a router", 20*time.Second, "state", "router")
			time.Sleep(10 * time.Second)
			pingBoth(t, r, b)
			partition := func() (id string) {
				r.call(func(n *thread.Node) {
					if n.MLE().Attached() {
						id = fmt.Sprint(n.MLE().Partition())
					}
				})
				return id
			}
			old := partition()
			if oursLeads {
				r.end()
				a.await("another leader", 3*timeout*time.Second, "state", "leader", "router")
				agreed := func() bool {
					x, y := a.ask("partitionid"), b.ask("partitionid")
					return x == y && x != old
				}
				for end := time.Now().Add(4 * timeout * time.Second); !agreed(); time.Sleep(200 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("they do not agree")
					}
				}
				// Back, it finds that it is not needed any more as leader.
				r.run(t)
				r.call(func(n *thread.Node) {
					fast(n)
					n.MLE().Tuning.SelectionJitter = 2 * time.Second
					n.InterfaceUp()
					if err := n.Start(); err != nil {
						t.Error(err)
					}
				})
				r.await("ours is back", time.Minute, func(n *thread.Node) bool {
					return n.MLE().Attached() && n.MLE().Role() != mle.Leader
				})
			} else {
				a.ask("thread stop")
				took := time.Now()
				for end := time.Now().Add(5 * timeout * time.Second); ; time.Sleep(200 * time.Millisecond) {
					if p := partition(); p != "" && p != old && p == b.ask("partitionid") {
						break
					}
					if time.Now().After(end) {
						t.Fatal("no agreement on another leader")
					}
				}
				t.Logf("another leader after %v", time.Since(took))
			}
			time.Sleep(15 * time.Second)
			pingBoth(t, r, b)
		})
	}
}

// Two partitions, one led by theirs and one by ours, merge either way.
func TestMergeWithTheirs(t *testing.T) {
	for i, heavier := range []string{"theirs", "ours"} {
		t.Run(heavier, func(t *testing.T) {
			port := 155 + i
			d := newDataset(t)
			r := newReal(t, 1, port, rdn)
			c := ot(t, "ot-cli-ftd", 2, port)
			// Started together, neither hears the other in time.
			weight := "60"
			if heavier == "theirs" {
				weight = "70"
			}
			deaf := func(on bool) {
				r.call(func(n *thread.Node) {
					n.MAC().Filter = nil
					if on {
						n.MAC().Filter = func(ieee802154.ExtAddr, int8) (int8, bool) { return 0, false }
					}
				})
			}
			deaf(true)
			r.start(d)
			ext := ""
			r.call(func(n *thread.Node) { ext = n.MAC().Ext().String() })
			c.ask("macfilter addr denylist")
			c.ask("macfilter addr add " + ext)
			c.start(d, "leaderweight "+weight, "routerselectionjitter 2")
			r.await("ours leads", 10*time.Second, func(n *thread.Node) bool { return n.MLE().Role() == mle.Leader })
			c.await("theirs leads", 10*time.Second, "state", "leader")
			c.ask("macfilter addr clear")
			c.ask("macfilter addr disable")
			deaf(false)
			began := time.Now()
			if heavier == "theirs" {
				r.await("ours joins", time.Minute, func(n *thread.Node) bool { return n.MLE().Attached() && n.MLE().Role() != mle.Leader })
			} else {
				c.await("theirs joins", time.Minute, "state", "child", "router")
			}
			t.Logf("merged after %v", time.Since(began))
			time.Sleep(8 * time.Second)
			pingBoth(t, r, c)
		})
	}
}
