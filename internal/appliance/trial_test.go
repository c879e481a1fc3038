package appliance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	well    = Health{Gateway: true, Page: true, Dongle: true, Network: true, Uplink: true}
	noRadio = Health{Gateway: true, Page: true, Uplink: true}
)

// A run is a system that is started from partition slot, while autoboot.txt
// names 2 first and 3 to be tried.
type run struct {
	slot    int
	health  func(up time.Duration) Health
	keepErr error

	did     []string // kept, restarted
	notices []string
	took    time.Duration
	err     error
}

func (r *run) run(t *testing.T, file string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tr := Trial{
			Slot: r.slot, Version: "1.2", Autoboot: Autoboot{2, 3}, Attempt: file,
			Health:     func(context.Context) Health { return r.health(time.Since(began)) },
			HealthyFor: time.Minute, Limit: 10 * time.Minute, Uptime: func() time.Duration { return time.Since(began) },
			Keep:    func() error { r.did = append(r.did, "kept"); return r.keepErr },
			Restart: func() error { r.did = append(r.did, "restarted"); return nil },
			Notice:  func(s string) { r.notices = append(r.notices, s) },
		}
		r.err = tr.Run(t.Context())
		r.took = time.Since(began)
	})
}

func TestTrial(t *testing.T) {
	always := func(h Health) func(time.Duration) Health { return func(time.Duration) Health { return h } }
	tests := []struct {
		name    string
		before  Health
		health  func(time.Duration) Health
		keepErr error
		did     string
		why     string // in the note, if the other slot is to come back
		within  time.Duration
	}{
		{name: "well at once", before: well, health: always(well), did: "kept", within: 62 * time.Second},
		{name: "well after a while", before: well, did: "kept", within: 5 * time.Minute, health: func(up time.Duration) Health {
			if up < 3*time.Minute {
				return Health{}
			}
			return well
		}},
		{name: "no dongle before, none now", before: noRadio, health: always(noRadio), did: "kept", within: 62 * time.Second},
		{name: "the dongle works no more", before: well, health: always(noRadio), did: "restarted", why: "the dongle, which worked before, did not work", within: 10*time.Minute + 2*time.Second},
		{name: "never answers", before: noRadio, health: always(Health{}), did: "restarted", why: "the gateway did not answer", within: 10*time.Minute + 2*time.Second},
		{name: "no page", before: noRadio, health: always(Health{Gateway: true, Uplink: true}), did: "restarted", why: "the page did not answer", within: 10*time.Minute + 2*time.Second},
		{name: "ends every half minute", before: noRadio, did: "restarted", why: "the gateway did not answer", within: 10*time.Minute + 2*time.Second, health: func(up time.Duration) Health {
			if int(up.Seconds())%30 < 4 {
				return Health{}
			}
			return noRadio
		}},
		{name: "well too late", before: noRadio, did: "restarted", why: "the gateway did not answer", within: 10*time.Minute + 2*time.Second, health: func(up time.Duration) Health {
			if up < 9*time.Minute+10*time.Second {
				return Health{}
			}
			return noRadio
		}},
		{name: "cannot be kept", before: noRadio, health: always(noRadio), keepErr: errors.New("appliance: a card that fails"), did: "kept restarted", why: "it could not be kept: a card that fails", within: 62 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "update.json")
			save(t, file, &Attempt{From: "1.1", To: "1.2", Slot: 3, Before: tt.before, Outcome: Waiting})
			r := run{slot: 3, health: tt.health, keepErr: tt.keepErr}
			r.run(t, file)
			if did := strings.Join(r.did, " "); did != tt.did || r.took > tt.within || r.err != nil || r.notices != nil {
				t.Errorf("%s after %v, %v, notices %q; want %s within %v", did, r.took, r.err, r.notices, tt.did, tt.within)
			}
			a := load(t, file)
			if a.Why != tt.why || (a.Outcome == Kept) != (tt.why == "") {
				t.Errorf("%+v, want the reason %q", a, tt.why)
			}
			if tt.why == "" {
				return
			}
			// The other slot comes back, says why, and says so each time.
			for range 2 {
				back := run{slot: 2}
				back.run(t, file)
				want := "Version 1.2 did not become healthy: " + tt.why + ". The gateway is back on 1.1."
				if !slices.Equal(back.notices, []string{want}) || back.did != nil || back.err != nil {
					t.Errorf("%q, did %q, %v", back.notices, back.did, back.err)
				}
			}
		})
	}
}

// What is found when a system starts that is not on trial.
func TestSettle(t *testing.T) {
	for _, tt := range []struct {
		name    string
		a       *Attempt
		outcome Outcome
		notice  string
	}{
		{"never updated", nil, "", ""},
		{"the other slot did not start", &Attempt{From: "1.1", To: "1.2", Slot: 3, Outcome: Waiting}, Failed, "Version 1.2 did not become healthy: it did not start. The gateway is back on 1.1."},
		{"the power went on trial", &Attempt{From: "1.1", To: "1.2", Slot: 3, Outcome: OnTrial}, Failed, "it was started anew before it was well"},
		{"the power went when it was kept", &Attempt{From: "1.1", To: "1.2", Slot: 2, Outcome: OnTrial}, Kept, ""},
		{"kept", &Attempt{From: "1.1", To: "1.2", Slot: 2, Outcome: Kept}, Kept, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "update.json")
			if tt.a != nil {
				save(t, file, tt.a)
			}
			r := run{slot: 2}
			r.run(t, file)
			notice := strings.Join(r.notices, "\n")
			if r.err != nil || r.did != nil || (notice == "") != (tt.notice == "") || !strings.Contains(notice, tt.notice) {
				t.Errorf("%q, did %q, %v", notice, r.did, r.err)
			}
			if tt.a != nil && load(t, file).Outcome != tt.outcome {
				t.Errorf("%+v, want %s", load(t, file), tt.outcome)
			}
		})
	}
}

// Notes that are lost, or of something else, or cannot be written, decide
// nothing.
func TestTrialWithoutNotes(t *testing.T) {
	dir := t.TempDir()
	torn := filepath.Join(dir, "torn")
	if err := os.WriteFile(torn, []byte(`{"from":`), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	save(t, other, &Attempt{From: "0.9", To: "1.0", Slot: 2, Before: well, Outcome: Kept})
	for file, notices := range map[string]bool{torn: true, other: false, filepath.Join(dir, "none"): false, filepath.Join(dir, "no", "folder"): true} {
		r := run{slot: 3, health: func(time.Duration) Health { return noRadio }}
		r.run(t, file)
		if strings.Join(r.did, " ") != "kept" || r.err != nil || (r.notices != nil) != notices {
			t.Errorf("%s: did %q, %v, notices %q", filepath.Base(file), r.did, r.err, r.notices)
		}
	}
	stray := run{slot: 7}
	stray.run(t, torn)
	if stray.err == nil || !strings.Contains(stray.err.Error(), "from partition 7") {
		t.Error(stray.err)
	}
}

// A system that does not see its own card goes back, once.
func TestAbandon(t *testing.T) {
	dir := t.TempDir()
	waiting, kept := filepath.Join(dir, "waiting"), filepath.Join(dir, "kept")
	save(t, waiting, &Attempt{From: "1.1", To: "1.2", Slot: 3, Outcome: Waiting})
	save(t, kept, &Attempt{From: "1.1", To: "1.2", Slot: 3, Outcome: Kept})
	restarts := 0
	for _, file := range []string{waiting, waiting, kept, filepath.Join(dir, "none")} {
		if err := Abandon(file, errors.New("appliance: no vfat is mounted at /boot"), func() error { restarts++; return nil }); err != nil {
			t.Error(err)
		}
	}
	if a := load(t, waiting); restarts != 1 || a.Outcome != Failed || a.Why != "no vfat is mounted at /boot" {
		t.Errorf("%d restarts, %+v", restarts, a)
	}
	if a := load(t, kept); a.Outcome != Kept {
		t.Errorf("%+v", a)
	}
}

func TestAttemptString(t *testing.T) {
	for outcome, want := range map[Outcome]string{
		Waiting: "Version 1.2 is to be started.",
		OnTrial: "Version 1.2 is on trial; 1.1 comes back if it does not become healthy.",
		Kept:    "Version 1.2 has followed 1.1.",
	} {
		if got := (&Attempt{From: "1.1", To: "1.2", Outcome: outcome}).String(); got != want {
			t.Errorf("%s: %q", outcome, got)
		}
	}
}

func save(t *testing.T, file string, a *Attempt) {
	t.Helper()
	if err := a.Save(file); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, file string) *Attempt {
	t.Helper()
	a, err := LoadAttempt(file)
	if err != nil || a == nil {
		t.Fatalf("%v, %v", a, err)
	}
	return a
}
