package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseAutoboot(t *testing.T) {
	tests := []struct {
		name, text string
		want       Autoboot
		err        string
	}{
		{"ours", ours(t), Autoboot{2, 3}, ""},
		{"without a section", "boot_partition=2\r\n[tryboot]\r\nboot_partition=3\r\n", Autoboot{2, 3}, ""},
		{"of other boards", "[all]\nboot_partition=2\n[pi5]\nboot_partition=7\n[tryboot]\nboot_partition=3\n", Autoboot{2, 3}, ""},
		{"empty", "", Autoboot{}, "has 0 and 0"},
		{"one slot", "boot_partition=2", Autoboot{}, "has 2 and 0"},
		{"the same twice", "boot_partition=2\n[tryboot]\nboot_partition=2", Autoboot{}, "has 2 and 2"},
		{"no number", "[all]\nboot_partition=two", Autoboot{}, `autoboot.txt:2: "two" is no partition`},
		{"too large", "boot_partition=64", Autoboot{}, "autoboot.txt:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseAutoboot([]byte(tt.text))
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%+v, %v; want %+v, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

// ours is autoboot.txt as it is flashed.
func ours(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../image/boot/autoboot.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSwapAutoboot(t *testing.T) {
	swapped := func(s string) string { return strings.NewReplacer("=2", "=3", "=3", "=2").Replace(s) }
	for _, text := range []string{
		ours(t),
		"# mine\r\nboot_partition=2\r\n\r\n[tryboot]\r\n  boot_partition=3 \r\n",
		"boot_partition=2\n[tryboot]\nboot_partition=3", // no end of line
		"boot_partition=2\nboot_partition=2\n[tryboot]\nboot_partition=3\n",
		"[all]\nboot_partition=2\n[tryboot]\nboot_partition=3\n[pi5]\nboot_partition=7",
	} {
		b, err := swapAutoboot([]byte(text))
		if err != nil || string(b) != swapped(text) {
			t.Errorf("%q became %q, %v", text, b, err)
		}
		if b, err = swapAutoboot(b); err != nil || string(b) != text {
			t.Errorf("%q swapped twice is %q, %v", text, b, err)
		}
	}
	for _, bad := range []string{"", "boot_partition=2", "boot_partition=9\n[tryboot]\nboot_partition=10", ours(t) + strings.Repeat("#", maxAutoboot)} {
		if b, err := swapAutoboot([]byte(bad)); err == nil {
			t.Errorf("%q became %q", bad, b)
		}
	}
}

func TestBooted(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	tests := []struct {
		name, tree, cmdline string
		want                int
	}{
		{"boot loader", "\x00\x00\x00\x03", "gw.partition=2", 3},
		{"command line", "", "quiet gw.partition=2 panic=10", 2},
		{"boot loader's zero is none", "\x00\x00\x00\x00", "gw.partition=2", 2},
		{"neither", "", "quiet", 0},
		{"nonsense", "", "gw.partition=x", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := booted(file("tree", tt.tree), file("cmdline", tt.cmdline))
			if got != tt.want || (err != nil) != (tt.want == 0) {
				t.Errorf("%d, %v; want %d", got, err, tt.want)
			}
		})
	}
}
