package otcli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/clishape"
	"gatewayd/sim"
)

// Whatever is typed, each line that is not ignored is answered, in the end, by
// Done or an error and a prompt.
func FuzzInput(f *testing.F) {
	for _, file := range []string{"alone.txt", "leader.txt", "child.txt"} {
		b, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		exchanges, err := clishape.Parse(string(b))
		if err != nil {
			f.Fatal(err)
		}
		for i := 0; i < len(exchanges); i += 10 {
			f.Add(exchanges[i].Command + "\n" + exchanges[min(i+1, len(exchanges)-1)].Command)
		}
	}
	f.Add("ping :: 0 10000\n")
	f.Add("ifconfig up\ncoap observe fe80::1 r con\nnetdata publish dnssrp unicast 1\ncoap put fe80::1 r block-16 4\ncoap stop")
	f.Add("dataset init new\ndataset commit active\nifconfig up\nthread start\nping ff02::1 8 2 0.1 1 0.2\ndetach")
	f.Fuzz(func(t *testing.T, input string) {
		x := newTerminal(t, sim.New(1, sim.Options{Ideal: true}))
		lines := strings.Split(input, "\n")
		for _, l := range lines[:min(len(lines), 20)] {
			x.take()
			x.cli.Input(l)
			answered := func() bool { return strings.HasSuffix(x.shown.String(), "> ") }
			if strings.Contains(l, "ping") || answered() {
				x.world.Run(time.Second)
				if !answered() {
					return // a series may be very long, and what follows is ignored
				}
			} else if !x.world.RunUntil(time.Hour, answered) {
				t.Fatalf("%q: no prompt after %q", l, x.take())
			}
		}
	})
}
