//go:build bench

package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Places of an air.
const (
	routerPlace = 1
	firstPlace  = 2 // of its neighbours
)

// line puts the router between two nodes that hear only it, and measures what
// it takes to carry packets from one to the other, and how fast a host is when
// frames take time.
func (m *measurement) line(small, large int) error {
	a, dataset, err := m.restart()
	if err != nil {
		return err
	}
	defer a.close()
	var ends [2]*peer
	var addrs [2]netip.Addr
	for i := range ends {
		if err := a.add(firstPlace + i); err != nil {
			return err
		}
		a.link(routerPlace, firstPlace+i)
		if ends[i], err = newPeer(m.ns.at(firstPlace+i), m.peerProgram, theOnlyNode); err != nil {
			return err
		}
		defer ends[i].end()
		if addrs[i], err = ends[i].attach(dataset); err != nil {
			return fmt.Errorf("node %d of the line: %w", i, err)
		}
		if err := ends[i].do("udp open", fmt.Sprintf("udp bind :: %d", nodePort)); err != nil {
			return err
		}
	}
	// The first packets find the way.
	if err := eventually(20*time.Second, func() error { return carry(ends[0], ends[1], addrs[1], 16) }); err != nil {
		return err
	}
	for _, s := range []struct{ row, size int }{{small, 16}, {large, 1000}} {
		if err := m.flow(s.row, func(int) error { return carry(ends[0], ends[1], addrs[1], s.size) }); err != nil {
			return err
		}
	}
	if m.host == nil {
		return nil
	}
	a.timed.Store(true)
	for _, s := range []struct{ row, row2, size int }{
		{rowGoodputSmall, rowGoodputSmall2, 64}, {rowGoodputLarge, rowGoodputLarge2, 1000},
	} {
		if err := m.goodputDown(s.row, s.size, ends[1], addrs[1]); err != nil {
			return err
		}
		if err := m.goodput(s.row2, s.size, ends[1], func() error { return ends[0].sendUDP(addrs[1], s.size) }); err != nil {
			return err
		}
	}
	return nil
}

// restart makes the router the leader of a new network, alone at its place of
// a new air and with nothing stored: else it would look for its former
// neighbours first.
func (m *measurement) restart() (*air, string, error) {
	m.router.stop()
	m.ns.dir = filepath.Join(m.ns.dir, "next")
	if err := os.Mkdir(m.ns.dir, 0o700); err != nil {
		return nil, "", err
	}
	a, err := newAir(m.ns)
	if err != nil {
		return nil, "", err
	}
	m.ns.env = []string{environment(routerPlace)}
	begin := func() (dataset string, err error) {
		if err := a.add(routerPlace); err != nil {
			return "", err
		}
		if err := m.router.start(); err != nil {
			return "", err
		}
		if err := m.router.form(); err != nil {
			return "", err
		}
		if err := m.untilLeader(20 * time.Second); err != nil {
			return "", err
		}
		return m.router.dataset()
	}
	dataset, err := begin()
	if err != nil {
		a.close()
		return nil, "", err
	}
	return a, dataset, nil
}

// sendUDP sends one packet.
func (p *peer) sendUDP(to netip.Addr, size int) error {
	_, err := p.ask(fmt.Sprintf("udp send %v %d -s %d", to, nodePort, size))
	return err
}

// arrival waits for a packet.
func (p *peer) arrival(size int, limit time.Duration) error {
	_, err := p.wait(fmt.Sprintf("%d bytes from", size), limit)
	return err
}

// carry sends a packet from one node to another.
func carry(from, to *peer, addr netip.Addr, size int) error {
	if err := from.sendUDP(addr, size); err != nil {
		return err
	}
	return to.arrival(size, packetMax)
}

// window is how many bytes are under way when goodput is measured: the sender
// is never idle, and its queue short.
const window = 3000

// goodput measures how fast payload arrives, with always some packets under
// way.
func (m *measurement) goodput(row, size int, to *peer, send func() error) error {
	count, under := m.packets*100/size, min(window/size, 8)
	sent, arrived, lost := 0, 0, 0
	began := time.Now()
	last := began
	for arrived+lost < count {
		for ; sent < count && sent-arrived-lost < under; sent++ {
			if err := send(); err != nil {
				return fmt.Errorf("%s: %w", m.rows[row].what, err)
			}
		}
		if err := to.arrival(size, 3*packetMax); err != nil {
			lost++
			continue
		}
		arrived++
		last = time.Now()
	}
	if arrived < count*8/10 {
		return fmt.Errorf("%s: %d of %d packets arrived", m.rows[row].what, arrived, count)
	}
	if lost > 0 {
		m.note("%s, %v: %d of %d were lost", m.rows[row].what, m.column, lost, count)
	}
	m.set(row, m.column, float64(arrived*size*8)/1000/last.Sub(began).Seconds())
	return nil
}

// goodputDown measures packets from a socket of the host to a node.
func (m *measurement) goodputDown(row, size int, to *peer, addr netip.Addr) error {
	c, err := m.ns.listenUDP(hostPort)
	if err != nil {
		return err
	}
	defer c.Close()
	payload := []byte(strings.Repeat("x", size))
	at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, nodePort))
	return m.goodput(row, size, to, func() error {
		_, err := c.WriteToUDP(payload, at)
		return err
	})
}
