//go:build interop

package interop

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Limits of one script.
const (
	toranjLimit    = 5 * time.Minute // for one attempt
	toranjAttempts = 3               // OpenThread's own runner makes up to eight
	toranjLast     = 401             // scripts after this one are for several border routers and other radios
)

// toranjMode says which nodes of a script are ours.
type toranjMode struct {
	name string
	ours func(node int) bool
}

var toranjModes = []toranjMode{
	{"all ours", func(int) bool { return true }},
	{"mixed A", func(n int) bool { return n%2 == 1 }},
	{"mixed B", func(n int) bool { return n%2 == 0 }},
}

// TestToranj runs OpenThread's toranj scripts, unchanged: with nodes that are
// all ours, odd ones ours and even ones theirs (mixed A), and the reverse (mixed
// B). A script fails the test only where docs/interop.md says that it passes.
//
// OT_SRC_DIR is OpenThread's source tree. OT_TORANJ_SIM_DIR is a build of it
// with the configuration of its toranj tests, or else OT_SIM_DIR is.
// GATEWAYD_TORANJ chooses scripts by their numbers: "013 027".
func TestToranj(t *testing.T) {
	dir := toranjScripts(t)
	needPexpect(t)
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	theirs := toranjProgram(t)
	promised := promises(t)
	var rows []string
	for _, script := range toranjChosen(t, dir) {
		name := strings.TrimSuffix(strings.TrimPrefix(script, "test-"), ".py")
		row := fmt.Sprintf("| %-36s |", name)
		for i, mode := range toranjModes {
			cell := "no program"
			if i == 0 || theirs != "" {
				t.Run(name+"/"+mode.name, func(t *testing.T) {
					attempt, out := runToranj(t, dir, script, toranjBuild(t, bin, theirs, mode))
					switch promise := promised[name]; {
					case attempt == 1:
						cell = "pass"
					case attempt > 0:
						cell = fmt.Sprintf("pass (%d)", attempt)
					case i < len(promise) && promise[i]:
						cell = "FAIL"
						t.Errorf("docs/interop.md says that it passes:\n%s", out)
					default:
						cell = "no"
						t.Logf("as docs/interop.md says:\n%s", out)
					}
				})
			}
			row += fmt.Sprintf(" %-8s |", cell)
		}
		rows = append(rows, row)
	}
	fmt.Printf("| %-36s | %-8s | %-8s | %-8s |\n|%s|%[6]s|%[6]s|%[6]s|\n%s\n", "script", "all ours", "mixed A", "mixed B",
		strings.Repeat("-", 38), strings.Repeat("-", 10), strings.Join(rows, "\n"))
}

// toranjScripts finds the folder of the scripts.
func toranjScripts(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("OT_TORANJ_DIR")
	if src := os.Getenv("OT_SRC_DIR"); dir == "" && src != "" {
		dir = filepath.Join(src, "tests/toranj/cli")
	}
	if _, err := os.Stat(filepath.Join(dir, "cli.py")); dir == "" || err != nil {
		t.Skip("NOT RUN: OT_SRC_DIR names no source tree of OpenThread (or OT_TORANJ_DIR its tests/toranj/cli)")
	}
	return dir
}

func needPexpect(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("python3", "-c", "import pexpect").CombinedOutput(); err != nil {
		t.Skipf("NOT RUN: the scripts need python3 and its package pexpect: %v: %s", err, out)
	}
}

// toranjProgram is their node; "" if there is none, and mixed runs are left out.
func toranjProgram(t *testing.T) string {
	for _, env := range []string{"OT_TORANJ_SIM_DIR", "OT_SIM_DIR"} {
		if p := filepath.Join(os.Getenv(env), "examples/apps/cli/ot-cli-ftd"); os.Getenv(env) != "" && isProgram(p) {
			return p
		}
	}
	t.Log("MIXED RUNS LEFT OUT: OT_TORANJ_SIM_DIR names no build of OpenThread with the configuration of its toranj tests")
	return ""
}

// toranjChosen are the scripts to run, by name.
func toranjChosen(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "test-*.py"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	chosen := strings.Fields(os.Getenv("GATEWAYD_TORANJ"))
	var out []string
	for _, p := range all {
		script := filepath.Base(p)
		number, _, _ := strings.Cut(strings.TrimPrefix(script, "test-"), "-")
		if n, err := strconv.Atoi(number); err == nil && n <= toranjLast && (len(chosen) == 0 || slices.Contains(chosen, number)) {
			out = append(out, script)
		}
	}
	return out
}

// promises are the rows of the table in docs/interop.md: for each script,
// whether it passes in each mode.
func promises(t *testing.T) map[string][]bool {
	t.Helper()
	b, err := os.ReadFile("../docs/interop.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]bool{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		name := strings.TrimSpace(cells[0])
		if len(cells) <= len(toranjModes) || len(name) < 4 || name[0] != '0' && name[0] != '4' {
			continue
		}
		for _, c := range cells[1 : 1+len(toranjModes)] {
			out[name] = append(out[name], strings.TrimSpace(c) == "pass")
		}
	}
	if len(out) == 0 {
		t.Fatal("docs/interop.md has no table of scripts")
	}
	return out
}

// toranjBuild makes what looks to the scripts as a build tree of OpenThread.
func toranjBuild(t *testing.T, ours, theirs string, mode toranjMode) string {
	t.Helper()
	dir := t.TempDir()
	var nodes []string
	for n := 1; n <= 33; n++ {
		if mode.ours(n) {
			nodes = append(nodes, strconv.Itoa(n))
		}
	}
	script := fmt.Sprintf(`#!/bin/sh
for last; do :; done
case " %s " in
*" $last "*) exec %s node --profile toranj "$@" ;;
esac
exec %s "$@"
`, strings.Join(nodes, " "), ours, theirs)
	path := filepath.Join(dir, "examples/apps/cli/ot-cli-ftd")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runToranj runs a script until it passes, and returns at which attempt it did,
// 0 for none; else the end of what it said.
func runToranj(t *testing.T, dir, script, build string) (attempt int, out string) {
	t.Helper()
	ns := newRCPNetns(t)
	ns.env = []string{"top_builddir=" + build, nextOffset(), "TORANJ_VERBOSE=yes"}
	if out, err := exec.Command("ip", "-n", ns.name, "route", "add", "224.0.0.0/4", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip route: %v: %s", err, out)
	}
	for attempt = 1; attempt <= toranjAttempts; attempt++ {
		work := t.TempDir()
		if err := os.CopyFS(work, pythonFiles{os.DirFS(dir)}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), toranjLimit)
		c := ns.command("python3", script)
		cmd := exec.CommandContext(ctx, c.Path, c.Args[1:]...)
		cmd.Env, cmd.Dir, cmd.WaitDelay = c.Env, work, 5*time.Second
		b, err := cmd.CombinedOutput()
		cancel()
		if err == nil {
			return attempt, ""
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		out = fmt.Sprintf("attempt %d: %v\n%s", attempt, err, strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
	return 0, out
}

// pythonFiles is a folder without its other files and its folders.
type pythonFiles struct{ fs.FS }

// ReadDir implements fs.ReadDirFS.
func (p pythonFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(p.FS, name)
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool { return e.IsDir() || filepath.Ext(e.Name()) != ".py" }), err
}
