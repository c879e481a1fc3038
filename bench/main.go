//go:build bench

// Command bench measures gatewayd against its budgets, and OpenThread's POSIX
// host beside it where its programs are present: both on OpenThread's simulated
// co-processor, with the same neighbour, each in a network namespace of its
// own, in one run. docs/performance.md says what the figures mean.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	quick := flag.Bool("quick", false, "a tenth of the packets, to see whether all of it works")
	flag.Parse()
	if err := run(*quick); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(quick bool) error {
	s := sizes{starts: 10, forms: 3, pings: 200, packets: 1000, idleSeconds: 30}
	if quick {
		s = sizes{starts: 3, forms: 1, pings: 20, packets: 100, idleSeconds: 5}
	}
	t := newTable(s)
	t.micro()
	t.eap()
	t.heap()
	if err := t.hosts(); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: everything that takes a radio: %v ***\n\n", err)
	}
	t.print(os.Stdout)
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("\n%s, %d CPUs, load average %s", runtime.Version(), runtime.NumCPU(), load)
	return nil
}

// hosts measures both hosts, one after the other.
func (t *table) hosts() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("network namespaces need root")
	}
	dir, err := os.MkdirTemp("", "gatewayd-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rcp, err := program("ot-rcp")
	if err != nil {
		return err
	}
	peer, err := program("ot-cli-ftd")
	if err != nil {
		return err
	}
	bin := filepath.Join(dir, "gatewayd")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "gatewayd/cmd/gatewayd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	url := "spinel+hdlc+forkpty://" + rcp + "?forkpty-arg=1"

	if daemon, err := program("ot-daemon"); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: the reference: %v ***\n\n", err)
	} else if err := t.side("reference", reference, dir, peer, func(ns *namespace) host {
		return &otDaemon{ns: ns, bin: daemon, url: url}
	}); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** the reference: %v ***\n\n", err)
	}
	err = t.side("gatewayd", ours, dir, peer, func(ns *namespace) host {
		return &gatewayd{ns: ns, bin: bin, url: url}
	})
	t.nodes(dir, bin, peer)
	return err
}

// side measures one host in a namespace of its own.
func (t *table) side(name string, c column, dir, peer string, makeHost func(*namespace) host) error {
	ns, err := newNamespace("gw-bench-"+name, filepath.Join(dir, name+".d"))
	if err != nil {
		return err
	}
	defer ns.close()
	h := makeHost(ns)
	m := measurement{table: t, column: c, ns: ns, router: h, host: h, peerProgram: peer}
	defer h.stop()
	if err := m.run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(ns.dir, logFile))
		return fmt.Errorf("%w\n%s", err, log[max(0, len(log)-2000):])
	}
	return nil
}

// nodes measures nodes with simulated radios of their own as routers.
func (t *table) nodes(dir, gatewayd, peer string) {
	for _, n := range []struct {
		name string
		column
		program string
		args    []string
	}{
		{"reference-node", reference, peer, []string{"1"}},
		{"gatewayd-node", ours, gatewayd, []string{"node", "1"}},
	} {
		if err := t.node(n.name, n.column, dir, peer, cliNode{program: n.program, args: n.args}); err != nil {
			fmt.Fprintf(os.Stderr, "\n*** %s: %v ***\n\n", n.name, err)
		}
	}
}

func (t *table) node(name string, c column, dir, peer string, n cliNode) error {
	ns, err := newNamespace("gw-bench-"+name, filepath.Join(dir, name+".d"))
	if err != nil {
		return err
	}
	defer ns.close()
	n.ns = ns
	m := measurement{table: t, column: c, ns: ns, router: &n, peerProgram: peer}
	defer n.stop()
	progress("%s", ns.name)
	return m.line(rowTransitSmallNode, rowTransitLargeNode)
}

// program finds a program of OpenThread's: in OT_POSIX_DIR or OT_SIM_DIR,
// build trees or folders of programs, or in PATH.
func program(name string) (string, error) {
	for _, dir := range []string{os.Getenv("OT_POSIX_DIR"), os.Getenv("OT_SIM_DIR")} {
		if dir == "" {
			continue
		}
		for _, sub := range []string{"", "src/posix", "examples/apps/cli", "examples/apps/ncp"} {
			p := filepath.Join(dir, sub, name)
			if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
				return filepath.Abs(p)
			}
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("no %s in OT_POSIX_DIR, OT_SIM_DIR or PATH", name)
	}
	return p, nil
}

// progress says on standard error what is being done: a run takes minutes.
func progress(format string, args ...any) {
	fmt.Fprintln(os.Stderr, strings.TrimSpace(fmt.Sprintf(format, args...)))
}
