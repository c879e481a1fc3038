package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatewayd/internal/update"
)

// Only public keys get into an image, which everybody can read.
func TestRootTakesNoPrivateKey(t *testing.T) {
	dir := t.TempDir()
	trust, root := filepath.Join(dir, "trust"), filepath.Join(dir, "root")
	if err := os.Mkdir(trust, 0o700); err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "key")
	if err := update.NewKey(private); err != nil {
		t.Fatal(err)
	}
	k, err := update.LoadPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public, err := update.PublicPEM(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(trust, "a.pem"), public, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() (string, error) {
		c := exec.Command("./root.sh", root)
		c.Env = append(os.Environ(), "IMAGE_BOARD=b", "IMAGE_VERSION=1.2", "IMAGE_KEY=none", "IMAGE_UNTRUSTED=yes", "IMAGE_TRUST="+trust, "GATEWAYD_HOST_PROGRAM=false")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	keys := filepath.Join(root, "usr/share/gatewayd/image/keys")
	if _, err := exec.LookPath("/usr/sbin/mke2fs"); err == nil {
		if out, err := run(); err != nil {
			t.Errorf("with a public key: %v, %s", err, out)
		}
		if k, err := update.LoadKeys(keys); err != nil || len(k) != 1 || k[0].Name != "a" {
			t.Errorf("keys %v, %v", k, err)
		}
	}
	if err := os.Rename(private, filepath.Join(trust, "b.pem")); err != nil {
		t.Fatal(err)
	}
	if out, err := run(); err == nil || !strings.Contains(out, "b.pem is no public key") {
		t.Errorf("with a private key: %v, %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(keys, "b.pem")); !os.IsNotExist(err) {
		t.Errorf("it is in the image: %v", err)
	}
}
