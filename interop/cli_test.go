//go:build interop

package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/clishape"
	"gatewayd/radio/medium/udp"
	"gatewayd/simnode"
)

// cliNodeEnv makes this test program a simulated node of ours, with OpenThread's
// command line on its standard streams.
const cliNodeEnv = "GATEWAYD_TEST_CLI_NODE"

func init() {
	s := os.Getenv(cliNodeEnv)
	if s == "" {
		return
	}
	if err := runNode(s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runNode(node string) error {
	id, err := strconv.Atoi(node)
	if err != nil {
		return err
	}
	offset, err := udp.OffsetFromEnv()
	if err != nil {
		return err
	}
	return simnode.Run(context.Background(), simnode.Config{ID: id, TimeSpeed: cliSpeed, PortOffset: offset,
		In: os.Stdin, Out: os.Stdout})
}

// cliSpeed is how many times as fast time passes.
const cliSpeed = 10

// shells starts node 1 and 2 on an air of their own: OpenThread's or ours.
func (n *rcpNetns) shells(ours [2]bool, offset int) [2]*otCLI {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	reference := otProgram(n.t, "ot-cli-ftd")
	var out [2]*otCLI
	for i, own := range ours {
		env := n.env
		n.env = append(slices.Clone(env), fmt.Sprintf("PORT_OFFSET=%d", offset))
		if own {
			n.env = append(n.env, fmt.Sprintf("%s=%d", cliNodeEnv, i+1))
			out[i] = n.program(self)
		} else {
			out[i] = n.program(reference, fmt.Sprintf("--time-speed=%d", cliSpeed), strconv.Itoa(i+1))
		}
		n.env = env
	}
	return out
}

// exchange runs a command and returns all of its reply, and what comes by itself
// within wait of the simulation's time.
func (c *otCLI) exchange(command string, wait time.Duration) []string {
	c.t.Helper()
	fmt.Fprintln(c.in, command)
	var got []string
	limit := time.After(30 * time.Second)
	for over := (<-chan time.Time)(nil); ; {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("%s: the program ended after %q", command, got)
			}
			if line = strings.TrimPrefix(line, "> "); line == command || line == "" {
				continue
			}
			got = append(got, line)
			if line == "Done" || strings.HasPrefix(line, "Error ") {
				if wait == 0 {
					return got
				}
				over = time.After(wait / cliSpeed)
			}
		case <-over:
			return got
		case <-limit:
			c.t.Fatalf("%s: no end after %q", command, got)
		}
	}
}

// network makes the first node a leader and the second its child.
func network(t *testing.T, s [2]*otCLI) {
	t.Helper()
	for _, c := range []string{"dataset init new", "dataset networkname test", "dataset commit active", "ifconfig up", "thread start"} {
		s[0].ask(c)
	}
	waitState(t, s[0].ask, 20*time.Second, "leader")
	s[1].ask("dataset clear")
	s[1].ask("dataset networkname test")
	for _, f := range []string{"networkkey", "channel", "panid"} {
		s[1].ask("dataset " + f + " " + s[0].ask(f)[0])
	}
	for _, c := range []string{"dataset commit active", "mode rn", "ifconfig up", "thread start"} {
		s[1].ask(c)
	}
	waitState(t, s[1].ask, 20*time.Second, "child")
	time.Sleep(time.Second) // for what is registered after attaching
}

// play runs the commands of otcli's transcripts.
func play(t *testing.T, s [2]*otCLI) []clishape.Exchange {
	t.Helper()
	var out []clishape.Exchange
	part := func(c *otCLI, file, peer string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("..", "otcli", "testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		exchanges, err := clishape.Parse(string(b))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range exchanges {
			e.Reply = c.exchange(strings.ReplaceAll(e.Command, "PEER", peer), e.Wait)
			out = append(out, e)
		}
	}
	part(s[0], "alone.txt", "")
	network(t, s)
	leader, child := s[0].ask("ipaddr mleid")[0], s[1].ask("ipaddr mleid")[0]
	part(s[0], "leader.txt", child)
	part(s[1], "child.txt", leader)
	return out
}

// The same commands get replies of the same shape from OpenThread's nodes and
// from ours.
func TestCommandLineLikeOpenThread(t *testing.T) {
	ns := newRCPNetns(t)
	theirs := play(t, ns.shells([2]bool{false, false}, 71))
	ours := play(t, ns.shells([2]bool{true, true}, 72))
	for i := range theirs {
		if g, w := clishape.Lines(ours[i].Reply), clishape.Lines(theirs[i].Reply); !slices.Equal(g, w) {
			t.Errorf("%s:\n%s\nOpenThread's:\n%s", ours[i].Command, strings.Join(ours[i].Reply, "\n"), strings.Join(theirs[i].Reply, "\n"))
		}
	}
	t.Logf("%d commands", len(theirs))
}

// A node of ours and one of OpenThread's make one network, whoever leads.
func TestNodesTogether(t *testing.T) {
	for i, ours := range [][2]bool{{true, false}, {false, true}} {
		t.Run(fmt.Sprintf("ours leads %t", ours[0]), func(t *testing.T) {
			ns := newRCPNetns(t)
			s := ns.shells(ours, 73+i)
			network(t, s)
			for from := range s {
				out := s[from].ask("ping " + s[1-from].ask("ipaddr mleid")[0] + " 200 4 0.1")
				if last := out[len(out)-1]; !strings.HasPrefix(last, "4 packets transmitted, 4 packets received.") {
					t.Errorf("ping from %d: %q", from, out)
				}
			}
		})
	}
}

// The CoAP client of one kind of node and the server of the other understand
// each other.
func TestCoAPTogether(t *testing.T) {
	ns := newRCPNetns(t)
	s := ns.shells([2]bool{true, false}, 75)
	network(t, s)
	for i, name := range [2]string{"ours serves", "theirs serves"} {
		t.Run(name, func(t *testing.T) {
			server, client := s[i], s[1-i]
			to := server.ask("ipaddr mleid")[0]
			for _, c := range []string{"coap start", "coap resource lamp", "coap set on"} {
				server.ask(c)
			}
			client.ask("coap start")
			for command, want := range map[string]string{
				"coap get " + to + " lamp con":        "coap response from " + to + " with payload: 6f6e",
				"coap get " + to + " lamp":            "coap response from " + to + " with payload: 6f6e",
				"coap put " + to + " lamp con off":    "coap response from " + to,
				"coap post " + to + " lamp?a=1 con x": "coap response from " + to,
				"coap delete " + to + " lamp con":     "coap response from " + to,
			} {
				if got := client.exchange(command, 3*time.Second); !slices.Contains(got, want) {
					t.Errorf("%s: %q, want %q", command, got, want)
				}
			}
		})
	}
}
