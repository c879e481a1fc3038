//go:build interop

package interop

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// kills is how often the gateway is killed: KILLS, or 20.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		return n
	}
	return 20
}

// The gateway is killed at random moments, with a child attached. Each time it
// comes back as leader of the same network within 10 s, with the child it had,
// and no frame counter is used twice.
func TestKilledAtRandomMoments(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	capture := filepath.Join(t.TempDir(), "air.pcapng")
	sniffer := ns.startMode("sniff", capture)
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1")
	g.form()
	dataset := strings.TrimSpace(g.ctl("dataset", "export"))
	partition := g.status()["partition_id"]
	c := ns.cli("ot-cli-mtd", 2)
	for _, s := range []string{"mode rn", "dataset set active " + dataset, "ifconfig up", "thread start"} {
		c.ask(s)
	}
	waitState(t, c.ask, 20*time.Second, "child")
	addr := c.ask("ipaddr mleid")[0]

	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var slowest time.Duration
	for i := range kills() {
		traffic := ns.command("ping", "-6", "-q", "-i", "0.02", "-w", "3", "-s", "200", addr)
		if err := traffic.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		g.cmd.Process.Kill()
		traffic.Wait()
		g.cmd.Wait()
		start := time.Now()
		g.run()
		g.waitRole(15*time.Second, "leader", "router")
		took := time.Since(start)
		slowest = max(slowest, took)
		if took > 10*time.Second {
			t.Errorf("round %d: leader again after %v", i, took)
		}
		if now := strings.TrimSpace(g.ctl("dataset", "export")); now != dataset {
			t.Fatalf("round %d: the dataset is %s, was %s", i, now, dataset)
		}
		if now := g.status()["partition_id"]; now != partition {
			t.Errorf("round %d: partition %v, was %v", i, now, partition)
		}
		if i%5 == 4 {
			// Time to let the child prove itself; one that gave up in five
			// kills on end waits twice as long after each try.
			for end := time.Now().Add(time.Minute); g.hostPing(addr, 16, 1) != nil; {
				if time.Now().After(end) {
					t.Fatalf("round %d: the child does not answer", i)
				}
			}
		}
	}
	t.Logf("killed %d times: leader again after at most %v", kills(), slowest.Round(10*time.Millisecond))
	sniffer.Close()
	time.Sleep(300 * time.Millisecond)
	checkCounters(t, capture, g.status()["ext_address"])
}
