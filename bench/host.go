//go:build bench

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gatewayd/api"
)

// A router is the program under test.
type router interface {
	// start runs the program until it answers commands.
	start() error
	stop()
	pid() int
	// form makes a network, and leaves the one before.
	form() error
	role() (string, error)
	// dataset is the active one in hexadecimal.
	dataset() (string, error)
	// ask executes a command of OpenThread's command line and returns what it
	// printed.
	ask(command string) ([]string, error)
}

// A host is a router with a co-processor as its child.
type host interface {
	router
	// resume makes the network that is stored run, if it does not by itself.
	resume() error
	// admit lets any joiner with a PSKd in.
	admit(pskd string) error
}

const (
	ifname  = "wpanbench"
	logFile = "log"
	poll    = time.Millisecond // between looks at whether something has come about
)

// runHost starts a host's program, its output going to a file.
func runHost(ns *namespace, name string, args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(filepath.Join(ns.dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := ns.command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, cmd.Start()
}

// eventually tries until it succeeds.
func eventually(limit time.Duration, try func() error) error {
	for stop := time.Now().Add(limit); ; time.Sleep(poll) {
		err := try()
		if err == nil || time.Now().After(stop) {
			return err
		}
	}
}

// otDaemon is OpenThread's POSIX host.
type otDaemon struct {
	ns       *namespace
	bin, url string
	cmd      *exec.Cmd
	conn     net.Conn
	lines    *bufio.Scanner
}

func (o *otDaemon) start() (err error) {
	if o.cmd, err = runHost(o.ns, o.bin, "-I", ifname, o.url); err != nil {
		return err
	}
	err = eventually(10*time.Second, func() error {
		o.conn, err = net.Dial("unix", "/run/openthread-"+ifname+".sock")
		return err
	})
	if err != nil {
		return err
	}
	o.lines = bufio.NewScanner(o.conn)
	_, err = o.ask("state")
	return err
}

func (o *otDaemon) stop() {
	if o.conn != nil {
		o.conn.Close()
	}
	end(o.cmd)
	o.conn, o.cmd = nil, nil
}

func (o *otDaemon) pid() int { return o.cmd.Process.Pid }

func (o *otDaemon) ask(command string) ([]string, error) {
	_ = o.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(o.conn, "%s\n", command); err != nil {
		return nil, err
	}
	var got []string
	for o.lines.Scan() {
		switch line := strings.TrimSpace(strings.TrimPrefix(o.lines.Text(), "> ")); {
		case line == "Done":
			return got, nil
		case strings.HasPrefix(line, "Error"):
			return nil, fmt.Errorf("%s: %s", command, line)
		case line != "":
			got = append(got, line)
		}
	}
	return nil, fmt.Errorf("%s: %w", command, errors.Join(o.lines.Err(), errors.New("no end")))
}

func (o *otDaemon) ask1(command string) (string, error) {
	got, err := o.ask(command)
	if err != nil || len(got) == 0 {
		return "", fmt.Errorf("%s: %q, %w", command, got, err)
	}
	return got[len(got)-1], nil
}

func (o *otDaemon) do(commands ...string) error {
	for _, c := range commands {
		if _, err := o.ask(c); err != nil {
			return err
		}
	}
	return nil
}

func (o *otDaemon) resume() error { return o.do("ifconfig up", "thread start") }

func (o *otDaemon) form() error {
	return o.do("thread stop", "dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start")
}

func (o *otDaemon) role() (string, error)    { return o.ask1("state") }
func (o *otDaemon) dataset() (string, error) { return o.ask1("dataset active -x") }

func (o *otDaemon) admit(pskd string) error {
	if err := o.do("commissioner start"); err != nil {
		return err
	}
	return eventually(10*time.Second, func() error { return o.do("commissioner joiner add * " + pskd) })
}

// gatewayd is ours.
type gatewayd struct {
	ns       *namespace
	bin, url string
	cmd      *exec.Cmd
	client   *api.Client
}

func (g *gatewayd) start() (err error) {
	socket := filepath.Join(g.ns.dir, "sock")
	g.client = api.NewClient(socket)
	g.cmd, err = runHost(g.ns, g.bin, "run", "--radio", g.url, "--tun", ifname, "--data-dir", filepath.Join(g.ns.dir, "data"), "--socket", socket)
	if err != nil {
		return err
	}
	return eventually(10*time.Second, func() error {
		s, err := g.client.Status(context.Background())
		if err == nil && s.Radio.State != "ready" {
			err = fmt.Errorf("the radio is %s", s.Radio.State)
		}
		return err
	})
}

func (g *gatewayd) stop() {
	end(g.cmd)
	g.cmd = nil
}

func (g *gatewayd) pid() int      { return g.cmd.Process.Pid }
func (g *gatewayd) resume() error { return nil }

func (g *gatewayd) form() error {
	_, err := g.client.NewDataset(context.Background(), api.NewDataset{Channel: 15, Force: true})
	return err
}

func (g *gatewayd) role() (string, error) {
	s, err := g.client.Status(context.Background())
	return s.Role, err
}

func (g *gatewayd) dataset() (string, error) {
	d, err := g.client.ExportDataset(context.Background(), "active")
	return d.TLVs, err
}

func (g *gatewayd) ask(command string) (got []string, err error) {
	err = errors.New("no end")
	failed := g.client.CLI(context.Background(), command, func(l api.CLILine) error {
		switch {
		case !l.Done:
			got = append(got, l.Line)
		case l.Error != 0:
			err = fmt.Errorf("%s: %s", command, l.Line)
		default:
			err = nil
		}
		return nil
	})
	return got, errors.Join(failed, err)
}

func (g *gatewayd) admit(pskd string) error {
	_, err := g.client.AddJoiner(context.Background(), api.NewJoiner{EUI64: "*", PSKd: pskd, Timeout: 120})
	return err
}
