package gateway

import (
	"testing"
	"time"

	"gatewayd/host/doctor"
)

func TestHealthComesAndGoes(t *testing.T) {
	var h health
	forwarding := doctor.Finding{Code: "HOST-FWD6", Level: doctor.Problem, Subject: "eth0", Text: "does not forward"}
	other := forwarding
	other.Subject = "eth1"
	again := forwarding
	again.Text = "still does not forward"
	for _, s := range []struct {
		name       string
		now        []doctor.Finding
		came, went int
	}{
		{"nothing", nil, 0, 0},
		{"one", []doctor.Finding{forwarding}, 1, 0},
		{"the same in other words", []doctor.Finding{again}, 0, 0},
		{"another subject as well", []doctor.Finding{again, other}, 1, 0},
		{"one is mended", []doctor.Finding{other}, 0, 1},
		{"another in its place", []doctor.Finding{forwarding}, 1, 1},
		{"all mended", nil, 0, 1},
	} {
		came, went := h.take(s.now, time.Unix(1, 0))
		if len(came) != s.came || len(went) != s.went {
			t.Errorf("%s: %d came and %d went, want %d and %d", s.name, len(came), len(went), s.came, s.went)
		}
	}
}
