//go:build interop

package interop

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mixed is a network of their nodes and ours, of all kinds.
type mixed struct {
	t     *testing.T
	names []string
	nodes []*otCLI // the first one leads
}

// Places of the nodes in a mixed network.
const (
	leaderNode = iota
	theirRouter
	ourRouter
	theirSleeper
	ourSleeper
	theirChild
	ourChild
)

// newMixed makes a network whose leader is ours or theirs.
func newMixed(t *testing.T, offset int, ours bool) *mixed {
	t.Helper()
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	ns := newRCPNetns(t)
	ns.env = []string{"PORT_OFFSET=" + strconv.Itoa(offset)}
	m := &mixed{t: t}
	add := func(name, program, mode, dataset string, states ...string) {
		t.Helper()
		node := len(m.nodes) + 1
		var c *otCLI
		if program == "" {
			c = ns.program(bin, "node", strconv.Itoa(node))
		} else {
			c = ns.cli(program, node)
		}
		m.nodes, m.names = append(m.nodes, c), append(m.names, name)
		if dataset == "" {
			c.ask("dataset init new")
			c.ask("dataset channel 15")
			c.ask("dataset commit active")
		} else {
			c.ask("dataset set active " + dataset)
		}
		if mode == "rdn" {
			c.ask("routerselectionjitter 1")
		}
		c.ask("mode " + mode)
		if mode == "-" {
			c.ask("pollperiod 300")
		}
		c.ask("ifconfig up")
		c.ask("thread start")
		waitState(t, c.ask, 30*time.Second, states...)
	}
	first := "ot-cli-ftd"
	if ours {
		first = ""
	}
	add("leader", first, "rdn", "", "leader")
	d := m.nodes[0].ask("dataset active -x")[0]
	add("their router", "ot-cli-ftd", "rdn", d, "router")
	add("our router", "", "rdn", d, "router")
	add("their sleeper", "ot-cli-mtd", "-", d, "child")
	add("our sleeper", "", "-", d, "child")
	add("their child", "ot-cli-mtd", "rn", d, "child")
	add("our child", "", "rn", d, "child")
	return m
}

// element is an element of a node's active or pending dataset, "" if there is
// none.
func (c *otCLI) element(which, title string) string {
	c.t.Helper()
	lines, err := c.try("dataset "+which, 10*time.Second)
	if err != nil {
		return ""
	}
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, title+": "); ok {
			return v
		}
	}
	return ""
}

// everywhere waits until all nodes have an element.
func (m *mixed) everywhere(which, title, want string, limit time.Duration) {
	m.t.Helper()
	end := time.Now().Add(limit)
	for i, c := range m.nodes {
		got := c.element(which, title)
		for ; got != want; got = c.element(which, title) {
			if time.Now().After(end) {
				m.t.Fatalf("%s: %s dataset has %s %q, want %q", m.names[i], which, title, got, want)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// connected lets the leader reach all others, and them it.
func (m *mixed) connected() {
	m.t.Helper()
	leader := m.nodes[0].ask("ipaddr mleid")[0]
	for i, c := range m.nodes[1:] {
		m.reaches("leader", m.names[i+1], m.nodes[0], c.ask("ipaddr mleid")[0])
		m.reaches(m.names[i+1], "leader", c, leader)
	}
}

// reaches pings; the first of three may go astray while addresses are new.
func (m *mixed) reaches(from, to string, c *otCLI, addr string) {
	m.t.Helper()
	var out []string
	for range 3 {
		out, _ = c.try("ping "+addr+" 16 1 1 64 5", 20*time.Second)
		if strings.Contains(strings.Join(out, "\n"), "1 packets received") {
			return
		}
		time.Sleep(2 * time.Second)
	}
	m.t.Errorf("%s does not reach %s: %q", from, to, out)
}

// tlv is an element as a TLV.
func tlv(kind int, value string) string { return fmt.Sprintf("%02x%02x%s", kind, len(value)/2, value) }

func timestampTLV(kind int, seconds uint64) string {
	return tlv(kind, fmt.Sprintf("%012x0000", seconds))
}

// with replaces or adds TLVs in a dataset.
func with(dataset string, tlvs ...string) string {
	out := ""
	for len(dataset) >= 4 {
		n, _ := strconv.ParseUint(dataset[2:4], 16, 8)
		one := dataset[:4+2*n]
		dataset = dataset[len(one):]
		keep := true
		for _, t := range tlvs {
			keep = keep && t[:2] != one[:2]
		}
		if keep {
			out += one
		}
	}
	return out + strings.Join(tlvs, "")
}

// MeshCoP TLV types.
const (
	tlvChannel = 0
	tlvPANID   = 1
	tlvName    = 3
	tlvKey     = 5
	tlvPrefix  = 7
	tlvActive  = 14
	tlvPending = 51
	tlvDelay   = 52
)

// leaders are both sides on which a test is done.
var leaders = []struct {
	name string
	ours bool
}{{"our leader", true}, {"their leader", false}}

// A pending dataset that a router of the other make sets moves all kinds of
// nodes: to another channel and PAN, then to another prefix and name.
func TestPendingDataset(t *testing.T) {
	for i, side := range leaders {
		t.Run(side.name, func(t *testing.T) {
			m := newMixed(t, 90+i, side.ours)
			asker := m.nodes[theirRouter]
			if !side.ours {
				asker = m.nodes[ourRouter]
			}
			m.connected()
			d := m.nodes[0].ask("dataset active -x")[0]
			d = with(d, tlv(tlvChannel, "000014"), tlv(tlvPANID, "beef"), timestampTLV(tlvActive, 10), timestampTLV(tlvPending, 10),
				tlv(tlvDelay, "00007530"))
			asker.ask("dataset mgmtsetcommand pending -x " + d)
			began := time.Now()
			m.everywhere("pending", "Channel", "20", 10*time.Second)
			m.everywhere("active", "Channel", "20", 35*time.Second)
			if took := time.Since(began); took < 29*time.Second {
				t.Errorf("moved after %v already", took)
			}
			m.connected()

			// An old request again moves nobody; a newer one with another prefix
			// and name does.
			asker.ask("dataset mgmtsetcommand pending -x " + d)
			time.Sleep(2 * time.Second) // one at a time
			m.nodes[0].ask("delaytimermin 10")
			d = with(d, tlv(tlvPrefix, "fd12345678900000"), tlv(tlvName, "6d6f766564"), timestampTLV(tlvActive, 11), timestampTLV(tlvPending, 11),
				tlv(tlvDelay, "00002710"))
			asker.ask("dataset mgmtsetcommand pending -x " + d)
			m.everywhere("active", "Network Name", "moved", 30*time.Second)
			m.everywhere("active", "PAN ID", "0xbeef", 0)
			time.Sleep(3 * time.Second)
			for i, c := range m.nodes {
				if a := c.ask("ipaddr mleid")[0]; !strings.HasPrefix(a, "fd12:3456:7890:") {
					t.Errorf("%s has %s", m.names[i], a)
				}
			}
			m.connected()
		})
	}
}

// Another network key reaches all, and they go on without a break.
func TestPendingNetworkKey(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than five minutes")
	}
	for i, side := range leaders {
		t.Run(side.name, func(t *testing.T) {
			m := newMixed(t, 92+i, side.ours)
			d := m.nodes[0].ask("dataset active -x")[0]
			key := "00112233445566778899aabbccddee00"
			d = with(d, tlv(tlvKey, key), timestampTLV(tlvActive, 10), timestampTLV(tlvPending, 10), tlv(tlvDelay, "00000000"))
			m.nodes[ourRouter].ask("dataset mgmtsetcommand pending -x " + d)
			m.everywhere("pending", "Network Key", key, 10*time.Second)
			m.everywhere("active", "Network Key", key, 305*time.Second)
			m.connected()
		})
	}
}

// The commissioner changes parts of the dataset, surveys the surroundings, and
// asks for Announces.
func TestCommissionerManages(t *testing.T) {
	for i, side := range leaders {
		t.Run(side.name, func(t *testing.T) {
			m := newMixed(t, 94+i, side.ours)
			c := m.nodes[theirRouter] // against our leader
			if !side.ours {
				c = m.nodes[ourRouter]
			}
			c.ask("commissioner start")
			if _, err := c.wait(10*time.Second, "Commissioner: active"); err != nil {
				t.Fatal(err)
			}
			c.ask("dataset mgmtsetcommand active activetimestamp 5 networkname part")
			m.everywhere("active", "Network Name", "part", 10*time.Second)
			c.ask("dataset mgmtsetcommand active activetimestamp 6 channel 20") // not at once
			c.ask("dataset mgmtgetcommand active networkname")
			time.Sleep(3 * time.Second)
			m.everywhere("active", "Channel", "15", 0)
			m.nodes[0].ask("delaytimermin 10")
			c.ask("dataset mgmtsetcommand pending activetimestamp 7 pendingtimestamp 1 delay 10000 channel 20")
			m.everywhere("active", "Channel", "20", 25*time.Second)
			m.everywhere("active", "Network Name", "part", 0)
			m.connected()

			for _, who := range []int{leaderNode, theirRouter, ourRouter, theirSleeper, ourSleeper, ourChild} {
				to := m.nodes[who].ask("ipaddr rloc")[0]
				c.ask("commissioner energy 0x00108000 2 32 20 " + to)
				line, err := c.wait(20*time.Second, "Energy: 00108000 ")
				if err != nil || len(strings.Fields(line)) != 2+4 {
					t.Errorf("energy of %s: %q %v", m.names[who], line, err)
				}
				// Our own network's PAN ID is in use on its channel.
				pan := m.nodes[0].ask("panid")[0]
				c.ask("commissioner panid " + pan + " 0x00100000 " + to)
				if line, err = c.wait(20*time.Second, "Conflict: "); err != nil || line != "Conflict: "+strings.TrimPrefix(pan, "0x")+", 00100000" {
					t.Errorf("PAN ID by %s: %q %v", m.names[who], line, err)
				}
			}
			before := strings.Join(m.nodes[0].ask("counters mac"), " ")
			c.ask("commissioner announce 0x00108000 2 100 " + m.nodes[0].ask("ipaddr rloc")[0])
			time.Sleep(3 * time.Second)
			if after := strings.Join(m.nodes[0].ask("counters mac"), " "); after == before {
				t.Error("nothing was sent")
			}
			m.connected()
		})
	}
}

// What a router is set to, newer than the network's, becomes the network's.
func TestOwnDataset(t *testing.T) {
	for i, side := range leaders {
		t.Run(side.name, func(t *testing.T) {
			m := newMixed(t, 96+i, side.ours)
			for j, who := range []int{theirRouter, ourRouter, theirSleeper, ourSleeper} {
				c := m.nodes[who]
				for _, s := range []string{"dataset init active", fmt.Sprintf("dataset activetimestamp %d", 10+j),
					fmt.Sprintf("dataset networkname by-%d", who), "dataset commit active"} {
					c.ask(s)
				}
				m.everywhere("active", "Network Name", fmt.Sprintf("by-%d", who), 20*time.Second)
			}
			m.connected()
		})
	}
}

// Key sequences go 0, 1, 2: first the leader moves on, then a router, and all
// follow who hear it.
func TestKeyRotation(t *testing.T) {
	for i, side := range leaders {
		t.Run(side.name, func(t *testing.T) {
			m := newMixed(t, 98+i, side.ours)
			mover := m.nodes[theirRouter]
			if !side.ours {
				mover = m.nodes[ourRouter]
			}
			m.rotate(m.nodes[0], 1)
			m.rotate(mover, 2)
		})
	}
}

// rotate lets one node move to a key sequence, and the others follow.
func (m *mixed) rotate(who *otCLI, want int) {
	m.t.Helper()
	for _, c := range m.nodes {
		c.ask("keysequence guardtime 0")
	}
	who.ask(fmt.Sprintf("keysequence counter %d", want))
	m.connected()
	for i, c := range m.nodes {
		got := c.ask("keysequence counter")[0]
		for end := time.Now().Add(30 * time.Second); got != strconv.Itoa(want) && time.Now().Before(end); got = c.ask("keysequence counter")[0] {
			time.Sleep(200 * time.Millisecond)
		}
		if got != strconv.Itoa(want) {
			m.t.Errorf("%s is at sequence %s, want %d", m.names[i], got, want)
		}
	}
	m.connected()
}

// The gateway moves its whole network, theirs to a leader, and one that is
// theirs.
func TestGatewaySetsDataset(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	for i, side := range leaders {
		t.Run(side.name, func(t *testing.T) {
			ns := newRCPNetns(t)
			ns.env = []string{"PORT_OFFSET=" + strconv.Itoa(100+i)}
			g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1")
			other := ns.cli("ot-cli-ftd", 2)
			other.ask("routerselectionjitter 1")
			var d string
			if side.ours {
				g.form()
				d = strings.TrimSpace(g.ctl("dataset", "export"))
				other.ask("dataset set active " + d)
				other.ask("ifconfig up")
				other.ask("thread start")
				waitState(t, other.ask, 30*time.Second, "router")
			} else {
				for _, s := range []string{"dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start"} {
					other.ask(s)
				}
				waitState(t, other.ask, 30*time.Second, "leader")
				d = other.ask("dataset active -x")[0]
				g.ctl("dataset", "import", d)
				g.waitRole(30*time.Second, "child", "router")
			}
			sleeper, addr := ns.sleeper(3, d, "pollperiod 300")
			g.ctl("dataset", "set", "--channel", "22", "--panid", "0x2222", "--delay", "30s")
			out, err := ns.command(g.bin, "--socket", g.socket, "dataset", "set", "--channel", "23").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "another change of the network is under way") {
				t.Errorf("a second change: %v %s", err, out)
			}
			for _, c := range []*otCLI{other, sleeper} {
				end := time.Now().Add(45 * time.Second)
				for c.element("active", "Channel") != "22" || c.element("active", "PAN ID") != "0x2222" {
					if time.Now().After(end) {
						t.Fatal("not everybody moved")
					}
					time.Sleep(200 * time.Millisecond)
				}
			}
			for _, a := range []string{other.ask("ipaddr mleid")[0], addr} {
				err := g.hostPing(a, 16, 1)
				for range 3 {
					if err == nil {
						break
					}
					err = g.hostPing(a, 500, 1)
				}
				if err != nil {
					t.Error(err)
				}
			}
			g.ctl("dataset", "set", "--name", "revoked", "--delay", "10m")
			g.ctl("dataset", "revoke")
			end := time.Now().Add(15 * time.Second)
			for other.element("pending", "Delay") == "" || other.element("pending", "Network Name") == "revoked" {
				if time.Now().After(end) {
					t.Fatal("not revoked")
				}
				time.Sleep(200 * time.Millisecond)
			}
		})
	}
}
