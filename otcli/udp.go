package otcli

import (
	"errors"
	"fmt"
	"net/netip"

	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/mesh"
)

// udpSocket is the one UDP socket of the command line.
type udpSocket struct {
	open    bool
	local   netip.AddrPort
	peer    netip.AddrPort
	secured bool
}

// firstEphemeral is the first port for sockets that were not bound.
const firstEphemeral = 49152

func udpCommands() []command {
	return []command{
		{"bind", udpBind},
		{"close", udpClose},
		{"connect", udpConnect},
		{"linksecurity", onOff(func(c *CLI) bool { return c.udp.secured }, func(c *CLI, on bool) error {
			c.udp.secured = on
			return nil
		})},
		{"open", udpOpen},
		{"send", udpSend},
	}
}

func udpOpen(c *CLI, _ []string) error {
	if c.udp.open {
		return Already
	}
	c.udp.open = true
	return nil
}

func udpClose(c *CLI, _ []string) error {
	if p := c.udp.local.Port(); p != 0 {
		c.node.IP().HandleUDP(p, nil)
	}
	c.udp = udpSocket{secured: c.udp.secured}
	return nil
}

// udpBind is `bind [-u|-b] address port`; both options are about a host that
// there is not, and are accepted.
func udpBind(c *CLI, args []string) error {
	if w := word(args, 0); w == "-u" || w == "-b" {
		args = args[1:]
	}
	a, err := parseAddr(word(args, 0))
	if err != nil {
		return err
	}
	port, err := parseUint(word(args, 1), 16)
	if err != nil || len(args) > 2 {
		return InvalidArgs
	}
	if !c.udp.open {
		return InvalidState
	}
	return c.listen(a, uint16(port))
}

// listen binds the socket; port 0 is any that is free.
func (c *CLI) listen(a netip.Addr, port uint16) error {
	s := c.node.IP()
	if !a.IsUnspecified() && !a.IsMulticast() && !s.Has(a) {
		return InvalidArgs
	}
	if port == 0 {
		for port = firstEphemeral; s.UDPInUse(port); port++ {
			if port == 0xffff {
				return NoBufs
			}
		}
	} else if port != c.udp.local.Port() && s.UDPInUse(port) {
		return Failed
	}
	if old := c.udp.local.Port(); old != 0 {
		s.HandleUDP(old, nil)
	}
	c.udp.local = netip.AddrPortFrom(a, port)
	s.HandleUDP(port, c.udpReceived)
	return nil
}

func (c *CLI) udpReceived(d *ip.Datagram) {
	if a := c.udp.local.Addr(); !a.IsUnspecified() && a != d.Dst.Addr() {
		return
	}
	if c.udp.peer.IsValid() && c.udp.peer != d.Src {
		return
	}
	c.tell("%d bytes from %s %d %s", len(d.Payload), address(d.Src.Addr()), d.Src.Port(), d.Payload)
}

func udpConnect(c *CLI, args []string) error {
	a, err := parseAddr(word(args, 0))
	if err != nil {
		return err
	}
	port, err := parseUint(word(args, 1), 16)
	if err != nil || len(args) > 2 {
		return InvalidArgs
	}
	if !c.udp.open {
		return InvalidState
	}
	c.udp.peer = netip.AddrPortFrom(a, uint16(port))
	return nil
}

// udpSend is `send [address port] [-s length | -x hex | [-t] text]`.
func udpSend(c *CLI, args []string) error {
	if !c.udp.open {
		return InvalidState
	}
	to := c.udp.peer
	if len(args) > 2 {
		a, err := parseAddr(args[0])
		if err != nil {
			return err
		}
		port, err := parseUint(args[1], 16)
		if err != nil {
			return err
		}
		to, args = netip.AddrPortFrom(a, uint16(port)), args[2:]
	}
	payload, err := parsePayload(args)
	if err != nil {
		return err
	}
	if !to.IsValid() || to.Addr().IsUnspecified() {
		return InvalidArgs
	}
	if c.udp.local.Port() == 0 {
		if err := c.listen(netip.IPv6Unspecified(), 0); err != nil {
			return err
		}
	}
	src := c.udp.local
	if a := src.Addr(); a.IsUnspecified() || a.IsMulticast() {
		src = netip.AddrPortFrom(netip.Addr{}, src.Port())
	}
	o := link.Options{Priority: link.Normal}
	if !c.udp.secured {
		o.Security = link.Unsecured
	}
	err = c.node.IP().SendUDP(ip.Datagram{Src: src, Dst: to, Payload: payload}, o)
	if errors.Is(err, mesh.ErrUnreachable) {
		return nil // it was sent; what becomes of it is not told
	}
	return err
}

// netstat shows the UDP ports that somebody listens on, and their peers.
func netstat(c *CLI, _ []string) error {
	c.header(column{"Local Address", 49}, column{"Peer Address", 49})
	if !c.node.Up() {
		return nil
	}
	shown := func(a netip.AddrPort) string {
		if !a.Addr().IsValid() {
			a = netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port())
		}
		return fmt.Sprintf("[%s]:%d", address(a.Addr()), a.Port())
	}
	for _, port := range c.node.IP().UDPPorts() {
		local, peer := netip.AddrPortFrom(netip.Addr{}, port), netip.AddrPort{}
		if port == c.udp.local.Port() {
			local, peer = c.udp.local, c.udp.peer
		}
		c.line("| %-47s | %-47s |", shown(local), shown(peer))
	}
	return nil
}

func parsePayload(args []string) ([]byte, error) {
	switch word(args, 0) {
	case "-s":
		n, err := parseUint(word(args, 1), 16)
		if err != nil {
			return nil, err
		}
		return pattern(int(n))
	case "-x":
		return parseHex(word(args, 1), ip.MTU)
	case "-t":
		args = args[1:]
	}
	if word(args, 0) == "" {
		return nil, InvalidArgs
	}
	return []byte(args[0]), nil
}

// pattern is n of the digits and letters, in turn.
func pattern(n int) ([]byte, error) {
	const all = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if n > ip.MTU {
		return nil, NoBufs
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = all[i%len(all)]
	}
	return b, nil
}
