package dhcp6

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"gatewayd/alarm"
)

// UDP ports (RFC 8415 Section 7.2).
const (
	ClientPort = 546
	ServerPort = 547
)

// Where clients, and relay agents, send to (RFC 8415 Section 7.1). A server
// listens to both.
var (
	AllServersAndRelays = netip.MustParseAddr("ff02::1:2")
	AllServers          = netip.MustParseAddr("ff05::1:3")
)

// Specification constants.
const (
	maxDUID  = 130                      // RFC 8415 Section 11.1
	hopLimit = 8                        // Section 7.6, HOP_COUNT_LIMIT
	infinity = 0xffffffff * time.Second // Section 7.7
)

// Implementation constants.
const (
	defaultPreferred  = time.Hour
	defaultValid      = 2 * time.Hour
	defaultQuarantine = 24 * time.Hour
	defaultMaxLeases  = 10_000
	// perClient is how many addresses one client may have.
	perClient = 16
	// Of all leases at most one in declinedShare is of a declined address.
	declinedShare = 4
	// sweepPause bounds how often expired leases are looked for.
	sweepPause = time.Second
)

// Config is a Server's. Clock and DUID are required.
type Config struct {
	Clock *alarm.Clock
	// DUID identifies the server: the same ever since, see DUIDFromEUI64.
	DUID []byte
	// Key makes addresses unpredictable; the same ever since. Nil is DUID.
	Key   []byte
	Store Store // nil: leases end with the Server
	Pools []Pool
	// Links are prefixes of the link besides those of the pools, from which
	// relay agents' link addresses may be.
	Links []netip.Prefix
	// Taken reports addresses that somebody has without a lease; nil is nobody.
	Taken func(netip.Addr) bool

	Preferred, Valid time.Duration // lifetimes of addresses; 0 are 1 h and 2 h
	Quarantine       time.Duration // of declined addresses; 0 is 24 h
	MaxLeases        int           // 0 is 10 000

	Preference  uint8 // over other servers; 255: do not wait for them
	RapidCommit bool  // answer a Solicit that allows it with a Reply at once

	DNS     []netip.Addr  // recursive name servers
	Search  []string      // domains to search
	SNTP    []netip.Addr  // time servers
	Refresh time.Duration // when to ask again for those without an address; 0: not said

	// Notify, if not nil, is told what happens. It must not call the Server.
	Notify func(Event)
}

// EventKind is what an Event is about.
type EventKind uint8

// The kinds.
const (
	EventAssigned EventKind = iota
	EventRenewed
	EventReleased
	EventDeclined
	EventExpired
	EventWithdrawn // its prefix is not ours any more
	EventRefused   // no address for a client: Err says why
	EventStore     // Err is the Store's
	EventDiscarded // a message: Err says why
)

var eventNames = [...]string{"assigned", "renewed", "released", "declined", "expired", "withdrawn", "refused", "store", "discarded"}

func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something worth a line in a log.
type Event struct {
	Kind  EventKind
	Lease Lease // as far as there is one
	From  netip.Addr
	Err   error
}

// Why a client gets no address.
var (
	ErrFull      = errors.New("dhcp6: no room for more leases")
	ErrTooMany   = errors.New("dhcp6: the client has too many addresses")
	ErrNoAddress = errors.New("dhcp6: no address is free")
)

// Stats counts messages.
type Stats struct {
	Received  uint64
	Discarded uint64 // among them
	Replied   uint64
}

// Server is a DHCPv6 server for one link. Its expiry timer is on the Config's
// Clock.
type Server struct {
	cfg    Config
	server dhcpv6.DUID
	// retired are former prefixes of the link: relay agents may still have
	// addresses of them.
	retired []netip.Prefix
	leases  table
	expiry  *alarm.Timer
	stats   Stats
}

// NewServer returns a Server with the leases of its Store. The slices of cfg
// must not be changed afterwards.
func NewServer(cfg Config) (*Server, error) {
	setDefault(&cfg.Preferred, defaultPreferred)
	setDefault(&cfg.Valid, max(defaultValid, 2*cfg.Preferred))
	setDefault(&cfg.Quarantine, defaultQuarantine)
	setDefault(&cfg.MaxLeases, defaultMaxLeases)
	if cfg.Store == nil {
		cfg.Store = noStore{}
	}
	if cfg.Key == nil {
		cfg.Key = cfg.DUID
	}
	if cfg.Preferred > cfg.Valid || cfg.Valid > infinity {
		return nil, fmt.Errorf("dhcp6: lifetimes %v and %v: the first must not be longer than the second", cfg.Preferred, cfg.Valid)
	}
	duid, err := dhcpv6.DUIDFromBytes(cfg.DUID)
	if err != nil || len(cfg.DUID) > maxDUID {
		return nil, fmt.Errorf("dhcp6: server DUID %x is not one", cfg.DUID)
	}
	s := &Server{cfg: cfg, server: duid, leases: newTable()}
	s.cfg.Pools = nil
	s.expiry = cfg.Clock.NewTimer(s.expire)
	if err := s.SetPools(cfg.Pools); err != nil {
		return nil, err
	}
	return s, s.load()
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (s *Server) load() error {
	all, err := s.cfg.Store.Load()
	if err != nil {
		return fmt.Errorf("dhcp6: load leases: %w", err)
	}
	for _, l := range all {
		if len(s.leases.byAddr) >= s.cfg.MaxLeases || !l.Addr.Is6() || len(l.DUID) > maxDUID || s.leases.byAddr[l.Addr] != nil {
			continue
		}
		l.DUID = bytes.Clone(l.DUID)
		s.leases.add(&l)
	}
	s.expire()
	return nil
}

// SetPools changes what addresses are handed out of. Clients with addresses of
// other prefixes are told to give them up when they next ask.
func (s *Server) SetPools(pools []Pool) error {
	for _, p := range pools {
		if !p.Prefix.IsValid() || !p.Prefix.Addr().Is6() || p.Prefix.Bits() > 126 {
			return fmt.Errorf("dhcp6: %v is no prefix to hand out addresses of", p.Prefix)
		}
	}
	for _, p := range s.cfg.Pools {
		if !slices.Contains(s.retired, p.Prefix) {
			s.retired = append(s.retired, p.Prefix)
		}
	}
	// Who still has an address of more than that many ago?
	const keep = 8
	s.retired = s.retired[max(0, len(s.retired)-keep):]
	s.cfg.Pools = slices.Clone(pools)
	return nil
}

// SetServers changes the name and time servers that clients are told.
func (s *Server) SetServers(dns []netip.Addr, search []string, sntp []netip.Addr) {
	s.cfg.DNS, s.cfg.Search, s.cfg.SNTP = dns, search, sntp
}

// Leases is what there is, by address.
func (s *Server) Leases() []Lease { return s.leases.sorted() }

// Stats is the counts so far.
func (s *Server) Stats() Stats { return s.stats }

// DUIDFromEUI64 makes a DUID of a link-layer address (RFC 8415 Section 11.4).
func DUIDFromEUI64(eui64 [8]byte) []byte {
	const hwEUI64 = 27
	return append([]byte{0, byte(dhcpv6.DUID_LL), 0, hwEUI64}, eui64[:]...)
}

// pool is the one that an address is of, if it may be used now.
func (s *Server) pool(a netip.Addr) *Pool {
	for i := range s.cfg.Pools {
		p := &s.cfg.Pools[i]
		if p.Prefix.Contains(a) && (p.ValidUntil.IsZero() || p.ValidUntil.After(s.cfg.Clock.Now())) {
			return p
		}
	}
	return nil
}

// ours reports whether a relay agent's link address is of our link.
func (s *Server) ours(link netip.Addr) bool {
	has := func(p netip.Prefix) bool { return p.Contains(link) }
	return slices.ContainsFunc(s.cfg.Pools, func(p Pool) bool { return has(p.Prefix) }) ||
		slices.ContainsFunc(s.retired, has) || slices.ContainsFunc(s.cfg.Links, has)
}

// expire forgets leases whose time is over.
func (s *Server) expire() {
	now := s.cfg.Clock.Now()
	next := time.Time{}
	for _, l := range s.leases.byAddr {
		if !l.Valid.After(now) {
			s.drop(l, EventExpired)
		} else if next.IsZero() || l.Valid.Before(next) {
			next = l.Valid
		}
	}
	if !next.IsZero() {
		s.expiry.StartAt(later(next, now.Add(sweepPause)))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// keep makes a lease durable and known; false if the Store does not take it.
func (s *Server) keep(l Lease, kind EventKind) bool {
	if err := s.cfg.Store.Save(l); err != nil {
		s.notify(Event{Kind: EventStore, Lease: l, Err: fmt.Errorf("dhcp6: save the lease of %v: %w", l.Addr, err)})
		return false
	}
	if old := s.leases.byAddr[l.Addr]; old != nil {
		s.leases.remove(old)
	}
	s.leases.add(&l)
	if !s.expiry.Running() || l.Valid.Before(s.expiry.At()) {
		s.expiry.StartAt(later(l.Valid, s.cfg.Clock.Now().Add(sweepPause)))
	}
	s.notify(Event{Kind: kind, Lease: l})
	return true
}

// drop forgets a lease. What its Store keeps nevertheless ends by itself.
func (s *Server) drop(l *Lease, kind EventKind) {
	s.leases.remove(l)
	if err := s.cfg.Store.Delete(l.Addr); err != nil {
		s.notify(Event{Kind: EventStore, Lease: *l, Err: fmt.Errorf("dhcp6: delete the lease of %v: %w", l.Addr, err)})
	}
	s.notify(Event{Kind: kind, Lease: *l})
}

func (s *Server) notify(e Event) {
	if s.cfg.Notify != nil {
		s.cfg.Notify(e)
	}
}
