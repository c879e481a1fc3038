//go:build bench

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

const (
	atOnce      = 8 // devices that attach at the same time
	attachLimit = 60 * time.Second
	settling    = 10 * time.Second // after the last one
)

// neighbours are devices around the router that hear only it.
type neighbours struct {
	m       *measurement
	air     *air
	dataset string
	peers   []*peer
}

func (n *neighbours) end() {
	for _, p := range n.peers {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	n.air.close()
}

// grow adds devices until there are count, and waits until all have a role.
func (n *neighbours) grow(count int, program, role string, first ...string) error {
	for len(n.peers) < count {
		var attaching sync.WaitGroup
		failed := make(chan error, atOnce)
		for range min(atOnce, count-len(n.peers)) {
			place := firstPlace + len(n.peers)
			if err := n.air.add(place); err != nil {
				return err
			}
			n.air.link(routerPlace, place)
			p, err := newPeer(n.m.ns.at(place), program, theOnlyNode)
			if err != nil {
				return err
			}
			n.peers = append(n.peers, p)
			attaching.Go(func() {
				err := p.begin(n.dataset, first...)
				if err == nil {
					err = p.until(role, attachLimit)
				}
				failed <- err
			})
		}
		attaching.Wait()
		close(failed)
		for err := range failed {
			if err != nil {
				return fmt.Errorf("%d of them: %w", len(n.peers), err)
			}
		}
	}
	time.Sleep(settling)
	return nil
}

// memory is the router's.
func (m *measurement) memory(row int) error {
	all, own, err := resident(m.router.pid())
	if err != nil {
		return err
	}
	m.set(row, m.column, float64(all)/1e6)
	m.note("%s, %v: %s MB are not the program's file", m.rows[row].what, m.column, figure(float64(own)/1e6))
	return nil
}

// children measures what they take of their parent's memory.
func (m *measurement) children() error {
	mtd := filepath.Join(filepath.Dir(m.peerProgram), "ot-cli-mtd")
	if _, err := os.Stat(mtd); err != nil {
		progress("*** SKIPPED: children: no ot-cli-mtd beside ot-cli-ftd ***")
		return nil
	}
	a, dataset, err := m.restart()
	if err != nil {
		return err
	}
	n := neighbours{m: m, air: a, dataset: dataset}
	defer n.end()
	most, err := m.childMax()
	if err != nil {
		return err
	}
	for _, s := range []struct{ row, count int }{{rowMemory32, 32}, {rowMemory128, 128}} {
		if s.count > most {
			m.note("%v: %d children at most", m.column, most)
			return nil
		}
		if err := n.grow(s.count, mtd, "child"); err != nil {
			return fmt.Errorf("children: %w", err)
		}
		list, err := m.router.ask("child list")
		if err != nil {
			return err
		}
		if got := len(strings.Fields(strings.Join(list, " "))); got != s.count {
			return fmt.Errorf("there are %d children, want %d", got, s.count)
		}
		if err := m.memory(s.row); err != nil {
			return err
		}
	}
	return nil
}

func (m *measurement) childMax() (int, error) {
	got, err := m.router.ask("childmax")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(strings.Join(got, "")))
}

// routers measures the memory of the leader of a full network.
func (m *measurement) routers() error {
	a, dataset, err := m.restart()
	if err != nil {
		return err
	}
	n := neighbours{m: m, air: a, dataset: dataset}
	defer n.end()
	const threshold = "routerupgradethreshold 33"
	if _, err := m.router.ask(threshold); err != nil {
		return err
	}
	if err := n.grow(31, m.peerProgram, "router", threshold, "routerdowngradethreshold 33", "routerselectionjitter 1"); err != nil {
		return fmt.Errorf("routers: %w", err)
	}
	return m.memory(rowMemoryRouters)
}

// heap measures what a leader's machine has on the heap, in a simulation: what
// is freed when it goes away.
func (t *table) heap() {
	alone, err := leaderHeap(0, 0)
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** heap: %v ***\n\n", err)
		return
	}
	t.note("heap of our leader's stack: alone %s kB", figure(alone/1e3))
	for _, s := range []struct {
		children, routers int
		what              string
	}{{32, 0, "32 children"}, {128, 0, "128 children"}, {0, 31, "31 routers"}} {
		b, err := leaderHeap(s.children, s.routers)
		if err != nil {
			fmt.Fprintf(os.Stderr, "\n*** heap: %v ***\n\n", err)
			return
		}
		t.note("heap of our leader's stack: with %s %s kB, %s kB each", s.what, figure(b/1e3), figure((b-alone)/1e3/float64(s.children+s.routers)))
	}
}

// leaderHeap is the heap in bytes of a leader with neighbours.
func leaderHeap(children, routers int) (float64, error) {
	w := sim.New(1, sim.Options{Ideal: true})
	leader := w.Add(sim.Config{})
	d, err := meshcop.NewRandom(leader.Random(), meshcop.AllChannels(), meshcop.MaskOf(1<<15))
	if err != nil {
		return 0, err
	}
	start := func(n *sim.Node) error {
		n.SetActiveDataset(&d)
		n.InterfaceUp()
		n.MLE().Tuning.UpgradeThreshold, n.MLE().Tuning.DowngradeThreshold = 33, 33
		n.MLE().Tuning.SelectionJitter = time.Second
		return n.Start()
	}
	if err := start(leader); err != nil {
		return 0, err
	}
	w.Run(10 * time.Second)
	for i := range children + routers {
		kind, role := sim.FTD, mle.Router
		if i < children {
			kind, role = sim.MTD, mle.Child
		}
		n := w.Add(sim.Config{Kind: kind})
		w.Link(leader, n)
		if err := start(n); err != nil {
			return 0, err
		}
		if !w.RunUntil(2*time.Minute, func() bool { return n.MLE().Role() == role }) {
			return 0, fmt.Errorf("neighbour %d did not become a %v", i, role)
		}
	}
	w.Run(time.Minute)
	if leader.MLE().Role() != mle.Leader {
		return 0, errors.New("the leader is none")
	}
	before := heapInUse()
	leader.Kill()
	leader.Node = nil
	after := heapInUse()
	runtime.KeepAlive(w)
	return float64(before) - float64(after), nil
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // the first leaves what pools had
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
