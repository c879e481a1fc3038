package dataset_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// Whatever a pending dataset changes, the whole network follows at once, and
// nobody has to look for it.
func TestMove(t *testing.T) {
	prefix := netip.MustParsePrefix("fd12:3456:789a::/64")
	for i, tt := range []struct {
		name   string
		change meshcop.Dataset
		has    func(n *sim.Node) bool
		delay  time.Duration
	}{
		{"channel", meshcop.Dataset{Channel: &meshcop.Channel{Number: 26}}, isOn(26), 30 * time.Second},
		{"PAN ID", meshcop.Dataset{PANID: new(uint16(0x1234))}, func(n *sim.Node) bool { return n.MAC().PANID() == 0x1234 }, 30 * time.Second},
		{"network key", meshcop.Dataset{NetworkKey: &meshcop.Key{7, 7}},
			func(n *sim.Node) bool { return n.Keys().NetworkKey() == [16]byte{7, 7} && n.Keys().Sequence() == 0 }, 300 * time.Second},
		{"prefix", meshcop.Dataset{MeshLocalPrefix: prefix}, func(n *sim.Node) bool { return prefix.Contains(n.MLEID()) }, 30 * time.Second},
		{"name", meshcop.Dataset{NetworkName: "other"}, named("other"), 30 * time.Second},
		{"all of it", meshcop.Dataset{Channel: &meshcop.Channel{Number: 11}, PANID: new(uint16(1)), NetworkKey: &meshcop.Key{8},
			MeshLocalPrefix: prefix, NetworkName: "all"},
			func(n *sim.Node) bool { return isOn(11)(n) && named("all")(n) && prefix.Contains(n.MLEID()) }, 300 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMesh(t, uint64(10+i))
			for _, n := range m.nodes {
				n.Keys().SetSequence(3) // another key begins at 0
			}
			m.Run(5 * time.Second)
			session := m.commissioner(m.router)
			s := meshcop.DatasetSet{SessionID: &session, Dataset: tt.change}
			s.Dataset.ActiveTimestamp, s.Dataset.PendingTimestamp = &meshcop.Timestamp{Seconds: 2}, &meshcop.Timestamp{Seconds: 1}
			s.Dataset.Delay = new(uint32(0))
			if m.set(m.router, tmf.PendingSet, &s) != meshcop.StateAccept {
				t.Fatalf("refused: %v", m.refused["leader"])
			}
			began, before := m.Now(), m.roles()
			m.everywhere("the pending dataset", 15*time.Second, hasPending)
			m.everywhere("it", tt.delay+time.Second, tt.has)
			if took := m.Now().Sub(began); took < tt.delay-time.Second {
				t.Errorf("after %v already", took)
			}
			m.Run(5 * time.Second)
			m.connected()
			if after := m.roles(); after != before {
				t.Errorf("roles: %s were %s", after, before)
			}
			// The commissioner goes on, in a network that may have another prefix.
			m.Run(30 * time.Second)
			if id, _, ok := m.leader.Commissioning().Commissioner(); !ok || id != m.router.MLE().RLOC16() || m.router.Commissioner().SessionID() != session {
				t.Error("the commissioner lost its session")
			}
		})
	}
}

// What a device sets itself: at once where that cuts nobody off, else by a
// pending dataset; the commissioner is told.
func TestDeviceSets(t *testing.T) {
	m := newMesh(t, 20)
	m.commissioner(m.router)
	d := captured(t)
	d.ActiveTimestamp.Seconds, d.NetworkName = 5, "device"
	if m.set(m.mtd, tmf.ActiveSet, &meshcop.DatasetSet{Dataset: d}) != meshcop.StateAccept {
		t.Fatalf("refused: %v", m.refused["leader"])
	}
	m.everywhere("the name", 15*time.Second, named("device"))
	d.ActiveTimestamp.Seconds, d.Channel = 6, &meshcop.Channel{Number: 12}
	if m.set(m.mtd, tmf.ActiveSet, &meshcop.DatasetSet{Dataset: d}) != meshcop.StateAccept {
		t.Fatalf("refused: %v", m.refused["leader"])
	}
	m.everywhere("the pending dataset", 15*time.Second, hasPending)
	m.everywhere("moved", 31*time.Second, isOn(12))
	m.connected()
}

// Nobody but the leader takes a dataset, and it only newer ones.
func TestForged(t *testing.T) {
	m := newMesh(t, 21)
	d := captured(t)
	d.NetworkName = "forged"
	ask := func(to uint16, uri string, s *meshcop.DatasetSet) (state meshcop.State) {
		done := false
		m.mtd.TMF().Send(uri, m.mtd.MLE().Locator(to), s.Append(nil), tmf.Options{Source: m.mtd.RLOC()},
			func(r tmf.Response, err error) {
				if err != nil {
					t.Error(err)
				}
				state, _ = meshcop.DecodeState(r.Payload)
				done = true
			})
		m.await("answer", 10*time.Second, func() bool { return done })
		return state
	}
	if s := ask(m.leader.MLE().RLOC16(), tmf.ActiveSet, &meshcop.DatasetSet{Dataset: d}); s != meshcop.StateReject {
		t.Errorf("the same timestamp: %v", s)
	}
	d.ActiveTimestamp = &meshcop.Timestamp{Seconds: 99}
	if s := ask(m.router.MLE().RLOC16(), tmf.ActiveSet, &meshcop.DatasetSet{Dataset: d}); s != meshcop.StateReject {
		t.Errorf("to a router: %v", s)
	}
	if s := ask(m.leader.MLE().RLOC16(), tmf.ActiveSet, &meshcop.DatasetSet{Dataset: d, SessionID: new(uint16(1))}); s != meshcop.StateReject {
		t.Errorf("as if it were the commissioner: %v", s)
	}
	if s := ask(m.leader.MLE().RLOC16(), tmf.ActiveReplace, &meshcop.DatasetSet{Dataset: d}); s != meshcop.StateReject {
		t.Errorf("replaced by a device: %v", s)
	}
	m.Run(5 * time.Second)
	m.everywhere("its name", 0, named("Test Network"))
}

// The security policy reaches all: how long keys live, and whether the key may
// be obtained.
func TestPolicy(t *testing.T) {
	m := newMesh(t, 22)
	session := m.commissioner(m.router)
	p := meshcop.DefaultSecurityPolicy()
	p.RotationHours, p.ObtainNetworkKey = 4, false
	s := meshcop.DatasetSet{SessionID: &session, Dataset: meshcop.Dataset{ActiveTimestamp: &meshcop.Timestamp{Seconds: 2}, SecurityPolicy: &p}}
	if m.set(m.router, tmf.ActiveSet, &s) != meshcop.StateAccept {
		t.Fatalf("refused: %v", m.refused["leader"])
	}
	m.everywhere("the policy", 15*time.Second, func(n *sim.Node) bool { return *n.Datasets().Active().SecurityPolicy == p })
	for _, n := range m.nodes {
		if n.Keys().Guard() != 3*time.Hour {
			t.Errorf("%s guards for %v", n.Name, n.Keys().Guard())
		}
	}
	got, err := meshcop.DecodeDataset(m.request(m.mtd, tmf.ActiveGet, nil))
	if err != nil || got.NetworkKey != nil || got.NetworkName != "Test Network" {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = meshcop.DecodeDataset(m.request(m.mtd, tmf.ActiveGet, meshcop.AppendGet(nil, meshcop.TypeNetworkKey, meshcop.TypePANID)))
	if err != nil || got.NetworkKey != nil || got.PANID == nil || got.Channel != nil {
		t.Errorf("%+v, %v", got, err)
	}
	// The next key comes after four hours, though nobody says so, and then
	// again: all follow, and none too early.
	for want := uint32(1); want <= 2; want++ {
		m.Run(4*time.Hour + time.Minute)
		m.everywhere("the next key", 0, func(n *sim.Node) bool { return n.Keys().Sequence() == want })
	}
	m.connected()
}
