package backbone

import (
	"fmt"
	"net/netip"

	"gatewayd/thread/tmf"
)

// DUAStatus is how the registration of a domain unicast address ended (Thread
// 1.4 Section 5.23).
type DUAStatus uint8

// The statuses. Those from DUANoResources on may pass.
const (
	DUASuccess        DUAStatus = 0
	DUAReregister     DUAStatus = 1 // it is to be registered once more, from the beginning
	DUAInvalid        DUAStatus = 2 // not an address of the domain's prefix
	DUADuplicate      DUAStatus = 3 // another device has it
	DUANoResources    DUAStatus = 4
	DUANotPrimary     DUAStatus = 5
	DUAGeneralFailure DUAStatus = 6
)

func (s DUAStatus) String() string {
	switch s {
	case DUASuccess:
		return "success"
	case DUAReregister:
		return "register again"
	case DUAInvalid:
		return "invalid"
	case DUADuplicate:
		return "duplicate"
	case DUANoResources:
		return "no resources"
	case DUANotPrimary:
		return "not primary"
	case DUAGeneralFailure:
		return "general failure"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// A DUARegistration is the payload of DUA.req.
type DUARegistration struct {
	Target netip.Addr
	// MLEID is the interface identifier of the device's mesh-local EID: who it
	// is.
	MLEID [8]byte
	// LastTransaction is how many seconds ago the parent that registers last
	// heard the device; nil if the device does it itself.
	LastTransaction *uint32
}

// Append appends the TLVs of r.
func (r DUARegistration) Append(b []byte) []byte {
	t := tmf.TLVs(b).AppendAddr(tmf.Target, r.Target).Append(tmf.MLEID, r.MLEID[:]...)
	if r.LastTransaction != nil {
		t = t.AppendUint32(tmf.LastTransaction, *r.LastTransaction)
	}
	return t
}

// DecodeDUARegistration reads the payload of DUA.req. The error is a
// *tmf.MissingError.
func DecodeDUARegistration(b []byte) (r DUARegistration, err error) {
	t := tmf.TLVs(b)
	if r.Target, err = t.Addr(tmf.Target); err != nil {
		return DUARegistration{}, err
	}
	id, err := t.Find(tmf.MLEID, 8)
	if err != nil {
		return DUARegistration{}, err
	}
	r.MLEID = [8]byte(id)
	if v, err := t.Uint32(tmf.LastTransaction); err == nil {
		r.LastTransaction = &v
	}
	return r, nil
}

// A DUAAnswer is the payload of DUA.rsp, and of DUA.ntf, by which a parent tells
// a child what came of its address.
type DUAAnswer struct {
	Status DUAStatus
	Target netip.Addr
}

// Append appends the TLVs of a.
func (a DUAAnswer) Append(b []byte) []byte {
	return tmf.TLVs(b).Append(tmf.Status, byte(a.Status)).AppendAddr(tmf.Target, a.Target)
}

// DecodeDUAAnswer reads the payload of DUA.rsp or DUA.ntf. The error is a
// *tmf.MissingError.
func DecodeDUAAnswer(b []byte) (a DUAAnswer, err error) {
	t := tmf.TLVs(b)
	s, err := t.Uint8(tmf.Status)
	if err != nil {
		return DUAAnswer{}, err
	}
	if a.Target, err = t.Addr(tmf.Target); err != nil {
		return DUAAnswer{}, err
	}
	a.Status = DUAStatus(s)
	return a, nil
}
