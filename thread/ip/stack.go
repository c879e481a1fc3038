package ip

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/thread/link"
)

// MTU is the largest datagram a Thread network carries.
const MTU = 1280

// Errors of sending.
var (
	ErrNoSource = errors.New("ip: no source address of that scope")
	ErrFull     = errors.New("ip: too many datagrams wait")
	ErrTooLong  = fmt.Errorf("ip: datagram longer than %d bytes", MTU)
)

// Mesh is the layer below.
type Mesh interface {
	// Send takes a datagram for the mesh; the packet belongs to it then.
	Send(packet []byte, o link.Options) error
}

// Config is what a Stack needs. Host and Changed may be nil.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	Mesh  Mesh
	// Host takes datagrams for the host's own stack. When it is nil the node
	// stands alone and answers echo requests by itself.
	Host func(packet []byte)
	// Router reports whether the node forwards for others.
	Router func() bool
	// RLOC16 is the node's own short address.
	RLOC16 func() uint16
	// Reaches reports whether the mesh has a way to an address that is not
	// the node's: on-mesh, or by a route in the network data.
	Reaches func(src, dst netip.Addr) bool
	// Exits reports whether this node itself is where a datagram of its own
	// leaves the mesh: it serves the best route. Nil is never.
	Exits func(src, dst netip.Addr) bool
	// WantsCopy reports whether a sleepy child listens to a group that is
	// wider than the realm.
	WantsCopy func(group netip.Addr) bool
	// Unreachable is told of a destination to which a router of the mesh knew
	// no way. It may be nil.
	Unreachable func(dst netip.Addr)
	// Changed is called when addresses or groups are others than before.
	Changed func()
}

// Counters count received datagrams, by the names of OpenThread's `counters ip`;
// what was sent package mesh counts.
type Counters struct {
	RxSuccess, RxFailed uint32
	// Refused are those that the filter for traffic without link security, or
	// for traffic from the host, stopped.
	Refused uint32
}

// Traffic counts datagrams and their bytes.
type Traffic struct{ Packets, Bytes uint64 }

func (t *Traffic) add(packet []byte) { t.Packets++; t.Bytes += uint64(len(packet)) }

// BorderCounters count what passed between mesh and host for others than the
// node itself, by the names of OpenThread's `counters br`.
type BorderCounters struct{ InUnicast, InMulticast, OutUnicast, OutMulticast Traffic }

// Stack is the machine.
type Stack struct {
	cfg       Config
	addrs     []Address
	groups    []netip.Addr
	meshLocal netip.Prefix
	ports     map[uint16]func(*Datagram)
	unsecure  map[uint16]int
	mpl       mpl
	pings     pings
	nextError time.Time // when an ICMPv6 error may be sent again
	looped    [][]byte
	looper    *alarm.Timer

	Counters Counters
	Border   BorderCounters
}

// New returns a Stack without addresses.
func New(cfg Config) *Stack {
	s := &Stack{cfg: cfg, ports: map[uint16]func(*Datagram){}, unsecure: map[uint16]int{}}
	s.looper = cfg.Clock.NewTimer(s.deliverLooped)
	s.mpl.init(s)
	s.pings.init(s)
	return s
}

// SetMeshLocal tells the mesh-local prefix.
func (s *Stack) SetMeshLocal(p netip.Prefix) { s.meshLocal = p }

// Send sends a datagram of a protocol inside the node. The packet belongs to the
// stack then.
func (s *Stack) Send(packet []byte, o link.Options) error { return s.send(packet, o, s.cfg.Exits) }

func (s *Stack) send(packet []byte, o link.Options, exits func(src, dst netip.Addr) bool) error {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return err
	}
	packet = packet[:ipv6.HeaderLen+int(h.PayloadLen)]
	if len(packet) > MTU {
		return ErrTooLong
	}
	if h.Dst.IsMulticast() {
		return s.sendMulticast(h, packet, o)
	}
	if s.Has(h.Dst) {
		return s.loop(packet, o)
	}
	if exits != nil && !h.Dst.IsLinkLocalUnicast() && !s.meshLocal.Contains(h.Dst) && exits(h.Src, h.Dst) {
		s.leave(h, packet)
		finish(o, true)
		return nil
	}
	return s.cfg.Mesh.Send(packet, o)
}

// maxLooped bounds the datagrams on their way to ourselves.
const maxLooped = 64

// loop delivers a datagram to ourselves: not at once, because who sends does
// not expect to be called in the middle of it.
func (s *Stack) loop(packet []byte, o link.Options) error {
	if len(s.looped) >= maxLooped {
		finish(o, false)
		return ErrFull
	}
	s.looped = append(s.looped, packet)
	s.looper.StartEarlier(0)
	finish(o, true)
	return nil
}

func (s *Stack) deliverLooped() {
	packets := s.looped
	s.looped = nil
	for _, p := range packets {
		if h, _, err := ipv6.DecodeHeader(p); err == nil {
			s.deliver(h, p, link.Info{FromHost: true}, false)
		}
	}
}

func finish(o link.Options, ok bool) {
	if o.Done != nil {
		o.Done(ok)
	}
}

func (s *Stack) sendMulticast(h ipv6.Header, packet []byte, o link.Options) error {
	if ipv6.Scope(h.Dst) >= ipv6.ScopeRealm {
		return s.mpl.originate(h, packet, o)
	}
	return s.cfg.Mesh.Send(packet, o)
}

// FromHost takes a datagram that the host wants on the mesh. What has no
// business there is refused: MLE and, to other nodes, TMF are the node's own,
// neighbour and listener discovery belong to links with Ethernet's habits.
func (s *Stack) FromHost(packet []byte) error {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		s.Counters.Refused++
		return err
	}
	packet = packet[:ipv6.HeaderLen+int(h.PayloadLen)]
	if err := s.mayEnter(h, packet); err != nil {
		s.Counters.Refused++
		return err
	}
	if h.HopLimit == 0 {
		return nil
	}
	if !s.Has(h.Src) {
		if h.Dst.IsMulticast() {
			s.Border.InMulticast.add(packet)
		} else {
			s.Border.InUnicast.add(packet)
		}
	}
	return s.send(packet, link.Options{Priority: priorityOf(h)}, nil)
}

// Ports that only the node itself speaks on.
const (
	portMLE = 19788
	portTMF = 61631
)

func (s *Stack) mayEnter(h ipv6.Header, packet []byte) error {
	if h.Src.IsUnspecified() || h.Src.IsMulticast() || h.Src.IsLoopback() || h.Dst.IsLoopback() || h.Dst.IsUnspecified() {
		return errors.New("ip: from the host: impossible address")
	}
	if h.Dst.IsMulticast() && ipv6.Scope(h.Dst) <= ipv6.ScopeInterface {
		return errors.New("ip: from the host: group of this interface only")
	}
	proto, off, err := ipv6.Transport(packet)
	if err != nil {
		return err
	}
	switch proto {
	case ipv6.ProtoICMPv6:
		if m, err := ipv6.DecodeICMP(packet[off:]); err == nil && isLinkManagement(m.Type) {
			return fmt.Errorf("ip: from the host: ICMPv6 type %d stays off the mesh", m.Type)
		}
	case ipv6.ProtoUDP:
		if u, _, err := ipv6.DecodeUDP(packet[off:]); err == nil && (u.DstPort == portMLE || u.DstPort == portTMF) {
			return fmt.Errorf("ip: from the host: UDP port %d is the mesh's own", u.DstPort)
		}
	}
	return nil
}

// isLinkManagement reports ICMPv6 types of neighbour and listener discovery.
func isLinkManagement(t uint8) bool {
	return t >= 130 && t <= 137 || t == 143
}

// priorityOf maps the DSCP's class to a priority, as Thread does: classes 1
// and 2 low, 0 and 3 normal, above high.
func priorityOf(h ipv6.Header) link.Priority {
	switch h.TrafficClass >> 5 {
	case 1, 2:
		return link.Low
	case 0, 3:
		return link.Normal
	default:
		return link.High
	}
}
