package diag_test

import (
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/sim"
	"gatewayd/thread/diag"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

// Whatever a node is asked or answered, it gives one answer, which can be read
// and fits a packet, and afterwards answers as before.
func FuzzRequests(f *testing.F) {
	w := sim.New(1, sim.Options{Ideal: true})
	n := w.Add(sim.Config{})
	d, err := meshcop.NewRandom(n.Random(), meshcop.AllChannels(), meshcop.MaskOf(1<<15))
	if err != nil {
		f.Fatal(err)
	}
	n.SetActiveDataset(&d)
	n.InterfaceUp()
	if err := n.Start(); err != nil {
		f.Fatal(err)
	}
	if !w.RunUntil(time.Minute, func() bool { return n.MLE().Leader() != nil }) {
		f.Fatal("no leader")
	}
	for i := range uint16(30) {
		c := &neighbor.Child{Timeout: 1 << 31 * time.Second}
		c.State, c.RLOC16, c.LastHeard = neighbor.Valid, n.MLE().RLOC16()|(i+1), w.Now()
		n.Table().Children = append(n.Table().Children, c)
	}
	paths := []string{tmf.DiagnosticGet, tmf.DiagnosticGetQuery, tmf.DiagnosticGetAnswer, tmf.DiagnosticReset}
	types := func(t ...diag.Type) []byte { return diag.Append(nil, diag.Types(t)) }
	f.Add(byte(0), types(all...))
	f.Add(byte(1), diag.Append(types(29, 30, 31, 16, 8), diag.QueryID(7)))
	f.Add(byte(2), diag.Append(diag.Append(nil, diag.QueryID(7)), diag.Answer{Last: true}))
	f.Add(byte(3), types(9, 34))
	f.Add(byte(1), types(29, 29))
	f.Fuzz(func(t *testing.T, path byte, payload []byte) {
		if len(payload) > 1000 {
			return
		}
		ask := func(path string, payload []byte) (m coap.Message) {
			answers := 0
			n.TMF().Send(path, n.RLOC(), payload, tmf.Options{Source: n.RLOC()}, func(r tmf.Response, err error) {
				if err != nil {
					t.Fatal(err)
				}
				m = r.Message.Clone()
				answers++
			})
			w.Run(5 * time.Millisecond)
			if answers != 1 {
				t.Fatalf("%d answers", answers)
			}
			return m
		}
		m := ask(paths[int(path)%len(paths)], payload)
		if _, err := diag.Decode(m.Payload); err != nil || len(m.Payload) > 1214 {
			t.Fatalf("answered with %x: %v", m.Payload, err)
		}
		heard := 0
		q, err := n.Diag().Query(n.RLOC(), []diag.Type{29, 8}, time.Second, func(r diag.Report) {
			if r.Err != nil || len(r.Payload) > 1214 {
				t.Fatalf("told %x: %v", r.Payload, r.Err)
			}
			heard++
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.Run(5 * time.Millisecond)
		q.Stop()
		if want := 2; heard != want {
			t.Fatalf("%d answers to a query, want %d", heard, want)
		}
	})
}
