package diag

import (
	"encoding/binary"
	"time"

	"gatewayd/thread/mac"
	"gatewayd/thread/mle"
)

// MACCounters are the MAC Counters TLV, by the names of RFC 2863.
type MACCounters struct {
	InUnknownProtos, InErrors, OutErrors  uint32
	InUnicast, InBroadcast, InDiscards    uint32
	OutUnicast, OutBroadcast, OutDiscards uint32
}

const macCountersLen = 9 * 4

func (MACCounters) Type() Type { return TypeMACCounters }

func (c *MACCounters) fields() [9]*uint32 {
	return [...]*uint32{&c.InUnknownProtos, &c.InErrors, &c.OutErrors, &c.InUnicast, &c.InBroadcast, &c.InDiscards,
		&c.OutUnicast, &c.OutBroadcast, &c.OutDiscards}
}

func (c MACCounters) append(b []byte) []byte {
	for _, f := range c.fields() {
		b = binary.BigEndian.AppendUint32(b, *f)
	}
	return b
}

func decodeMACCounters(b []byte) (c MACCounters) {
	for i, f := range c.fields() {
		*f = binary.BigEndian.Uint32(b[4*i:])
	}
	return c
}

func macCounters(n *mac.Counters) MACCounters {
	return MACCounters{
		InUnknownProtos: n.RxOther,
		InErrors: n.RxErrNoFrame + n.RxErrUnknownNeighbor + n.RxErrInvalidSource + n.RxErrSecurity +
			n.RxErrFCS + n.RxErrOther,
		OutErrors: n.TxErrCCA,
		InUnicast: n.RxUnicast, InBroadcast: n.RxBroadcast,
		InDiscards: n.RxAddressFiltered + n.RxDestAddrFiltered + n.RxDuplicated,
		OutUnicast: n.TxUnicast, OutBroadcast: n.TxBroadcast,
		OutDiscards: n.TxErrBusyChannel,
	}
}

// MLECounters are the MLE Counters TLV: how often the device took each role and
// how long it was in it.
type MLECounters struct {
	Disabled, Detached, Child, Router, Leader                                uint16
	AttachAttempts, PartitionChanges, BetterPartitionAttempts, ParentChanges uint16
	// Time in all roles, and in each; full milliseconds.
	Tracked, DisabledTime, DetachedTime, ChildTime, RouterTime, LeaderTime time.Duration
}

const mleCountersLen = 9*2 + 6*8

func (MLECounters) Type() Type { return TypeMLECounters }

func (c *MLECounters) counts() [9]*uint16 {
	return [...]*uint16{&c.Disabled, &c.Detached, &c.Child, &c.Router, &c.Leader,
		&c.AttachAttempts, &c.PartitionChanges, &c.BetterPartitionAttempts, &c.ParentChanges}
}

func (c *MLECounters) times() [6]*time.Duration {
	return [...]*time.Duration{&c.Tracked, &c.DisabledTime, &c.DetachedTime, &c.ChildTime, &c.RouterTime, &c.LeaderTime}
}

func (c MLECounters) append(b []byte) []byte {
	for _, f := range c.counts() {
		b = binary.BigEndian.AppendUint16(b, *f)
	}
	for _, f := range c.times() {
		b = binary.BigEndian.AppendUint64(b, uint64(f.Milliseconds()))
	}
	return b
}

// maxMillis is what a time.Duration holds, 292 years.
const maxMillis = uint64(1<<63-1) / uint64(time.Millisecond)

func decodeMLECounters(b []byte) (c MLECounters) {
	for i, f := range c.counts() {
		*f = binary.BigEndian.Uint16(b[2*i:])
	}
	for i, f := range c.times() {
		*f = time.Duration(min(binary.BigEndian.Uint64(b[9*2+8*i:]), maxMillis)) * time.Millisecond
	}
	return c
}

func mleCounters(n mle.Counters) MLECounters {
	c := MLECounters{
		Disabled: n.Disabled, Detached: n.Detached, Child: n.Child, Router: n.Router, Leader: n.Leader,
		AttachAttempts: n.AttachAttempts, PartitionChanges: n.PartitionChanges,
		BetterPartitionAttempts: n.BetterPartitionAttempts, ParentChanges: n.ParentChanges,
		DisabledTime: n.Time[mle.Disabled], DetachedTime: n.Time[mle.Detached], ChildTime: n.Time[mle.Child],
		RouterTime: n.Time[mle.Router], LeaderTime: n.Time[mle.Leader],
	}
	for _, t := range n.Time {
		c.Tracked += t
	}
	return c
}
