package otcli_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/mle"
)

// Without TREL there is no such command; with it the replies are OpenThread's.
func TestTREL(t *testing.T) {
	w := sim.New(3, sim.Options{})
	x := newTerminal(t, w)
	for command, want := range map[string][]string{
		"trel":                     {"Error 35: InvalidCommand"},
		"trel peers":               {"Error 35: InvalidCommand"},
		"multiradio":               {"[15.4]", "Done"},
		"multiradio neighbor list": {"Error 35: InvalidCommand"},
	} {
		if got := x.do(command, 0); !slices.Equal(got, want) {
			t.Errorf("%s: %q", command, got)
		}
	}

	w = sim.New(3, sim.Options{})
	a, b := newTerminalOf(t, w, sim.Config{TREL: true}), w.Add(sim.Config{TREL: true})
	a.form()
	b.SetActiveDataset(a.node.Datasets().Active())
	b.InterfaceUp()
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	if !w.RunUntil(3*time.Minute, func() bool { return b.MLE().Role() == mle.Router }) {
		t.Fatalf("the other node is %v", b.MLE().Role())
	}
	w.Run(time.Minute)
	ext, xpan := b.MAC().Ext().String(), a.ok("extpanid")
	for command, want := range map[string][]string{
		"trel":       {"Enabled", "Done"},
		"multiradio": {"[15.4, TREL]", "Done"},
		"trel peers": {
			"| No  | Ext MAC Address  | Ext PAN Id       | IPv6 Socket Address                              |",
			"+-----+------------------+------------------+--------------------------------------------------+",
			"|   1 | " + ext + " | " + xpan + " | [fe80:0:0:0:0:0:1:1]:9200                        |", "Done"},
		"trel peers list":                    {"001 ExtAddr:" + ext + " ExtPanId:" + xpan + " SockAddr:[fe80:0:0:0:0:0:1:1]:9200", "Done"},
		"trel peers all":                     {"Error 7: InvalidArgs"},
		"trel nosuch":                        {"Error 35: InvalidCommand"},
		"trel counters all":                  {"Error 7: InvalidArgs"},
		"trel filter":                        {"Disabled", "Done"},
		"multiradio neighbor " + ext:         {"[TREL(255)]", "Done"},
		"multiradio neighbor list":           {"ExtAddr:" + ext + ", RLOC16:" + fmt.Sprintf("0x%04x", b.MLE().RLOC16()) + ", Radios:[TREL(255)]", "Done"},
		"multiradio neighbor 12":             {"Error 7: InvalidArgs"},
		"multiradio neighbor ffffffffffffff": {"Error 7: InvalidArgs"},
	} {
		if got := a.do(command, 0); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	a.ok("trel counters reset")
	if got := a.do("trel counters", 0); !slices.Equal(got, []string{"Inbound:  Packets 0 Bytes 0", "Outbound: Packets 0 Bytes 0 Failures 0", "Done"}) {
		t.Errorf("%q", got)
	}
	a.ok("trel filter enable")
	w.Run(time.Minute)
	if c := a.node.TREL().Counters; c.RxPackets+c.TxPackets != 0 {
		t.Errorf("the filter lets pass %+v", c)
	}
	a.ok("trel disable")
	if got := a.ok("trel"); got != "Disabled" || len(a.node.TREL().Peers()) != 0 {
		t.Errorf("%s, %v", got, a.node.TREL().Peers())
	}
}
