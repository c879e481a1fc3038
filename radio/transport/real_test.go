package transport

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/spinel"
)

// findRCP finds OpenThread's simulated RCP, or skips the test.
func findRCP(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("OT_SIM_DIR"); dir != "" {
		for _, p := range []string{"ot-rcp", "ncp/ot-rcp", "apps/ncp/ot-rcp", "examples/apps/ncp/ot-rcp"} {
			if p = filepath.Join(dir, p); isProgram(p) {
				return p
			}
		}
	}
	if p, err := exec.LookPath("ot-rcp"); err == nil {
		return p
	}
	t.Skip("no ot-rcp in $OT_SIM_DIR or $PATH: nothing is tested against OpenThread's own RCP")
	return ""
}

func isProgram(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// rcpURL runs the RCP in a directory of its own; it stores things.
func rcpURL(t *testing.T, node int) radio.URL {
	t.Helper()
	u := radio.URL{Bus: radio.BusPTY, Path: findRCP(t), Args: []string{fmt.Sprint(node)}}
	t.Chdir(t.TempDir())
	// Simulated nodes hear each other through multicast on the loopback; this
	// offset keeps them to themselves.
	t.Setenv("PORT_OFFSET", fmt.Sprint(70+node%10))
	return u
}

func TestProbeRealRCP(t *testing.T) {
	u := rcpURL(t, 21)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := Probe(ctx, u)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r, r.Took)
	if !r.Usable() || r.Guess.Kind != spinel.KindRCP || r.Identity.EUI64.String() != "18b4300000000015" || r.Identity.API < 4 {
		t.Errorf("report %+v", r)
	}
}

// station is a Link over a Port, as a gateway has it: one owner goroutine.
type station struct {
	t     *testing.T
	port  *Port
	link  *spinel.Link
	clock alarm.Clock
	gen   uint64
	conn  Conn // the latest

	ups, downs int
	tx         []radio.TxResult
	rx         []radio.RxFrame
	scans      []string
	log        []string
}

func (s *station) RadioUp(_ time.Time, i radio.Info)         { s.ups++ }
func (s *station) RadioDown(time.Time)                       { s.downs++ }
func (s *station) Received(_ time.Time, f radio.RxFrame)     { s.rx = append(s.rx, f) }
func (s *station) Transmitted(_ time.Time, r radio.TxResult) { s.tx = append(s.tx, r) }
func (s *station) EnergyScanned(_ time.Time, c uint8, rssi int8) {
	s.scans = append(s.scans, fmt.Sprintf("%d %d", c, rssi))
}

func newStation(t *testing.T, u radio.URL) *station {
	s := &station{t: t}
	dialer := NewDialer(u)
	s.port = NewPort(PortConfig{Dial: func(ctx context.Context) (Conn, error) {
		c, err := dialer.Dial(ctx)
		if err == nil {
			s.conn = c
		}
		return c, err
	}})
	s.link = spinel.NewLink(spinel.LinkConfig{
		Clock: &s.clock, Handler: s,
		Send:            func(b []byte) { s.port.Write(s.gen, b) },
		Notify:          func(e spinel.Event) { s.log = append(s.log, e.String()) },
		ResponseTimeout: 500 * time.Millisecond, ProbeInterval: 500 * time.Millisecond, ResetTimeout: 500 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.port.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// until runs the station until what holds, at most for d.
func (s *station) until(d time.Duration, what string, holds func() bool) {
	s.t.Helper()
	end := time.Now().Add(d)
	for !holds() {
		next := end
		if at := s.clock.Deadline(); !at.IsZero() && at.Before(end) {
			next = at
		}
		select {
		case e := <-s.port.Events():
			switch e.Kind {
			case PortOpened:
				s.gen = e.Gen
				s.link.Opened(e.At)
			case PortReceived:
				s.link.Receive(e.At, e.Data)
			case PortClosed:
				s.link.Closed(e.At, e.Err)
			}
		case <-time.After(time.Until(next)):
			s.clock.Advance(time.Now())
		}
		if !time.Now().Before(end) && !holds() {
			s.t.Fatalf("not within %v: %s\n%s", d, what, strings.Join(s.log, "\n"))
		}
	}
}

// Our link and OpenThread's RCP: start, frames, scans, source matching, a
// reset, a stall, a crash.
func TestRealRCP(t *testing.T) {
	s := newStation(t, rcpURL(t, 22))
	settings := radio.Settings{
		Enabled: true, Receiving: true, Channel: 15, PANID: 0xface, Short: 0x0400, AltShort: ieee802154.InvalidShort,
		Ext:          ieee802154.ExtAddr{0x9e, 0xda, 0xf7, 0x0c, 0xd1, 0x33, 0xe3, 0x1d},
		Keys:         radio.Keys{Index: 1, Current: [16]byte{1, 2, 3}},
		FrameCounter: 1000,
		SourceMatch:  true, SourceMatchShort: []uint16{0x0401, 0x0402},
		SourceMatchExt: []ieee802154.ExtAddr{{0x92, 0x50, 0xd6, 0x96, 0xcd, 0xcd, 0x71, 0x74}, {1}},
	}
	began := time.Now()
	s.link.Configure(began, settings)
	s.until(5*time.Second, "ready", func() bool { return s.link.State() == spinel.Ready })
	t.Logf("ready after %v: %s", time.Since(began), s.link.Identity().Version)
	if id := s.link.Identity(); id.EUI64.String() != "18b4300000000016" || !id.Info.Caps.Has(radio.CapTransmitSecurity) || id.Channels != 0x07fff800 {
		t.Errorf("identity %+v", id)
	}
	if _, ok := s.link.Clock(time.Now()); !ok {
		t.Error("no clock")
	}

	// A broadcast: data frame, PAN compressed, secured at level 5 with key id
	// mode 1; key index and counter are the RCP's to fill in.
	secured := []byte{
		0x49, 0x98, 1, 0xce, 0xfa, 0xff, 0xff, 0x00, 0x04, // data, from 0400 to ffff
		0x0d, 0, 0, 0, 0, 0, // auxiliary header: level 5, key id mode 1
		'h', 'e', 'l', 'l', 'o', 0, 0, 0, 0, // payload, room for the MIC
	}
	for want := uint32(1000); want < 1003; want++ {
		s.tx = nil
		s.link.Transmit(time.Now(), radio.TxFrame{PSDU: secured, Channel: 15, CSMA: true, MaxBackoffs: 4, MaxRetries: 3, Power: radio.PowerDefault})
		s.until(2*time.Second, "transmitted", func() bool { return len(s.tx) > 0 })
		if r := s.tx[0]; r.Status != radio.TxOK || !r.HeaderSet || r.KeyIndex != 1 || r.FrameCounter != want {
			t.Errorf("%+v, want counter %d", r, want)
		}
	}
	// Nobody acknowledges.
	s.tx = nil
	unicast := []byte{0x61, 0x98, 2, 0xce, 0xfa, 0x01, 0x04, 0x00, 0x04, 'x'}
	s.link.Transmit(time.Now(), radio.TxFrame{PSDU: unicast, Channel: 15, CSMA: true, MaxBackoffs: 4, MaxRetries: 1, Power: radio.PowerDefault})
	s.until(2*time.Second, "transmitted", func() bool { return len(s.tx) > 0 })
	if r := s.tx[0]; r.Status != radio.TxNoAck || r.HeaderSet {
		t.Errorf("%+v", r)
	}

	s.link.EnergyScan(time.Now(), 20, 20*time.Millisecond)
	s.until(2*time.Second, "scanned", func() bool { return len(s.scans) > 0 })
	if strings.HasSuffix(s.scans[0], " 127") {
		t.Errorf("scan %v", s.scans)
	}

	// Every change of the tables is accepted.
	for i := range 6 {
		settings.SourceMatchShort = []uint16{uint16(0x0401 + i), 0x0500}
		settings.SourceMatchExt = []ieee802154.ExtAddr{{byte(i)}, {9}}[:1+i%2]
		s.link.Configure(time.Now(), settings)
	}
	settings.SourceMatchShort, settings.SourceMatchExt = nil, nil
	s.link.Configure(time.Now(), settings)
	s.link.EnergyScan(time.Now(), 21, 20*time.Millisecond)
	s.until(2*time.Second, "scanned", func() bool { return len(s.scans) > 1 })
	for _, line := range s.log {
		if strings.Contains(line, "refused") {
			t.Error(line)
		}
	}

	// It reboots by itself: here, because somebody else tells it to.
	ups := s.ups
	s.port.Write(s.gen, []byte{0x7e, 0x80, 0x01, 0x02, 0xea, 0xf0, 0x7e})
	began = time.Now()
	s.until(3*time.Second, "ready after a reset", func() bool { return s.ups > ups && s.link.State() == spinel.Ready })
	t.Logf("back after a reset in %v", time.Since(began))
	s.tx = nil
	s.link.Transmit(time.Now(), radio.TxFrame{PSDU: secured, Channel: 15, Power: radio.PowerDefault})
	s.until(2*time.Second, "transmitted", func() bool { return len(s.tx) > 0 })
	if r := s.tx[0]; r.Status != radio.TxOK || r.FrameCounter != 1003 {
		t.Errorf("after a reset %+v", r)
	}

	// It stalls with a frame on its way, and wakes up.
	pid := s.conn.(*program).pid
	unix.Kill(pid, unix.SIGSTOP)
	s.tx = nil
	ups = s.ups
	s.link.Transmit(time.Now(), radio.TxFrame{PSDU: secured, Channel: 15, Power: radio.PowerDefault})
	began = time.Now()
	s.until(10*time.Second, "the stall is seen", func() bool { return len(s.tx) > 0 && s.downs >= 2 })
	t.Logf("stall seen after %v", time.Since(began))
	if s.tx[0].Status != radio.TxAborted {
		t.Errorf("%+v", s.tx[0])
	}
	unix.Kill(pid, unix.SIGCONT)
	s.until(10*time.Second, "ready after the stall", func() bool { return s.ups > ups && s.link.State() == spinel.Ready })

	// It crashes.
	ups = s.ups
	began = time.Now()
	unix.Kill(pid, unix.SIGKILL)
	s.until(5*time.Second, "ready after a crash", func() bool { return s.ups > ups && s.link.State() == spinel.Ready })
	t.Logf("back after a crash in %v", time.Since(began))
	if s.gen != 2 {
		t.Errorf("connection %d", s.gen)
	}
	s.tx = nil
	s.link.Transmit(time.Now(), radio.TxFrame{PSDU: secured, Channel: 15, Power: radio.PowerDefault})
	s.until(2*time.Second, "transmitted", func() bool { return len(s.tx) > 0 })
	if r := s.tx[0]; r.Status != radio.TxOK {
		t.Errorf("after a crash %+v", r)
	}
	if st := s.link.Stats(); st.Malformed > 0 {
		t.Errorf("stats %+v", st)
	}
}

// Two RCPs on one simulated medium: what one sends, the other receives and
// acknowledges.
func TestTwoRealRCPs(t *testing.T) {
	u := rcpURL(t, 23)
	settings := radio.Settings{Enabled: true, Receiving: true, Channel: 12, PANID: 0xface, AltShort: ieee802154.InvalidShort}
	a := newStation(t, u)
	settings.Short, settings.Ext = 0x0400, ieee802154.ExtAddr{1}
	a.link.Configure(time.Now(), settings)
	u.Args = []string{"24"}
	b := newStation(t, u)
	settings.Short, settings.Ext = 0x0800, ieee802154.ExtAddr{2}
	b.link.Configure(time.Now(), settings)
	a.until(5*time.Second, "ready", func() bool { return a.link.State() == spinel.Ready })
	b.until(5*time.Second, "ready", func() bool { return b.link.State() == spinel.Ready })

	frame := []byte{0x61, 0x98, 2, 0xce, 0xfa, 0x00, 0x08, 0x00, 0x04, 'x'} // 0400 to 0800, acknowledged
	a.link.Transmit(time.Now(), radio.TxFrame{PSDU: frame, Channel: 12, CSMA: true, MaxBackoffs: 4, MaxRetries: 3, Power: radio.PowerDefault})
	a.until(2*time.Second, "transmitted", func() bool { return len(a.tx) > 0 })
	if r := a.tx[0]; r.Status != radio.TxOK || len(r.Ack.PSDU) != 3 || r.Ack.PSDU[2] != 2 {
		t.Errorf("%+v", r)
	}
	b.until(2*time.Second, "received", func() bool { return len(b.rx) > 0 })
	f := b.rx[0]
	if string(f.PSDU) != string(frame) || f.Channel != 12 || f.RSSI == 0 {
		t.Errorf("received %+v", f)
	}
	// Its timestamp is of the clock that we think it has.
	us, ok := b.link.Clock(time.Now())
	if age := int64(us - f.Timestamp); !ok || age < -1000 || age > 3e6 {
		t.Errorf("received %d us ago", age)
	}
}
