package keys

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"gatewayd/alarm"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newManager(t *testing.T) (*Manager, *alarm.Clock, *[]State, *error) {
	t.Helper()
	c := &alarm.Clock{}
	c.Set(start)
	var saved []State
	var fail error
	m := New(Config{Clock: c, Changed: func() {}, Save: func(s State) error {
		if fail == nil {
			saved = append(saved, s)
		}
		return fail
	}})
	return m, c, &saved, &fail
}

// The key of the recordings of the reference stack.
var networkKey = [16]byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}

func TestDerive(t *testing.T) {
	for seq, want := range map[uint32]string{
		0:          "de89c53af382b421e0fde5a9bae3bef0",
		1:          "9be0d1af7bd87350deabcdd07febb9d5",
		0xffffffff: "e059a0ab62ce08619146b9fe6994b0a4",
	} {
		if _, mac := Derive(networkKey, seq); hex.EncodeToString(mac[:]) != want {
			t.Errorf("MAC key of sequence %d: %x, want %s", seq, mac, want)
		}
	}
}

func TestIndexAndSequence(t *testing.T) {
	m, _, _, _ := newManager(t)
	m.SetNetworkKey(networkKey, true)
	m.SetSequence(127)
	for index, want := range map[uint8]uint32{128: 127, 127: 126, 1: 128} {
		if got, ok := m.SequenceOf(index); !ok || got != want {
			t.Errorf("index %d: sequence %d, %v; want %d", index, got, ok, want)
		}
	}
	if _, ok := m.SequenceOf(2); ok {
		t.Error("index 2 found a sequence")
	}
}

// No counter is used that was not below a stored limit before.
func TestCountersStayBelowWhatIsStored(t *testing.T) {
	m, _, saved, _ := newManager(t)
	m.SetNetworkKey(networkKey, true)
	m.Restore(State{Sequence: 3, MACCounter: 5000, MLECounter: 7000})
	for i := range uint32(3 * Reserve) {
		mac, ok1 := m.NextMACCounter()
		mle, ok2 := m.NextMLECounter()
		if !ok1 || !ok2 || mac != 5000+i || mle != 7000+i {
			t.Fatalf("step %d: counters %d %v, %d %v", i, mac, ok1, mle, ok2)
		}
		last := (*saved)[len(*saved)-1]
		if mac >= last.MACCounter || mle >= last.MLECounter || last.Sequence != 3 {
			t.Fatalf("used %d and %d with %+v stored", mac, mle, last)
		}
	}
	if len(*saved) > 12 {
		t.Errorf("stored %d times for %d frames", len(*saved), 3*Reserve)
	}
}

func TestSendingStopsWhenNothingCanBeStored(t *testing.T) {
	m, _, saved, fail := newManager(t)
	m.SetNetworkKey(networkKey, true)
	m.SetSequence(1)
	limit := (*saved)[len(*saved)-1].MACCounter
	*fail = errors.New("disk full")
	var n uint32
	for ; n < 10*Reserve; n++ {
		if c, ok := m.NextMACCounter(); !ok {
			break
		} else if c >= limit {
			t.Fatalf("counter %d used beyond the stored limit %d", c, limit)
		}
	}
	if n != limit {
		t.Fatalf("stopped after %d frames, want %d", n, limit)
	}
	*fail = nil
	if _, ok := m.NextMACCounter(); !ok {
		t.Error("still stopped when the disk has room again")
	}
}

func TestARadioThatVanishesLeavesNoCounterToReuse(t *testing.T) {
	m, _, saved, _ := newManager(t)
	m.SetNetworkKey(networkKey, true)
	m.Restore(State{})
	m.ReserveMAC()
	m.UsedMACCounter(1, 41)
	before := (*saved)[len(*saved)-1].MACCounter
	m.SkipMACReserve()
	if m.MACCounter() < before {
		t.Errorf("continues at %d, but up to %d may have been used", m.MACCounter(), before)
	}
}

// A network key that comes back, as by importing an old dataset, continues
// above every counter it may have been used with.
func TestAFormerNetworkKeyIsNotCountedFromZero(t *testing.T) {
	m, _, _, _ := newManager(t)
	m.SetNetworkKey(networkKey, true)
	for range 5000 {
		m.NextMACCounter()
	}
	m.SetSequence(1)
	if m.MACCounter() != 0 {
		t.Errorf("a new key starts at %d", m.MACCounter())
	}
	m.SetNetworkKey([16]byte{1}, true)
	m.SetNetworkKey(networkKey, true)
	if m.Sequence() != 0 || m.MACCounter() < 5000 || m.MLECounter() < 5000 {
		t.Errorf("sequence %d again from counters %d and %d", m.Sequence(), m.MACCounter(), m.MLECounter())
	}
}

func TestGuard(t *testing.T) {
	m, c, _, _ := newManager(t)
	m.SetNetworkKey(networkKey, true)
	m.Start()
	if !m.Heard(1) {
		t.Fatal("first switch after a start was blocked")
	}
	if m.Heard(2) {
		t.Error("followed again within the guard time")
	}
	c.Advance(start.Add(625 * time.Hour))
	if m.Heard(3) {
		t.Error("followed a step of two")
	}
	if !m.Heard(2) {
		t.Error("blocked after the guard time")
	}
	c.Advance(c.Now().Add(672 * time.Hour))
	if m.Sequence() != 3 {
		t.Errorf("sequence %d after the rotation time, want 3", m.Sequence())
	}
	m.SetSequence(10)
	if m.Sequence() != 10 {
		t.Errorf("an authoritative message was not followed")
	}
}

// A changed rotation time counts from when the key began: it does not prolong
// its life by having been told again.
func TestRotationTime(t *testing.T) {
	m, c, _, _ := newManager(t)
	m.SetNetworkKey(networkKey, true)
	m.Start()
	if m.Guard() != 624*time.Hour {
		t.Errorf("guard %v", m.Guard())
	}
	c.Advance(start.Add(10 * time.Hour))
	m.SetRotation(672 * time.Hour) // as before
	m.SetRotation(12 * time.Hour)
	if m.Guard() != 11*time.Hour {
		t.Errorf("guard %v", m.Guard())
	}
	c.Advance(start.Add(12*time.Hour - time.Second))
	if m.Sequence() != 0 {
		t.Fatal("too early")
	}
	for want := uint32(1); want < 4; want++ { // one after the other
		c.Advance(start.Add(time.Duration(want) * 12 * time.Hour))
		if m.Sequence() != want {
			t.Fatalf("sequence %d after %d times 12 h", m.Sequence(), want)
		}
		if m.Heard(want + 1) {
			t.Error("followed within the guard time after a rotation")
		}
	}
	c.Advance(c.Now().Add(5 * time.Hour))
	m.SetRotation(time.Hour) // at least two: it is due
	c.Advance(c.Now())
	if m.Sequence() != 4 || m.Guard() != time.Hour {
		t.Errorf("sequence %d, guard %v", m.Sequence(), m.Guard())
	}
	m.Stop()
	c.Advance(c.Now().Add(1000 * time.Hour))
	if m.Sequence() != 4 {
		t.Error("stopped, it goes on rotating")
	}
}

// HKDF of RFC 5869 by another implementation's HMAC.
func TestDeriveTREL(t *testing.T) {
	for seq, want := range map[uint32]string{
		0:          "4a39fa2e5806104a9bd6075e5b3341e7",
		1:          "2057fd999bfb0b93bb1b2adb4323dad6",
		0xffffffff: "d655300dfa0c5d532005a09b3502603a",
	} {
		if k := DeriveTREL(networkKey, seq); hex.EncodeToString(k[:]) != want {
			t.Errorf("TREL key of sequence %d: %x, want %s", seq, k, want)
		}
	}
}

// What neighbours are told is above what was used by either link, and neither
// goes below it afterwards.
func TestLinkCounterCoversBothLinks(t *testing.T) {
	m, _, saved, _ := newManager(t)
	m.SetNetworkKey(networkKey, true)
	m.Restore(State{Sequence: 3, MACCounter: 100})
	if c := m.LinkCounter(); c != 100 || m.MACFloor() != 0 {
		t.Fatalf("counter %d, floor %d", c, m.MACFloor())
	}
	for i := range uint32(2500) {
		c, ok := m.NextTRELCounter()
		if last := (*saved)[len(*saved)-1]; !ok || c != 100+i || c >= last.MACCounter {
			t.Fatalf("step %d: counter %d, %v, with %+v stored", i, c, ok, last)
		}
	}
	if c := m.LinkCounter(); c != 2600 || m.MACCounter() != 2600 || m.MACFloor() != 2600 {
		t.Errorf("counter %d, MAC's %d, floor %d", c, m.MACCounter(), m.MACFloor())
	}
	for range 300 {
		m.NextMACCounter()
	}
	if c := m.LinkCounter(); c != 2900 || m.MACFloor() != 2600 {
		t.Errorf("counter %d, floor %d", c, m.MACFloor())
	}
	if c, _ := m.NextTRELCounter(); c != 2900 {
		t.Errorf("TREL goes on at %d", c)
	}
	m.SetSequence(4)
	if c, _ := m.NextTRELCounter(); c != 0 || m.MACFloor() != 0 {
		t.Errorf("a new key begins at %d, floor %d", c, m.MACFloor())
	}
}
