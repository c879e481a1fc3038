package mdns

import (
	"testing"
	"time"
)

func TestPublish(t *testing.T) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	n.run(time.Second)
	r := a.publish("lamp", lamp(7), Options{})
	n.run(5 * time.Second)
	for _, p := range n.take() {
		t.Log(p.at, p)
	}
	t.Logf("%+v", r.Status())
	b := n.add("b", Config{}, 1)
	w, err := b.Discover("_hap._udp", func(ev Event) { t.Logf("%v %+v", n.clock.Now().Sub(start), ev) })
	_ = err
	n.run(30 * time.Second)
	for _, p := range n.take() {
		t.Log(p.at, p)
	}
	r.Unpublish()
	n.run(30 * time.Second)
	for _, p := range n.take() {
		t.Log(p.at, p)
	}
	w.Stop()
	t.Logf("%+v", a.Counters())
	t.Logf("%+v", b.Counters())
}
