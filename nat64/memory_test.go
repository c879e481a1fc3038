package nat64

import (
	"net/netip"
	"runtime"
	"testing"
)

// A full table of sessions, each of another host, is what a translator takes at
// most.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := quick(t, 0)
	for i := range 4 * x.Limits().Sessions {
		a := device.As16()
		a[12], a[13], a[14] = byte(i>>16), byte(i>>8), byte(i)
		if r := x.FromMesh(udp6(netip.AddrFrom16(a), under(server), 5000, 53, nil)); r != Passed {
			t.Fatal(r)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	n := x.Usage().Sessions
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(n)
	t.Logf("%d sessions, %d bytes each", n, each)
	if n != x.Limits().Sessions || each > 1500 {
		t.Errorf("%d sessions, %d bytes each", n, each)
	}
	runtime.KeepAlive(x)
}
