package dhcp6

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// State is what a Lease is about.
type State uint8

// The states.
const (
	Bound    State = iota // a client has the address
	Declined              // a client found somebody else to have it
)

func (s State) String() string {
	switch s {
	case Bound:
		return "bound"
	case Declined:
		return "declined"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Lease is an address that a client has.
type Lease struct {
	Addr  netip.Addr
	DUID  []byte // the client
	IAID  uint32 // which of its interfaces
	State State
	// Preferred and Valid are until when it may be used for what is new and at
	// all. A declined address is given to nobody until Valid.
	Preferred, Valid time.Time
	Peer             netip.Addr // from where the client last asked, link-local
}

// Store keeps leases over a restart. Each call returns when it is done.
type Store interface {
	Save(l Lease) error // replaces what there is of l.Addr
	Delete(addr netip.Addr) error
	Load() ([]Lease, error)
}

// noStore is a Store of nothing.
type noStore struct{}

func (noStore) Save(Lease) error        { return nil }
func (noStore) Delete(netip.Addr) error { return nil }
func (noStore) Load() ([]Lease, error)  { return nil, nil }

// table is all leases, by address and by identity association.
type table struct {
	byAddr   map[netip.Addr]*Lease
	byIA     map[string][]*Lease // bound ones
	clients  map[string]int      // bound ones of a DUID
	declined int
}

func newTable() table {
	return table{byAddr: map[netip.Addr]*Lease{}, byIA: map[string][]*Lease{}, clients: map[string]int{}}
}

func iaKey(duid []byte, iaid uint32) string {
	return string(binary.BigEndian.AppendUint32(bytes.Clone(duid), iaid))
}

func (t *table) add(l *Lease) {
	t.byAddr[l.Addr] = l
	if l.State == Declined {
		t.declined++
		return
	}
	key := iaKey(l.DUID, l.IAID)
	t.byIA[key] = append(t.byIA[key], l)
	t.clients[string(l.DUID)]++
}

func (t *table) remove(l *Lease) {
	delete(t.byAddr, l.Addr)
	if l.State == Declined {
		t.declined--
		return
	}
	key := iaKey(l.DUID, l.IAID)
	rest := slices.DeleteFunc(slices.Clone(t.byIA[key]), func(o *Lease) bool { return o == l })
	if t.byIA[key] = rest; len(rest) == 0 {
		delete(t.byIA, key)
	}
	if t.clients[string(l.DUID)]--; t.clients[string(l.DUID)] == 0 {
		delete(t.clients, string(l.DUID))
	}
}

// sorted is a copy of all, by address.
func (t *table) sorted() []Lease {
	all := make([]Lease, 0, len(t.byAddr))
	for _, l := range t.byAddr {
		c := *l
		c.DUID = bytes.Clone(l.DUID)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	return all
}
