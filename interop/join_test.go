//go:build interop

package interop

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const pskd = "J01NME"

// joins is how many devices of each kind join: JOINS, or 20.
func joins() int {
	if n, err := strconv.Atoi(os.Getenv("JOINS")); err == nil {
		return n
	}
	return 20
}

// joiner is one of OpenThread's devices that knows nothing but its PSKd.
func (ns *rcpNetns) joiner(program string, node int, before ...string) (*otCLI, string) {
	ns.t.Helper()
	c := ns.cli(program, node)
	for _, s := range before {
		c.ask(s)
	}
	return c, c.ask("eui64")[0]
}

// join brings a joiner into the network and returns its address there.
func (g *gateway) join(c *otCLI, eui64, pskd string) (addr string, took time.Duration, err error) {
	g.t.Helper()
	g.ctl("joiner", "add", eui64, pskd)
	c.ask("ifconfig up")
	start := time.Now()
	c.ask("joiner start " + pskd)
	line, err := c.wait(30*time.Second, "Join success", "Join failed")
	took = time.Since(start)
	if err != nil || line != "Join success" {
		return "", took, fmt.Errorf("joiner %s: %q %w", eui64, line, err)
	}
	c.ask("thread start")
	waitState(g.t, c.ask, 20*time.Second, "child", "router")
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, a := range c.ask("ipaddr -v") {
			if f := strings.Fields(a); len(f) > 1 && f[1] == "origin:slaac" {
				return f[0], took, nil
			}
		}
	}
	return "", took, fmt.Errorf("joiner %s has no address of the on-mesh prefix: %q", eui64, c.ask("ipaddr -v"))
}

// Their devices join through our gateway on their co-processor, and the host
// and they reach each other.
func TestJoinThroughTheirRCP(t *testing.T) {
	for i, program := range []string{"ot-cli-ftd", "ot-cli-mtd"} {
		t.Run(program, func(t *testing.T) {
			rcp := otProgram(t, "ot-rcp")
			otProgram(t, program)
			ns := newRCPNetns(t)
			ns.env = []string{"PORT_OFFSET=" + strconv.Itoa(71+i)}
			g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1")
			g.form()
			good := 0
			for n := range joins() {
				if g.oneJoin(t, program, n) {
					good++
				}
			}
			t.Logf("%s: %d of %d joined, attached and pinged", program, good, joins())
			if good != joins() {
				t.Errorf("%d of %d", good, joins())
			}
		})
	}
}

func (g *gateway) oneJoin(t *testing.T, program string, n int) bool {
	c, eui64 := g.ns.joiner(program, 2+n%30)
	defer c.end()
	addr, took, err := g.join(c, eui64, pskd)
	if err != nil {
		t.Errorf("join %d: %v", n, err)
		return false
	}
	for _, size := range []int{16, 500, 1232} {
		if err := g.hostPing(addr, size, 1); err != nil {
			t.Errorf("join %d: %v", n, err)
			return false
		}
		out, err := c.try(fmt.Sprintf("ping %s %d 1", g.hostAddr(addr), size), 10*time.Second)
		if err != nil || !strings.Contains(strings.Join(out, "\n"), "1 packets received") {
			t.Errorf("join %d: node to host, %d bytes: %q %v", n, size, out, err)
			return false
		}
	}
	t.Logf("join %d: success %.2f s after `joiner start`", n, took.Seconds())
	return true
}

// end takes a device away: reset, and its program ended.
func (c *otCLI) end() {
	fmt.Fprintln(c.in, "factoryreset")
	fmt.Fprintln(c.in, "exit")
	c.kill()
}

// A device with a wrong PSKd is refused; with the right one it joins afterwards.
func TestWrongPSKd(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{"PORT_OFFSET=73"}
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1")
	g.form()
	c, eui64 := ns.joiner("ot-cli-ftd", 2)
	g.ctl("joiner", "add", eui64, pskd)
	c.ask("ifconfig up")
	c.ask("joiner start WR0NGPSKD")
	if line, err := c.wait(60*time.Second, "Join success", "Join failed"); err != nil || !strings.Contains(line, "Join failed") {
		t.Fatalf("wrong PSKd: %q %v", line, err)
	}
	if list := g.ctl("joiner", "list"); !strings.Contains(list, "PSKd") && !strings.Contains(list, "refused") {
		t.Errorf("the list does not say that it was refused:\n%s", list)
	}
	if addr, _, err := g.join(c, eui64, pskd); err != nil {
		t.Error(err)
	} else if err := g.hostPing(addr, 16, 1); err != nil {
		t.Error(err)
	}
}

// Our joiner joins a network whose leader and commissioner are theirs.
func TestOurJoinerInTheirNetwork(t *testing.T) {
	ns := newRCPNetns(t)
	ns.env = []string{"PORT_OFFSET=74"}
	leader := ns.cli("ot-cli-ftd", 1)
	for _, s := range []string{"dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start"} {
		leader.ask(s)
	}
	waitState(t, leader.ask, 20*time.Second, "leader")
	leader.ask("commissioner start")
	if _, err := leader.wait(10*time.Second, "Commissioner: active"); err != nil {
		t.Fatal(err)
	}
	leader.ask("commissioner joiner add * " + pskd + " 300")
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	for i, mode := range []string{"rdn", "rn", "-"} {
		c := ns.program(bin, "node", strconv.Itoa(2+i))
		c.ask("ifconfig up")
		c.ask("joiner start " + pskd)
		if line, err := c.wait(30*time.Second, "Join success", "Join failed"); err != nil || line != "Join success" {
			t.Fatalf("mode %s: %q %v", mode, line, err)
		}
		c.ask("mode " + mode)
		if mode == "-" {
			c.ask("pollperiod 200")
		}
		c.ask("thread start")
		waitState(t, c.ask, 20*time.Second, "child", "router")
		addr := c.ask("ipaddr mleid")[0]
		for _, size := range []int{16, 500} {
			out := strings.Join(leader.ask(fmt.Sprintf("ping %s %d 2 1 5", addr, size)), "\n")
			if !strings.Contains(out, "2 packets received") {
				t.Errorf("mode %s, %d bytes: %s", mode, size, out)
			}
		}
		out := strings.Join(c.ask("ping "+leader.ask("ipaddr mleid")[0]+" 500"), "\n")
		if !strings.Contains(out, "1 packets received") {
			t.Errorf("mode %s to leader: %s", mode, out)
		}
	}
}
