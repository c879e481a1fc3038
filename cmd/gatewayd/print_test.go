package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatewayd/api"
	"gatewayd/host/doctor"
	"gatewayd/radio"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gatewayd.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var testRadio = api.Radio{URL: "spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800", State: "ready", EUI64: "18b4300000000001",
	Version: "OPENTHREAD/1.4; NRF52840", Spinel: "4.3", API: 11, Capabilities: []string{"ack-timeout", "energy-scan"},
	Channels: []int{11, 12, 13, 15, 25, 26}, Sensitivity: -100}

var testNetwork = api.Network{Name: "kitchen", Channel: 17, PANID: "0x1234", ExtPANID: "0011223344556677", MeshLocalPrefix: "fd12:3456::/64"}

func leaderStatus() *api.Status {
	child := api.Neighbor{Kind: "child", RLOC16: "0x4401", ExtAddress: "a2b4c6d8e0f20416", Mode: "rn", Version: 5, Age: 3.21, RSSI: -61, LastRSSI: -60, QualityIn: 3}
	return &api.Status{
		Version: "v1.0", Uptime: 11523, Radio: testRadio, Role: "leader", RoleSeconds: 61.5, ExtAddress: "2a19218c6e4a428b", RLOC16: "0x4400",
		Mode: "rdn", PartitionID: new(uint32(0x1f2e3d4c)), LeaderRLOC16: "0x4400", OnMeshPrefixes: []string{"fd00:1:2:1::/64"}, Reach: &api.Reach{Ready: true, Prefix: "fd00:1:2:1::/64"},
		Network: &testNetwork, Interface: "wpan0", Addresses: []string{"fe80::2819:218c:6e4a:428b", "fd12:3456::ff:fe00:4400"},
		MulticastGroups: []string{"ff02::1"}, Commissioner: api.Commissioner{State: "active", Joiners: 2},
		Children: []api.Child{{Neighbor: child, State: "valid", Timeout: 240, Addresses: []string{"fd12:3456::1", "fd00:1:2:1::1"}}},
		Routers: []api.Router{
			{ID: 17, RLOC16: "0x4400", Self: true, Leader: true},
			{ID: 20, RLOC16: "0x5000", NextHop: "0x5000", PathCost: 1, QualityIn: 3, QualityOut: 2, ExtAddress: "1234567812345678", Age: 100000},
			{ID: 21, RLOC16: "0x5400"},
		},
	}
}

func TestPrintStatus(t *testing.T) {
	fresh := api.Status{Version: "v1.0", Uptime: 0.04, Role: "disabled", ExtAddress: "2a19218c6e4a428b",
		Radio: api.Radio{URL: "/dev/ttyACM0", State: "unusable", Problem: "it has no raw interface",
			Looks: "it looks like Silicon Labs Zigbee (EZSP) firmware", Hint: "flash OpenThread RCP firmware for this dongle"},
		Findings:     []doctor.Finding{{Code: "HOST-FWD6", Level: doctor.Problem, Text: "the host does not forward IPv6"}},
		Commissioner: api.Commissioner{State: "disabled"}}
	child := leaderStatus()
	child.Role, child.RLOC16, child.LeaderRLOC16 = "child", "0x5001", "0x4400"
	child.Children, child.Routers = nil, nil
	child.Parent = &api.Neighbor{Kind: "parent", RLOC16: "0x5000", ExtAddress: "1234567812345678", Age: 9.96, RSSI: -70, QualityIn: 3}
	golden(t, "status-leader", func(w *bytes.Buffer) { printStatus(w, leaderStatus()) })
	golden(t, "status-child", func(w *bytes.Buffer) { printStatus(w, child) })
	golden(t, "status-fresh", func(w *bytes.Buffer) { printStatus(w, &fresh) })
	golden(t, "counters", func(w *bytes.Buffer) {
		printCounters(w, map[string]map[string]uint64{"mac": {"tx_total": 12, "rx_total": 7, "tx_retry": 0}, "ip": {"refused": 1}})
	})
}

func TestPrintDataset(t *testing.T) {
	d := api.Dataset{Network: testNetwork, ActiveTimestamp: new(uint64(1)), Channels: []int{11, 12}, NetworkKey: "redacted", PSKc: "redacted",
		Policy: &api.Policy{RotationHours: 672, Flags: []string{"obtain-network-key", "routers"}}}
	golden(t, "dataset-active", func(w *bytes.Buffer) { printIt(t, w, d) })
	d.PendingTimestamp, d.Delay, d.WakeupChannel, d.Unknown, d.Policy.Flags = new(uint64(2)), 299.5, 19, 1, nil
	golden(t, "dataset-pending", func(w *bytes.Buffer) { printIt(t, w, d) })
}

func printIt(t *testing.T, w *bytes.Buffer, d api.Dataset) {
	a := app{streams: streams{out: w}}
	if err := a.printDataset(d); err != nil {
		t.Error(err)
	}
}

func TestPrintJoiners(t *testing.T) {
	golden(t, "joiners-none", func(w *bytes.Buffer) { printJoiners(w, &api.Joiners{Commissioner: "disabled"}) })
	golden(t, "joiners", func(w *bytes.Buffer) {
		printJoiners(w, &api.Joiners{Commissioner: "active",
			Joiners: []api.Joiner{
				{ID: "18b4300000000002", Progress: "refused", Expires: 100, Refused: 1, Attempts: []api.JoinAttempt{
					{JoinerID: "1", Router: "0x4400", Progress: "refused", Reason: "another PSKd", Age: 4.04}}},
				{ID: "*", Progress: "waiting", Expires: 90061},
			},
			History: []api.Joiner{{ID: "0xabc/12", Progress: "entrusted", Attempts: []api.JoinAttempt{
				{Router: "0x5000", Progress: "entrusted", Vendor: "Acme Lamp", Age: 61}}}},
		})
	})
}

func TestPrintPing(t *testing.T) {
	golden(t, "ping", func(w *bytes.Buffer) {
		var p pinger
		for _, l := range []api.PingLine{
			{From: "fd12:3456::1", Seq: 1, Size: 16, HopLimit: 64, RTT: 3.25},
			{From: "fd12:3456::1", Seq: 3, Size: 16, HopLimit: 63, RTT: 12},
			{Done: true, Sent: 3, Received: 2},
		} {
			p.count(l)
			if err := p.print(w, l); err != nil {
				t.Error(err)
			}
		}
	})
	golden(t, "ping-lost", func(w *bytes.Buffer) {
		var p pinger
		l := api.PingLine{Done: true, Sent: 3}
		p.count(l)
		if err := p.print(w, l); err != nil || !p.done || p.replies != 0 {
			t.Error(err, p)
		}
	})
}

func TestPrintProbe(t *testing.T) {
	u, err := radio.ParseURL("spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800&uart-flow-control")
	if err != nil {
		t.Fatal(err)
	}
	good := transport.Report{URL: u, Guess: spinel.RecogniseCaps([]spinel.Cap{spinel.CapMACRaw}), Took: 1234567890,
		Identity: spinel.Identity{Major: 4, Minor: 3, Version: "OPENTHREAD/1.4; NRF52840", API: 11,
			Info: radio.Info{EUI64: [8]byte{0x18, 0xb4, 7: 1}, Caps: radio.CapAckTimeout | radio.CapReceiveTiming, Channels: 0x07fff800, RxSensitivity: -100}},
		Attempts: make([]transport.Attempt, 3)}
	bad := transport.Report{URL: u, Guess: spinel.Recognise(nil), Attempts: make([]transport.Attempt, 1)}
	golden(t, "probe-usable", func(w *bytes.Buffer) { printProbe(w, &good) })
	golden(t, "probe-silent", func(w *bytes.Buffer) { printProbe(w, &bad) })
	golden(t, "probe-json", func(w *bytes.Buffer) {
		if err := printJSON(w, probedOf(&good)); err != nil {
			t.Error(err)
		}
	})
}

// A name that somebody has chosen does nothing to the terminal.
func TestPrintHostile(t *testing.T) {
	const name = "Küche \x1b]0;mine\x07\r\u202e\xff"
	const shown = "Küche ?]0;mine???\ufffd"
	var b bytes.Buffer
	printStatus(&b, &api.Status{Radio: api.Radio{State: "absent", Looks: name}, Network: &api.Network{Name: name}})
	f := found{Port: "/dev/ttyACM0", Name: name, Error: "busy"}
	for text, where := range map[string]string{b.String(): "status", printable(f.sentence()): "radio find"} {
		if !strings.Contains(text, shown) || strings.ContainsAny(text, "\x1b\x07\r\u202e") {
			t.Errorf("%s: %q", where, text)
		}
	}
	if r := runCmd(t, "", "status", "--socket", "/nowhere/\x1b[2J"); strings.Contains(r.err, "\x1b") || r.code != exitUnreachable {
		t.Errorf("%+v", r)
	}
}

// golden compares what f prints with a file in testdata. UPDATE=1 in the
// environment writes the file instead.
func golden(t *testing.T, name string, f func(*bytes.Buffer)) {
	t.Helper()
	var b bytes.Buffer
	f(&b)
	file := filepath.Join("testdata", name+".txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
