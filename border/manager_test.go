package border

import (
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	l.run(5 * time.Minute)
	for _, x := range l.log {
		t.Log(x)
	}
	t.Logf("%+v", a.m.Status())
	t.Logf("%+v", a.events)
	a.m.Stop()
	l.run(time.Hour)
	for _, x := range l.log[len(l.log)-2:] {
		t.Log(x)
	}
	t.Logf("%+v %v", a.m.Status(), l.clock.Deadline())
}
