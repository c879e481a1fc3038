//go:build bench

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// measurement is of one host.
type measurement struct {
	*table
	column
	ns          *namespace
	router      router // whose figures these are
	host        host   // the same, if it is a host
	peerProgram string
	peer        *peer
	addr        netip.Addr // the peer's
}

const (
	nodePort  = 4000
	hostPort  = 4001
	pskd      = "J01NME"
	packetMax = time.Second // after that a packet is lost
)

func (m *measurement) run() error {
	progress("%s", m.ns.name)
	for _, step := range []func() error{m.starts, m.forming, m.attach} {
		if err := step(); err != nil {
			return err
		}
	}
	// What fails here leaves the rest to be measured.
	var failed []error
	for _, step := range []func() error{
		m.ping,
		func() error { return m.down(rowSmallDown, 64) },
		func() error { return m.up(rowSmallUp, 64) },
		func() error { return m.down(rowLargeDown, 1000) },
		func() error { return m.up(rowLargeUp, 1000) },
		m.idle, m.join,
		func() error { return m.line(rowTransitSmall, rowTransitLarge) },
		m.children, m.routers,
	} {
		failed = append(failed, step())
	}
	return errors.Join(failed...)
}

// starts measures the start of the process, with nothing stored.
func (m *measurement) starts() error {
	var took []time.Duration
	for range m.table.starts {
		began := time.Now()
		if err := m.host.start(); err != nil {
			return fmt.Errorf("start: %w", err)
		}
		took = append(took, time.Since(began))
		m.host.stop()
	}
	m.set(rowReady, m.column, median(took, time.Millisecond))
	return nil
}

func (m *measurement) untilLeader(limit time.Duration) error {
	return eventually(limit, func() error {
		time.Sleep(5 * time.Millisecond)
		role, err := m.router.role()
		if err == nil && role != "leader" {
			err = fmt.Errorf("%v is %s", m.column, role)
		}
		return err
	})
}

// forming measures a new network, the memory of its leader, and its restart.
func (m *measurement) forming() error {
	if err := m.host.start(); err != nil {
		return err
	}
	var took []time.Duration
	for range m.forms {
		began := time.Now()
		if err := m.host.form(); err != nil {
			return fmt.Errorf("form: %w", err)
		}
		if err := m.untilLeader(20 * time.Second); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	m.set(rowForm, m.column, median(took, time.Second))

	time.Sleep(5 * time.Second)
	if err := m.memory(rowMemory); err != nil {
		return err
	}

	m.host.stop()
	began := time.Now()
	if err := m.host.start(); err != nil {
		return err
	}
	if err := m.host.resume(); err != nil {
		return err
	}
	if err := m.untilLeader(120 * time.Second); err != nil {
		return err
	}
	m.set(rowRestart, m.column, time.Since(began).Seconds())
	return nil
}

func (m *measurement) attach() error {
	d, err := m.host.dataset()
	if err != nil {
		return err
	}
	if m.peer, err = newPeer(m.ns, m.peerProgram, "2"); err != nil {
		return err
	}
	if m.addr, err = m.peer.attach(d); err != nil {
		return fmt.Errorf("the peer: %w", err)
	}
	if err := m.peer.do("udp open", fmt.Sprintf("udp bind :: %d", nodePort)); err != nil {
		return err
	}
	// The first packet finds the way.
	return eventually(20*time.Second, func() error {
		_, err := m.pings(1)
		return err
	})
}

var pingTime = regexp.MustCompile(`time=([\d.]+) ms`)

// pings has the host's own IPv6 stack ping the node.
func (m *measurement) pings(n int) (rtt []time.Duration, err error) {
	out, err := m.ns.command("ping", "-6", "-n", "-c", strconv.Itoa(n), "-i", "0.02", "-W", "1", "-s", "16", m.addr.String()).CombinedOutput()
	if _, exit := err.(*exec.ExitError); err != nil && !exit {
		return nil, err
	}
	for _, t := range pingTime.FindAllSubmatch(out, -1) {
		ms, err := strconv.ParseFloat(string(t[1]), 64)
		if err != nil {
			return nil, err
		}
		rtt = append(rtt, time.Duration(ms*float64(time.Millisecond)))
	}
	if len(rtt) < max(1, n*8/10) {
		return rtt, fmt.Errorf("ping %v: %d of %d answers: %s", m.addr, len(rtt), n, lastLine(out))
	}
	return rtt, nil
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// ping measures round trips, and the CPU time of the host per round trip.
func (m *measurement) ping() error {
	var rtt []time.Duration
	cpu, err := m.cpuOf(func() (err error) {
		rtt, err = m.pings(m.table.pings)
		return err
	})
	if err != nil {
		return err
	}
	if lost := m.table.pings - len(rtt); lost > 0 {
		m.note("ping, %v: %d of %d were not answered", m.column, lost, m.table.pings)
	}
	m.set(rowPing, m.column, median(rtt, time.Millisecond))
	m.set(rowPingCPU, m.column, cpu.Seconds()*1000/float64(len(rtt)))
	return nil
}

// cpuOf is the CPU time that is spent while something goes on.
func (m *measurement) cpuOf(f func() error) (time.Duration, error) {
	before, err := cpuTime(m.router.pid())
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	time.Sleep(100 * time.Millisecond) // what is left to do
	after, err := cpuTime(m.router.pid())
	return after - before, err
}

// flow measures the CPU time of packets of which the next is sent when the
// last has arrived.
func (m *measurement) flow(row int, one func(i int) error) error {
	lost := 0
	var last error
	cpu, err := m.cpuOf(func() error {
		for i := range m.packets {
			if err := one(i); err != nil {
				lost++
				last = err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	got := m.packets - lost
	if got < m.packets*8/10 {
		return fmt.Errorf("%s: %d of %d packets arrived: %w", m.rows[row].what, got, m.packets, last)
	}
	if lost > 0 {
		m.note("%s, %v: %d of %d were lost: %v", m.rows[row].what, m.column, lost, m.packets, last)
	}
	m.set(row, m.column, cpu.Seconds()*1000/float64(got))
	return nil
}

// down measures packets from a socket of the host to one of the node.
func (m *measurement) down(row, size int) error {
	c, err := m.ns.listenUDP(hostPort)
	if err != nil {
		return err
	}
	defer c.Close()
	payload := []byte(strings.Repeat("x", size))
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(m.addr, nodePort))
	return m.flow(row, func(int) error {
		if _, err := c.WriteToUDP(payload, to); err != nil {
			return err
		}
		_, err := m.peer.wait(fmt.Sprintf("%d bytes from", size), packetMax)
		return err
	})
}

// up measures packets from a socket of the node to one of the host.
func (m *measurement) up(row, size int) error {
	c, err := m.ns.listenUDP(hostPort)
	if err != nil {
		return err
	}
	defer c.Close()
	to, err := m.ns.sourceTo(m.addr)
	if err != nil {
		return err
	}
	buf := make([]byte, 2000)
	send := fmt.Sprintf("udp send %v %d -s %d", to, hostPort, size)
	return m.flow(row, func(int) error {
		if _, err := m.peer.ask(send); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(packetMax))
		n, _, err := c.ReadFromUDP(buf)
		if err == nil && n != size {
			err = fmt.Errorf("%d bytes arrived, want %d", n, size)
		}
		return err
	})
}

// idle measures a leader with one router beside it and nothing to carry.
func (m *measurement) idle() error {
	time.Sleep(2 * time.Second)
	span := time.Duration(m.idleSeconds) * time.Second
	cpu, err := m.cpuOf(func() error {
		time.Sleep(span)
		return nil
	})
	if err != nil {
		return err
	}
	m.set(rowIdle, m.column, 100*cpu.Seconds()/span.Seconds())
	m.peer.end()
	return nil
}

// join measures a device that joins by its PSKd.
func (m *measurement) join() error {
	if err := m.host.admit(pskd); err != nil {
		return fmt.Errorf("commissioner: %w", err)
	}
	p, err := newPeer(m.ns, m.peerProgram, "3")
	if err != nil {
		return err
	}
	defer p.end()
	time.Sleep(2 * time.Second) // the network data with the steering data gets around
	if err := p.do("ifconfig up"); err != nil {
		return err
	}
	began := time.Now()
	fmt.Fprintln(p.in, "joiner start "+pskd)
	if _, err := p.wait("Join success", 30*time.Second); err != nil {
		return err
	}
	m.set(rowJoin, m.column, time.Since(began).Seconds())
	return nil
}
