package zep

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/internal/timerfd"
	"gatewayd/radio"
	"gatewayd/radio/medium"
	"gatewayd/radio/rcp"
)

// listener is a plain socket in the place of another node or a dispatcher.
func listener(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skipf("no IPv6 loopback: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func open(t *testing.T, cfg Config) *Medium {
	t.Helper()
	m, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func run(t *testing.T, m *Medium) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

func receive(t *testing.T, c *net.UDPConn) (Packet, net.Addr) {
	t.Helper()
	b := make([]byte, 2000)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := c.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Decode(b[:n])
	if err != nil {
		t.Fatal(err)
	}
	return p, from
}

func withFCS(b []byte) []byte {
	fcs := ieee802154.FCS(b)
	return append(b, byte(fcs), byte(fcs>>8))
}

// A dispatcher is told who is there, gets frames, and passes frames on.
func TestDispatcher(t *testing.T) {
	hub := listener(t)
	eui64 := ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0xab, 0xcd}
	m := open(t, Config{Remote: hub.LocalAddr().String(), EUI64: eui64})
	run(t, m)
	hello, from := receive(t, hub)
	if hello.Type != Hello || ieee802154.ExtAddr(hello.Payload) != eui64 {
		t.Errorf("first it says %+v", hello)
	}
	at := time.Now()
	m.Transmit(at, 15, 0, withFCS([]byte{0x41, 0x88, 1}))
	p, _ := receive(t, hub)
	if p.Version != 2 || p.Type != Data || p.Channel != 15 || p.Device != 0xabcd || !p.FCS || p.LQI != 255 || len(p.Payload) != 5 || !p.Time.Time().Equal(at.Truncate(1)) {
		t.Errorf("it sends %+v", p)
	}
	m.Transmit(at, 15, 0, withFCS([]byte{0x41, 0x88, 2}))
	if next, _ := receive(t, hub); next.Seq != p.Seq+1 {
		t.Errorf("sequence numbers %d, %d", p.Seq, next.Seq)
	}

	var ear ear
	m.Attach(&ear)
	m.Tune(at, 20)
	frame := withFCS([]byte{1, 2, 3})
	for _, p := range []Packet{
		{Version: 2, Type: Data, Channel: 20, FCS: true, LQI: 255, Payload: frame},
		{Version: 1, Type: Data, Channel: 20, LQI: 0, Payload: []byte{1, 2, 3, 0xd0, 0x80}},
		{Version: 2, Type: Data, Channel: 21, FCS: true, LQI: 100, Payload: frame},
		{Version: 2, Type: Data, Channel: 10, FCS: true, Payload: frame}, // not a channel of the band
		{Version: 2, Type: Ack, Seq: 1},
		{Version: 2, Type: Hello, Payload: eui64[:]},
		{Version: 2, Type: Data, Channel: 20, FCS: true, Payload: []byte{1, 2}},
	} {
		hub.WriteTo(p.Append(nil), from)
	}
	hub.WriteTo([]byte("not ZEP"), from)
	for range 3 {
		select {
		case d := <-m.Frames():
			m.Deliver(d)
		case <-time.After(5 * time.Second):
			t.Fatal("nothing came")
		}
	}
	if len(ear.got) != 2 || string(ear.got[0].PSDU) != string(frame) || string(ear.got[1].PSDU) != string(frame) ||
		ear.got[0].RSSI != loudest || ear.got[1].RSSI != quiet || ear.got[0].LQI != 255 {
		t.Errorf("heard %+v", ear.got)
	}
	if e := m.Energy(ear.got[0].SFD, 20); e != quiet { // of the second frame, with LQI 0
		t.Errorf("energy on channel 20: %d dBm", e)
	}
	if e := m.Energy(ear.got[0].SFD, 21); e <= quiet || e >= loudest {
		t.Errorf("energy on channel 21: %d dBm", e)
	}
	if e := m.Energy(time.Now().Add(time.Second), 21); e != quiet {
		t.Errorf("energy a second later: %d dBm", e)
	}
	select {
	case d := <-m.Frames():
		t.Errorf("also came %+v", d)
	default:
	}
}

type ear struct{ got []medium.Frame }

func (e *ear) Heard(_ time.Time, f medium.Frame) { e.got = append(e.got, f) }

// A dispatcher that comes later is told, too.
func TestDispatcherLater(t *testing.T) {
	hub := listener(t)
	at := hub.LocalAddr()
	hub.Close()
	m := open(t, Config{Remote: at.String()})
	run(t, m)
	// Two frames: what refuses the first makes sending the second fail.
	for range 3 {
		m.Transmit(time.Now(), 15, 0, withFCS([]byte{1, 2, 3}))
		time.Sleep(10 * time.Millisecond)
	}
	hub, err := net.ListenUDP("udp", at.(*net.UDPAddr))
	if err != nil {
		t.Skipf("the port is taken: %v", err)
	}
	defer hub.Close()
	if p, _ := receive(t, hub); p.Type != Hello || ieee802154.ExtAddr(p.Payload) != m.EUI64() {
		t.Errorf("it says %+v", p)
	}
}

// An acknowledgment does not come sooner than a radio could turn around, other
// frames go at once.
func TestTurnaround(t *testing.T) {
	hub := listener(t)
	m := open(t, Config{Remote: hub.LocalAddr().String()})
	m.Tune(time.Now(), 15)
	ack := withFCS(ieee802154.AppendImmAck(nil, 7, false))
	var took time.Duration
	heard := time.Now()
	m.Attach(answer(func() {
		m.Transmit(time.Now(), 15, 0, ack)
		took = time.Since(heard)
	}))
	m.Deliver(medium.Datagram{At: heard, Channel: 15, PSDU: withFCS([]byte{1, 2, 3})})
	if took < turnaround {
		t.Errorf("acknowledged after %v", took)
	}
}

type answer func()

func (f answer) Heard(time.Time, medium.Frame) { f() }

func TestOpenErrors(t *testing.T) {
	for _, cfg := range []Config{
		{}, {Remote: "127.0.0.1"}, {Remote: "127.0.0.1:1", Local: "x"}, {Remote: "127.0.0.1:1", Local: "[::1]:0"},
		{Remote: "127.0.0.1:1", Local: "192.0.2.1:0"},
	} {
		if m, err := Open(cfg); err == nil {
			m.Close()
			t.Errorf("%+v: no error", cfg)
		} else {
			t.Logf("%+v: %v", cfg, err)
		}
	}
}

// station is a radio on a Medium, with its own goroutine.
type station struct {
	t     *testing.T
	radio *rcp.Radio
	calls chan func(now time.Time)
	rx    chan radio.RxFrame
	tx    chan radio.TxResult
}

func newStation(t *testing.T, m *Medium) *station {
	t.Helper()
	s := &station{t: t, calls: make(chan func(time.Time)), rx: make(chan radio.RxFrame, 100), tx: make(chan radio.TxResult, 100)}
	run(t, m)
	timer, err := timerfd.New()
	if err != nil {
		t.Fatal(err)
	}
	go timer.Run()
	clock := new(alarm.Clock)
	clock.Set(time.Now())
	s.radio = rcp.New(rcp.Config{Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), Port: m, EUI64: m.EUI64(), AckWait: 30 * time.Millisecond})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		s.radio.Start(time.Now(), s)
		for {
			clock.Advance(time.Now())
			if at := clock.Deadline(); !at.IsZero() {
				timer.Start(time.Until(at))
			}
			select {
			case d := <-m.Frames():
				m.Deliver(d)
			case f := <-s.calls:
				f(time.Now())
			case <-timer.C:
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		timer.Close()
	})
	return s
}

func (s *station) RadioUp(time.Time, radio.Info)             {}
func (s *station) RadioDown(time.Time)                       {}
func (s *station) EnergyScanned(time.Time, uint8, int8)      {}
func (s *station) Received(_ time.Time, f radio.RxFrame)     { s.rx <- f }
func (s *station) Transmitted(_ time.Time, r radio.TxResult) { s.tx <- r }
func (s *station) configure(set radio.Settings) {
	s.calls <- func(now time.Time) { s.radio.Configure(now, set) }
}
func (s *station) transmit(channel uint8, psdu []byte) radio.TxResult {
	s.t.Helper()
	f := radio.TxFrame{PSDU: psdu, Channel: channel, CSMA: true, MaxBackoffs: 4, MaxRetries: 3, Power: radio.PowerDefault}
	s.calls <- func(now time.Time) { s.radio.Transmit(now, f) }
	select {
	case r := <-s.tx:
		return r
	case <-time.After(5 * time.Second):
		s.t.Fatal("the frame is not answered for")
	}
	return radio.TxResult{}
}

// Two radios, point to point.
func TestTwoRadios(t *testing.T) {
	// Ports that were free a moment ago.
	a, b := listener(t), listener(t)
	atA, atB := a.LocalAddr().String(), b.LocalAddr().String()
	a.Close()
	b.Close()
	ma := open(t, Config{Remote: atB, Local: atA})
	mb := open(t, Config{Remote: atA, Local: atB})
	if ma.EUI64() == mb.EUI64() || ma.EUI64()[0]&3 != 2 {
		t.Errorf("EUI-64s %v, %v", ma.EUI64(), mb.EUI64())
	}
	sa, sb := newStation(t, ma), newStation(t, mb)
	set := func(m *Medium) radio.Settings {
		return radio.Settings{Enabled: true, Receiving: true, Channel: 26, PANID: 0x23, Short: ieee802154.InvalidShort, AltShort: ieee802154.InvalidShort, Ext: m.EUI64()}
	}
	sa.configure(set(ma))
	sb.configure(set(mb))
	for i := range 20 {
		f := ieee802154.Frame{
			Type: ieee802154.FrameData, Version: ieee802154.Version2006, AckRequest: true, PANCompressed: true, Seq: uint8(i),
			DstPAN: 0x23, Dst: ieee802154.Addr{Mode: ieee802154.AddrExtended, Ext: mb.EUI64()}, Src: ieee802154.Addr{Mode: ieee802154.AddrExtended, Ext: ma.EUI64()},
			Payload: fmt.Appendf(nil, "frame %d", i),
		}
		if r := sa.transmit(26, f.Append(nil)); r.Status != radio.TxOK {
			t.Fatalf("frame %d: %v", i, r.Status)
		}
		if got := <-sb.rx; string(got.PSDU) != string(f.Append(nil)) || got.RSSI != loudest {
			t.Fatalf("frame %d: received %+v", i, got)
		}
	}
	// Nobody has the address.
	f := ieee802154.Frame{
		Type: ieee802154.FrameData, Version: ieee802154.Version2006, AckRequest: true, PANCompressed: true, DstPAN: 0x23,
		Dst: ieee802154.ShortAddr(7), Src: ieee802154.Addr{Mode: ieee802154.AddrExtended, Ext: ma.EUI64()},
	}
	if r := sa.transmit(26, f.Append(nil)); r.Status != radio.TxNoAck {
		t.Errorf("to nobody: %v", r.Status)
	}
}
