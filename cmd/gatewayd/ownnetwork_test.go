package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatewayd/api"
)

// A gateway without a network makes one, or takes that of the settings; one
// that has a network keeps it as it is, and says if the settings name another.
func TestOwnNetwork(t *testing.T) {
	d := newDaemon(t)
	file, cl := filepath.Join(d.dir, "dataset"), api.NewClient(d.socket)
	run := func(dataset string) (notices []string) {
		if dataset != "" {
			if err := os.WriteFile(file, []byte(dataset+"\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := ownNetwork(ctx, cl, file, func(err error) { t.Error(err) }, func(text string) error {
			notices = append(notices, text)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return notices
	}

	// It waits for one that starts only now.
	made := make(chan []string)
	go func() { made <- run("") }()
	time.Sleep(2 * askAgain)
	d.start()
	if n := <-made; n != nil {
		t.Errorf("notices %q", n)
	}
	first := strings.TrimSpace(d.ask("dataset", "export"))
	if run(""); strings.TrimSpace(d.ask("dataset", "export")) != first {
		t.Error("it has made another network")
	}
	if n := run(first); n != nil {
		t.Errorf("its own network: %q", n)
	}

	// The settings are adopted by a gateway that has none.
	d.stop()
	for _, name := range []string{"data", "notify"} {
		if err := os.RemoveAll(filepath.Join(d.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	d.start()
	if n := run(first); n != nil || strings.TrimSpace(d.ask("dataset", "export")) != first {
		t.Errorf("not adopted, notices %q", n)
	}

	d.ask("dataset", "new", "--force", "--name", "elsewhere")
	now := d.ask("dataset", "export")
	n := run(first)
	if len(n) != 1 || !strings.Contains(n[0], `belongs to "elsewhere" already`) || !strings.Contains(n[0], "dataset import --force - <"+file) {
		t.Errorf("notices %q", n)
	}
	if d.ask("dataset", "export") != now {
		t.Error("it has left its network")
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	d.stop()
	if err := ownNetwork(ctx, cl, file, func(error) {}, nil); !errors.Is(err, enough) {
		t.Errorf("told to end: %v", err)
	}
}
