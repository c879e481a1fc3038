package wpan

import (
	"errors"
	"net/netip"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/pana"
)

// How often a device authenticated, over sessions, keys, restarts and failures.
func TestJoins(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	count := func(ext ieee802154.ExtAddr, session uint32) []uint8 {
		t.Helper()
		var list []uint8
		for _, a := range d.keyAVPs(pana.Info{ID: session, PaC: netip.AddrPortFrom(linkLocal(ext), portClient)}) {
			ks, err := pana.AVPs{a}.NetworkKeys()
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, ks[0].AuthCounter)
		}
		return list
	}
	is := func(what string, got []uint8, want ...uint8) {
		t.Helper()
		if string(got) != string(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	is("first", count(peer, 1), 0)
	is("the same session again", count(peer, 1), 0)
	is("another session", count(peer, 2), 1)
	is("another device", count(other, 3), 0)
	is("a third session", count(peer, 4), 2)
	if _, ok := d.RotateKey(); !ok {
		t.Fatal("no other key")
	}
	is("with the key that comes next", count(peer, 5), 3, 0)
	is("both keys again", count(peer, 6), 4, 1)
	d = reopen(t, Coordinator, d.store, nil)
	is("after a restart, beyond all", count(other, 7), 5, 2)
	d.pass(activationDelay + 2*retireTime)
	is("under the new key alone", count(other, 8), 3)

	// What cannot be stored is not given out.
	d.store.fail = errors.New("disk full")
	is("a disk that is full", count(other, 9))
	d.store.fail = nil
	is("and has room again", count(other, 9), 4)

	// A record that was lost may have been higher.
	d.store.lost[storeJoins] = 2
	d = reopen(t, Coordinator, d.store, nil)
	is("records lost", count(peer, 10), 7)
	d.store.lost[storeJoins] = 0

	// Counts that come to their end bring another key.
	index := d.network.Key.Index
	for session := uint32(100); session < 100+maxCount; session++ {
		count(peer, session)
		if d.hasNext() {
			t.Fatalf("another key after %d", session)
		}
	}
	d.pass(activationDelay)
	if d.network.Key.Index != index+1 {
		t.Error("the key is worn, and used on")
	}
	is("a fresh key", count(peer, 1000)[:1], 0)

	d.store.values[storeJoins] = []byte("{")
	index = d.network.Key.Index
	d = reopen(t, Coordinator, d.store, nil)
	is("a record that makes no sense", count(peer, 1001), maxCount+1)
	d.pass(activationDelay)
	if d.network.Key.Index != index+1 {
		t.Error("the key is used on")
	}
}

// However many devices there are, memory is bounded and counts are not repeated.
func TestJoinsBounded(t *testing.T) {
	d := newDesk(t, Coordinator, nil)
	for i := range maxJoined + 10 {
		ext := ieee802154.ExtAddr{2, 0, 0, 0, 7, byte(i >> 16), byte(i >> 8), byte(i)}
		c, ok := d.auth.joins.count(d.Node, pana.Info{ID: uint32(i), PaC: netip.AddrPortFrom(linkLocal(ext), 1)}, d.network.Key)
		if want := uint8(i / maxJoined); !ok || c != want {
			t.Fatalf("device %d: %d %v", i, c, ok)
		}
	}
	if n := len(d.auth.joins.keys[0].last); n > maxJoined {
		t.Errorf("%d devices", n)
	}
}
