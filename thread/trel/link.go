package trel

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
)

// Specification constants.
const (
	ackWindow = time.Second // a packet that is not acknowledged by then is lost
)

// Implementation constants.
const (
	MaxPeers   = 64
	maxPending = 64 // packets to one peer that wait for an acknowledgement
	retryAfter = 250 * time.Millisecond
	maxRetries = 2
	// trusted is how long a peer that was heard keeps its address, whatever
	// DNS-SD says.
	trusted = time.Minute
	// kept is how long a peer that DNS-SD does not know is kept by what was
	// heard of it.
	kept  = 5 * time.Minute
	sweep = 30 * time.Second
)

// Handler takes what a Link receives.
type Handler interface {
	// TRELReceived takes a frame, which may be kept. Until it returns, Confirm
	// refers to the packet that the frame came in.
	TRELReceived(frame []byte, channel uint8)
	// TRELAcked tells what became of a unicast packet, in the order they were
	// sent to the peer.
	TRELAcked(peer ieee802154.ExtAddr, ok bool)
}

// Config is what a Link needs. The functions tell what the node is at present.
type Config struct {
	Clock   *alarm.Clock
	Handler Handler
	// Send sends a UDP datagram; false if it could not be sent.
	Send     func(to netip.AddrPort, b []byte) bool
	Ext      func() ieee802154.ExtAddr
	ExtPANID func() ExtPANID
	// PANID is what is listened to; ieee802154.BroadcastPAN for every one.
	PANID func() uint16
	// Channel is what is listened to now; 0 while the node sleeps.
	Channel func() uint8
}

// Link is the machine.
type Link struct {
	cfg     Config
	enabled bool
	up      bool
	peers   map[ieee802154.ExtAddr]*peer
	number  uint32 // of broadcasts
	timer   *alarm.Timer
	from    origin // of the packet that is being handled

	// Port is that of the UDP socket, for showing.
	Port uint16
	// Filter loses all that is sent and received, as if it were on the way.
	Filter   bool
	Counters Counters
}

// origin is where a packet came from, by its own word.
type origin struct {
	ext  ieee802154.ExtAddr
	addr netip.AddrPort
}

// Counters count packets. The first five are those of OpenThread's `trel
// counters`.
type Counters struct {
	TxPackets, TxBytes uint64
	TxFailed           uint64 // could not be sent
	RxPackets, RxBytes uint64

	Malformed    uint64 // received, but not a packet
	Foreign      uint64 // not for this node, its channel or its PAN
	Retries      uint64
	Acked, Lost  uint64 // unicast packets
	StrayAcks    uint64 // acknowledgements of nothing that waits for one
	PeersRefused uint64 // the table was full of better ones
}

// New returns a Link that is disabled.
func New(cfg Config) *Link {
	l := &Link{cfg: cfg, peers: map[ieee802154.ExtAddr]*peer{}}
	l.timer = cfg.Clock.NewTimer(l.tick)
	return l
}

// SetEnabled turns the link on or off; off, it has no peers.
func (l *Link) SetEnabled(on bool) {
	l.enabled = on
	if !on {
		clear(l.peers)
		l.timer.Stop()
	}
}

// Enabled reports whether it is on.
func (l *Link) Enabled() bool { return l.enabled }

// SetUp says whether there is an interface to send on.
func (l *Link) SetUp(up bool) { l.up = up }

// Up reports whether packets can be sent and received.
func (l *Link) Up() bool { return l.enabled && l.up }

// A Frame is a MAC frame to send.
type Frame struct {
	Bytes   []byte
	Channel uint8
	PANID   uint16
	// Dst is the neighbour that the frame is for. Without Unicast it is for all
	// peers of the network, or of any network if it is for Discovery.
	Unicast   bool
	Dst       ieee802154.ExtAddr
	Discovery bool
	// AckRequest has Handler.TRELAcked told what becomes of a unicast frame.
	AckRequest bool
}

// Send sends a frame. It returns false if there is no way: the link is down or
// the destination is not a peer.
func (l *Link) Send(f Frame) bool {
	if !l.Up() {
		return false
	}
	p := Packet{Channel: f.Channel, PANID: f.PANID, Src: l.cfg.Ext(), Payload: f.Bytes}
	if !f.Unicast {
		p.Number = l.number
		l.number++
		b := p.Append(make([]byte, 0, broadcastHeaderLen+len(f.Bytes)))
		own := l.cfg.ExtPANID()
		for _, ext := range l.order() {
			if x := l.peers[ext]; f.Discovery || x.extPANID == own {
				l.send(x.addr, b)
			}
		}
		return true
	}
	x := l.peers[f.Dst]
	if x == nil {
		return false
	}
	p.Type, p.Dst, p.AckRequest = Unicast, f.Dst, f.AckRequest
	p.Number = x.number
	x.number++
	b := p.Append(make([]byte, 0, unicastHeaderLen+len(f.Bytes)))
	sent := l.send(x.addr, b)
	if f.AckRequest {
		l.expect(x, b)
	}
	return sent || f.AckRequest // what cannot be sent will not be acknowledged
}

func (l *Link) send(to netip.AddrPort, b []byte) bool {
	if l.Filter {
		return true
	}
	if !l.cfg.Send(to, b) {
		l.Counters.TxFailed++
		return false
	}
	l.Counters.TxPackets++
	l.Counters.TxBytes += uint64(len(b))
	return true
}

// Receive takes a UDP datagram. Its bytes are the link's from now on.
func (l *Link) Receive(from netip.AddrPort, b []byte) {
	if !l.Up() || l.Filter {
		return
	}
	l.Counters.RxPackets++
	l.Counters.RxBytes += uint64(len(b))
	p, err := Decode(b)
	if err != nil {
		l.Counters.Malformed++
		return
	}
	own := l.cfg.Ext()
	if p.Src == own || p.Type != Broadcast && p.Dst != own || !l.listens(&p) {
		l.Counters.Foreign++
		return
	}
	if p.Type == Ack {
		l.acked(&p)
		return
	}
	if len(p.Payload) == 0 || len(p.Payload) > MaxFrame {
		l.Counters.Malformed++
		return
	}
	if p.AckRequest {
		l.acknowledge(&p, from)
	}
	l.from = origin{p.Src, from}
	l.cfg.Handler.TRELReceived(p.Payload, p.Channel)
	l.from = origin{}
}

// listens reports whether a packet is for the channel and the PAN that the node
// listens to. An acknowledgement may find it on another channel.
func (l *Link) listens(p *Packet) bool {
	if c := l.cfg.Channel(); p.Type != Ack && (c == 0 || p.Channel != c) {
		return false
	}
	pan := l.cfg.PANID()
	return pan == ieee802154.BroadcastPAN || p.PANID == pan || p.PANID == ieee802154.BroadcastPAN
}

// acknowledge answers a packet: to its peer, or to where it came from if that
// is not known yet. The answer is never longer than the packet.
func (l *Link) acknowledge(p *Packet, from netip.AddrPort) {
	if x := l.peers[p.Src]; x != nil {
		from = x.addr
	}
	a := Packet{Type: Ack, Channel: p.Channel, PANID: p.PANID, Number: p.Number, Src: l.cfg.Ext(), Dst: p.Src}
	l.send(from, a.Append(make([]byte, 0, unicastHeaderLen)))
}
