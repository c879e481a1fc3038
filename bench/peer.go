//go:build bench

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"time"
)

// peer is OpenThread's command line node, the other end of everything.
type peer struct {
	cmd   *exec.Cmd
	in    io.Writer
	lines chan string
}

// newPeer runs a program with its arguments, the last of which is the number
// of the node.
func newPeer(ns *namespace, program string, args ...string) (*peer, error) {
	cmd := ns.command(program, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{cmd: cmd, in: in, lines: make(chan string, 1000)}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- strings.TrimSpace(strings.TrimPrefix(s.Text(), "> "))
		}
		close(p.lines)
	}()
	return p, nil
}

// end takes the node away for good.
func (p *peer) end() {
	fmt.Fprintln(p.in, "factoryreset")
	time.Sleep(100 * time.Millisecond)
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// wait reads lines until one that contains the text, and returns those before.
func (p *peer) wait(text string, limit time.Duration) (before []string, err error) {
	timeout := time.After(limit)
	for {
		select {
		case line, ok := <-p.lines:
			switch {
			case !ok:
				return before, fmt.Errorf("the node ended after %q", before)
			case strings.Contains(line, text):
				return before, nil
			case strings.HasPrefix(line, "Error"):
				return before, fmt.Errorf("%s, waiting for %q", line, text)
			case line != "":
				before = append(before, line)
			}
		case <-timeout:
			return before, fmt.Errorf("no %q in %v, but %q", text, limit, before)
		}
	}
}

func (p *peer) ask(command string) ([]string, error) {
	fmt.Fprintln(p.in, command)
	got, err := p.wait("Done", 10*time.Second)
	if err != nil {
		return got, fmt.Errorf("%s: %w", command, err)
	}
	if len(got) > 0 && got[0] == command {
		got = got[1:] // the echo of a terminal
	}
	return got, nil
}

// ask1 is the only line that a command prints.
func (p *peer) ask1(command string) (string, error) {
	got, err := p.ask(command)
	if err != nil || len(got) != 1 {
		return "", fmt.Errorf("%s: %q, %w", command, got, err)
	}
	return got[0], nil
}

func (p *peer) do(commands ...string) error {
	for _, c := range commands {
		if _, err := p.ask(c); err != nil {
			return err
		}
	}
	return nil
}

// attach brings the node into a network, as a router, and returns its
// mesh-local address.
func (p *peer) attach(dataset string) (netip.Addr, error) {
	if err := p.begin(dataset, "routerselectionjitter 1"); err != nil {
		return netip.Addr{}, err
	}
	if err := p.until("router", 30*time.Second); err != nil {
		return netip.Addr{}, err
	}
	a, err := p.ask1("ipaddr mleid")
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(a)
}

// begin starts the node with a dataset, after some commands.
func (p *peer) begin(dataset string, first ...string) error {
	return p.do(append(first, "dataset set active "+dataset, "ifconfig up", "thread start")...)
}

// until waits for a state.
func (p *peer) until(state string, limit time.Duration) error {
	return eventually(limit, func() error {
		time.Sleep(50 * time.Millisecond)
		s, err := p.ask1("state")
		if err == nil && s != state {
			err = fmt.Errorf("the node is %s", s)
		}
		return err
	})
}

// cliNode is a node with a radio of its own as the program under test.
type cliNode struct {
	*peer
	ns      *namespace
	program string
	args    []string
}

func (n *cliNode) start() (err error) {
	if n.peer, err = newPeer(n.ns, n.program, n.args...); err != nil {
		return err
	}
	_, err = n.ask("state")
	return err
}

func (n *cliNode) stop() {
	if n.peer != nil {
		n.end()
		n.peer = nil
	}
}

func (n *cliNode) pid() int { return n.cmd.Process.Pid }

func (n *cliNode) form() error {
	return n.do("dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start")
}

func (n *cliNode) role() (string, error)    { return n.ask1("state") }
func (n *cliNode) dataset() (string, error) { return n.ask1("dataset active -x") }
