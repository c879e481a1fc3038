package rpl

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatewayd/ipv6"
)

// Datagrams between the mesh, hosts beyond the root and hosts behind a router
// arrive as they were sent but for the hop limit: nothing that RPL adds leaves
// the DODAG.
func TestOutside(t *testing.T) {
	for _, mop := range []MOP{NonStoring, Storing} {
		for _, rpi23 := range []bool{false, true} {
			for _, omit := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/0x23 %v/omit %v", mop, rpi23, omit), func(t *testing.T) {
					outsideOf(t, mop, rpi23, omit)
				})
			}
		}
	}
}

func outsideOf(t *testing.T, mop MOP, rpi23, omit bool) {
	w := newWorld(t, 3)
	w.addRoot(RootConfig{MOP: mop, Config: DODAGConfig{RPI23: rpi23}, OmitOption: omit})
	for i := 2; i <= 5; i++ { // a line
		w.addNode(NodeConfig{OmitOption: omit, Leaf: i == 5})
		w.join(i-1, i, 0.05)
	}
	const far, host = "2001:db8::99", "fd00::ee:1"
	w.stations[3].node.SetExternal(External{Prefix: netip.MustParsePrefix(host + "/128")})
	w.until("forming", time.Minute, w.allPing)
	w.run(10 * time.Second)

	send := func(from int, src, dst string) []byte {
		p := echo(src, dst, 64)
		s := w.stations[from-1]
		if s.root != nil && src == far {
			s.do(s.root.Enter(p))
		} else {
			s.do(s.originate(p))
		}
		return p
	}
	// leaves checks that a datagram comes out at a station.
	leaves := func(what string, at, from int, src, dst string) {
		t.Helper()
		for range 3 {
			w.exits = nil
			p := send(from, src, dst)
			w.run(500 * time.Millisecond)
			for _, e := range w.exits {
				if e.at != at {
					t.Errorf("%s: came out at %d", what, e.at)
				}
				got := bytes.Clone(e.packet)
				if got[7] > 64 || got[7] < 58 {
					t.Errorf("%s: hop limit %d", what, got[7])
				}
				got[7] = 64
				if !bytes.Equal(got, p) {
					t.Errorf("%s: came out as %x\nwent in as %x", what, got, p)
				}
				return
			}
		}
		t.Errorf("%s: did not come out; dropped: %v", what, w.drops)
	}
	leaves("node to the world", 1, 4, global(4).String(), far)
	leaves("leaf to the world", 1, 5, global(5).String(), far)
	leaves("world to a host behind a router", 4, 1, far, host)
	leaves("root to a host behind a router", 4, 1, global(1).String(), host)
	leaves("host behind a router to the world", 1, 4, host, far)
	leaves("node to a host behind a router", 4, 2, global(2).String(), host)
	leaves("leaf to a host behind its parent", 4, 5, global(5).String(), host)

	// ask sends until something comes out.
	ask := func(from int, src, dst string) {
		w.exits = nil
		for try := 0; try < 3 && len(w.exits) == 0; try++ {
			send(from, src, dst)
			w.run(500 * time.Millisecond)
		}
	}
	// Into the mesh, answers come out again.
	for i := 2; i <= 5; i++ {
		ask(1, far, global(i).String())
		if len(w.exits) == 0 || w.exits[0].at != 1 {
			t.Errorf("world to node %d: no answer; dropped: %v", i, w.drops)
			continue
		}
		h, payload, err := ipv6.DecodeHeader(w.exits[0].packet)
		if err != nil || h.Dst != addr(far) || h.NextHeader != ipv6.ProtoICMPv6 || payload[0] != ipv6.ICMPEchoReply {
			t.Errorf("answer of node %d: %x", i, w.exits[0].packet)
		}
	}
	// A host behind a router reaches nodes, who answer it there.
	for _, i := range []int{2, 3, 5} {
		ask(4, host, global(i).String())
		if len(w.exits) == 0 || w.exits[0].at != 4 || [16]byte(w.exits[0].packet[24:40]) != addr(host).As16() {
			t.Errorf("host behind a router to node %d: %+v; dropped: %v", i, w.exits, w.drops)
		}
	}
}
