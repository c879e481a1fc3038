package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// ran is what a command did.
type ran struct {
	code     int
	out, err string
}

func runCmd(t *testing.T, in string, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(t.Context(), args, streams{strings.NewReader(in), &out, &errs})
	return ran{code, out.String(), errs.String()}
}

// Every command has a line and a page of help, and says nothing else then.
func TestHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			visit(sub)
		}
		path := strings.Fields(c.CommandPath())[1:]
		if len(path) > 0 && (path[0] == "help" || path[0] == "completion") {
			return // cobra's own
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.CommandPath(), c.Short)
		}
		for _, flag := range []string{"--help", "-h"} {
			r := runCmd(t, "", append(path, flag)...)
			if r.code != exitOK || r.err != "" || !strings.Contains(r.out, "Usage:\n  "+c.CommandPath()) || !strings.Contains(r.out, "--help") {
				t.Errorf("%s %s: %+v", c.CommandPath(), flag, r)
			}
			for line := range strings.Lines(r.out) {
				if len(line) > 145 {
					t.Errorf("%s: a line of %d characters: %s", c.CommandPath(), len(line), line)
				}
			}
		}
	}
	root := newRoot(streams{})
	visit(root)
	if n := len(root.Commands()); n < 11 {
		t.Errorf("only %d commands", n)
	}
}

func TestCtlHelp(t *testing.T) {
	golden(t, "ctl-help", func(w *bytes.Buffer) { w.WriteString(runCmd(t, "", "ctl", "--help").out) })
}

func TestUsage(t *testing.T) {
	tests := []struct {
		args string
		want string // in what it says
	}{
		{"", "Available Commands:"},
		{"dataset", "Available Commands:"},
		{"joiner", "Available Commands:"},
		{"radio", "Available Commands:"},
		{"statsu", `gatewayd: there is no command "gatewayd statsu", did you mean "status"?`},
		{"dataset exprot", `gatewayd: there is no command "gatewayd dataset exprot", did you mean "export"?`},
		{"frobnicate", `gatewayd: there is no command "gatewayd frobnicate"` + "\n"},
		{"status --loud", "gatewayd: unknown flag: --loud\ntry `gatewayd status --help`\n"},
		{"status now", "usage: gatewayd status"},
		{"run --config", "flag needs an argument"},
		{"run", "gatewayd: radio: none is given"},
		{"run --radio ttyUSB0", `gatewayd: radio: URL "ttyUSB0"`},
		{"run --radio sim:1 --log-level loud", `gatewayd: log-level: "loud" is none of`},
		{"run --radio x --log-level loud", "begin like spinel+hdlc+uart:///dev/...\ngatewayd: log-level"},
		{"run --config /does/not/exist.toml", "reading the configuration: open /does/not/exist.toml"},
		{"dataset new --channel x", "--channel"},
		{"dataset new --panid 0x12345", `invalid argument "0x12345" for "--panid" flag: not a number of 16 bits`},
		{"dataset set --delay 0s", "--delay: 0s is no delay"},
		{"dataset set --panid x", `invalid argument "x" for "--panid" flag: not a number of 16 bits`},
		{"dataset revoke it", "usage: gatewayd dataset revoke"},
		{"dataset import", "accepts 1 arg(s), received 0; usage: gatewayd dataset import HEX"},
		{"joiner add 18b4300000000002", "accepts 2 arg(s)"},
		{"joiner add 18b43 J01NME", `"18b43" is neither an EUI-64`},
		{"joiner add * short", "PSKd"},
		{"joiner add * J01NME --timeout 1ms", "--timeout: 1ms is less than a second"},
		{"joiner remove x", `"x" is neither an EUI-64`},
		{"ping", "accepts 1 arg(s)"},
		{"ping fd00::1 -c 0", "--count: at least one request"},
		{"radio probe", "accepts 1 arg(s)"},
		{"radio probe spinel+spi:///dev/spidev0.0", "radios on SPI are not supported"},
		{"radio probe sim:1", "there is nothing to probe"},
		{"rcp 0", `node id "0" is not a number from 1 to 33`},
		{"rcp 34", "from 1 to 33"},
		{"node", "accepts 1 arg(s)"},
		{"node x", `node id "x"`},
		{"node --time-speed=0 1", "--time-speed: 0 is not positive"},
	}
	for _, tt := range tests {
		r := runCmd(t, "", strings.Fields(tt.args)...)
		if r.code != exitUsage || r.out != "" || !strings.Contains(r.err, tt.want) {
			t.Errorf("%q: %d %q %q, want %q", tt.args, r.code, r.out, r.err, tt.want)
		}
	}
}

// Every command that talks to a gateway says how to get one.
func TestUnreachable(t *testing.T) {
	socket := t.TempDir() + "/none"
	for _, args := range []string{"status", "status --json", "events", "dataset new", "dataset show", "dataset show --reveal", "dataset import 00",
		"dataset set --channel 20", "dataset revoke", "dataset import -", "dataset export", "joiner add * J01NME", "joiner list", "joiner remove *", "ping fd00::1", "topology", "ctl"} {
		want := "gatewayd: no gateway answers on " + socket + ": start it with `gatewayd run`, or name its socket with --socket\n"
		if r := runCmd(t, "", append(strings.Fields(args), "--socket", socket)...); r.code != exitUnreachable || r.out != "" || r.err != want {
			t.Errorf("%s: %+v", args, r)
		}
		if r := runCmd(t, "", append([]string{"--socket", socket}, strings.Fields(args)...)...); r.code != exitUnreachable {
			t.Errorf("--socket before %s: %+v", args, r)
		}
	}
}

// Without --socket the configuration file says where the gateway is.
func TestSocketFromConfig(t *testing.T) {
	file := writeFile(t, "radio = 'sim:1'\nsocket = '/from/the/file'\n")
	if r := runCmd(t, "", "status", "--config", file); r.code != exitUnreachable || !strings.Contains(r.err, "/from/the/file") {
		t.Errorf("%+v", r)
	}
	if r := runCmd(t, "", "status", "--config", file, "--socket", "/from/the/flag"); !strings.Contains(r.err, "/from/the/flag") {
		t.Errorf("%+v", r)
	}
	bad := writeFile(t, "radio = 'sim:1'\nsoket = '/x'\n")
	want := "gatewayd: " + bad + `:2:1: no such key "soket", did you mean "socket"?` + "\n"
	if r := runCmd(t, "", "status", "--config", bad); r.code != exitFailed || r.err != want {
		t.Errorf("%+v", r)
	}
	if r := runCmd(t, "", "run", "--config", bad); r.code != exitUsage || !strings.HasPrefix(r.err, want) {
		t.Errorf("%+v", r)
	}
}

func TestVersion(t *testing.T) {
	if r := runCmd(t, "", "version"); r.code != exitOK || r.out != "gatewayd "+version+"\n" {
		t.Errorf("%+v", r)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	code := execute(ctx, []string{"status", "--socket", t.TempDir() + "/none"}, streams{nil, &out, &out})
	if code == exitOK {
		t.Errorf("a cancelled command succeeded: %s", &out)
	}
}
