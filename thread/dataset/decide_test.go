package dataset

import (
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/thread/meshcop"
)

// example is the dataset of a small network.
func example() *meshcop.Dataset {
	return &meshcop.Dataset{
		ActiveTimestamp: &meshcop.Timestamp{Seconds: 10},
		Channel:         &meshcop.Channel{Number: 15},
		ChannelMask:     meshcop.AllChannels(),
		ExtPANID:        &meshcop.ExtPANID{0, 1, 2, 3, 4, 5, 6, 7},
		MeshLocalPrefix: netip.MustParsePrefix("fd00:db8:a:b::/64"),
		NetworkKey:      &meshcop.Key{1, 2, 3},
		NetworkName:     "Test Network",
		PANID:           new(uint16(0xface)),
		PSKc:            &meshcop.Key{4, 5, 6},
		SecurityPolicy:  new(meshcop.DefaultSecurityPolicy()),
	}
}

const session = 7

// leading is a leader's Manager, of which only decide may be called.
func leading() *Manager {
	return &Manager{active: example(), MinDelay: DefaultMinDelay, KeyDelay: DefaultKeyDelay, cfg: Config{
		Leading: func() bool { return true },
		Session: func() (uint16, bool) { return session, true },
	}}
}

func seconds(s uint64) *meshcop.Timestamp { return &meshcop.Timestamp{Seconds: s} }

// The leader's rules (Thread 1.4 Section 8.7.4 and 8.7.5), one by one.
func TestDecide(t *testing.T) {
	type set func(s *meshcop.DatasetSet)
	whole := func(change set) set { // as from a device
		return func(s *meshcop.DatasetSet) {
			s.Dataset = *example()
			s.Dataset.ActiveTimestamp = seconds(11)
			change(s)
		}
	}
	part := func(change set) set { // as from the commissioner
		return func(s *meshcop.DatasetSet) {
			s.SessionID = new(uint16(session))
			s.Dataset.ActiveTimestamp = seconds(11)
			change(s)
		}
	}
	delayed := func(ts uint64, delay time.Duration, change set) set {
		return func(s *meshcop.DatasetSet) {
			s.Dataset.PendingTimestamp, s.Dataset.Delay = seconds(ts), new(uint32(delay.Milliseconds()))
			change(s)
		}
	}
	nothing := func(*meshcop.DatasetSet) {}
	rename := func(s *meshcop.DatasetSet) { s.Dataset.NetworkName = "other" }
	channel := func(s *meshcop.DatasetSet) { s.Dataset.Channel = &meshcop.Channel{Number: 20} }
	pan := func(s *meshcop.DatasetSet) { s.Dataset.PANID = new(uint16(0xbeef)) }
	prefix := func(s *meshcop.DatasetSet) { s.Dataset.MeshLocalPrefix = netip.MustParsePrefix("fd01::/64") }
	key := func(s *meshcop.DatasetSet) { s.Dataset.NetworkKey = &meshcop.Key{9} }
	at := func(ts *meshcop.Timestamp, more set) set {
		return func(s *meshcop.DatasetSet) { more(s); s.Dataset.ActiveTimestamp = ts }
	}
	as := func(id *uint16, more set) set {
		return func(s *meshcop.DatasetSet) { more(s); s.SessionID = id }
	}

	tests := []struct {
		name    string
		c       command
		set     set
		err     error
		pending bool
		delay   time.Duration
		channel uint16
	}{
		{"device renames", activeSet, whole(rename), nil, false, 0, 15},
		{"device without timestamp", activeSet, at(nil, whole(rename)), ErrTimestamp, false, 0, 0},
		{"device, same timestamp", activeSet, at(seconds(10), whole(rename)), ErrOld, false, 0, 0},
		{"device, older timestamp", activeSet, at(seconds(9), whole(rename)), ErrOld, false, 0, 0},
		{"device, one tick newer", activeSet, at(&meshcop.Timestamp{Seconds: 10, Ticks: 1}, whole(rename)), nil, false, 0, 15},
		{"device changes channel", activeSet, whole(channel), nil, true, 30 * time.Second, 20},
		{"device changes key", activeSet, whole(key), nil, true, 300 * time.Second, 15},
		{"device with a part", activeSet, at(seconds(11), rename), ErrIncomplete, false, 0, 0},
		{"commissioner renames", activeSet, part(rename), nil, false, 0, 15},
		{"commissioner changes channel at once", activeSet, part(channel), ErrConnectivity, false, 0, 0},
		{"commissioner changes PAN at once", activeSet, part(pan), ErrConnectivity, false, 0, 0},
		{"commissioner changes prefix at once", activeSet, part(prefix), ErrConnectivity, false, 0, 0},
		{"commissioner changes key at once", activeSet, part(key), ErrConnectivity, false, 0, 0},
		{"another session", activeSet, as(new(uint16(8)), part(rename)), ErrSession, false, 0, 0},
		{"replaced", activeReplace, as(new(uint16(session)), whole(rename)), nil, false, 0, 15},
		{"replaced in part", activeReplace, part(rename), ErrIncomplete, false, 0, 0},
		{"replaced by a device", activeReplace, whole(rename), ErrSession, false, 0, 0},
		{"replaced with another channel", activeReplace, as(new(uint16(session)), whole(channel)), ErrConnectivity, false, 0, 0},
		{"pending of a device", pendingSet, whole(delayed(1, time.Minute, channel)), nil, true, time.Minute, 20},
		{"pending of a device in part", pendingSet, at(seconds(11), delayed(1, time.Minute, channel)), ErrIncomplete, true, 0, 0},
		{"pending of the commissioner", pendingSet, part(delayed(1, time.Minute, channel)), nil, true, time.Minute, 20},
		{"pending without its timestamp", pendingSet, whole(channel), ErrTimestamp, true, 0, 0},
		{"pending without active timestamp", pendingSet, at(nil, part(delayed(1, time.Minute, channel))), ErrTimestamp, true, 0, 0},
		{"pending without delay", pendingSet, part(func(s *meshcop.DatasetSet) { s.Dataset.PendingTimestamp = seconds(1) }), ErrIncomplete, true, 0, 0},
		{"pending at once", pendingSet, part(delayed(1, 0, channel)), nil, true, 30 * time.Second, 20},
		{"pending in a year", pendingSet, part(delayed(1, 365*24*time.Hour, channel)), nil, true, 72 * time.Hour, 20},
		{"new key in half a minute", pendingSet, part(delayed(1, 30*time.Second, key)), nil, true, 300 * time.Second, 15},
		{"pending and back in time", pendingSet, at(seconds(5), part(delayed(1, time.Minute, channel))), ErrOld, true, 0, 0},
		{"new key and back in time", pendingSet, at(seconds(5), part(delayed(1, time.Hour, key))), nil, true, time.Hour, 15},
		{"pending of another session", pendingSet, as(new(uint16(8)), part(delayed(1, time.Minute, channel))), ErrSession, true, 0, 0},
		{"pending, nothing changed", pendingSet, part(delayed(1, time.Minute, nothing)), nil, true, time.Minute, 15},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s meshcop.DatasetSet
			tt.set(&s)
			o, err := leading().decide(tt.c, s.Append(nil))
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			d := o.dataset
			if (o.kind == pending) != tt.pending || d.Channel.Number != tt.channel || o.commissioner != (s.SessionID != nil) {
				t.Errorf("%+v", o)
			}
			if tt.pending && (d.Delay == nil || time.Duration(*d.Delay)*time.Millisecond != tt.delay) {
				t.Errorf("delay %v, want %v", *d.Delay, tt.delay)
			}
			if d.Has(meshcop.TypeCommissionerSessionID) {
				t.Error("the session id is in the dataset")
			}
		})
	}

	m := leading()
	m.pending = held{d: &meshcop.Dataset{PendingTimestamp: seconds(5)}}
	for ts, want := range map[uint64]error{4: ErrOld, 5: ErrOld, 6: nil} {
		var s meshcop.DatasetSet
		part(delayed(ts, time.Minute, channel))(&s)
		if _, err := m.decide(pendingSet, s.Append(nil)); !errors.Is(err, want) {
			t.Errorf("pending timestamp %d after 5: %v, want %v", ts, err, want)
		}
	}
	m = leading()
	m.cfg.Leading = func() bool { return false }
	var s meshcop.DatasetSet
	whole(rename)(&s)
	if _, err := m.decide(activeSet, s.Append(nil)); !errors.Is(err, ErrNotLeader) {
		t.Errorf("no leader: %v", err)
	}
	// As one TLV more would not fit any MLE message.
	s.Dataset.Unknown = []meshcop.TLV{{Type: 200, Value: make([]byte, 100)}}
	m = leading()
	m.active.Unknown = []meshcop.TLV{{Type: 201, Value: make([]byte, 60)}}
	s.SessionID = new(uint16(session))
	if _, err := m.decide(activeSet, s.Append(nil)); err == nil || !strings.Contains(err.Error(), "at most 254") {
		t.Errorf("too long: %v", err)
	}
}

// Whatever is asked, what a leader takes is complete, newer, and fits.
func FuzzDecide(f *testing.F) {
	for _, s := range []string{
		// dataset-pending-from-router: MGMT_ACTIVE_SET and MGMT_PENDING_SET
		"4a0300000e35060004001fffe00c0402a0f7f8051000112233445566778899aabbccddeeff0102face000300000f020800010203040506070708fd000db8000a000b0410c3f59368445a1b6106be420a706d4cc90e08000000000005000003074e65774e616d65",
		"4a0300000e35060004001fffe00c0402a0f7f8051000112233445566778899aabbccddeeff020800010203040506070708fd000db8000a000b0410c3f59368445a1b6106be420a706d4cc903074e65774e616d650e0800000000000a0000330800000000000a000034040000753000030000140102beef",
		"0b0200070e08000000000011000033080000000000010000340400007530000300001a",
		"", "0e", "0eff",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		for c := range uint8(3) {
			f.Add(c, b)
		}
	}
	f.Fuzz(func(t *testing.T, c uint8, b []byte) {
		m := leading()
		o, err := m.decide(command(c%3), b)
		if err != nil {
			return
		}
		d, err := meshcop.DecodeDataset(o.dataset.Append(nil))
		if err != nil {
			t.Fatalf("the outcome is no dataset: %v", err)
		}
		if len(d.MissingActive()) > 0 {
			t.Fatalf("missing: %v", d.MissingActive())
		}
		if o.kind == active {
			if moves, _ := m.effects(&d); moves || !newer(d.ActiveTimestamp, m.activeTimestamp()) {
				t.Fatalf("at once: %+v", d)
			}
			return
		}
		if d.PendingTimestamp == nil || d.Delay == nil || *d.Delay < 30_000 || *d.Delay > 72*3600*1000 {
			t.Fatalf("pending: %+v", d)
		}
	})
}

func TestAdvance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ts := meshcop.Timestamp{Seconds: 5, Ticks: meshcop.MaxTicks, Authoritative: true}
	for range 1000 {
		next := advance(ts, r)
		if next.Compare(ts) <= 0 || next.Seconds > ts.Seconds+1 || next.Ticks > meshcop.MaxTicks {
			t.Fatalf("%v after %v", next, ts)
		}
		ts = next
	}
}
