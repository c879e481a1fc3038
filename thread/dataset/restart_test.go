package dataset_test

import (
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/dataset"
	"gatewayd/thread/meshcop"
)

// move lets the leader move the network to channel 20 after a delay, and waits
// until all know.
func (m *mesh) move(delay time.Duration) {
	m.t.Helper()
	if err := m.leader.Datasets().Update(&meshcop.Dataset{Channel: &meshcop.Channel{Number: 20},
		Delay: new(uint32(delay.Milliseconds()))}, nil); err != nil {
		m.t.Fatal(err)
	}
	m.everywhere("the pending dataset", 15*time.Second, hasPending)
}

func (m *mesh) restart(n *sim.Node, off time.Duration) {
	m.t.Helper()
	n.Kill()
	m.Run(off)
	n.Restart()
	m.tune(n)
	m.up(n)
}

// Who restarts while a pending dataset waits moves with the others.
func TestRestartInTheMiddle(t *testing.T) {
	for i, who := range []string{"leader", "router", "mtd", "sed"} {
		t.Run(who, func(t *testing.T) {
			m := newMesh(t, uint64(30+i))
			const delay = 100 * time.Second
			began := m.Now()
			m.move(delay)
			m.Run(40 * time.Second)
			m.restart(m.nodes[i], 5*time.Second)
			m.Run(40 * time.Second)
			for _, n := range m.nodes {
				if !n.MLE().Attached() {
					t.Errorf("%s is %v", n.Name, n.MLE().Role())
				}
				d := n.Datasets().Pending()
				if d == nil {
					t.Fatalf("%s has no pending dataset any more", n.Name)
				}
				if due := m.Now().Add(time.Duration(*d.Delay) * time.Millisecond); due.Sub(began.Add(delay)).Abs() > time.Second {
					t.Errorf("%s will move after %v", n.Name, due.Sub(began))
				}
			}
			m.everywhere("moved", 20*time.Second, isOn(20))
			m.Run(5 * time.Second)
			m.connected()
			if !isLeader(m.leader) {
				t.Errorf("the leader is %v", m.leader.MLE().Role())
			}
		})
	}
}

// A leader alone with its sleepy children has nobody to ask how long it was
// off: it moves a little late at most.
func TestLoneLeaderRestarts(t *testing.T) {
	w := newWorld(t, 35)
	m := &mesh{world: w, leader: w.add("leader", sim.FTD), sed: w.add("sed", sim.SED)}
	m.nodes = []*sim.Node{m.leader, m.sed}
	w.Link(m.nodes...)
	w.dataset = captured(t)
	for _, n := range m.nodes {
		w.tune(n)
		w.start(n)
		w.await(n.Name+" attaches", 20*time.Second, n.MLE().Attached)
	}
	began := w.Now()
	m.move(10 * time.Minute)
	w.Run(8 * time.Minute)
	m.restart(m.leader, time.Second)
	m.everywhere("moved", 6*time.Minute, isOn(20))
	if took := w.Now().Sub(began); took > 13*time.Minute {
		t.Errorf("moved after %v", took)
	}
	w.await("the child is back", time.Minute, func() bool {
		return m.sed.MLE().Attached() && m.leader.Table().ChildByRLOC16(m.sed.MLE().RLOC16()) != nil
	})
	m.connected()
}

// Who was off when the network moved finds it by the pending dataset.
func TestOffWhileMoving(t *testing.T) {
	for i, who := range []string{"router", "mtd", "sed"} {
		t.Run(who, func(t *testing.T) {
			m := newMesh(t, uint64(40+i))
			n := m.nodes[i+1]
			if n == m.router {
				m.nodes = m.nodes[:2] // its children would be lost meanwhile
				m.mtd.Kill()
				m.sed.Kill()
			}
			m.move(time.Minute)
			m.Run(10 * time.Second)
			m.restart(n, 2*time.Minute)
			began := m.Now()
			m.await(who+" attaches", time.Minute, func() bool { return n.MLE().Attached() && isOn(20)(n) })
			t.Logf("after %v", m.Now().Sub(began))
			if hasPending(n) {
				t.Error("it still has a pending dataset")
			}
			m.Run(5 * time.Second) // others learn what it has become
			m.connected()
		})
	}
}

// The network has taken its pending dataset back while a device was off.
func TestPendingGoneMeanwhile(t *testing.T) {
	m := newMesh(t, 45)
	m.move(30 * time.Minute)
	away := m.nodes[1:]
	for _, n := range away {
		n.Kill()
	}
	m.Run(time.Second)
	m.leader.Datasets().SetPending(nil)
	for _, n := range away {
		n.Restart()
		m.tune(n)
		m.up(n)
	}
	for _, n := range away {
		m.await(n.Name+" has heard", time.Minute, func() bool { return n.MLE().Attached() && !hasPending(n) })
	}
	m.Run(31 * time.Minute)
	m.everywhere("stayed", 0, isOn(15))
	m.connected()
}

// Whoever knows nothing of the move hears of it on the old channel.
func TestAnnouncedOnOldChannel(t *testing.T) {
	m := newMesh(t, 46)
	m.router.Kill() // with it its children lose the network
	m.mtd.Kill()
	m.sed.Kill()
	m.Run(time.Minute)
	m.nodes = m.nodes[:1]
	m.move(30 * time.Second)
	m.Run(time.Minute)
	m.router.Restart()
	m.tune(m.router)
	m.up(m.router)
	m.await("the router is alone", 2*time.Minute, func() bool { return isLeader(m.router) && isOn(15)(m.router) })
	m.await("it finds the others", 30*time.Minute, func() bool {
		return isOn(20)(m.router) && m.router.MLE().Attached() && m.router.MLE().Partition() == m.leader.MLE().Partition()
	})
}

// What is stored is taken back as it was, and what makes no sense is said.
func TestStored(t *testing.T) {
	m := newMesh(t, 47)
	d := captured(t)
	d.ActiveTimestamp.Seconds = 0 // older than the network's: not offered
	m.router.SetActiveDataset(&d)
	m.Run(time.Second)
	if own, _ := m.router.Datasets().Own(); own == nil || m.router.Datasets().Active().ActiveTimestamp.Seconds != 1 {
		t.Errorf("own %+v", own)
	}
	m.restart(m.router, time.Second)
	if own, _ := m.router.Datasets().Own(); own == nil {
		t.Error("the router's own dataset is lost")
	}
	m.router.Stop()
	if at := m.router.Datasets().Active().ActiveTimestamp; at.Seconds != 0 {
		t.Errorf("stopped, it has %v", at)
	}
	for _, s := range []dataset.State{{Active: []byte{0}}, {Pending: []byte{0}}, {OwnActive: []byte{0}}, {OwnPending: []byte{0}}} {
		if err := m.router.Datasets().Restore(s); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}
