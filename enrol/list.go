package enrol

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatewayd/eap"
	"gatewayd/ieee802154"
)

// MaxEntries bounds a List.
const MaxEntries = 100_000

// Reasons for a change to be refused.
var (
	ErrExists  = errors.New("enrol: there is a credential for that identity already")
	ErrUnknown = errors.New("enrol: there is no credential for that identity")
	ErrFull    = fmt.Errorf("enrol: there are %d credentials already", MaxEntries)
)

// key is what makes an entry one of its own.
type key struct {
	identity string
	method   eap.Type
}

// A List is who may join.
type List struct {
	entries map[key]*Entry
	by      map[eap.Type]int // how many there are of each method
}

// NewList returns an empty List.
func NewList() *List { return &List{entries: map[key]*Entry{}, by: map[eap.Type]int{}} }

// Add adds an entry, replacing one for the same identity and method if replace.
func (l *List) Add(e Entry, replace bool) error {
	if err := e.check(); err != nil {
		return err
	}
	k := key{e.Identity, e.Method}
	if l.entries[k] != nil && !replace {
		return fmt.Errorf("%w: %s, %v", ErrExists, e.Identity, e.Method)
	}
	if l.entries[k] == nil && len(l.entries) >= MaxEntries {
		return ErrFull
	}
	if l.entries[k] == nil {
		l.by[e.Method]++
	}
	l.entries[k] = &e
	return nil
}

// Remove removes the entries of an identity and returns how many there were.
func (l *List) Remove(identity string) (int, error) {
	n := 0
	for m := range l.by {
		if k := (key{identity, m}); l.entries[k] != nil {
			delete(l.entries, k)
			l.by[m]--
			n++
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: %s", ErrUnknown, identity)
	}
	return n, nil
}

// Entries are all, by identity.
func (l *List) Entries() []Entry {
	list := make([]Entry, 0, len(l.entries))
	for _, e := range l.entries {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Identity, b.Identity), cmp.Compare(a.Method, b.Method))
	})
	return list
}

// Len is how many there are.
func (l *List) Len() int { return len(l.entries) }

// Has reports whether anybody may come in by a method.
func (l *List) Has(m eap.Type) bool { return l.by[m] > 0 }

// Method is how an identity gets in, the first choice; false if it is unknown.
func (l *List) Method(identity string) (eap.Type, bool) {
	for _, m := range []eap.Type{eap.TypePSK, eap.TypeTLS} {
		if l.entries[key{identity, m}] != nil {
			return m, true
		}
	}
	return 0, false
}

// Key is the key of an identity, whether or not it may be used now; false if it
// has none.
func (l *List) Key(identity string) (PSK, bool) {
	e := l.entries[key{identity, eap.TypePSK}]
	if e == nil {
		return PSK{}, false
	}
	return e.PSK, true
}

// PSK is the key of an identity for the device at station.
func (l *List) PSK(identity, station string, now time.Time) (PSK, error) {
	e := l.entries[key{identity, eap.TypePSK}]
	if e == nil {
		return PSK{}, fmt.Errorf("%w: %q", ErrUnknown, identity)
	}
	if err := e.valid(now, station); err != nil {
		return PSK{}, err
	}
	return e.PSK, nil
}

// Certificate says whether a certificate with these names may be used by the
// device at station, and by which identity; the error says why not.
func (l *List) Certificate(names []string, station string, now time.Time) (string, error) {
	var refused error
	for _, name := range append(slices.Clone(names), Anybody) {
		e := l.entries[key{name, eap.TypeTLS}]
		if e == nil {
			continue
		}
		err := e.valid(now, station)
		if err == nil {
			if name == Anybody && len(names) > 0 {
				name = names[0]
			}
			return name, nil
		}
		refused = cmp.Or(refused, err)
	}
	return "", cmp.Or(refused, fmt.Errorf("%w: a certificate for %q", ErrUnknown, names))
}

// Tried notes how an attempt ended. An identity that has no entry leaves no
// trace: who is not known fills no memory.
func (l *List) Tried(identity string, m eap.Type, a Attempt) {
	e := l.entries[key{identity, m}]
	if e == nil && m == eap.TypeTLS {
		e = l.entries[key{Anybody, m}]
	}
	if e != nil {
		e.Last = a
	}
}

// stored is an Entry on the disk.
type stored struct {
	Identity string    `json:"identity"`
	Method   uint8     `json:"method"`
	PSK      string    `json:"psk,omitempty"`
	EUI64    string    `json:"eui64,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	Added    time.Time `json:"added"`
	Last     *Attempt  `json:"last,omitempty"`
}

// Marshal returns the list with its secrets, for a file that nobody else reads.
func (l *List) Marshal() ([]byte, error) {
	list := make([]stored, 0, len(l.entries))
	for _, e := range l.Entries() {
		s := stored{Identity: e.Identity, Method: uint8(e.Method), Until: e.Until, Added: e.Added}
		if e.Method == eap.TypePSK {
			s.PSK = hex.EncodeToString(e.PSK.key[:])
		}
		if e.EUI64 != nil {
			s.EUI64 = e.EUI64.String()
		}
		if !e.Last.At.IsZero() {
			s.Last = &e.Last
		}
		list = append(list, s)
	}
	return json.Marshal(list)
}

// Unmarshal reads what Marshal wrote.
func Unmarshal(b []byte) (*List, error) {
	var list []stored
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, errors.New("enrol: the stored credentials are damaged") // the error could quote a secret
	}
	l := NewList()
	for i, s := range list {
		e := Entry{Identity: s.Identity, Method: eap.Type(s.Method), Until: s.Until, Added: s.Added}
		var err error
		if s.PSK != "" {
			if e.PSK, err = ParsePSK(s.PSK); err != nil {
				return nil, fmt.Errorf("enrol: stored credential %d: %w", i+1, err)
			}
		}
		if s.EUI64 != "" {
			a, err := ieee802154.ParseExtAddr(s.EUI64)
			if err != nil {
				return nil, fmt.Errorf("enrol: stored credential %d: %w", i+1, err)
			}
			e.EUI64 = &a
		}
		if s.Last != nil {
			e.Last = *s.Last
		}
		if err := l.Add(e, false); err != nil {
			return nil, fmt.Errorf("enrol: stored credential %d: %w", i+1, err)
		}
	}
	return l, nil
}
