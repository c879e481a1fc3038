// Package packaging checks the recipes for what is built elsewhere.
package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Home Assistant builds an add-on from its folder and nothing else: what is
// copied into the image is in it, or put there by build.sh.
func TestAddOnFolder(t *testing.T) {
	build := read(t, "build.sh")
	config := read(t, "home-assistant/config.yaml")
	arch := regexp.MustCompile(`(?m)^arch: \[(.*)\]$`).FindStringSubmatch(config)
	if arch == nil {
		t.Fatal("no architectures")
	}
	copied := regexp.MustCompile(`(?m)^(?:COPY|ADD) (.*) \S+$`).FindAllStringSubmatch(read(t, "home-assistant/Dockerfile"), -1)
	if len(copied) == 0 {
		t.Error("nothing is copied into the image")
	}
	for _, m := range copied {
		for _, a := range strings.Split(arch[1], ", ") {
			name := strings.ReplaceAll(m[1], "${BUILD_ARCH}", a)
			_, err := os.Stat(filepath.Join("home-assistant", name))
			if err != nil && !strings.Contains(build, `"$dir/`+name+`"`) {
				t.Errorf("%s is neither in the folder nor put there", name)
			}
		}
	}
	// An option that is not optional has a value; what is a choice has one of them.
	section := func(name string) map[string]string {
		_, text, _ := strings.Cut(config, "\n"+name+":\n")
		values := map[string]string{}
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "  ") {
				break
			}
			if k, v, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && k[0] != '#' {
				values[k] = strings.Trim(v, `"`)
			}
		}
		return values
	}
	options := section("options")
	for key, kind := range section("schema") {
		v, given := options[key]
		list, choice := strings.CutPrefix(kind, "list(")
		switch {
		case given && strings.HasPrefix(kind, "device"):
			t.Errorf("%s is %s, which is not there on every machine", key, v)
		case given && choice && !slices.Contains(strings.Split(strings.Trim(list, ")?"), "|"), v):
			t.Errorf("%s is %s, not one of %s", key, v, kind)
		case !given && !strings.HasSuffix(kind, "?"):
			t.Errorf("%s is nothing, and not optional", key)
		}
	}
}

// What the add-on runs for its options.
func TestAddOnRun(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("no jq")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gatewayd"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ options, want string }{
		{`{"baudrate": "460800", "flow_control": false}`, "no dongle is chosen"},
		{`{"device": "/dev/ttyACM0", "baudrate": "460800", "flow_control": false}`,
			"run\n--radio\nspinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800\n--network\nnew\n--infra\nauto\n--data-dir\n/data/gatewayd\n"},
		{`{"device": "/dev/ttyACM0", "baudrate": "115200", "flow_control": true, "backbone_interface": "end0", "dataset": "0e08"}`,
			"run\n--radio\nspinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=115200&uart-flow-control\n--network\n" + dir + "/dataset\n--infra\nend0\n--data-dir\n/data/gatewayd\n"},
		{`{"network_device": "192.0.2.7:6638", "device": "/dev/ttyACM0", "baudrate": "460800", "flow_control": false}`,
			"run\n--radio\nspinel+hdlc+tcp://192.0.2.7:6638\n--network\nnew\n--infra\nauto\n--data-dir\n/data/gatewayd\n"},
	} {
		file := filepath.Join(dir, "options.json")
		if err := os.WriteFile(file, []byte(tt.options), 0o600); err != nil {
			t.Fatal(err)
		}
		run := exec.Command("sh", "home-assistant/run.sh", file)
		run.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := run.CombinedOutput()
		if refused := strings.HasPrefix(tt.want, "no dongle"); refused != (err != nil) || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v\n%s", tt.options, err, out)
		}
	}
	if got := read(t, filepath.Join(dir, "dataset")); got != "0e08\n" {
		t.Errorf("to adopt: %q", got)
	}
}

// The package brings the modules that the gateway asks for where they lack.
func TestOpenWrtModules(t *testing.T) {
	depends := regexp.MustCompile(`(?m)^  DEPENDS:=(.*)$`).FindString(read(t, "openwrt/Makefile"))
	asked := regexp.MustCompile(`opkg install ([a-z0-9 -]+)`).FindAllStringSubmatch(read(t, "../host/doctor/kernel.go"), -1)
	if len(asked) == 0 {
		t.Fatal("nothing is asked for")
	}
	for _, m := range asked {
		for _, module := range strings.Fields(m[1]) {
			if !strings.Contains(depends+" ", "+"+module+" ") {
				t.Errorf("%s is not in %s", module, depends)
			}
		}
	}
}
