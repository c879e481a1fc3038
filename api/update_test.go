package api

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A change of the network begins once at a time, and is revoked by another one.
func TestChangeDataset(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	if _, err := s.ChangeDataset(ctx, ChangeDataset{Channel: 20}); code(err) != http.StatusConflict || !strings.Contains(err.Error(), "not part of a network") {
		t.Errorf("without a network: %v", err)
	}
	made, err := s.NewDataset(ctx, NewDataset{Channel: 15, Name: "changed"})
	if err != nil {
		t.Fatal(err)
	}
	s.wait(t, "a leader", func(st *Status) bool { return st.Role == "leader" })
	if _, err := s.RevokeDataset(ctx); code(err) != http.StatusNotFound {
		t.Errorf("revoking nothing: %v", err)
	}
	for want, in := range map[string]ChangeDataset{
		"nothing is to change":    {},
		"does not do channel 27":  {Channel: 27},
		"0xffff is that":          {PANID: new(uint16(0xffff))},
		"not one like":            {MeshLocalPrefix: "fe80::/64"},
		"not 32 hexadecimal":      {NetworkKey: "00"},
		"a random one asked":      {NetworkKey: strings.Repeat("0", 32), NewNetworkKey: true},
		"17 bytes":                {Name: strings.Repeat("n", 17)},
		"makes no sense":          {Name: "\n"},
		"delay must be from 30s":  {Channel: 20, Delay: 29},
		"delay must be from 5m0s": {NewNetworkKey: true, Delay: 299},
		"to 72h0m0s":              {Channel: 20, Delay: 1e9},
	} {
		if _, err := s.ChangeDataset(ctx, in); code(err) != http.StatusBadRequest || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", in, err, want)
		}
	}
	if _, err := s.ChangeDataset(ctx, ChangeDataset{Channel: 15, Name: "changed"}); code(err) != http.StatusConflict || !strings.Contains(err.Error(), "already") {
		t.Errorf("no change: %v", err)
	}
	p, err := s.ChangeDataset(ctx, ChangeDataset{Channel: 20, PANID: new(uint16(0x1234)), NewNetworkKey: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Channel != 20 || p.PANID != "0x1234" || p.Name != "changed" || p.ExtPANID != made.ExtPANID || p.Delay < 299 || p.Delay > 300 ||
		p.PendingTimestamp == nil || p.ActiveTimestamp == nil {
		t.Errorf("pending: %+v", p)
	}
	if _, err := s.ChangeDataset(ctx, ChangeDataset{Channel: 21}); code(err) != http.StatusConflict || !strings.Contains(err.Error(), "another change") ||
		!strings.Contains(err.Error(), "revoke") {
		t.Errorf("a second change: %v", err)
	}
	r, err := s.RevokeDataset(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r.Channel != 15 || r.PANID != made.PANID || time.Duration(r.Delay*float64(time.Second)) > 30*time.Second {
		t.Errorf("revoked: %+v", r)
	}
	if a, err := s.Dataset(ctx, "active"); err != nil || a.Channel != 15 {
		t.Errorf("active: %+v, %v", a, err)
	}
}
