//go:build interop

package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/pcap"
	"gatewayd/radio"
	"gatewayd/radio/medium/udp"
	"gatewayd/radio/transport"
)

// modeEnv makes this test program one of its own helpers inside a namespace:
//
//	sniff PATH         records the simulated air to a pcapng file
//	proxy SOCKET URL   serves the radio at URL on a unix socket; "close",
//	                   "reset" and "kill" on its standard input disturb it
const modeEnv = "GATEWAYD_TEST_MODE"

func init() {
	f := strings.Fields(os.Getenv(modeEnv))
	if len(f) == 0 {
		return
	}
	var err error
	switch f[0] {
	case "sniff":
		err = sniff(f[1])
	case "proxy":
		err = proxy(f[1], f[2])
	default:
		err = fmt.Errorf("no mode %q", f[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// startMode starts this program in a mode, inside the namespace; it ends when
// its standard input does.
func (n *rcpNetns) startMode(args ...string) io.WriteCloser {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := n.command(self)
	cmd.Env = append(cmd.Env, modeEnv+"="+strings.Join(args, " "))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	n.start(cmd)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		n.t.Fatalf("%v: %q %v", args, line, err)
	}
	return in
}

// sniff records every frame of the air.
func sniff(path string) error {
	offset, err := udp.OffsetFromEnv()
	if err != nil {
		return err
	}
	m, err := udp.Open(udp.Config{Node: udp.MaxNode, PortOffset: offset})
	if err != nil {
		return err
	}
	defer m.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := pcap.NewWriter(f, pcap.Options{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	go m.Run(ctx)
	fmt.Println("ready")
	for {
		select {
		case <-ctx.Done():
			return nil
		case d := <-m.Frames():
			channel, psdu, at := d.Frame()
			if len(psdu) < ieee802154.FCSLen {
				continue
			}
			p := pcap.Packet{Time: at, Channel: channel, PSDU: psdu[:len(psdu)-ieee802154.FCSLen]}
			if err := w.Write(&p); err != nil {
				return err
			}
		}
	}
}

// proxy stands between a gateway and its radio.
func proxy(socket, url string) error {
	u, err := radio.ParseURL(url)
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer l.Close()
	var mu sync.Mutex
	var host net.Conn
	var rcp transport.Conn
	open := func() error {
		if rcp, err = transport.Dial(context.Background(), u); err != nil {
			return err
		}
		go func(from transport.Conn) {
			b := make([]byte, 4096)
			for {
				n, err := from.Read(b)
				if err != nil {
					return
				}
				mu.Lock()
				if host != nil {
					host.Write(b[:n])
				}
				mu.Unlock()
			}
		}(rcp)
		return nil
	}
	if err := open(); err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			host = c
			mu.Unlock()
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil {
					break
				}
				mu.Lock()
				rcp.Write(b[:n])
				mu.Unlock()
			}
		}
	}()
	fmt.Println("ready")
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		mu.Lock()
		switch s.Text() {
		case "close":
			host.Close()
		case "reset": // a Spinel RESET behind the host's back
			rcp.Write([]byte{0x7e, 0x80, 0x01, 0x02, 0x92, 0x7e})
		case "kill": // another process takes its place, the connection is cut
			host.Close()
			rcp.Close()
			if err := open(); err != nil {
				return err
			}
		}
		mu.Unlock()
	}
	rcp.Close()
	return nil
}

// frames reads a recording.
func frames(t *testing.T, path string) []pcap.Packet {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcap.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	var out []pcap.Packet
	for {
		p, err := r.Next()
		if err != nil {
			return out
		}
		out = append(out, p)
	}
}

// offset is a PORT_OFFSET that no other test of this program has.
var offsets = 74

func nextOffset() string {
	offsets++
	return "PORT_OFFSET=" + strconv.Itoa(offsets)
}
