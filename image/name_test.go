//go:build image

package image

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"gatewayd/dnssd/mdns"
)

// A rival is another host on the cable, that has a name in "local." already.
type rival struct {
	t    *testing.T
	conn *net.UnixConn
	card *net.UnixAddr
	name mdns.Name
	seen chan mdns.Record // what others announce
}

func newRival(t *testing.T, l *lan, name string) *rival {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: l.peer, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	n, err := mdns.MakeName(name, "local")
	if err != nil {
		t.Fatal(err)
	}
	r := &rival{t: t, conn: conn, card: &net.UnixAddr{Name: l.card, Net: "unixgram"}, name: n, seen: make(chan mdns.Record, 1000)}
	t.Cleanup(func() { conn.Close() })
	go r.run()
	return r
}

// run answers who asks for the name, as RFC 6762 Section 9 has it: it defends
// it.
func (r *rival) run() {
	b := make([]byte, 2000)
	for {
		n, err := r.conn.Read(b)
		if err != nil {
			return // the test is over
		}
		p := gopacket.NewPacket(b[:n], layers.LayerTypeEthernet, gopacket.Default)
		udp, ok := p.TransportLayer().(*layers.UDP)
		if !ok || udp.DstPort != mdns.Port || p.ErrorLayer() != nil {
			continue
		}
		m, err := mdns.DecodeMessage(udp.Payload)
		if err != nil {
			r.t.Errorf("%v: %x", err, udp.Payload)
			continue
		}
		for _, a := range m.Answers {
			select {
			case r.seen <- a:
			default: // nobody looks any more
			}
		}
		for _, q := range m.Questions {
			if q.Name.Equal(r.name) {
				r.defend()
				break
			}
		}
	}
}

func (r *rival) defend() {
	own := netip.MustParseAddr("10.0.2.99").As4()
	m := mdns.Message{Response: true, Authoritative: true, Answers: []mdns.Record{
		{Name: r.name, Type: mdns.TypeA, Class: mdns.ClassIN, Flush: true, TTL: 2 * time.Minute, Data: string(own[:])}}}
	ip := &layers.IPv4{Version: 4, TTL: 255, Protocol: layers.IPProtocolUDP, SrcIP: own[:], DstIP: mdns.Group4.AsSlice()}
	udp := &layers.UDP{SrcPort: mdns.Port, DstPort: mdns.Port}
	_ = udp.SetNetworkLayerForChecksum(ip) // an IPv4 layer is one
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, 0xcc}, DstMAC: net.HardwareAddr{1, 0, 0x5e, 0, 0, 0xfb}, EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload(m.Append(nil))); err != nil {
		r.t.Error(err)
		return
	}
	_, _ = r.conn.WriteTo(buf.Bytes(), r.card) // the machine may be off
}

// A box whose name another one has takes the next, tells it, and keeps it.
func TestNameTaken(t *testing.T) {
	c := card(t)
	l := newLAN(t)
	r := newRival(t, l, "gatewayd")
	b := startOn(t, "virt", c, false, nil, l)
	b.says(pageLimit, "<h1>gatewayd-2</h1>", "at http://gatewayd-2.local.")
	if !b.console.has("gatewayd: the page is at http://gatewayd-2.local") {
		t.Error("the console does not tell the name")
	}
	want, err := mdns.MakeName("gatewayd-2", "local")
	if err != nil {
		t.Fatal(err)
	}
	for limit := time.After(30 * time.Second); ; {
		select {
		case a := <-r.seen:
			if a.Name.Equal(want) && a.Addr().String() == "10.0.2.15" {
				limit = nil
			}
		case <-limit:
			t.Fatal("nobody announces gatewayd-2.local with the box's address")
		}
		if limit == nil {
			break
		}
	}
	b.cut()
	b = start(t, c, false, nil)
	b.says(pageLimit, "<h1>gatewayd-2</h1>")
	for end := time.Now().Add(30 * time.Second); !b.console.has("gatewayd: the page is at http://gatewayd-2.local"); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the name is not kept")
		}
	}
}
