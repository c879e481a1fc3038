package doctor

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatewayd/host/infra"
	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// probeChecks act only if Options.Probe.
var probeChecks = []Check{
	{"HOST-RADROP", "router advertisements that arrive are heard (probe)", checkAdvertsHeard},
	{"HOST-RIO", "routes that are advertised get into the kernel (probe)", checkRoutesInstalled},
	{"HOST-PATH", "a packet of a neighbor gets to the mesh (probe)", checkPath},
}

// A tap sees the packets of an interface before any firewall, and after.
type tap struct {
	fd    int
	index int
}

func openTap(index int) (*tap, error) {
	// All protocols: only so are packets that go out seen.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &tap{fd, index}, nil
}

func (t *tap) close() { unix.Close(t.fd) }

// next waits for an IPv6 packet until the deadline.
func (t *tap) next(deadline time.Time) (packet []byte, outgoing, ok bool) {
	b := make([]byte, 2048)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return nil, false, false
		}
		poll := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(poll, int(left/time.Millisecond)+1); err != nil && err != unix.EINTR || n == 0 {
			return nil, false, false
		}
		n, from, err := unix.Recvfrom(t.fd, b, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		ll, _ := from.(*unix.SockaddrLinklayer)
		if err != nil || ll == nil {
			return nil, false, false
		}
		if n >= ipv6.HeaderLen && b[0]>>4 == 6 {
			return b[:n], ll.Pkttype == unix.PACKET_OUTGOING, true
		}
	}
}

func htons(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }

// checkAdvertsHeard asks the routers of each link to advertise themselves and
// compares what arrives with what gets past the host's firewall.
func checkAdvertsHeard(e *exam) {
	if !e.Probe || e.had("HOST-CAP", "HOST-IFDOWN", "HOST-LL") {
		return
	}
	for _, l := range e.links {
		if !l.Ready() {
			continue
		}
		arrived, heard := e.solicit(l)
		e.adverts = append(e.adverts, arrived...)
		for _, in := range arrived {
			src := in.Src
			if slices.Contains(heard, src) {
				continue
			}
			e.problem(l.Name, "ip6tables -I INPUT -p icmpv6 -j ACCEPT, or nft insert rule inet TABLE input meta l4proto ipv6-icmp accept",
				"Router advertisements of %v arrive on %s, and a firewall of this host drops them.", src, l.Name)
			break
		}
	}
}

// checkRoutesInstalled goes through what checkAdvertsHeard has received.
func checkRoutesInstalled(e *exam) {
	if e.had("HOST-RA", "HOST-RADROP", "HOST-RTINFO", "HOST-RIOLEN") {
		return
	}
	routes := mainRoutes(netlink.FAMILY_V6)
	for _, a := range e.adverts {
		m, err := ndp.Decode(a.Type, a.Code, a.Body)
		if err != nil || ndp.Validate(a.In, m) != nil {
			continue
		}
		for _, o := range m.(ndp.RouterAdvert).Options {
			rio, ok := o.(ndp.RouteInfo)
			p := rio.Prefix
			if !ok || rio.Lifetime == 0 || p.Bits() == 0 || p.Bits() > 64 || slices.Contains(e.meshPrefixes(), p) ||
				slices.ContainsFunc(routes, func(r netlink.Route) bool { return prefix(r.Dst) == p }) {
				continue
			}
			e.problem(p.String(), "gatewayd doctor names settings that are wrong; ip -6 route show "+p.String()+" and journalctl -u NetworkManager -u systemd-networkd say more",
				"%v advertises on %s that it leads to %v, and the host has no such route.", a.Src, a.link, p)
		}
	}
}

// An advert is a router advertisement that arrived.
type advert struct {
	ndp.In
	link string
}

// solicit returns the router advertisements that arrive on a link and the
// routers whose a socket receives, within half of the time.
func (e *exam) solicit(l infra.Link) (arrived []advert, heard []netip.Addr) {
	tap, err := openTap(l.Index)
	if err != nil {
		return nil, nil
	}
	defer tap.close()
	got := make(chan netip.Addr, 64)
	stop, err := infra.Listen(l, func(in ndp.In) {
		if in.Type == ndp.TypeRouterAdvert {
			select {
			case got <- in.Src:
			default:
			}
		}
	}, ndp.RouterSolicit{})
	if err != nil {
		return nil, nil
	}
	defer stop()
	deadline := time.Now().Add(e.Wait / 2)
	for {
		p, outgoing, ok := tap.next(deadline)
		if !ok {
			break
		}
		if h, payload, err := ipv6.DecodeHeader(p); err == nil && !outgoing && h.NextHeader == ipv6.ProtoICMPv6 &&
			len(payload) > 4 && payload[0] == ndp.TypeRouterAdvert {
			arrived = append(arrived, advert{link: l.Name, In: ndp.In{
				Src: h.Src, Dst: h.Dst, HopLimit: h.HopLimit, Type: payload[0], Code: payload[1], Body: slices.Clone(payload[4:])}})
			deadline = time.Now().Add(min(time.Until(deadline), 100*time.Millisecond))
		}
	}
	for {
		select {
		case src := <-got:
			heard = append(heard, src)
		default:
			return arrived, heard
		}
	}
}

// checkPath sends a packet to the mesh as a neighbor on another link would,
// and looks whether it comes out on the mesh's interface.
func checkPath(e *exam) {
	prefixes := e.meshPrefixes()
	if !e.Probe || !e.routes() || len(prefixes) == 0 || e.had("HOST-CAP", "HOST-FWD6", "HOST-ROUTE", "HOST-IF6OFF") {
		return
	}
	tap, err := openTap(e.mesh)
	if err != nil {
		return
	}
	defer tap.close()
	src := netip.MustParseAddr("fd67:6174:6577:6179::2")
	// One to each prefix: some, as the mesh-local one, are never to be reached.
	var packets [][]byte
	for _, p := range prefixes {
		packets = append(packets, ipv6.AppendICMPPacket(nil, ipv6.Header{HopLimit: 64, Src: src, Dst: inside(p)}, 128, 0, []byte("\x67\x77\x00\x01doctor")))
	}
	arrived := make(chan struct{})
	sent := make(chan error, 1)
	go func() { sent <- fromNeighbor(packets, e.Wait/2, arrived) }()
	deadline := time.Now().Add(e.Wait / 2)
	for {
		p, _, ok := tap.next(deadline)
		if !ok {
			break
		}
		if s := src.As16(); bytes.Equal(p[8:24], s[:]) {
			close(arrived)
			<-sent
			return
		}
	}
	if err := <-sent; err != nil {
		return // nothing is known
	}
	e.problem(e.Mesh, "nft list ruleset, ip6tables -S FORWARD: look for what drops forwarded packets",
		"Packets that a neighbor sends to the mesh do not come out on %s.", e.Mesh)
}

const (
	neighborHere  = "gwdoctor0"
	neighborThere = "gwdoctor1"
)

// fromNeighbor has packets come from a network namespace that is made for it
// and goes with it, again and again: a new link takes a moment to work.
func fromNeighbor(packets [][]byte, wait time.Duration, arrived <-chan struct{}) error {
	here, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer here.Close()
	return inNamespace(func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: neighborHere}, PeerName: neighborThere, PeerNamespace: netlink.NsPid(unix.Gettid())}
		if err := here.LinkAdd(veth); err != nil {
			return err
		}
		defer here.LinkDel(veth)
		there, err := netlink.LinkByName(neighborThere)
		if err != nil {
			return err
		}
		link, err := here.LinkByName(neighborHere)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(there); err != nil {
			return err
		}
		if err := here.LinkSetUp(link); err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		to := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IPV6), Ifindex: there.Attrs().Index, Halen: 6}
		copy(to.Addr[:], link.Attrs().HardwareAddr)
		end := time.After(wait)
		for {
			for _, p := range packets {
				if err := unix.Sendto(fd, p, 0, to); err != nil && err != unix.ENOBUFS {
					return err
				}
			}
			select {
			case <-arrived:
				return nil
			case <-end:
				return nil
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
}
