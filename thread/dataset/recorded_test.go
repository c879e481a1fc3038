package dataset_test

import (
	"bytes"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/tmf"
)

// What a router of OpenThread's sent its leader, in the order it did, and what
// that answered.
func TestRecordedRequests(t *testing.T) {
	m := newMesh(t, 1)
	for _, x := range []struct{ what, uri, request, answer string }{
		{"network name NewName", tmf.ActiveSet,
			"4a0300000e35060004001fffe00c0402a0f7f8051000112233445566778899aabbccddeeff0102face000300000f" +
				"020800010203040506070708fd000db8000a000b0410c3f59368445a1b6106be420a706d4cc9" +
				"0e08000000000005000003074e65774e616d65",
			"100101"},
		{"get name and channel", tmf.ActiveGet, "0d020300", "000300000f03074e65774e616d65"},
		{"channel 20 and PAN 0xbeef in 30 s", tmf.PendingSet,
			"4a0300000e35060004001fffe00c0402a0f7f8051000112233445566778899aabbccddeeff" +
				"020800010203040506070708fd000db8000a000b0410c3f59368445a1b6106be420a706d4cc9" +
				"03074e65774e616d650e0800000000000a0000330800000000000a000034040000753000030000140102beef",
			"100101"},
	} {
		if x.uri == tmf.PendingSet {
			m.everywhere("the name", 15*time.Second, named("NewName"))
		}
		if got := m.request(m.router, x.uri, unhex(t, x.request)); !bytes.Equal(got, unhex(t, x.answer)) {
			t.Fatalf("%s: answered %x, want %s", x.what, got, x.answer)
		}
	}
	began := m.Now()
	m.everywhere("the pending dataset", 15*time.Second, hasPending)
	for _, n := range m.nodes {
		// All of them wait for the same moment, as far as they can.
		if due := m.Now().Add(time.Duration(*n.Datasets().Pending().Delay) * time.Millisecond); due.Sub(began.Add(30*time.Second)).Abs() > 200*time.Millisecond {
			t.Errorf("%s will move %v after the request", n.Name, due.Sub(began))
		}
	}
	before := m.roles()
	m.everywhere("moved", 31*time.Second, func(n *sim.Node) bool {
		return isOn(20)(n) && n.MAC().PANID() == 0xbeef && !hasPending(n)
	})
	m.connected()
	if after := m.roles(); after != before {
		t.Errorf("roles: %s were %s", after, before)
	}
}

// The same request again is not newer any more, and a truncated one is none.
func TestRecordedRequestAgain(t *testing.T) {
	m := newMesh(t, 2)
	// dataset-pending-channel, frame 42
	request := unhex(t, "4a0300001335060004001fffe00c0402a0f7f8051000112233445566778899aabbccddeeff0102face"+
		"020800010203040506070708fd000db8000a000b030c54657374204e6574776f726b0410c3f59368445a1b6106be420a706d4cc9"+
		"0e0800000000000a0000330800000000000a00003404000075300003000014")
	refused := []byte{0x10, 1, 0xff}
	if got := m.request(m.router, tmf.PendingSet, request[:len(request)-1]); !bytes.Equal(got, refused) {
		t.Errorf("truncated: %x", got)
	}
	if got := m.request(m.router, tmf.PendingSet, request); !bytes.Equal(got, []byte{0x10, 1, 1}) {
		t.Fatalf("refused: %v", m.refused["leader"])
	}
	if got := m.request(m.router, tmf.PendingSet, request); !bytes.Equal(got, refused) {
		t.Errorf("again: %x", got)
	}
	m.everywhere("moved", 31*time.Second, isOn(20))
	if got := m.request(m.router, tmf.PendingSet, request); !bytes.Equal(got, refused) {
		t.Errorf("after the move: %x", got)
	}
	m.connected()
}
