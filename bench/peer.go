//go:build bench

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// peer is OpenThread's command line node, the other end of everything.
type peer struct {
	cmd   *exec.Cmd
	in    io.Writer
	lines chan string
}

func newPeer(ns *namespace, program string, node int) (*peer, error) {
	cmd := ns.command(program, strconv.Itoa(node))
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

func (p *peer) do(commands ...string) error {
	for _, c := range commands {
		if _, err := p.ask(c); err != nil {
			return err
		}
	}
	return nil
}

// attach brings the node into a network and returns its mesh-local address.
func (p *peer) attach(dataset string) (netip.Addr, error) {
	if err := p.do("dataset set active "+dataset, "routerselectionjitter 1", "ifconfig up", "thread start"); err != nil {
		return netip.Addr{}, err
	}
	err := eventually(30*time.Second, func() error {
		time.Sleep(50 * time.Millisecond)
		s, err := p.ask("state")
		if err == nil && (len(s) != 1 || s[0] != "router") {
			err = fmt.Errorf("the node is %q", s)
		}
		return err
	})
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := p.ask("ipaddr mleid")
	if err != nil || len(a) != 1 {
		return netip.Addr{}, fmt.Errorf("ipaddr mleid: %q, %w", a, err)
	}
	return netip.ParseAddr(a[0])
}
