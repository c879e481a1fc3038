package gateway

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatewayd/host/doctor"
)

// What the gateway multicasts by mDNS comes back to it, until a firewall of the
// host drops it; and it knows when it has advertised itself.
func TestSeenInside(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("SKIPPED: no nft")
	}
	_, inside := namespaces(t)
	if !inside {
		return
	}
	g, _ := startBorder(t, Defaults())
	until(t, "advertisement", 30*time.Second, func() bool {
		last, ok := g.advertised()["infra0"]
		return ok && time.Since(last) < time.Minute
	})
	until(t, "question that comes back", 30*time.Second, func() bool { return len(g.unseen(t.Context())) == 0 })
	for _, family := range []string{"ip6", "ip"} {
		rules := exec.Command("nft", "-f", "-")
		rules.Stdin = strings.NewReader("add table " + family + " other; add chain " + family + " other in { type filter hook input priority 0; }; add rule " +
			family + " other in udp dport 5353 drop")
		if out, err := rules.CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: nft: %v: %s", err, out)
		}
	}
	got := g.unseen(t.Context())
	if len(got) != 1 || got[0].Link != "infra0" || !strings.Contains(got[0].Family, "IPv6") {
		t.Fatalf("%+v", got)
	}
	o := g.cfg.Examination()
	o.Unseen = got
	for _, f := range doctor.Run(context.Background(), o) {
		if f.Code == "HOST-MDNSOUT" && doctor.Inside(f.Code) {
			return
		}
	}
	t.Error("the doctor does not say so")
}
