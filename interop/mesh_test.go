//go:build interop

package interop

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mesh is a network of command line nodes of both kinds on one simulated air:
// the odd ones ours, the even ones OpenThread's. Who hears whom, the nodes' own
// filters say.
type mesh struct {
	t       *testing.T
	ns      *rcpNetns
	dir     string
	dataset string
	nodes   []*meshNode
}

type meshNode struct {
	*otCLI
	id    int
	ours  bool
	ext   string
	peers []*meshNode
	alive bool
	addr  string // mesh-local EID
	end   func()
}

func newMesh(t *testing.T, count int) *mesh {
	t.Helper()
	m := &mesh{t: t, ns: newRCPNetns(t), dir: t.TempDir()}
	m.ns.env = []string{nextOffset()}
	for id := 1; id <= count; id++ {
		n := &meshNode{id: id, ours: id%2 == 1}
		m.nodes = append(m.nodes, n)
		m.power(n)
		n.ext = n.ask("extaddr")[0]
	}
	return m
}

// power starts a node's program, in the directory that keeps its state.
func (m *mesh) power(n *meshNode) {
	m.t.Helper()
	var cmd *exec.Cmd
	if n.ours {
		bin, err := buildGateway()
		if err != nil {
			m.t.Fatal(err)
		}
		cmd = m.ns.command(bin, "node", "--log-file", filepath.Join(m.dir, fmt.Sprintf("node%d.log", n.id)), strconv.Itoa(n.id))
	} else {
		cmd = m.ns.command(otProgram(m.t, "ot-cli-ftd"), strconv.Itoa(n.id))
	}
	cmd.Dir = m.dir
	in, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	n.otCLI = &otCLI{t: m.t, in: in, lines: make(chan string, 10000)}
	lines := n.lines
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			line := strings.TrimSpace(strings.TrimPrefix(s.Text(), "> "))
			if !logLine.MatchString(line) {
				lines <- line
			}
		}
	}()
	n.alive = true
	n.end = func() {
		if n.alive {
			n.alive = false
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	m.t.Cleanup(n.end)
}

// link lets two nodes hear each other.
func (m *mesh) link(a, b *meshNode) {
	a.peers, b.peers = append(a.peers, b), append(b.peers, a)
}

// filter lets a node hear its peers only.
func (n *meshNode) filter() {
	n.ask("macfilter addr clear")
	n.ask("macfilter addr allowlist")
	for _, p := range n.peers {
		n.ask("macfilter addr add " + p.ext)
	}
}

// begin starts the node on the mesh's network.
func (m *mesh) begin(n *meshNode) {
	n.t.Helper()
	n.filter()
	if m.dataset == "" {
		n.ask("dataset init new")
		n.ask("dataset channel 15")
		n.ask("dataset commit active")
		m.dataset = n.ask("dataset active -x")[0]
	} else {
		n.ask("dataset set active " + m.dataset)
	}
	n.ask("routerselectionjitter 1")
	n.ask("ifconfig up")
	n.ask("thread start")
}

func (n *meshNode) eid() string { return n.ask("ipaddr mleid")[0] }

// ping sends up to so many echo requests until one is answered, and returns how
// many it took; 0 is none.
func (n *meshNode) ping(addr string, size, tries int) int {
	n.t.Helper()
	for i := 1; i <= tries; i++ {
		out, err := n.try(fmt.Sprintf("ping %s %d 1 1 64 3", addr, size), 20*time.Second)
		if err == nil && strings.Contains(strings.Join(out, "\n"), "bytes from") {
			return i
		}
	}
	return 0
}

// A line of five routers of both kinds carries datagrams from end to end, whole
// and in fragments.
func TestLineOfFive(t *testing.T) {
	m := newMesh(t, 5)
	for i := 1; i < 5; i++ {
		m.link(m.nodes[i-1], m.nodes[i])
	}
	for i, n := range m.nodes {
		m.begin(n)
		if i == 0 {
			waitState(t, n.ask, 20*time.Second, "leader")
		} else {
			waitState(t, n.ask, 60*time.Second, "router")
		}
	}
	time.Sleep(10 * time.Second) // for the routes
	first, last := m.nodes[0], m.nodes[4]
	for _, size := range []int{16, 200, 1000} {
		for _, x := range [][2]*meshNode{{first, last}, {last, first}} {
			answered := 0
			for range 10 {
				if x[0].ping(x[1].eid(), size, 1) > 0 {
					answered++
				}
			}
			t.Logf("node %d pings node %d with %d bytes: %d of 10", x[0].id, x[1].id, size, answered)
			if answered < 9 {
				t.Errorf("node %d pings node %d with %d bytes: %d of 10", x[0].id, x[1].id, size, answered)
			}
		}
	}
}

// The leader is killed: within the protocol's time-outs there is another, and
// one partition.
func TestLeaderKilled(t *testing.T) {
	for _, leader := range []int{0, 1} { // ours, theirs
		t.Run(fmt.Sprintf("node %d leads", leader+1), func(t *testing.T) {
			m := newMesh(t, 4)
			for i, a := range m.nodes {
				for _, b := range m.nodes[:i] {
					m.link(a, b)
				}
			}
			order := append([]*meshNode{m.nodes[leader]}, slices.Delete(slices.Clone(m.nodes), leader, leader+1)...)
			for i, n := range order {
				m.begin(n)
				if i == 0 {
					waitState(t, n.ask, 20*time.Second, "leader")
				} else {
					waitState(t, n.ask, 60*time.Second, "router")
				}
			}
			order[0].end()
			killed := time.Now()
			rest := order[1:]
			m.oneLeader(rest, 240*time.Second)
			t.Logf("one leader and partition %v after its end", time.Since(killed).Round(time.Second))
			if rest[0].ping(rest[2].eid(), 100, 3) == 0 {
				t.Error("no ping in the new partition")
			}
		})
	}
}

// oneLeader waits until nodes agree on one partition with one leader among them.
func (m *mesh) oneLeader(nodes []*meshNode, limit time.Duration) {
	m.t.Helper()
	var states []string
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Second) {
		states = nil
		leaders, partitions, ready := 0, map[string]bool{}, true
		for _, n := range nodes {
			s := n.ask("state")[0]
			states = append(states, s)
			switch s {
			case "leader":
				leaders++
			case "router", "child":
			default:
				ready = false
				continue
			}
			partitions[n.ask("partitionid")[0]] = true
		}
		if ready && leaders == 1 && len(partitions) == 1 {
			return
		}
	}
	for _, n := range nodes {
		for _, c := range []string{"state", "rloc16", "partitionid", "leaderdata", "router table", "parent"} {
			out, err := n.try(c, 5*time.Second)
			m.t.Logf("node %d: %s: %q %v", n.id, c, out, err)
		}
	}
	for _, n := range nodes {
		if b, err := os.ReadFile(filepath.Join(m.dir, fmt.Sprintf("node%d.log", n.id))); err == nil {
			m.t.Logf("node %d:\n%s", n.id, b)
		}
	}
	m.t.Fatalf("not one leader and partition after %v: %v", limit, states)
}

// Two partitions that come to hear each other become one.
func TestPartitionsMerge(t *testing.T) {
	m := newMesh(t, 4)
	m.link(m.nodes[0], m.nodes[1]) // ours leads, theirs
	m.link(m.nodes[3], m.nodes[2]) // theirs leads, ours
	for _, pair := range [][2]int{{0, 1}, {3, 2}} {
		m.begin(m.nodes[pair[0]])
		waitState(t, m.nodes[pair[0]].ask, 20*time.Second, "leader")
		m.begin(m.nodes[pair[1]])
		waitState(t, m.nodes[pair[1]].ask, 60*time.Second, "router")
	}
	m.link(m.nodes[1], m.nodes[2]) // theirs and ours, in the middle
	m.nodes[1].filter()
	m.nodes[2].filter()
	met := time.Now()
	m.oneLeader(m.nodes, 240*time.Second)
	t.Logf("one partition %v after they met", time.Since(met).Round(time.Second))
	time.Sleep(10 * time.Second)
	if m.nodes[0].ping(m.nodes[3].eid(), 100, 5) == 0 {
		t.Error("no ping from end to end")
	}
}

// A random mesh of twelve nodes of both kinds keeps delivering while nodes are
// killed and come back.
func TestMeshHeals(t *testing.T) {
	const seed, rounds = 7, 6
	r := rand.New(rand.NewPCG(seed, 0))
	m := newMesh(t, 12)
	m.scatter(r)
	for i, n := range m.nodes {
		m.begin(n)
		if i == 0 {
			waitState(t, n.ask, 20*time.Second, "leader")
		} else {
			waitState(t, n.ask, 90*time.Second, "child", "router")
		}
	}
	m.oneLeader(m.nodes, 120*time.Second)
	for _, n := range m.nodes {
		n.addr = n.eid()
	}
	time.Sleep(15 * time.Second)
	pings, tries := 0, 0
	deliver := func(when string) {
		t.Helper()
		up := m.connected()
		for range 12 {
			a, b := up[r.IntN(len(up))], up[r.IntN(len(up))]
			if a == b {
				continue
			}
			pings++
			began, took := time.Now(), 0
			for time.Since(began) < 180*time.Second { // a dead leader is missed after two minutes
				took++
				if a.ping(b.addr, 80, 1) > 0 {
					break
				}
			}
			tries += took
			if time.Since(began) >= 180*time.Second {
				t.Errorf("%s: node %d does not reach node %d", when, a.id, b.id)
			}
		}
	}
	deliver("at first")
	for round := range rounds {
		victim := m.nodes[r.IntN(len(m.nodes))]
		if round == rounds/2 {
			victim = m.leader()
		}
		t.Logf("round %d: node %d is killed, %s", round, victim.id, victim.ask("state")[0])
		victim.end()
		deliver(fmt.Sprintf("round %d, without node %d", round, victim.id))
		m.power(victim)
		m.begin(victim)
		waitState(t, victim.ask, 120*time.Second, "child", "router", "leader")
		deliver(fmt.Sprintf("round %d, node %d is back", round, victim.id))
	}
	t.Logf("%d deliveries in %d tries", pings, tries)
}

// scatter links the nodes at random, so that all of them hang together without
// any one: each hears at least three.
func (m *mesh) scatter(r *rand.Rand) {
	for i, n := range m.nodes {
		for _, p := range m.nodes[max(0, i-2):i] {
			m.link(n, p)
		}
	}
	for range 8 {
		a, b := m.nodes[r.IntN(len(m.nodes))], m.nodes[r.IntN(len(m.nodes))]
		if a != b && !slices.Contains(a.peers, b) {
			m.link(a, b)
		}
	}
}

// connected are the living nodes that hang together with the first one of them.
func (m *mesh) connected() []*meshNode {
	var up []*meshNode
	for _, n := range m.nodes {
		if n.alive {
			up = append(up, n)
			break
		}
	}
	for i := 0; i < len(up); i++ {
		for _, p := range up[i].peers {
			if p.alive && !slices.Contains(up, p) {
				up = append(up, p)
			}
		}
	}
	return up
}

func (m *mesh) leader() *meshNode {
	for _, n := range m.nodes {
		if n.alive && n.ask("state")[0] == "leader" {
			return n
		}
	}
	m.t.Fatal("no leader")
	return nil
}
