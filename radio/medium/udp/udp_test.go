package udp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/internal/netns"
	"gatewayd/radio/medium"
)

// offset keeps tests that run at the same time apart, below the ports that
// the system gives out.
var offset = 100 + os.Getpid()%500

func open(t *testing.T, node int, ifname string) *Medium {
	t.Helper()
	m, err := Open(Config{Node: node, PortOffset: offset, Interface: ifname})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		m.Close()
	})
	return m
}

// ear keeps what it hears.
type ear struct{ got []medium.Frame }

func (e *ear) Heard(_ time.Time, f medium.Frame) {
	f.PSDU = bytes.Clone(f.PSDU)
	e.got = append(e.got, f)
}

// next waits for one datagram and delivers it.
func next(t *testing.T, m *Medium) {
	t.Helper()
	select {
	case d := <-m.Frames():
		m.Deliver(d)
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came")
	}
}

func TestTwoNodes(t *testing.T) {
	a, b := open(t, 1, ""), open(t, 2, "")
	var ea, eb ear
	a.Attach(&ea)
	b.Attach(&eb)
	now := time.Now()
	b.Tune(now, 15)
	a.Tune(now, 15)
	a.Transmit(now, 15, 0, []byte("hello"))
	a.Transmit(now, 16, 0, []byte("other channel"))
	a.Transmit(now, 27, 0, []byte("no channel"))
	for range 3 {
		next(t, b)
	}
	if len(eb.got) != 1 || string(eb.got[0].PSDU) != "hello" || eb.got[0].Channel != 15 || eb.got[0].RSSI != -20 {
		t.Errorf("b heard %+v", eb.got)
	}
	if e := b.Energy(eb.got[0].SFD, 16); e != rssi {
		t.Errorf("energy after the frame on channel 16: %d dBm", e)
	}
	if e := b.Energy(time.Now().Add(time.Second), 16); e != quiet {
		t.Errorf("energy a second later: %d dBm", e)
	}
	b.Transmit(now, 15, 0, []byte("back"))
	next(t, a)
	if len(ea.got) != 1 || string(ea.got[0].PSDU) != "back" {
		t.Errorf("a heard %+v, and itself it must not", ea.got)
	}
	if a.Airtime(127) != 0 {
		t.Error("a frame takes time")
	}
}

func TestIPv6(t *testing.T) {
	if _, inside := netns.Between(t, "v0", "v1", func(w *netns.Wire) {
		w.IP(w.Ours, "link", "set", "v0", "addrgenmode", "none") // its address would be tentative at first
		w.IP(w.Ours, "addr", "add", "fe80::1/64", "dev", "v0", "nodad")
	}); !inside {
		return
	}
	a, b := open(t, 1, "v0"), open(t, 2, "fe80::1")
	var e ear
	b.Attach(&e)
	b.Tune(time.Now(), 11)
	a.Transmit(time.Now(), 11, 0, []byte("six"))
	next(t, b)
	if len(e.got) != 1 || string(e.got[0].PSDU) != "six" {
		t.Errorf("heard %+v", e.got)
	}
}

func TestOpenErrors(t *testing.T) {
	open(t, 5, "")
	for _, tt := range []struct {
		name string
		cfg  Config
	}{
		{"node taken", Config{Node: 5, PortOffset: offset}},
		{"node 0", Config{Node: 0}},
		{"node 34", Config{Node: 34}},
		{"offset", Config{Node: 1, PortOffset: 1700}},
		{"interface", Config{Node: 1, Interface: "no-such-0"}},
	} {
		if m, err := Open(tt.cfg); err == nil {
			m.Close()
			t.Errorf("%s: no error", tt.name)
		} else {
			t.Logf("%s: %v", tt.name, err)
		}
	}
}

func TestOffsetFromEnv(t *testing.T) {
	for _, tt := range []struct {
		s    string
		want int
		ok   bool
	}{{"", 0, true}, {"7", 7, true}, {"x", 0, false}} {
		t.Setenv("PORT_OFFSET", tt.s)
		if got, err := OffsetFromEnv(); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: %d, %v", tt.s, got, err)
		}
	}
}

// A node of OpenThread's, which looks for a parent, is heard; and it hears us:
// it answers a beacon request.
func TestOpenThread(t *testing.T) {
	program := filepath.Join(os.Getenv("OT_SIM_DIR"), "examples/apps/cli/ot-cli-ftd")
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("ot-cli-ftd"); err != nil {
			t.Skip("no ot-cli-ftd in OT_SIM_DIR or PATH")
		}
	}
	m := open(t, 1, "")
	var e ear
	m.Attach(&e)
	m.Tune(time.Now(), 15)

	cmd := exec.Command(program, "2")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT_OFFSET=%d", offset))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	io.WriteString(in, "dataset init new\ndataset channel 15\ndataset panid 0xface\ndataset commit active\nifconfig up\nthread start\n")

	frames := func(done func(ieee802154.Frame) bool) {
		t.Helper()
		for limit := time.Now().Add(15 * time.Second); time.Now().Before(limit); {
			next(t, m)
			got := e.got
			e.got = nil
			for _, f := range got {
				if ieee802154.FCS(f.PSDU) != 0 {
					t.Fatalf("FCS of %x", f.PSDU)
				}
				d, err := ieee802154.Decode(f.PSDU[:len(f.PSDU)-ieee802154.FCSLen])
				if err != nil {
					t.Fatal(err)
				}
				if done(d) {
					return
				}
			}
		}
		t.Fatal("what the test waits for does not come")
	}
	// An MLE Parent Request: an unsecured broadcast from an extended address.
	frames(func(f ieee802154.Frame) bool {
		return f.Type == ieee802154.FrameData && f.Dst.IsBroadcast() && f.DstPAN == 0xface &&
			f.Src.Mode == ieee802154.AddrExtended && !f.Secured
	})
	// A leader, which it is after 6 s, answers scans: it is asked whenever
	// something is heard of it.
	request := ieee802154.Frame{
		Type: ieee802154.FrameCommand, Command: ieee802154.CommandBeaconRequest,
		DstPAN: ieee802154.BroadcastPAN, Dst: ieee802154.ShortAddr(ieee802154.BroadcastShort),
	}
	psdu := request.Append(nil)
	fcs := ieee802154.FCS(psdu)
	psdu = append(psdu, byte(fcs), byte(fcs>>8))
	frames(func(f ieee802154.Frame) bool {
		if f.Type == ieee802154.FrameBeacon {
			return f.SrcPAN == 0xface
		}
		m.Transmit(time.Now(), 15, 0, psdu)
		return false
	})
}
