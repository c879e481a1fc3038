package main

import (
	"bytes"
	"testing"

	"gatewayd/api"
)

func TestPrintTopology(t *testing.T) {
	golden(t, "topology", func(w *bytes.Buffer) {
		printTopology(w, &api.Topology{
			Routers: []api.MeshRouter{
				{ID: 1, RLOC16: "0x0400", ExtAddress: "2a19218c6e4a428b", Version: 5, Self: true, Leader: true,
					Addresses: []string{"fe80::2819:218c:6e4a:428b", "fd12:3456::ff:fe00:400"},
					Children:  []api.MeshChild{{RLOC16: "0x0401", Mode: "-", QualityIn: 3}, {RLOC16: "0x0402", Mode: "rn", QualityIn: 1, BorderRouter: true}}},
				{ID: 3, RLOC16: "0x0c00", ExtAddress: "1234567812345678", Version: 4, BorderRouter: true},
				{ID: 9, RLOC16: "0x2400", ExtAddress: "00000000000000ab", Version: 4},
			},
			Links:   []api.MeshLink{{A: "0x0400", B: "0x0c00", QualityA: 3, QualityB: 2}, {A: "0x0c00", B: "0x1400", QualityA: 1}},
			Missing: []string{"0x1400"},
		})
	})
	golden(t, "topology-alone", func(w *bytes.Buffer) {
		printTopology(w, &api.Topology{Routers: []api.MeshRouter{{ID: 1, RLOC16: "0x0400", ExtAddress: "2a19218c6e4a428b", Version: 5, Self: true, Leader: true}}})
	})
}
