package rcpd

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"gatewayd/radio"
	"gatewayd/radio/medium/udp"
	"gatewayd/radio/zep"
)

// Open takes the place in a medium that a radio URL names:
//
//	sim:N   node N of OpenThread's simulation, sim: node 1; PORT_OFFSET in the
//	        environment chooses among several airs
//	zep://  a place in a medium of ZEP datagrams
func Open(u radio.URL) (Medium, error) {
	switch u.Bus {
	case radio.BusSim:
		node := 1
		if u.Path != "" {
			n, err := strconv.Atoi(u.Path)
			if err != nil {
				return nil, fmt.Errorf("rcpd: radio %v: want sim: and the number of a simulated node", u)
			}
			node = n
		}
		offset, err := udp.OffsetFromEnv()
		if err != nil {
			return nil, err
		}
		m, err := udp.Open(udp.Config{Node: node, PortOffset: offset})
		if err != nil {
			return nil, err // and no Medium that is not nil
		}
		return m, nil
	case radio.BusZEP:
		m, err := zep.Open(zep.Config{Remote: u.Addr, Local: u.Local, EUI64: u.EUI64})
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	return nil, fmt.Errorf("rcpd: radio %v is not on a medium of datagrams", u)
}

// Dial makes a co-processor on what Open opens and returns the host's end of
// the stream to it. The co-processor ends when that is closed.
func Dial(u radio.URL) (net.Conn, error) {
	m, err := Open(u)
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	go func() {
		defer m.Close()
		_ = Serve(context.Background(), theirs, Config{Medium: m}) // ends when ours is closed
	}()
	return ours, nil
}
