package api

import (
	"net/http"
	"net/netip"
	"reflect"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/thread/diag"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

func TestTopology(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	if _, err := s.Topology(ctx, false); code(err) != http.StatusConflict {
		t.Errorf("without a network: %v", err)
	}
	if _, err := s.NewDataset(ctx, NewDataset{}); err != nil {
		t.Fatal(err)
	}
	st := s.wait(t, "the leader", func(st *Status) bool { return st.Role == "leader" })
	got, err := s.Topology(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Routers) != 1 || len(got.Links) != 0 || got.Missing != nil {
		t.Fatalf("%+v", got)
	}
	r := got.Routers[0]
	if r.RLOC16 != st.RLOC16 || r.ExtAddress != st.ExtAddress || !r.Self || !r.Leader || r.Parent || r.Version != mle.Version ||
		len(r.Addresses) != len(st.Addresses) || len(r.Children) != 0 {
		t.Errorf("%+v of %+v", r, st)
	}
	if got, err := s.Topology(ctx, false); err != nil || len(got.Routers) != 1 || got.Routers[0].Addresses != nil {
		t.Errorf("without addresses: %+v, %v", got, err)
	}
	if err := s.call(ctx, http.MethodGet, "/topology?addresses=maybe", nil, nil); code(err) != http.StatusBadRequest {
		t.Errorf("addresses=maybe: %v", err)
	}
}

// meshRouter is a router that hears those with the ids in qualities.
func meshRouter(id uint8, qualities map[uint8]uint8) diag.Router {
	r := diag.Router{ID: id, RLOC16: neighbor.RouterRLOC16(id), Ext: ieee802154.ExtAddr{7: id}, Version: 5}
	for other, q := range qualities {
		r.Links.Mask |= 1 << (63 - other)
		r.Links.Entries[other] = mle.RouteEntry{In: q, Out: 1}
	}
	return r
}

func TestTopologyOf(t *testing.T) {
	third := meshRouter(3, map[uint8]uint8{1: 2, 5: 3})
	third.Addresses = []netip.Addr{netip.MustParseAddr("fd00::3")}
	third.Children = []diag.RouterChild{{RLOC16: 0x0c01, Quality: 3, Mode: neighbor.ModeRxOnWhenIdle, Self: true}}
	got := topologyOf([]diag.Router{third, meshRouter(1, map[uint8]uint8{3: 1})}, []uint8{1, 3, 5})
	want := Topology{
		Routers: []MeshRouter{
			{ID: 1, RLOC16: "0x0400", ExtAddress: "0000000000000001", Version: 5, Children: []MeshChild{}},
			{ID: 3, RLOC16: "0x0c00", ExtAddress: "0000000000000003", Version: 5, Addresses: []string{"fd00::3"},
				Children: []MeshChild{{RLOC16: "0x0c01", Mode: "r", QualityIn: 3, Self: true}}},
		},
		Links: []MeshLink{
			{A: "0x0400", B: "0x0c00", QualityA: 1, QualityB: 2},
			{A: "0x0c00", B: "0x1400", QualityA: 3}, // 5 did not answer
		},
		Missing: []string{"0x1400"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}
