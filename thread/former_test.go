package thread_test

import (
	"testing"
	"time"

	"gatewayd/sim"
)

// A sleepy child that was restarted beside another router tells its former
// parent, which then resolves its addresses like any other's.
func TestFormerParentIsTold(t *testing.T) {
	w := newWorld(t, 50)
	routers := w.ring(4)
	was, is := routers[0], routers[1]
	sed := w.add("sed", sim.SED)
	sed.MLE().Tuning.InformParent = true
	w.Link(sed, was)
	w.attach(sed)
	w.settle()
	w.Cut(sed, was)
	w.Link(sed, is)
	sed.Do(func() {
		sed.Stop()
		if err := sed.Start(); err != nil {
			t.Fatal(err)
		}
	})
	w.await("another parent", time.Minute, func() bool {
		return sed.MLE().Attached() && sed.Table().Parent.Ext == is.MAC().Ext()
	})
	w.await("the former one knows", 2*time.Second, func() bool { return was.Table().ChildByExt(sed.MAC().Ext()) == nil })
	if _, ok := w.ping(was, sed.MLEID(), 16); !ok {
		t.Error("the former parent does not reach it")
	}
}
