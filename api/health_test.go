package api

import (
	"encoding/json"
	"testing"
	"time"

	"gatewayd/gateway"
	"gatewayd/host/doctor"
	"gatewayd/radio/spinel"
)

func TestHealthOf(t *testing.T) {
	now := time.Unix(100, 0)
	warning := doctor.Finding{Code: "HOST-X", Level: doctor.Warning, Text: "odd"}
	problem := doctor.Finding{Code: "HOST-Y", Level: doctor.Problem, Subject: "eth0", Text: "broken", Fix: "mend it"}
	for _, c := range []struct {
		name string
		in   gateway.Health
		want string
	}{
		{"not examined yet", gateway.Health{Radio: spinel.Ready}, `{"healthy":true,"radio":"ready","findings":[]}`},
		{"a warning", gateway.Health{Radio: spinel.Ready, Examined: now.Add(-time.Second), Findings: []doctor.Finding{warning}},
			`{"healthy":true,"radio":"ready","examined":1,"findings":[{"code":"HOST-X","level":"warning","text":"odd"}]}`},
		{"a problem", gateway.Health{Radio: spinel.Ready, Examined: now, Findings: []doctor.Finding{warning, problem}},
			`{"healthy":false,"radio":"ready","examined":0,"findings":[{"code":"HOST-X","level":"warning","text":"odd"},` +
				`{"code":"HOST-Y","level":"problem","subject":"eth0","text":"broken","fix":"mend it"}]}`},
		{"no radio", gateway.Health{Radio: spinel.Absent, Examined: now}, `{"healthy":false,"radio":"absent","examined":0,"findings":[]}`},
	} {
		got, err := json.Marshal(healthOf(&c.in, now))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s, want\n%s", c.name, err, got, c.want)
		}
	}
}
