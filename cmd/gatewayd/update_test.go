package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatewayd/internal/update"
)

// What makes updates, from the key to a second signature.
func TestUpdateTools(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := execute(t.Context(), append([]string{"update"}, args...), streams{strings.NewReader(""), &out, &errs}); code != want {
			t.Fatalf("%q: exit code %d, want %d: %s", args, code, want, &errs)
		}
		return out.String() + errs.String()
	}
	if err := os.WriteFile(file("slot"), bytes.Repeat([]byte("slot"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(exitOK, "key", file("first"))
	run(exitOK, "key", file("second"))
	run(exitFailed, "key", file("first")) // it is not overwritten
	run(exitOK, "bundle", "--key", file("first"), "--board", "b", "--version", "1.2", file("slot"), file("bundle"))
	if says := run(exitFailed, "bundle", "--key", file("first"), "--board", "b", "--version", "new", file("slot"), file("bad")); !strings.Contains(says, `"new" is no version`) {
		t.Error(says)
	}
	run(exitUsage, "bundle", "--key", file("first"), file("slot"), file("bad"))
	for _, signer := range []string{"first", "second"} {
		run(exitOK, "sign", "--key", file(signer), file("bundle"))
		public := run(exitOK, "public", file(signer))
		if err := os.WriteFile(filepath.Join(file("keys"), signer+".pem"), []byte(public), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := update.LoadKeys(file("keys"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := update.Locate(file("bundle"))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, m, by, err := b.Header(t.Context(), keys); err != nil || by.Name != signer || m.Version != "1.2" || len(m.Chunks) != 4 {
			t.Errorf("%s: %+v, %+v, %v", signer, by, m, err)
		}
	}
	if says := run(exitFailed, "sign", "--key", file("first"), file("slot")); !strings.Contains(says, "no update bundle") {
		t.Error(says)
	}
}

// Whether an update would be put on is told to people, to programs and to
// scripts.
func TestUpdateOffer(t *testing.T) {
	for _, tt := range []struct {
		refused string
		code    int
		want    string
	}{{"", exitOK, "can be put on: gatewayd update apply b"}, {"1.1 is older than 1.2, which runs", exitFailed, "refused: 1.1 is older"}} {
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			a := &app{streams: streams{out: &out}, json: asJSON}
			err := a.tell(&offer{Source: "b", Running: "1.2", Version: "1.1", SignedBy: "k", Refused: tt.refused})
			if exitCode(err) != tt.code || !asJSON && !strings.Contains(out.String(), tt.want) || asJSON && !strings.Contains(out.String(), tt.refused) {
				t.Errorf("%+v, JSON %v: %v, %s", tt, asJSON, err, &out)
			}
		}
	}
}

// Elsewhere than on the appliance the commands say so, and a reset asks first.
func TestUpdateElsewhere(t *testing.T) {
	if _, err := os.Stat(update.ImageDir); err == nil {
		t.Skip("this is the appliance")
	}
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"update status", exitFailed, "this is not the appliance"},
		{"update check http://127.0.0.1:1/b", exitFailed, "this is not the appliance"},
		{"update apply b", exitFailed, "this is not the appliance"},
		{"update rollback", exitFailed, "this is not the appliance"},
		{"update apply", exitUsage, "usage"},
		{"factory-reset", exitUsage, "say --yes"},
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), strings.Fields(tt.args), streams{strings.NewReader(""), &out, &errs})
		if code != tt.code || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: exit code %d, %q; want %d, %q", tt.args, code, &errs, tt.code, tt.want)
		}
	}
}
