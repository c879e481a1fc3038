// Package register is the client of SRP (RFC 9665): it registers a host and its
// services, renews them before their leases end, and takes them back.
//
// Each update has everything of the host (Section 3.2.3); which server it goes
// to is for others to say. Updates are signed by SIG(0) with a key of P-256
// (Section 6), without times.
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package register

import (
	"crypto/ecdsa"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"gatewayd/alarm"
	"gatewayd/dnssd"
)

// Defaults and implementation constants, those of OpenThread's client.
const (
	DefaultLease    = 2 * time.Hour
	DefaultKeyLease = 14 * 24 * time.Hour

	leastDelay = 10 * time.Millisecond // before an update, to gather changes
	mostDelay  = 700 * time.Millisecond
	firstRetry = 1800 * time.Millisecond
	lastRetry  = time.Hour
	renewAhead = 2 * time.Minute // at most; of short leases a tenth

	maxServices  = 16
	maxAddresses = 10
	maxMessage   = 1232 // what goes in a datagram of the mesh
)

// Errors.
var (
	ErrState      = errors.New("register: not now: the host is registered, or being removed")
	ErrInvalid    = errors.New("register: that is no name, or no service")
	ErrExists     = errors.New("register: there is such a service")
	ErrFull       = errors.New("register: no room for more")
	ErrNotFound   = errors.New("register: there is no such service")
	ErrDuplicated = errors.New("register: the name is another's")
	ErrRefused    = errors.New("register: the server refuses")
)

// State is what has become of a host or a service.
type State uint8

// The states.
const (
	ToAdd State = iota
	Adding
	ToRefresh
	Refreshing
	ToRemove
	Removing
	Registered
	Removed
)

// String names the state.
func (s State) String() string {
	return [...]string{"ToAdd", "Adding", "ToRefresh", "Refreshing", "ToRemove", "Removing", "Registered", "Removed"}[s]
}

// sent is the state of what is in an update, settled that after its success.
func (s State) sent() State {
	switch s {
	case ToAdd, ToRefresh, ToRemove:
		return s + 1
	case Registered:
		return Refreshing
	}
	return s
}

// failed is the state of what was in an update that failed.
func (s State) failed() State {
	switch s {
	case Adding, Refreshing, Removing:
		return s - 1
	}
	return s
}

// changed is the state of what is to be said anew.
func (s State) changed() State {
	switch s {
	case ToAdd, Adding, Removed:
		return ToAdd
	}
	return ToRefresh
}

// Host is the host; without a Name there is none.
type Host struct {
	Name  string // one label
	Addrs []netip.Addr
	Auto  bool // Addrs are those of Config.Addresses
	State State
}

// Service is a service of the host.
type Service struct {
	dnssd.Service
	State State
}

// Config is what a Client needs. Changed may be nil.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	// Random is for signatures, Key what they are made with.
	Random    io.Reader
	Key       *ecdsa.PrivateKey
	Send      func(to netip.AddrPort, b []byte)
	Addresses func() []netip.Addr
	// Changed is told how an update ended, and which services it removed.
	Changed func(err error, removed []Service)
}

// A Client is the machine.
type Client struct {
	cfg      Config
	Lease    time.Duration // asked for; the server grants
	KeyLease time.Duration
	TTL      time.Duration // of records; 0: the lease
	server   netip.AddrPort
	host     Host
	services []Service
	keepKey  bool // of a host that is removed
	timer    *alarm.Timer
	id       uint16
	pending  bool // an update
	again    bool // something changed since it was sent
	retry    time.Duration
}

// New returns a Client without a server.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg, Lease: DefaultLease, KeyLease: DefaultKeyLease, host: Host{State: Removed}, id: uint16(cfg.Rand.Uint32()), retry: firstRetry}
	c.timer = cfg.Clock.NewTimer(c.due)
	return c
}

// Server is where updates go; not valid while there is none.
func (c *Client) Server() netip.AddrPort { return c.server }

// Start has updates go to a server. What was registered with another one is
// registered with this one.
func (c *Client) Start(server netip.AddrPort) {
	if server == c.server {
		return
	}
	c.Stop()
	c.server = server
	c.soon()
}

// Stop ends that. The server keeps what it has until the leases end.
func (c *Client) Stop() {
	c.server = netip.AddrPort{}
	c.pending, c.again, c.retry = false, false, firstRetry
	c.timer.Stop()
	renew := func(s *State) {
		if *s = s.failed(); *s == Registered {
			*s = ToRefresh
		}
	}
	renew(&c.host.State)
	for i := range c.services {
		renew(&c.services[i].State)
	}
}

// Host is the host as it is.
func (c *Client) Host() Host {
	h := c.host
	h.Addrs = slices.Clone(h.Addrs)
	return h
}

// Services are those of the host.
func (c *Client) Services() []Service { return slices.Clone(c.services) }

// SetHostName names the host: before it is registered, or after it was removed.
func (c *Client) SetHostName(name string) error {
	if len(name) == 0 || len(name) > 63 {
		return ErrInvalid
	}
	if c.host.State != Removed && c.host.State != ToAdd {
		return ErrState
	}
	c.host.Name, c.host.State = name, ToAdd
	c.soon()
	return nil
}

// SetAddresses gives the host its addresses.
func (c *Client) SetAddresses(list []netip.Addr) error {
	switch {
	case len(list) == 0:
		return ErrInvalid
	case len(list) > maxAddresses:
		return ErrFull
	case c.removing():
		return ErrState
	}
	c.host.Addrs, c.host.Auto = slices.Clone(list), false
	c.changed()
	return nil
}

// SetAutoAddress has the host's addresses follow Config.Addresses.
func (c *Client) SetAutoAddress() error {
	if c.removing() {
		return ErrState
	}
	c.host.Auto = true
	c.AddressesChanged()
	return nil
}

// AddressesChanged is to be called when Config.Addresses may return others.
func (c *Client) AddressesChanged() {
	if !c.host.Auto || c.removing() {
		return
	}
	now := c.cfg.Addresses()
	if now = now[:min(len(now), maxAddresses)]; !slices.Equal(now, c.host.Addrs) {
		c.host.Addrs = slices.Clone(now)
		c.changed()
	}
}

func (c *Client) removing() bool { return c.host.State == ToRemove || c.host.State == Removing }

// changed has the host said anew.
func (c *Client) changed() {
	if c.host.Name != "" {
		c.host.State = c.host.State.changed()
	}
	c.soon()
}

// AddService adds a service.
func (c *Client) AddService(s dnssd.Service) error {
	switch typ := dnssd.SplitName(s.Type); {
	case len(s.Instance) == 0 || len(s.Instance) > 63 || len(typ) != 2:
		return ErrInvalid
	case c.find(s.Instance, s.Type) != nil:
		return ErrExists
	case len(c.services) >= maxServices:
		return ErrFull
	}
	c.services = append(c.services, Service{Service: s})
	c.soon()
	return nil
}

func (c *Client) find(instance, typ string) *Service {
	for i := range c.services {
		if s := &c.services[i]; s.Instance == instance && dnssd.Fold(s.Type) == dnssd.Fold(typ) {
			return s
		}
	}
	return nil
}

// RemoveService takes a service back from the server.
func (c *Client) RemoveService(instance, typ string) error {
	s := c.find(instance, typ)
	switch {
	case s == nil:
		return ErrNotFound
	case s.State == ToAdd:
		return c.ClearService(instance, typ)
	}
	s.State = ToRemove
	c.soon()
	return nil
}

// ClearService forgets a service; the server keeps it until its lease ends.
func (c *Client) ClearService(instance, typ string) error {
	s := c.find(instance, typ)
	if s == nil {
		return ErrNotFound
	}
	c.services = slices.DeleteFunc(c.services, func(x Service) bool { return x.Instance == s.Instance && x.Type == s.Type })
	return nil
}

// RemoveHost takes host and services back from the server, and the host's name
// too if it is told so. With always it does so even of what may not be
// registered.
func (c *Client) RemoveHost(name, always bool) error {
	if c.host.Name == "" || c.host.State == Removed {
		return ErrState
	}
	c.keepKey = !name
	if c.host.State == ToAdd && !always {
		removed := c.services
		c.ClearHost()
		c.tell(nil, removed)
		return nil
	}
	c.host.State = ToRemove
	for i := range c.services {
		c.services[i].State = ToRemove
	}
	c.soon()
	return nil
}

// ClearHost forgets host and services; the server keeps them until their leases
// end.
func (c *Client) ClearHost() {
	c.host, c.services = Host{State: Removed}, nil
	c.pending, c.again = false, false
	c.timer.Stop()
}

// soon sends an update when what changes now has changed.
func (c *Client) soon() {
	if c.pending {
		c.again = true
		return
	}
	if c.server.IsValid() {
		c.timer.StartEarlier(leastDelay + time.Duration(c.cfg.Rand.Int64N(int64(mostDelay-leastDelay))))
	}
}

// wanted reports whether there is anything to say.
func (c *Client) wanted() bool {
	if !c.server.IsValid() || c.host.Name == "" || c.host.State == Removed {
		return false
	}
	return c.removing() || len(c.host.Addrs) > 0 && len(c.services) > 0
}

// due sends an update: because of changes, because a lease ends, or once more.
func (c *Client) due() {
	if !c.wanted() {
		return
	}
	if c.pending { // nobody answered
		c.pending = false
		c.retry = min(c.retry*17/10, lastRetry)
	}
	u := update{host: c.host, lease: c.Lease, key: max(c.KeyLease, c.Lease), ttl: c.TTL}
	if u.ttl == 0 || u.ttl > c.Lease {
		u.ttl = c.Lease
	}
	c.host.State = c.host.State.sent()
	for i := range c.services {
		s := &c.services[i]
		switch s.State = s.State.sent(); {
		case c.host.State == Removing: // goes with the host
		case s.State == Removing:
			u.removed = append(u.removed, *s)
		default:
			u.services = append(u.services, *s)
		}
	}
	if c.host.State == Removing {
		u.lease = 0
		if !c.keepKey {
			u.key = 0
		}
	}
	c.id++
	u.id = c.id
	b, err := u.append(c.cfg.Key, c.cfg.Random)
	if err == nil && len(b) > maxMessage {
		err = ErrFull
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.pending, c.again = true, false
	c.timer.Start(c.retry + time.Duration(c.cfg.Rand.Int64N(int64(c.retry/4))))
	c.cfg.Send(c.server, b)
}

// fail ends an update that came to nothing. It is tried again later.
func (c *Client) fail(err error) {
	c.pending = false
	c.host.State = c.host.State.failed()
	for i := range c.services {
		c.services[i].State = c.services[i].State.failed()
	}
	c.timer.Start(c.retry)
	c.retry = min(c.retry*17/10, lastRetry)
	c.tell(err, nil)
}

// Receive takes an answer.
func (c *Client) Receive(from netip.AddrPort, b []byte) {
	if !c.pending || from.Port() != c.server.Port() {
		return
	}
	id, code, lease, ok := reply(b)
	if !ok || id != c.id {
		return
	}
	switch code {
	case dns.RcodeSuccess:
	case dns.RcodeYXDomain:
		c.fail(ErrDuplicated)
		return
	default:
		c.fail(ErrRefused)
		return
	}
	c.pending, c.retry = false, firstRetry
	if lease == 0 {
		lease = c.Lease // as asked for (RFC 9664 Section 4.3)
	}
	var removed []Service
	if c.host.State == Removing {
		removed = c.services
		c.host, c.services = Host{State: Removed}, nil
	} else {
		settle := func(s *State) {
			if *s == Adding || *s == Refreshing {
				*s = Registered
			}
		}
		settle(&c.host.State)
		c.services = slices.DeleteFunc(c.services, func(s Service) bool {
			if s.State == Removing {
				removed = append(removed, s)
			}
			return s.State == Removing
		})
		for i := range c.services {
			settle(&c.services[i].State)
		}
	}
	for i := range removed {
		removed[i].State = Removed
	}
	c.timer.Stop()
	switch {
	case c.again:
		c.again = false
		c.soon()
	case c.wanted():
		c.timer.Start(lease - min(renewAhead, lease/10) - time.Duration(c.cfg.Rand.Int64N(int64(lease/20)+1)))
	}
	c.tell(nil, removed)
}

func (c *Client) tell(err error, removed []Service) {
	if c.cfg.Changed != nil {
		c.cfg.Changed(err, removed)
	}
}
