package backbone

import (
	"fmt"
	"net/netip"

	"gatewayd/ipv6"
	"gatewayd/thread/tmf"
)

// MaxGroups is how many groups one registration holds at most (Thread 1.4
// Section 5.24.2.3.1).
const MaxGroups = 15

const addrLen = 16

// Forever is a Timeout that asks for a registration without end. No Backbone
// Router grants it.
const Forever uint32 = 0xffffffff

// Status is how a registration ended (Thread 1.4 Section 5.24.2.3.2).
type Status uint8

// The statuses.
const (
	Success        Status = 0
	Invalid        Status = 2 // a group that is not wider than the realm
	NoPersistent   Status = 3
	NoResources    Status = 4
	NotPrimary     Status = 5
	GeneralFailure Status = 6
)

func (s Status) String() string {
	switch s {
	case Success:
		return "success"
	case Invalid:
		return "invalid"
	case NoPersistent:
		return "no persistent registration"
	case NoResources:
		return "no resources"
	case NotPrimary:
		return "not primary"
	case GeneralFailure:
		return "general failure"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// A GroupsError says that a list of groups is not one of at most MaxGroups
// whole addresses.
type GroupsError struct{ Len int } // bytes

func (e *GroupsError) Error() string {
	return fmt.Sprintf("backbone: a list of groups with %d bytes, not of at most %d addresses", e.Len, MaxGroups)
}

// A Registration is the payload of MLR.req.
type Registration struct {
	Groups []netip.Addr
	// Session is the commissioner's session id, of a registration by the
	// commissioner; else nil.
	Session *uint16
	// Timeout in seconds: 0 ends the registration, nil is what the Backbone
	// Router gives to all.
	Timeout *uint32
}

// Append appends the TLVs of r, which has at most MaxGroups groups.
func (r Registration) Append(b []byte) []byte {
	t := appendGroups(tmf.TLVs(b), r.Groups)
	if r.Session != nil {
		t = t.AppendUint16(tmf.Session, *r.Session)
	}
	if r.Timeout != nil {
		t = t.AppendUint32(tmf.Timeout, *r.Timeout)
	}
	return t
}

// DecodeRegistration reads the payload of MLR.req. The error is a
// *tmf.MissingError or, for a list of groups that cannot be, a *GroupsError;
// then the rest of r is there all the same.
func DecodeRegistration(b []byte) (r Registration, err error) {
	t := tmf.TLVs(b)
	if v, err := t.Uint16(tmf.Session); err == nil {
		r.Session = &v
	}
	if v, err := t.Uint32(tmf.Timeout); err == nil {
		r.Timeout = &v
	}
	r.Groups, err = groups(t)
	return r, err
}

// An Answer is the payload of MLR.rsp.
type Answer struct {
	Status Status
	Failed []netip.Addr // of the groups, those that were not registered
}

// Append appends the TLVs of a, which has at most MaxGroups groups.
func (a Answer) Append(b []byte) []byte {
	t := tmf.TLVs(b).Append(tmf.Status, byte(a.Status))
	if len(a.Failed) > 0 {
		t = appendGroups(t, a.Failed)
	}
	return t
}

// DecodeAnswer reads the payload of MLR.rsp. The error is a *tmf.MissingError
// or a *GroupsError.
func DecodeAnswer(b []byte) (a Answer, err error) {
	t := tmf.TLVs(b)
	s, err := t.Uint8(tmf.Status)
	if err != nil {
		return Answer{}, err
	}
	a.Status = Status(s)
	if _, err := t.Find(tmf.Addresses, 0); err != nil {
		return a, nil
	}
	a.Failed, err = groups(t)
	return a, err
}

func appendGroups(t tmf.TLVs, groups []netip.Addr) tmf.TLVs {
	var v []byte
	for _, g := range groups {
		b := g.As16()
		v = append(v, b[:]...)
	}
	return t.Append(tmf.Addresses, v...)
}

func groups(t tmf.TLVs) (all []netip.Addr, err error) {
	v, err := t.Find(tmf.Addresses, 0)
	if err != nil {
		return nil, err
	}
	if len(v)%addrLen != 0 || len(v) > MaxGroups*addrLen {
		return nil, &GroupsError{len(v)}
	}
	for ; len(v) > 0; v = v[addrLen:] {
		all = append(all, netip.AddrFrom16([addrLen]byte(v)))
	}
	return all, nil
}

// Wide reports whether a group is wider than the mesh, so that listeners of it
// are registered.
func Wide(g netip.Addr) bool { return g.IsMulticast() && ipv6.Scope(g) > ipv6.ScopeRealm }
