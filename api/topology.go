package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"gatewayd/thread"
	"gatewayd/thread/diag"
	"gatewayd/thread/neighbor"
)

// topologyLimit is how long routers may take to answer, which is less than
// writeTimeout.
const topologyLimit = 8 * time.Second

// Topology is GET /topology: the mesh as its routers describe it.
type Topology struct {
	Routers []MeshRouter `json:"routers"`
	Links   []MeshLink   `json:"links"` // between routers, each once
	// Missing are RLOC16s of routers that did not answer.
	Missing []string `json:"missing,omitempty"`
}

// MeshRouter is a router of a Topology.
type MeshRouter struct {
	ID           uint8       `json:"id"`
	RLOC16       string      `json:"rloc16"`
	ExtAddress   string      `json:"ext_address"`
	Version      uint16      `json:"version,omitempty"` // as in MLE: 5 is Thread 1.4
	Self         bool        `json:"self,omitempty"`
	Leader       bool        `json:"leader,omitempty"`
	Parent       bool        `json:"parent,omitempty"` // of this gateway
	BorderRouter bool        `json:"border_router,omitempty"`
	Addresses    []string    `json:"addresses,omitempty"`
	Children     []MeshChild `json:"children"`
}

// MeshChild is a child of a MeshRouter.
type MeshChild struct {
	RLOC16       string `json:"rloc16"`
	Mode         string `json:"mode"`
	QualityIn    uint8  `json:"quality_in"` // at the parent, 0 to 3
	Self         bool   `json:"self,omitempty"`
	BorderRouter bool   `json:"border_router,omitempty"`
}

// MeshLink is a link between routers. Qualities are 0 to 3: of what A hears of
// B, and B of A; 0 also if the one that knows did not answer.
type MeshLink struct {
	A        string `json:"a"` // RLOC16
	B        string `json:"b"`
	QualityA uint8  `json:"quality_a"`
	QualityB uint8  `json:"quality_b"`
}

// Topology asks for the mesh, with the routers' addresses if wanted.
func (c *Client) Topology(ctx context.Context, addresses bool) (t Topology, err error) {
	path := "/topology"
	if addresses {
		path += "?addresses=true"
	}
	err = c.call(ctx, http.MethodGet, path, nil, &t)
	return t, err
}

// topology asks every router of the mesh.
func (s *Server) topology(_ http.ResponseWriter, r *http.Request) (any, error) {
	o := diag.TopologyOptions{Children: true}
	if v := r.URL.Query().Get("addresses"); v != "" {
		var err error
		if o.Addresses, err = strconv.ParseBool(v); err != nil {
			return nil, badRequest("addresses is true or false, not %q", v)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), topologyLimit)
	defer cancel()

	var found []diag.Router // the gateway's goroutine has it until done
	var ids []uint8
	var survey *diag.Survey
	var failed error
	done := make(chan struct{})
	err := s.gw.Do(ctx, func(n *thread.Node) {
		for _, x := range n.Table().Routers {
			if x != nil {
				ids = append(ids, x.ID)
			}
		}
		survey, failed = n.Diag().Topology(o, func(x diag.Router) { found = append(found, x) },
			func(error) { close(done) })
	})
	if err == nil {
		err = topologyError(failed)
	}
	if err != nil {
		return nil, err
	}
	select {
	case <-done:
	case <-ctx.Done():
		if err := s.gw.Do(context.WithoutCancel(ctx), func(*thread.Node) { survey.Stop() }); err != nil {
			return nil, err
		}
	}
	return topologyOf(found, ids), nil
}

// topologyError is why nothing can be asked.
func topologyError(err error) error {
	switch {
	case errors.Is(err, diag.ErrBusy):
		return &Error{Code: http.StatusTooManyRequests, Text: "too many ask for the topology at a time"}
	case errors.Is(err, diag.ErrState), errors.Is(err, diag.ErrNotCapable):
		return conflict("this gateway knows no routers", "it is not attached to a network: see `gatewayd status`")
	}
	return err
}

// topologyOf puts together what routers said, of those with the ids.
func topologyOf(found []diag.Router, ids []uint8) Topology {
	slices.SortFunc(found, func(a, b diag.Router) int { return int(a.ID) - int(b.ID) })
	t := Topology{Routers: []MeshRouter{}, Links: []MeshLink{}}
	answered := map[uint8]*diag.Router{}
	for i := range found {
		answered[found[i].ID] = &found[i]
		t.Routers = append(t.Routers, meshRouterOf(&found[i]))
	}
	for i, a := range ids {
		if answered[a] == nil {
			t.Missing = append(t.Missing, rloc16(neighbor.RouterRLOC16(a)))
		}
		for _, b := range ids[i+1:] {
			l := MeshLink{A: rloc16(neighbor.RouterRLOC16(a)), B: rloc16(neighbor.RouterRLOC16(b)),
				QualityA: heard(answered[a], b), QualityB: heard(answered[b], a)}
			if l.QualityA > 0 || l.QualityB > 0 {
				t.Links = append(t.Links, l)
			}
		}
	}
	return t
}

// heard is how well a router hears the one with an id.
func heard(r *diag.Router, id uint8) uint8 {
	if r == nil {
		return 0
	}
	return r.Links.Entries[id].In
}

func meshRouterOf(r *diag.Router) MeshRouter {
	out := MeshRouter{ID: r.ID, RLOC16: rloc16(r.RLOC16), ExtAddress: r.Ext.String(), Version: r.Version, Self: r.Self,
		Leader: r.Leader, Parent: r.Parent, BorderRouter: r.BorderRouter, Children: []MeshChild{}}
	for _, a := range r.Addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	for _, c := range r.Children {
		out.Children = append(out.Children, MeshChild{RLOC16: rloc16(c.RLOC16), Mode: c.Mode.String(),
			QualityIn: c.Quality, Self: c.Self, BorderRouter: c.BorderRouter})
	}
	return out
}
