// Package buildroot checks this tree, whose files Buildroot reads, without one.
package buildroot

import (
	"go/version"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	symbol = regexp.MustCompile(`BR2_[A-Za-z0-9_]+`)
	option = regexp.MustCompile(`^(?:(BR2_[A-Za-z0-9_]+)=(.+)|# (BR2_[A-Za-z0-9_]+) is not set)$`)
)

// Buildroot drops a symbol that it does not know without a word. symbols.txt
// has those of the pinned release that this tree names, and their types.
func TestSymbols(t *testing.T) {
	pin, err := os.ReadFile("pin")
	if err != nil {
		t.Fatal(err)
	}
	release, commit, ok := strings.Cut(strings.TrimSpace(string(pin)), " ")
	if !ok || !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(commit) {
		t.Fatalf("pin is %q, want a release and its commit", pin)
	}
	b, err := os.ReadFile("symbols.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), "# Symbols of Buildroot "+release+", commit "+commit+".\n") {
		t.Errorf("symbols.txt is of another release than %s", pin)
	}
	known := map[string]string{
		"BR2_EXTERNAL_GATEWAYD_PATH": "path", // Buildroot makes it of external.desc
	}
	for line := range strings.Lines(string(b)) {
		if name, kind, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			known[name] = kind
		}
	}

	packages, _ := filepath.Glob("package/*/Config.in")
	for _, file := range packages {
		own := regexp.MustCompile(`(?m)^config (\S+)$`)
		for _, m := range own.FindAllStringSubmatch(read(t, file), -1) {
			known[m[1]] = "bool"
		}
	}
	configs, _ := filepath.Glob("configs/*_defconfig")
	if len(configs) == 0 || len(packages) == 0 {
		t.Fatalf("%d configurations and %d packages: this is not the tree", len(configs), len(packages))
	}
	for _, file := range append(configs, packages...) {
		for _, name := range symbol.FindAllString(read(t, file), -1) {
			if known[name] == "" {
				t.Errorf("%s: Buildroot %s has no %s", file, release, name)
			}
		}
	}
	for _, file := range configs {
		seen := map[string]bool{}
		for line := range strings.Lines(read(t, file)) {
			line = strings.TrimSuffix(line, "\n")
			m := option.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("%s: %q is no option", file, line)
				continue
			}
			name := m[1] + m[3]
			if seen[name] {
				t.Errorf("%s: %s twice", file, name)
			}
			seen[name] = true
			quoted := strings.HasPrefix(m[2], `"`) && strings.HasSuffix(m[2], `"`)
			switch kind := known[name]; {
			case kind == "bool" && m[3] == "" && m[2] != "y", kind == "string" && !quoted:
				t.Errorf("%s: %q does not fit a %s", file, line, kind)
			}
		}
	}
}

// What the tree points at below itself is there.
func TestPaths(t *testing.T) {
	configs, _ := filepath.Glob("configs/*_defconfig")
	for _, file := range configs {
		for _, m := range regexp.MustCompile(`\$\(BR2_EXTERNAL_GATEWAYD_PATH\)/([^" ]+)`).FindAllStringSubmatch(read(t, file), -1) {
			fi, err := os.Stat(m[1])
			if err != nil {
				t.Errorf("%s: %v", file, err)
			} else if strings.HasSuffix(m[1], ".sh") && fi.Mode()&0o111 == 0 {
				t.Errorf("%s: %s is no program", file, m[1])
			}
		}
	}
	mk := read(t, "package/gatewayd/gatewayd.mk")
	module := strings.Fields(read(t, "../go.mod"))[1]
	if !strings.Contains(mk, "GATEWAYD_GOMOD = "+module+"\n") {
		t.Errorf("gatewayd.mk builds another module than %s", module)
	}
	// Buildroot's Go is that of the release; it takes no newer language.
	if m := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../go.mod")); m == nil || version.Compare("go"+m[1], "go1.26.3") > 0 {
		t.Errorf("go.mod asks for Go %v, the pinned release has 1.26.3", m)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
