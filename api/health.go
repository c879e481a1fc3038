package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"gatewayd/gateway"
	"gatewayd/host/doctor"
	"gatewayd/radio/spinel"
)

// Health is GET /health.
type Health struct {
	Healthy  bool             `json:"healthy"`            // the radio is ready, and nothing found is a problem
	Radio    string           `json:"radio"`              // state
	Examined *float64         `json:"examined,omitempty"` // seconds since the host was; not yet if absent
	Findings []doctor.Finding `json:"findings"`
}

func (s *Server) health(_ http.ResponseWriter, r *http.Request) (any, error) {
	h, err := s.gw.Health(r.Context())
	if err != nil {
		return nil, err
	}
	return healthOf(&h, time.Now()), nil
}

func healthOf(h *gateway.Health, now time.Time) *Health {
	bad := slices.ContainsFunc(h.Findings, func(f doctor.Finding) bool { return f.Level == doctor.Problem })
	out := &Health{Healthy: h.Radio == spinel.Ready && !bad, Radio: h.Radio.String(), Findings: h.Findings}
	if out.Findings == nil {
		out.Findings = []doctor.Finding{}
	}
	if !h.Examined.IsZero() {
		out.Examined = new(age(h.Examined, now))
	}
	return out
}

// Health asks whether the gateway is well.
func (c *Client) Health(ctx context.Context) (out Health, err error) {
	err = c.call(ctx, http.MethodGet, "/health", nil, &out)
	return out, err
}
