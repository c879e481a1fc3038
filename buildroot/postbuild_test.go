package buildroot

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The build stops at an option of a fragment that Kconfig has dropped, or made
// a module of, and at nothing else.
func TestDroppedOption(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{"CONFIG_CTTYHACK=y", "# CONFIG_CTTYHACK is not set", "CONFIG_CTTYHACK=y is not in "},
		{"CONFIG_IPV6=y", "CONFIG_IPV6=m", "CONFIG_IPV6=y is not in "},
		{"CONFIG_NFT_MASQ=m", "", "CONFIG_NFT_MASQ=m is not in "},
		{"CONFIG_NFT_MASQ=m", "CONFIG_NFT_MASQ=y", ""},
	} {
		build := t.TempDir()
		for folder, fragment := range map[string]string{"busybox-1.2": "busybox.fragment", "linux-custom": "linux.fragment"} {
			text := strings.ReplaceAll(read(t, filepath.Join("board/gatewayd", fragment)), tt.old+"\n", tt.new+"\n")
			if err := os.Mkdir(filepath.Join(build, folder), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(build, folder, ".config"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// What comes after that needs more than this test has.
		c := exec.Command("board/gatewayd/post-build.sh", filepath.Join(build, "target"))
		c.Env = append(os.Environ(), "BUILD_DIR="+build, "BR2_EXTERNAL_GATEWAYD_PATH="+filepath.Join(build, "none"))
		out, err := c.CombinedOutput()
		if err == nil {
			t.Errorf("%s: it goes on to the end", tt.new)
		}
		if n := strings.Count(string(out), " is not in "); !strings.Contains(string(out), tt.want) || (n == 0) != (tt.want == "") || n > 1 {
			t.Errorf("%s in place of %s: %s; want %q", tt.new, tt.old, out, tt.want)
		}
	}
}
