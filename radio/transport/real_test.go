package transport

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"gatewayd/radio"
	"gatewayd/radio/spinel"
)

// findRCP finds OpenThread's simulated RCP, or skips the test.
func findRCP(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("OT_SIM_DIR"); dir != "" {
		for _, p := range []string{"ot-rcp", "ncp/ot-rcp", "apps/ncp/ot-rcp", "examples/apps/ncp/ot-rcp"} {
			if p = filepath.Join(dir, p); isProgram(p) {
				return p
			}
		}
	}
	if p, err := exec.LookPath("ot-rcp"); err == nil {
		return p
	}
	t.Skip("no ot-rcp in $OT_SIM_DIR or $PATH: nothing is tested against OpenThread's own RCP")
	return ""
}

func isProgram(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

func rcpURL(t *testing.T, node int) radio.URL {
	return radio.URL{Bus: radio.BusPTY, Path: findRCP(t), Args: []string{fmt.Sprint(node)}}
}

func TestProbeRealRCP(t *testing.T) {
	u := rcpURL(t, 21)
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := Probe(ctx, u)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r, r.Took)
	if !r.Usable() || r.Guess.Kind != spinel.KindRCP || r.Identity.EUI64.String() != "18b4300000000015" {
		t.Errorf("report %+v", r)
	}
}
