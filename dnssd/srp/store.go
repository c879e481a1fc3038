package srp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gatewayd/dnssd"
)

// Store keeps registrations over a restart, one record for each host. Each call
// returns when it is done. A store.Table is one.
type Store interface {
	Put(key, value []byte) error // replaces what there is of key
	Delete(key []byte) error     // no error if there is none
	Each(f func(key, value []byte) error) error
}

// noStore is a Store of nothing.
type noStore struct{}

func (noStore) Put(key, value []byte) error              { return nil }
func (noStore) Delete([]byte) error                      { return nil }
func (noStore) Each(func(key, value []byte) error) error { return nil }

// storedHost is a host in the Store. Field names are what is on disks: they
// stay.
type storedHost struct {
	Name      string          `json:"name"`
	Key       []byte          `json:"key"`
	Addrs     []netip.Addr    `json:"addrs,omitempty"`
	TTL       time.Duration   `json:"ttl,omitempty"`
	From      netip.AddrPort  `json:"from"`
	Lease     time.Duration   `json:"lease"`
	KeyLease  time.Duration   `json:"keyLease"`
	Short     bool            `json:"short,omitempty"`
	Expires   time.Time       `json:"expires,omitzero"`
	KeyExpiry time.Time       `json:"keyExpiry"`
	Services  []storedService `json:"services,omitempty"`
}

type storedService struct {
	Instance  string        `json:"instance"`
	Type      string        `json:"type"`
	Subtypes  []string      `json:"subtypes,omitempty"`
	Priority  uint16        `json:"priority,omitempty"`
	Weight    uint16        `json:"weight,omitempty"`
	Port      uint16        `json:"port,omitempty"`
	TXT       []byte        `json:"txt,omitempty"`
	TTL       time.Duration `json:"ttl,omitempty"`
	Expires   time.Time     `json:"expires,omitzero"`
	KeyExpiry time.Time     `json:"keyExpiry"`
}

// save puts a host into the Store. If that fails, the registration holds until
// the next restart.
func (s *Server) save(h *host) {
	v := storedHost{
		Name: h.name, Key: h.key[:], Addrs: h.addrs, TTL: h.ttl, From: h.from,
		Lease: h.lease.lease, KeyLease: h.lease.key, Short: h.lease.short,
		Expires: h.expires, KeyExpiry: h.keyExpiry,
	}
	for _, x := range h.services {
		v.Services = append(v.Services, storedService{
			x.Instance, x.Type, x.Subtypes, x.Priority, x.Weight, x.Port, x.TXT, x.TTL, x.expires, x.keyExpiry,
		})
	}
	b, err := json.Marshal(v)
	if err == nil {
		err = s.cfg.Store.Put([]byte(dnssd.Fold(h.name)), b)
	}
	if err != nil {
		s.tell(Event{Kind: StoreFailed, Host: dnssd.Host{Name: h.name}, Err: fmt.Errorf("srp: keeping host %q: %w", h.name, err)})
	}
}

// forget takes a host out of the Store.
func (s *Server) forget(h *host) {
	if err := s.cfg.Store.Delete([]byte(dnssd.Fold(h.name))); err != nil {
		s.tell(Event{Kind: StoreFailed, Host: dnssd.Host{Name: h.name}, Err: fmt.Errorf("srp: removing host %q: %w", h.name, err)})
	}
}

// load takes in what the Store has. Leases went on while the Server was away.
func (s *Server) load() error {
	err := s.cfg.Store.Each(func(key, value []byte) error {
		h, err := decodeStored(value)
		if err == nil {
			err = s.restore(h)
		}
		if err != nil {
			s.tell(Event{Kind: RecordBroken, Host: dnssd.Host{Name: string(key)}, Err: err})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("srp: reading the stored registrations: %w", err)
	}
	s.expire()
	return nil
}

// restore puts in a host that was stored.
func (s *Server) restore(h *host) error {
	if s.regs.hosts[dnssd.Fold(h.name)] != nil {
		return fmt.Errorf("srp: stored host %q is there twice", h.name)
	}
	if len(s.regs.hosts) >= s.cfg.MaxHosts || len(s.regs.instances)+len(h.services) > s.cfg.MaxServices {
		return fmt.Errorf("%w: stored host %q", ErrFull, h.name)
	}
	// A crash between two writes leaves a service that moved on both hosts.
	h.services = slices.DeleteFunc(h.services, func(x *service) bool {
		return s.regs.instances[instanceKey(x.Instance, x.Type)] != nil
	})
	s.regs.add(h)
	return nil
}

var errStored = errors.New("srp: a stored registration is damaged")

func decodeStored(b []byte) (*host, error) {
	var v storedHost
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("%w: %w", errStored, err)
	}
	if !isLabel(v.Name) || v.KeyExpiry.IsZero() {
		return nil, errStored
	}
	k, err := decodeKey(v.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStored, err)
	}
	h := &host{
		name: v.Name, key: k, addrs: v.Addrs, ttl: v.TTL, from: v.From,
		lease:   lease{v.Lease, v.KeyLease, v.Short},
		expires: v.Expires, keyExpiry: v.KeyExpiry,
	}
	seen := map[string]bool{}
	for _, x := range v.Services {
		k := instanceKey(x.Instance, x.Type)
		typ := dnssd.SplitName(x.Type)
		if !isLabel(x.Instance) || len(typ) != 2 || !isType(typ) || x.KeyExpiry.IsZero() || seen[k] {
			return nil, errStored
		}
		if !x.Expires.IsZero() && (len(x.TXT) == 0 || v.Expires.IsZero()) {
			return nil, errStored
		}
		seen[k] = true
		h.services = append(h.services, &service{
			Service:   dnssd.Service{Instance: x.Instance, Type: x.Type, Subtypes: x.Subtypes, Priority: x.Priority, Weight: x.Weight, Port: x.Port, TXT: x.TXT, TTL: x.TTL},
			host:      h,
			expires:   x.Expires,
			keyExpiry: x.KeyExpiry,
		})
	}
	return h, nil
}

func isLabel(l string) bool { return l != "" && len(l) <= dnssd.MaxLabel && isText(l) }
