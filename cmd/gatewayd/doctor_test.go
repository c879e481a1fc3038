package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"gatewayd/host/doctor"
)

func TestDoctorReport(t *testing.T) {
	problem := doctor.Finding{Code: "HOST-FWD6", Level: doctor.Problem, Text: "The host forwards no IPv6.", Fix: "sysctl -w net.ipv6.conf.all.forwarding=1"}
	warning := doctor.Finding{Code: "HOST-SYNC", Level: doctor.Warning, Text: "No time server sets the clock."}
	for _, tt := range []struct {
		findings []doctor.Finding
		code     int
		text     string
	}{
		{nil, exitOK, "nothing is wrong\n"},
		{[]doctor.Finding{warning}, exitOK, "HOST-SYNC      warning: No time server sets the clock.\n"},
		{[]doctor.Finding{problem, warning}, exitFailed, "HOST-FWD6      problem: The host forwards no IPv6.\n" +
			"               sysctl -w net.ipv6.conf.all.forwarding=1\n" + "HOST-SYNC      warning: No time server sets the clock.\n"},
	} {
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			a := &app{streams: streams{nil, &out, &out}, json: asJSON}
			if code := exitCode(a.report(tt.findings)); code != tt.code {
				t.Errorf("%v: exit code %d, want %d", tt.findings, code, tt.code)
			}
			if !asJSON {
				if out.String() != tt.text {
					t.Errorf("printed:\n%swant:\n%s", &out, tt.text)
				}
				continue
			}
			var got []doctor.Finding
			if err := json.Unmarshal(out.Bytes(), &got); err != nil || got == nil || !slices.Equal(got, tt.findings) {
				t.Errorf("JSON %s: %+v, %v", &out, got, err)
			}
		}
	}
}

// Whatever host this is, the command says what it finds, in both ways the
// same.
func TestDoctorCommand(t *testing.T) {
	config := writeFile(t, "data-dir = '"+t.TempDir()+"'\n")
	r := runCmd(t, "", "doctor", "--json", "--config", config)
	var findings []doctor.Finding
	if err := json.Unmarshal([]byte(r.out), &findings); err != nil || r.err != "" {
		t.Fatalf("%+v: %v", r, err)
	}
	bad := slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.Level == doctor.Problem })
	if bad != (r.code == exitFailed) {
		t.Errorf("exit code %d of %+v", r.code, findings)
	}
	if r := runCmd(t, "", "doctor", "--config", config+"x"); r.code != exitUsage {
		t.Errorf("without the configuration: %+v", r)
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil && strings.Contains(r.out, "HOST-IPV6") {
		t.Errorf("there is IPv6: %s", r.out)
	}
}

func TestDoctorList(t *testing.T) {
	r := runCmd(t, "", "doctor", "--list")
	if n := strings.Count(r.out, "\n"); r.code != exitOK || n != len(doctor.Checks()) || n < 30 {
		t.Errorf("%d lines: %+v", n, r)
	}
	for _, c := range doctor.Checks() {
		if !strings.Contains(r.out, c.Code) {
			t.Errorf("no %s", c.Code)
		}
	}
	var rows []struct{ Code, About string }
	if err := json.Unmarshal([]byte(runCmd(t, "", "doctor", "--list", "--json").out), &rows); err != nil || len(rows) != len(doctor.Checks()) {
		t.Errorf("%d rows: %v", len(rows), err)
	}
}
