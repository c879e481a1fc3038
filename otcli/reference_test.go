package otcli_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/clishape"
	"gatewayd/otcli"
	"gatewayd/sim"
	"gatewayd/thread/joining"
)

// terminal is a command line on a simulated node.
type terminal struct {
	t     *testing.T
	world *sim.World
	node  *sim.Node
	cli   *otcli.CLI
	shown strings.Builder
}

func newTerminal(t *testing.T, w *sim.World) *terminal { return newTerminalOf(t, w, sim.Config{}) }

func newTerminalOf(t *testing.T, w *sim.World, c sim.Config) *terminal {
	x := &terminal{t: t, world: w}
	c.CommissionerChanged = func(s joining.CommissionerState, err error) { x.cli.CommissionerChanged(s, err) }
	c.JoinerChanged = func(e joining.Entry) { x.cli.JoinerChanged(e) }
	x.node = w.Add(c)
	w.Run(time.Millisecond) // the radio comes up
	x.cli = otcli.New(x.node.Node, otcli.Config{Out: func(s string) { x.shown.WriteString(s) }, Rand: x.node.Random(),
		Version: "TEST", Platform: "SIMULATION"})
	x.cli.Start()
	if s := x.take(); s != "> " {
		t.Fatalf("prompt %q", s)
	}
	return x
}

func (x *terminal) take() string {
	s := x.shown.String()
	x.shown.Reset()
	return s
}

// ended reports whether the reply to a command is complete.
func (x *terminal) ended() bool { return strings.Contains(x.shown.String(), "\r\n> ") }

// do executes a command and returns its reply by lines. What comes by itself
// within wait is part of it.
func (x *terminal) do(command string, wait time.Duration) []string {
	x.t.Helper()
	x.cli.Input(command)
	if !x.world.RunUntil(time.Minute, x.ended) {
		x.t.Fatalf("%s: no end of %q", command, x.take())
	}
	x.world.Run(wait)
	out := x.take()
	if !strings.Contains(out, "> ") {
		x.t.Fatalf("%s: no prompt in %q", command, out)
	}
	return strings.Split(strings.TrimSuffix(strings.Replace(out, "> ", "", 1), "\r\n"), "\r\n")
}

// ok executes a command that must succeed and returns the first line.
func (x *terminal) ok(command string) string {
	x.t.Helper()
	lines := x.do(command, 0)
	if !slices.Contains(lines, "Done") {
		x.t.Fatalf("%s: %q", command, lines)
	}
	return lines[0]
}

func (x *terminal) awaitState(want string) {
	x.t.Helper()
	for range 600 {
		if x.ok("state") == want {
			return
		}
		x.world.Run(100 * time.Millisecond)
	}
	x.t.Fatalf("state is %s, not %s", x.ok("state"), want)
}

// form makes a network, join makes a node one of it.
func (x *terminal) form() {
	for _, c := range []string{"dataset init new", "dataset networkname test", "dataset commit active", "ifconfig up", "thread start"} {
		x.ok(c)
	}
	x.awaitState("leader")
}

func (x *terminal) join(leader *terminal, mode string) {
	x.ok("dataset clear")
	x.ok("dataset networkname test")
	for _, f := range []string{"networkkey", "channel", "panid"} {
		x.ok("dataset " + f + " " + leader.ok(f))
	}
	for _, c := range []string{"dataset commit active", "mode " + mode, "ifconfig up", "thread start"} {
		x.ok(c)
	}
	x.awaitState("child")
	x.world.Run(10 * time.Second)
}

// compare plays a transcript recorded from OpenThread's ot-cli-ftd: our replies
// must have the same shape.
func compare(t *testing.T, x *terminal, file, peer string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	exchanges, err := clishape.Parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exchanges {
		got := x.do(strings.ReplaceAll(e.Command, "PEER", peer), e.Wait)
		if g, w := clishape.Lines(got), clishape.Lines(e.Reply); !slices.Equal(g, w) {
			t.Errorf("%s:\n%s\nOpenThread's:\n%s", e.Command, strings.Join(got, "\n"), strings.Join(e.Reply, "\n"))
		}
	}
}

func TestLikeReferenceAlone(t *testing.T) {
	compare(t, newTerminal(t, sim.New(1, sim.Options{})), "alone.txt", "")
}

func TestLikeReferenceInNetwork(t *testing.T) {
	w := sim.New(2, sim.Options{Ideal: true})
	leader, child := newTerminal(t, w), newTerminal(t, w)
	w.Link(leader.node, child.node)
	leader.form()
	child.join(leader, "rn")
	toChild, toLeader := child.ok("ipaddr mleid"), leader.ok("ipaddr mleid")
	leader.ok("ipmaddr add ff04::1") // as when it was recorded
	compare(t, leader, "leader.txt", toChild)
	compare(t, child, "child.txt", toLeader)
}
