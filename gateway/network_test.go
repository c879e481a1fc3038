package gateway

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatewayd/host/doctor"
	"gatewayd/internal/simair"
	"gatewayd/thread"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// A gateway that belongs to no network makes one and leads it at once, or looks
// for the one that it is told of; one that belongs to a network stays in it.
func TestFirstNetwork(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg, opt := testConfig(t), Options{Dial: simair.New(ctx).Radio(testEUI64)}
	var told []doctor.Finding
	look := func() (d meshcop.Dataset, role mle.Role) {
		t.Helper()
		g, stop := start(t, cfg, opt)
		defer stop()
		if err := g.Do(t.Context(), func(n *thread.Node) {
			if a := n.Datasets().Active(); a != nil {
				d = a.Clone()
			}
			role = n.MLE().Role()
		}); err != nil {
			t.Error(err)
		}
		h, err := g.Health(t.Context())
		if err != nil {
			t.Error(err)
		}
		told = h.Findings
		return d, role
	}
	if d, role := look(); role != mle.Disabled || d.NetworkKey != nil {
		t.Fatalf("by default it is %v in %q", role, d.NetworkName)
	}
	cfg.Network = NetworkNew
	first, role := look()
	if role != mle.Leader || len(first.MissingActive()) > 0 || !strings.HasPrefix(first.NetworkName, "gatewayd-") {
		t.Fatalf("%v in %q, which lacks %v", role, first.NetworkName, first.MissingActive())
	}
	other, err := NewDataset(meshcop.AllChannels())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dataset")
	if err := os.WriteFile(file, []byte(hex.EncodeToString(other.Append(nil))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Network = file
	if d, _ := look(); !SameNetwork(&d, &first) {
		t.Errorf("it left %q for %q", first.NetworkName, d.NetworkName)
	}
	if len(told) != 1 || told[0].Code != doctor.OtherNetwork || !strings.Contains(told[0].Text, other.NetworkName) || !strings.HasSuffix(told[0].Fix, "--force - <"+file) {
		t.Errorf("it says %+v", told)
	}
	cfg.DataDir = t.TempDir()
	if d, role := look(); !SameNetwork(&d, &other) || role != mle.Detached || told != nil {
		t.Errorf("%v in %q: somebody else may be in %q; it says %+v", role, d.NetworkName, other.NetworkName, told)
	}
	// It is needed no more.
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, _ := look(); !SameNetwork(&d, &other) || told != nil {
		t.Errorf("in %q; it says %+v", d.NetworkName, told)
	}
}

// What is wrong with the file of a network is said, with the file's name.
func TestReadDataset(t *testing.T) {
	d, err := NewDataset(meshcop.AllChannels())
	if err != nil {
		t.Fatal(err)
	}
	whole := hex.EncodeToString(d.Append(nil))
	d.NetworkKey, d.PSKc = nil, nil
	dir := t.TempDir()
	for _, c := range []struct{ text, want string }{
		{whole, ""},
		{" " + whole + "\r\n", ""},
		{"", "lacks"},
		{"dataset", "want hexadecimal digits"},
		{whole[:61], "want hexadecimal digits"},
		{whole[:60], "makes no sense"},
		{hex.EncodeToString(d.Append(nil)), "lacks Network Key"},
	} {
		file := filepath.Join(dir, "dataset")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readDataset(file)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file)) {
			t.Errorf("%.20q: %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := readDataset(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "network: open") {
		t.Error(err)
	}
}
