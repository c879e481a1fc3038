package srp

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/dnssd"
)

// Ports where the server may be: the first is asked for, the others are for
// when it is taken or clients must notice that a server is a new one. Clients
// learn the port from network data.
const (
	FirstPort = 53535
	LastPort  = 53554
)

// Implementation constants.
const (
	defaultMaxHosts    = 10_000
	defaultMaxServices = 20_000
	defaultPerSource   = 512
	maxServicesPerHost = 256
	maxAddrsPerHost    = 16
	// maxMessage is the longest update that is looked at.
	maxMessage = 4096
	// An answer is given again to who repeats a message within repeatTime, while
	// it is among the last repeats ones.
	repeats    = 64
	repeatTime = 10 * time.Second
)

// Config is a Server's. Clock is required.
type Config struct {
	Clock *alarm.Clock
	// Domain is where names are registered; "" is default.service.arpa.
	// Updates of default.service.arpa. are taken in any case.
	Domain string
	// Accept says which further zones updates may be of; nil is none. All zones
	// are one: what is registered in one is found in all of them.
	Accept func(zone string) bool
	// Allow says who may register (RFC 9665 Section 6.1); nil is everybody.
	Allow  func(from netip.Addr) bool
	Bounds Bounds // zeroes are defaults
	// MaxHosts and MaxServices bound what is kept, names only included; 0 are
	// 10 000 and 20 000.
	MaxHosts, MaxServices int
	// MaxPerSource bounds hosts and services that one address registers, so that
	// others find room; 0 is 512.
	MaxPerSource int
	Store        Store // nil: registrations end with the Server
	// Notify, if not nil, is told what happens. It must not call the Server.
	Notify func(Event)
}

// EventKind is what an Event is about.
type EventKind uint8

// The kinds.
const (
	HostUpdated  EventKind = iota // registered, or something of it changed
	HostRenewed                   // its leases, and nothing else
	HostRemoved                   // by itself, or its lease ended
	Refused                       // an update: Err says why
	StoreFailed                   // Err is the Store's
	RecordBroken                  // in the Store: Err says why
)

var eventNames = [...]string{"updated", "renewed", "removed", "refused", "store failed", "record broken"}

func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something that happened to a host.
type Event struct {
	Kind EventKind
	// Host is the whole of an updated or renewed host. Of others it has the name,
	// if that is known.
	Host dnssd.Host
	From netip.AddrPort // of an update
	Err  error
}

// Counters are of updates since the Server began.
type Counters struct {
	Updates    uint64 // that were granted
	Repeated   uint64 // answered again
	Malformed  uint64
	Refused    uint64 // not what RFC 9665 allows, or from somebody who may not
	Signatures uint64 // of the refused ones, for their signature
	Conflicts  uint64 // a name was another key's
	Full       uint64 // no room
	Ignored    uint64 // not updates at all
	Expired    uint64 // hosts and services whose lease ended
}

// Server keeps what devices register. Its methods must not be called
// concurrently.
type Server struct {
	cfg     Config
	domain  []string
	regs    registry
	timer   *alarm.Timer
	subs    map[int]func(Event)
	nextSub int
	cache   [repeats]answer
	nextOut int
	count   Counters
}

// answer is one that was given.
type answer struct {
	from   netip.AddrPort
	digest [sha256.Size]byte
	reply  []byte
	at     time.Time
}

// New makes a Server with what its Store remembers.
func New(c Config) (*Server, error) {
	if c.Clock == nil {
		return nil, errors.New("srp: a Server needs a Clock")
	}
	if c.Domain == "" {
		c.Domain = dnssd.DefaultDomain
	}
	if err := c.Bounds.fill(); err != nil {
		return nil, err
	}
	if c.MaxHosts == 0 {
		c.MaxHosts = defaultMaxHosts
	}
	if c.MaxServices == 0 {
		c.MaxServices = defaultMaxServices
	}
	if c.MaxPerSource == 0 {
		c.MaxPerSource = defaultPerSource
	}
	if c.MaxHosts < 0 || c.MaxServices < 0 || c.MaxPerSource < 0 {
		return nil, errors.New("srp: the numbers of hosts and services must not be negative")
	}
	if c.Notify == nil {
		c.Notify = func(Event) {}
	}
	if c.Store == nil {
		c.Store = noStore{}
	}
	s := &Server{
		cfg:    c,
		domain: dnssd.SplitName(c.Domain),
		regs:   newRegistry(),
		subs:   map[int]func(Event){},
	}
	s.timer = c.Clock.NewTimer(s.expire)
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// Domain is where names are registered, absolute.
func (s *Server) Domain() string { return dnssd.JoinName(s.domain...) }

// Counters are what has been counted.
func (s *Server) Counters() Counters { return s.count }

// Subscribe has f told of hosts that are updated, renewed and removed, until
// cancel is called. f must not call the Server, except for its look-ups.
func (s *Server) Subscribe(f func(Event)) (cancel func()) {
	id := s.nextSub
	s.nextSub++
	s.subs[id] = f
	return func() { delete(s.subs, id) }
}

// tell tells subscribers, in the order in which they subscribed.
func (s *Server) tell(e Event) {
	s.cfg.Notify(e)
	for id := range s.nextSub {
		if f := s.subs[id]; f != nil {
			f(e)
		}
	}
}

// Receive takes a datagram and returns what to answer, or nil. The time is the
// Clock's.
func (s *Server) Receive(from netip.AddrPort, b []byte) (reply []byte) {
	h, err := decodeHeader(b)
	if err != nil || h.flags&flagResponse != 0 || h.flags&opcodeMask != opcodeUpdate {
		s.count.Ignored++ // no answer that could be answered in turn
		return nil
	}
	if len(b) > maxMessage {
		return s.refuse(from, h, "", &DecodeError{"message", maxMessage, ErrSurplus})
	}
	digest := sha256.Sum256(b)
	if reply := s.repeated(from, digest); reply != nil {
		s.count.Repeated++
		return reply
	}
	reply = s.handle(from, h, b)
	for i := range s.cache {
		if s.cache[i].from == from {
			s.cache[i] = answer{} // what came before is over
		}
	}
	s.cache[s.nextOut] = answer{from, digest, reply, s.cfg.Clock.Now()}
	s.nextOut = (s.nextOut + 1) % repeats
	return reply
}

// repeated finds the answer to a message that came before.
func (s *Server) repeated(from netip.AddrPort, digest [sha256.Size]byte) []byte {
	for i := range s.cache {
		a := &s.cache[i]
		if a.reply != nil && a.from == from && a.digest == digest && s.cfg.Clock.Now().Sub(a.at) < repeatTime {
			return a.reply
		}
	}
	return nil
}

func (s *Server) handle(from netip.AddrPort, h header, b []byte) []byte {
	if s.cfg.Allow != nil && !s.cfg.Allow(from.Addr()) {
		return s.refuse(from, h, "", ErrSource)
	}
	u, err := decodeUpdate(b, h, s.isZone)
	if err != nil {
		return s.refuse(from, h, "", err)
	}
	// Whose name it is, before the signature: a client with a new key learns
	// that it must choose another name (RFC 9665 Section 3.3.3).
	if err := s.conflict(u); err != nil {
		return s.refuse(from, h, u.host, err)
	}
	if err := u.sig.verify(u.key, s.cfg.Clock.Now()); err != nil {
		s.count.Signatures++
		return s.refuse(from, h, u.host, err)
	}
	granted := s.cfg.Bounds.grant(u.asked)
	if err := s.apply(from, u, granted); err != nil {
		return s.refuse(from, h, u.host, err)
	}
	s.count.Updates++
	s.schedule()
	return appendReply(nil, h.id, NoError, &granted)
}

// isZone reports whether a zone is one of the server's.
func (s *Server) isZone(zone []string) bool {
	if sameName(zone, s.domain) || sameName(zone, defaultDomain) {
		return true
	}
	return s.cfg.Accept != nil && s.cfg.Accept(dnssd.JoinName(zone...))
}

var defaultDomain = dnssd.SplitName(dnssd.DefaultDomain)

// RCode is the code of an answer (RFC 1035 Section 4.1.1, RFC 2136 Section
// 2.2).
type RCode uint8

// The codes that the server answers with.
const (
	NoError  RCode = 0
	FormErr  RCode = 1
	ServFail RCode = 2
	Refuse   RCode = 5
	YXDomain RCode = 6
	NotAuth  RCode = 9
)

// Why an update that could be read is refused, besides what is wrong in itself.
var (
	ErrSource   = errors.New("srp: from somebody who may not register")
	ErrConflict = errors.New("srp: the name is another key's")
	ErrFull     = errors.New("srp: no room for more registrations")
	ErrTooMany  = errors.New("srp: too many addresses or services on one host, or names from one address")
)

// refuse counts, tells and answers what is wrong with an update, of a host if
// that is known.
func (s *Server) refuse(from netip.AddrPort, h header, host string, err error) []byte {
	code := Refuse
	var broken *DecodeError
	switch {
	case errors.As(err, &broken):
		code = FormErr
		s.count.Malformed++
	case errors.Is(err, ErrConflict):
		code = YXDomain
		s.count.Conflicts++
	case errors.Is(err, ErrFull), errors.Is(err, ErrTooMany):
		code = ServFail
		s.count.Full++
	case errors.Is(err, ErrZone):
		code = NotAuth
		s.count.Refused++
	default:
		s.count.Refused++
	}
	s.tell(Event{Kind: Refused, Host: dnssd.Host{Name: host}, From: from, Err: err})
	return appendReply(nil, h.id, code, nil)
}

// Bounds are the shortest and longest of what the server grants.
func (s *Server) Bounds() Bounds { return s.cfg.Bounds }

// SetBounds changes them, for what is granted from now on.
func (s *Server) SetBounds(b Bounds) error {
	if err := b.fill(); err != nil {
		return err
	}
	s.cfg.Bounds = b
	return nil
}
