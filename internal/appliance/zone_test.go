package appliance

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is written for a zone is what the whole database says of it.
func TestLocaltime(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "Asia/Kolkata",
		"Asia/Kathmandu", "Australia/Sydney", "Pacific/Chatham", "Pacific/Apia", "Etc/GMT+12"} {
		t.Run(name, func(t *testing.T) {
			want, err := time.LoadLocation(name)
			if err != nil {
				t.Skipf("this host has no tz database: %v", err)
			}
			rule, err := ZoneRule(name)
			if err != nil {
				t.Fatal(err)
			}
			file := AppendLocaltime(nil, rule)
			got, err := time.LoadLocationFromTZData(name, file)
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC)
			for range 3 * 366 {
				at = at.Add(24*time.Hour + time.Minute)
				if g, w := at.In(got).Format(time.RFC3339+" MST"), at.In(want).Format(time.RFC3339+" MST"); g != w {
					t.Fatalf("%s, want %s", g, w)
				}
			}
			clibrary(t, name, file)
		})
	}
}

// clibrary compares what the C library makes of a file.
func clibrary(t *testing.T, name string, file []byte) {
	t.Helper()
	date, err := exec.LookPath("date")
	if err != nil {
		t.Skip("there is no date(1)")
	}
	path := filepath.Join(t.TempDir(), "localtime")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"@1783000000", "@1798700000"} { // a July and a December
		say := func(tz string) string {
			cmd := exec.Command(date, "-d", at, "+%FT%T %z %Z")
			cmd.Env = []string{"TZ=" + tz}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
		if got, want := say(":"+path), say(name); got != want {
			t.Errorf("date says %q, want %q", got, want)
		}
	}
}

func TestZones(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(zones, "\n"), "\n")
	if len(lines) < 500 || !slices.IsSorted(lines) {
		t.Errorf("%d zones, in order: %v", len(lines), slices.IsSorted(lines))
	}
	for _, line := range lines {
		name, rule, _ := strings.Cut(line, " ")
		loc, err := time.LoadLocationFromTZData(name, AppendLocaltime(nil, rule))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		// In a summer or winter the rule's standard time is in force.
		std, offset := standard(rule)
		found := false
		for _, m := range []time.Month{1, 7} {
			n, o := time.Date(2030, m, 10, 0, 0, 0, 0, loc).Zone()
			found = found || n == std && o == offset
		}
		if !found {
			t.Errorf("%s: nothing is %s, %d s", line, std, offset)
		}
	}
	for _, name := range []string{"", "Berlin", "Europe/", "Europe/Berlin ", "europe/berlin"} {
		if rule, err := ZoneRule(name); err == nil {
			t.Errorf("%q is %s", name, rule)
		}
	}
}
