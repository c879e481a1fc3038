package transport

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"gatewayd/radio"
	"gatewayd/radio/spinel"
)

// What is on each port decides, not its name; what is of no use is asked once.
func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := t.TempDir()
		dials := map[string]int{}
		on := map[string]answers{}
		locked := ""
		f := finder{sys: t.TempDir(), dev: dev, dial: func(ctx context.Context, u radio.URL) (Conn, error) {
			dials[filepath.Base(u.Path)]++
			if filepath.Base(u.Path) == locked {
				return nil, errors.New("transport: in use by zigbee2mqtt")
			}
			return on[filepath.Base(u.Path)].dial(ctx, u)
		}}
		plug := func(name string, a answers) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dev, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			on[name] = a
		}
		unplug := func(name string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dev, name)); err != nil {
				t.Fatal(err)
			}
		}
		fails := func(what string) {
			t.Helper()
			if u, err := f.find(t.Context()); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("found %v, %v; want an error with %q", u, err, what)
			}
		}
		fails("is the dongle plugged in?")

		plug("ttyS0", answers{hear: speaker(rcpProps())}) // not by USB: never asked
		plug("ttyACM0", answers{hear: func([]byte) []byte { return nil }})
		fails("ttyACM0, serial port: nothing answers; check")
		// The answer of EZSP to a reset.
		plug("ttyUSB0", answers{hear: func([]byte) []byte { return []byte("\x1a\xc1\x02\x0b\x0a\x52\x7e") }})
		fails("ttyUSB0, serial port: it looks like Silicon Labs Zigbee (EZSP) firmware")
		asked := dials["ttyACM0"]
		var unfit *UnfitError
		if _, err := f.find(t.Context()); !errors.As(err, &unfit) || unfit.Guess.Kind != spinel.KindEZSP {
			t.Errorf("with two useless ports: %v", err)
		}
		locked = "ttyUSB1"
		plug(locked, answers{})
		fails("EZSP")

		plug("ttyUSB2", answers{baud: 1000000, hear: speaker(rcpProps())})
		u, err := f.find(t.Context())
		if err != nil || u.Path != filepath.Join(dev, "ttyUSB2") || u.Baud != 1000000 {
			t.Errorf("found %v, %v", u, err)
		}
		if dials["ttyACM0"] != asked || dials["ttyS0"] != 0 {
			t.Errorf("ports were asked in vain: %v", dials)
		}

		// Under the name of the silent one there is a dongle now.
		unplug("ttyUSB2")
		unplug("ttyACM0")
		fails("EZSP")
		plug("ttyACM0", answers{baud: 460800, hear: speaker(rcpProps())})
		if u, err := f.find(t.Context()); err != nil || u.Path != filepath.Join(dev, "ttyACM0") || u.Baud != 460800 {
			t.Errorf("found %v, %v", u, err)
		}

		for _, name := range []string{"ttyACM0", "ttyUSB0"} {
			unplug(name)
		}
		fails("in use by zigbee2mqtt")
	})
}

// The gateway is told which device it is, and gets another when that has gone.
func TestDialerAuto(t *testing.T) {
	master, named := dongle(t)
	hear := speaker(rcpProps())
	serve := func(master *os.File) {
		b := make([]byte, 1000)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			if _, err := master.Write(hear(b[:n])); err != nil {
				return
			}
		}
	}
	slave, err := os.OpenFile(named.Path, os.O_RDWR, 0) // else the master ends when the other one is closed
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	dev := t.TempDir()
	if err := os.Symlink(named.Path, filepath.Join(dev, "ttyACM0")); err != nil {
		t.Fatal(err)
	}
	go serve(master)
	d := NewDialer(radio.URL{Bus: radio.BusAuto})
	d.finder.dev = dev
	if got := d.URL().String(); got != "auto" {
		t.Errorf("before it has looked the radio is %s", got)
	}
	c, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := d.URL(); got.Bus != radio.BusUART || got.Path != filepath.Join(dev, "ttyACM0") || got.Baud == 0 {
		t.Errorf("found %v", got)
	}
	if err := os.Remove(filepath.Join(dev, "ttyACM0")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Dial(t.Context()); err == nil {
		t.Error("a dongle that has gone can be opened")
	}
	if err := os.Symlink(named.Path, filepath.Join(dev, "ttyUSB7")); err != nil {
		t.Fatal(err)
	}
	if c, err = d.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := d.URL().Path; filepath.Base(got) != "ttyUSB7" {
		t.Errorf("then found %s", got)
	}
}
