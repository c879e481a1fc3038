package zep

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/ieee802154"
	"gatewayd/radio/medium"
)

// Implementation constants.
const (
	// quiet is the energy of a channel without frames, dBm; loudest that of a
	// frame with the best LQI.
	quiet   = -98
	loudest = -28
	// turnaround is how long after a frame its acknowledgment is sent. A node of
	// RIOT's throws away what comes before it has turned from sending to
	// receiving (IEEE 802.15.4-2020 Section 11.1.3, aTurnaroundTime).
	turnaround = 12 * medium.Symbol
	// helloAgain is when to say Hello again to a dispatcher that was not there.
	helloAgain = time.Second
)

// Config is a Medium's. Remote is required.
type Config struct {
	// Remote is the UDP address that frames are sent to, and alone are taken
	// from, "host:port".
	Remote string
	// Local is the own one, "host:port" or ":port"; "" is any.
	Local string
	// EUI64 is what a dispatcher is told of who is here. The zero value stands
	// for one that is made of the local address and port.
	EUI64 ieee802154.ExtAddr
}

// Medium is one node's place. It is a medium.Port of its owner's goroutine;
// Run, in another one, reads.
type Medium struct {
	conn  *net.UDPConn
	eui64 ieee802154.ExtAddr

	frames  chan medium.Datagram
	dropped atomic.Uint64
	refused atomic.Bool // nobody listens at the remote

	recv    medium.Receiver
	channel uint8
	seq     uint32
	heard   time.Time // when the frame came that is being delivered
	busy    [medium.LastChannel + 1]carrier
	buf     []byte
}

// carrier is what was last heard on a channel.
type carrier struct {
	until time.Time
	rssi  int8
}

// Open takes a place. Nobody need be at the remote yet.
func Open(cfg Config) (*Medium, error) {
	if cfg.Remote == "" {
		return nil, errors.New("zep: no remote given")
	}
	remote, err := net.ResolveUDPAddr("udp", cfg.Remote)
	if err != nil {
		return nil, fmt.Errorf("zep: remote %q: %w", cfg.Remote, err)
	}
	var local *net.UDPAddr
	if cfg.Local != "" {
		if local, err = net.ResolveUDPAddr("udp", cfg.Local); err != nil {
			return nil, fmt.Errorf("zep: local address %q: %w", cfg.Local, err)
		}
	}
	conn, err := net.DialUDP("udp", local, remote)
	if err != nil {
		return nil, fmt.Errorf("zep: %w", err)
	}
	m := &Medium{
		conn:  conn,
		eui64: cfg.EUI64,
		// A frame is answered within milliseconds: what lies here longer is late.
		frames: make(chan medium.Datagram, 64),
		buf:    make([]byte, 0, dataLen2+payloadMax),
	}
	if m.eui64 == (ieee802154.ExtAddr{}) {
		m.eui64 = derive(conn.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	return m, nil
}

// derive makes a locally administered EUI-64 of an address and port.
func derive(at netip.AddrPort) ieee802154.ExtAddr {
	sum := sha256.Sum256([]byte("zep " + at.String()))
	e := ieee802154.ExtAddr(sum[:8])
	e[0] = e[0]&^3 | 2
	return e
}

// EUI64 is the Config's, or what was made in its place.
func (m *Medium) EUI64() ieee802154.ExtAddr { return m.eui64 }

// LocalAddr is where frames come to.
func (m *Medium) LocalAddr() netip.AddrPort { return m.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Run says Hello and reads frames into Frames until ctx is cancelled or the
// Medium closed.
func (m *Medium) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { m.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	wg.Go(func() { m.greet(ctx) })

	var b [dataLen2 + payloadMax + 1]byte
	for {
		n, err := m.conn.Read(b[:])
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case absent(err):
			m.refused.Store(true)
			continue
		case err != nil:
			return fmt.Errorf("zep: %w", err)
		}
		at := time.Now()
		p, err := Decode(b[:n])
		if err != nil || p.Channel < medium.FirstChannel || p.Channel > medium.LastChannel {
			continue
		}
		psdu := p.PSDU()
		if psdu == nil {
			continue
		}
		d := medium.Datagram{At: at, Channel: p.Channel, PSDU: append([]byte(nil), psdu...), LQI: p.LQI}
		select {
		case m.frames <- d:
		default:
			m.dropped.Add(1)
		}
	}
}

// absent reports errors that say of a datagram sent before that it did not
// reach anybody. They come again only after another one.
func absent(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// greet makes a dispatcher know this node before it sends anything, and again
// after it was not there.
func (m *Medium) greet(ctx context.Context) {
	hello := Packet{Version: 2, Type: Hello, Payload: m.eui64[:]}.Append(nil)
	tick := time.NewTicker(helloAgain)
	defer tick.Stop()
	for again := true; ; again = m.refused.Swap(false) {
		if again {
			if _, err := m.conn.Write(hello); absent(err) {
				m.refused.Store(true)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Frames is what Run has read; its reader calls Deliver.
func (m *Medium) Frames() <-chan medium.Datagram { return m.frames }

// Dropped counts frames that came faster than they were taken, and those that
// could not be sent.
func (m *Medium) Dropped() uint64 { return m.dropped.Load() }

// Deliver hands a frame to the receiver if that is tuned to its channel.
func (m *Medium) Deliver(d medium.Datagram) {
	rssi := rssiOf(d.LQI)
	m.busy[d.Channel] = carrier{d.At.Add(medium.Airtime(len(d.PSDU))), rssi}
	if m.recv == nil || d.Channel != m.channel {
		return
	}
	m.heard = d.At
	m.recv.Heard(d.At, medium.Frame{Channel: d.Channel, PSDU: d.PSDU, RSSI: rssi, LQI: d.LQI, SFD: d.At})
	m.heard = time.Time{}
}

// rssiOf is the signal strength that a link quality stands for.
func rssiOf(lqi uint8) int8 { return int8(quiet + int(lqi)*(loudest-quiet)/255) }

// Close leaves the medium.
func (m *Medium) Close() error { return m.conn.Close() }

// Attach implements medium.Port.
func (m *Medium) Attach(r medium.Receiver) { m.recv = r }

// Tune implements medium.Port.
func (m *Medium) Tune(_ time.Time, channel uint8) { m.channel = channel }

// Transmit implements medium.Port. A frame that cannot be sent is lost, as
// frames are. For the acknowledgment of a frame that has just been heard it
// waits a little, at most 0.2 ms.
func (m *Medium) Transmit(now time.Time, channel uint8, _ int8, psdu []byte) {
	if !m.heard.IsZero() && len(psdu) > 0 && psdu[0]&7 == byte(ieee802154.FrameAck) {
		sleepUntil(m.heard.Add(turnaround))
	}
	p := Packet{
		Version: 2, Type: Data, Seq: m.seq, Channel: channel, Device: uint16(m.eui64[6])<<8 | uint16(m.eui64[7]),
		FCS: true, LQI: 255, Time: NewTimestamp(now), Payload: psdu,
	}
	m.seq++
	m.buf = p.Append(m.buf[:0])
	_, err := m.conn.Write(m.buf)
	if absent(err) {
		// That is of an earlier one, in place of sending this one.
		m.refused.Store(true)
		_, err = m.conn.Write(m.buf)
	}
	if err != nil {
		m.dropped.Add(1)
	}
}

// sleepUntil sleeps without the runtime's timers, which are a millisecond late
// when nothing else goes on.
func sleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := unix.NsecToTimespec(int64(min(d, turnaround)))
		_ = unix.Nanosleep(&ts, nil) // a signal ends it early
	}
}

// Energy implements medium.Port: that of a frame for as long as it would have
// been on air.
func (m *Medium) Energy(now time.Time, channel uint8) int8 {
	if channel <= medium.LastChannel && now.Before(m.busy[channel].until) {
		return m.busy[channel].rssi
	}
	return quiet
}

// Airtime implements medium.Port: frames take no time here.
func (m *Medium) Airtime(int) time.Duration { return 0 }
