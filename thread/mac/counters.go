package mac

import (
	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// Counters count frames, by the names of OpenThread's `counters mac`.
type Counters struct {
	TxTotal, TxUnicast, TxBroadcast          uint32
	TxAckRequested, TxAcked, TxNoAckRequest  uint32
	TxData, TxDataPoll, TxBeacon             uint32
	TxBeaconRequest, TxOther, TxRetry        uint32
	TxErrCCA, TxErrAbort, TxErrBusyChannel   uint32
	TxDirectRetryExpired                     uint32
	TxIndirectRetryExpired                   uint32
	RxTotal, RxUnicast, RxBroadcast          uint32
	RxData, RxDataPoll, RxBeacon             uint32
	RxBeaconRequest, RxOther                 uint32
	RxAddressFiltered, RxDestAddrFiltered    uint32
	RxDuplicated, RxErrNoFrame               uint32
	RxErrUnknownNeighbor, RxErrInvalidSource uint32
	RxErrSecurity, RxErrFCS, RxErrOther      uint32
}

func (c *Counters) refused(v verdict) {
	switch v {
	case duplicate:
		c.RxDuplicated++
	case refuseSecurity:
		c.RxErrSecurity++
	case refuseUnknown:
		c.RxErrUnknownNeighbor++
	case refuseDestination:
		c.RxDestAddrFiltered++
	case refuseSource:
		c.RxErrInvalidSource++
	case refuseFiltered:
		c.RxAddressFiltered++
	default:
		c.RxErrOther++
	}
}

func (m *MAC) countSent(f *Frame, r radio.TxResult, op operation) {
	c := &m.Counters
	unicast := f.Dst.Mode != ieee802154.AddrNone && !f.Dst.IsBroadcast()
	if unicast {
		c.TxUnicast++
		c.TxAckRequested++
	} else {
		c.TxBroadcast++
		c.TxNoAckRequest++
	}
	if f.Command == 0 {
		c.TxData++
	}
	switch {
	case r.Status == radio.TxOK && unicast:
		c.TxAcked++
	case r.Status == radio.TxNoAck && (op == indirect || op == indirectCSL):
		c.TxIndirectRetryExpired++
	case r.Status == radio.TxNoAck:
		c.TxDirectRetryExpired++
	case r.Status == radio.TxChannelBusy:
		c.TxErrCCA++
		c.TxErrBusyChannel++
	case r.Status == radio.TxAborted:
		c.TxErrAbort++
	}
}
