//go:build interop

package interop

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// stayTime is how long the gateway must stay a router: ROUTER_FOR, or a minute.
func stayTime(t *testing.T) time.Duration {
	s := os.Getenv("ROUTER_FOR")
	if s == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("ROUTER_FOR: %v", err)
	}
	return d
}

// The gateway on OpenThread's co-processor joins a network that OpenThread's
// node leads, becomes a router and stays one, with a child of theirs below it.
func TestStaysRouter(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	stay := stayTime(t)
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	leader, second := ns.cli("ot-cli-ftd", 2), ns.cli("ot-cli-ftd", 3)
	for _, c := range []string{"dataset init new", "dataset channel 15", "dataset commit active", "routerselectionjitter 1", "ifconfig up", "thread start"} {
		leader.ask(c)
	}
	waitState(t, leader.ask, 20*time.Second, "leader")
	dataset := leader.ask("dataset active -x")[0]
	for _, c := range []string{"dataset set active " + dataset, "routerselectionjitter 1", "ifconfig up", "thread start"} {
		second.ask(c)
	}
	waitState(t, second.ask, 30*time.Second, "router")

	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1")
	g.ctl("dataset", "import", dataset)
	g.waitRole(150*time.Second, "router") // REED to router waits up to two minutes
	rloc, partition := g.status()["rloc16"], g.status()["partition_id"]

	child := ns.cli("ot-cli-mtd", 4)
	for _, c := range []string{"mode rn", "dataset set active " + dataset, "ifconfig up", "thread start"} {
		child.ask(c)
	}
	waitState(t, child.ask, 20*time.Second, "child")

	var targets []string
	for _, c := range []*otCLI{leader, second, child} {
		targets = append(targets, c.ask("ipaddr mleid")[0])
	}
	sent, lost, looks := 0, 0, 0
	for end := time.Now().Add(stay); time.Now().Before(end); time.Sleep(2 * time.Second) {
		st := g.status()
		looks++
		if st["role"] != "router" || st["rloc16"] != rloc || fmt.Sprint(st["partition_id"]) != fmt.Sprint(partition) {
			t.Fatalf("after %d looks the gateway is %v %v of partition %v, was router %v of %v",
				looks, st["role"], st["rloc16"], st["partition_id"], rloc, partition)
		}
		for _, a := range targets {
			sent++
			if g.hostPing(a, 100, 1) != nil {
				lost++
			}
		}
	}
	t.Logf("router %v for %v: %d looks, %d of %d pings lost", rloc, stay, looks, lost, sent)
	if lost*1000 > sent {
		t.Errorf("%d of %d pings lost", lost, sent)
	}
	if got := leader.ask("state")[0]; got != "leader" {
		t.Errorf("the leader is %s", got)
	}
}
