package dnssd

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"gatewayd/alarm"
)

// ResolverPort is where DNS is answered.
const ResolverPort = 53

// Implementation constants.
const (
	defaultMaxPending = 64
	defaultCacheSize  = 256
	// Of all queries that wait, one client has at most one in clientShare.
	clientShare = 4
	maxQuery    = 1232 // bytes of a query by datagram
	// maxUDP is the longest answer by datagram: what fits the smallest IPv6
	// packet.
	maxUDP    = 1232
	minUDP    = 512 // RFC 6891 Section 6.2.3
	maxStream = 65535
)

// Browser looks for services on the host's links, by multicast DNS. Names are
// labels without a domain. What it finds, in "local.", it tells by calling
// found, any number of times and perhaps before the method returns, until stop
// is called. Addresses are those of the link, of any scope and family.
type Browser interface {
	// Browse looks for instances of a type ("_hap._udp"), or, if subtype is not
	// "", of a subtype of it.
	Browse(typ, subtype string, found func(instance string, ttl time.Duration)) (stop func())
	// Resolve looks for an instance. What is found has one service, and its
	// host's addresses as far as they are known.
	Resolve(instance, typ string, found func(Host)) (stop func())
	// ResolveHost looks for addresses of a host.
	ResolveHost(name string, found func(Host)) (stop func())
}

// ResolverConfig is a Resolver's. Clock, Rand and Send are required.
type ResolverConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand // for the ids of forwarded queries: not to be guessed
	// Domains are the names of the registry's domain; nil is
	// default.service.arpa. alone.
	Domains  []string
	Registry Registry // nil: nothing is registered
	Browser  Browser  // nil: no other links are asked
	// Forward asks the resolvers of the host. It calls done, once, at any time,
	// from where the Resolver's methods are called; how it makes sure that the
	// answer comes from who was asked is its affair. Nil: other names than the
	// Domains' are refused.
	Forward func(query []byte, done func(answer []byte, err error))
	// Update is given DNS Updates and returns the answer, or nil; nil: they are
	// answered as not implemented. It is for a registry on the same port.
	Update func(from netip.AddrPort, b []byte) []byte
	// Send sends a datagram.
	Send func(to netip.AddrPort, b []byte)
	// MaxPending bounds the questions that wait for an answer; 0 is 64. A
	// quarter of them may be one client's, and another one those of streams.
	MaxPending int
	// CacheSize bounds the answers kept of forwarded questions; 0 is 256,
	// below 0 is none.
	CacheSize int
}

// ResolverCounters are of queries since the Resolver began.
type ResolverCounters struct {
	Queries       uint64 // that could be read
	Malformed     uint64 // messages that could not
	Repeated      uint64 // that were being answered already
	Overload      uint64 // not answered properly: too many were waiting
	FromRegistry  uint64
	FromLink      uint64 // answers with something found by multicast DNS
	Negative      uint64 // own answers that there is nothing
	Forwarded     uint64
	ForwardFailed uint64 // no answer, or one to something else
	FromCache     uint64
	Synthesised   uint64 // answers with addresses made by DNS64
	Refused       uint64
	Truncated     uint64
}

// Resolver answers DNS queries of a mesh: its own domain from what is
// registered and, as a discovery proxy, from what multicast DNS finds on other
// links; all else by asking the host's resolvers, with DNS64. Its methods must
// not be called concurrently.
type Resolver struct {
	cfg     ResolverConfig
	domains [][]string // folded labels
	nat64   netip.Prefix
	pending map[clientKey]*query // datagrams that wait for their answer
	waiting map[*query]bool      // those and streams'
	cache   answerCache
	count   ResolverCounters
}

// clientKey is how a client knows its query.
type clientKey struct {
	from netip.AddrPort
	id   uint16
}

// NewResolver makes a Resolver.
func NewResolver(c ResolverConfig) (*Resolver, error) {
	if c.Clock == nil || c.Rand == nil || c.Send == nil {
		return nil, errors.New("dnssd: a Resolver needs Clock, Rand and Send")
	}
	if len(c.Domains) == 0 {
		c.Domains = []string{DefaultDomain}
	}
	if c.MaxPending <= 0 {
		c.MaxPending = defaultMaxPending
	}
	if c.CacheSize == 0 {
		c.CacheSize = defaultCacheSize
	}
	r := &Resolver{
		cfg:     c,
		pending: map[clientKey]*query{},
		waiting: map[*query]bool{},
		cache:   answerCache{size: max(c.CacheSize, 0), answers: map[cacheKey]*cached{}},
	}
	for _, d := range c.Domains {
		labels := SplitName(Fold(d))
		if len(labels) == 0 {
			return nil, errors.New("dnssd: the root cannot be a Resolver's domain")
		}
		r.domains = append(r.domains, labels)
	}
	return r, nil
}

// SetNAT64 makes addresses of IPv4 hosts be told under a NAT64 prefix (RFC
// 6147), whose length is one that RFC 6052 Section 2.2 has; the zero Prefix is
// none.
func (r *Resolver) SetNAT64(p netip.Prefix) error {
	if p.IsValid() && !validNAT64(p) {
		return errors.New("dnssd: a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits: " + p.String())
	}
	if p != r.nat64 {
		r.nat64 = p
		r.cache.clear()
	}
	return nil
}

// ClearCache forgets what was forwarded, as is right when the host's resolvers
// are others.
func (r *Resolver) ClearCache() { r.cache.clear() }

// Counters are what has been counted.
func (r *Resolver) Counters() ResolverCounters { return r.count }

// Pending is how many queries wait for an answer.
func (r *Resolver) Pending() int { return len(r.waiting) }

// Receive takes a datagram. The answer is sent now or later.
func (r *Resolver) Receive(from netip.AddrPort, b []byte) {
	key := clientKey{from: from}
	if len(b) >= 2 {
		key.id = uint16(b[0])<<8 | uint16(b[1])
	}
	if r.pending[key] != nil {
		r.count.Repeated++
		return
	}
	if isUpdate(b) && r.cfg.Update != nil {
		if reply := r.cfg.Update(from, b); reply != nil {
			r.cfg.Send(from, reply)
		}
		return
	}
	q := &query{r: r, key: key, limit: maxUDP, reply: func(b []byte) { r.cfg.Send(from, b) }}
	if len(b) > maxQuery {
		r.count.Malformed++
		return
	}
	r.handle(q, b)
}

// ReceiveStream takes a message of a stream, without its length; see NextFrame.
// reply is called once, now or later, unless the message deserves no answer.
func (r *Resolver) ReceiveStream(b []byte, reply func(b []byte)) {
	r.handle(&query{r: r, stream: true, limit: maxStream, reply: reply}, b)
}

// Stop answers what is waiting with a failure.
func (r *Resolver) Stop() {
	for q := range r.waiting {
		q.fail(dns.RcodeServerFailure)
	}
}

const opcodeMask = 0x78 // in a header's third byte

func isUpdate(b []byte) bool {
	return len(b) >= 12 && b[2]&0x80 == 0 && b[2]&opcodeMask == dns.OpcodeUpdate<<3
}

// handle reads a query and begins to answer it.
func (r *Resolver) handle(q *query, b []byte) {
	if len(b) < 12 || b[2]&0x80 != 0 {
		r.count.Malformed++ // no answer: it might be answered in turn
		return
	}
	if err := q.msg.Unpack(b); err != nil {
		r.count.Malformed++
		q.msg = dns.Msg{}
		q.msg.Id = uint16(b[0])<<8 | uint16(b[1])
		q.msg.Opcode = int(b[2] & opcodeMask >> 3)
		q.fail(dns.RcodeFormatError)
		return
	}
	code := dns.RcodeNotImplemented
	if q.msg.Opcode == dns.OpcodeQuery {
		code = q.read()
	}
	if code == dns.RcodeFormatError {
		r.count.Malformed++
	} else {
		r.count.Queries++
	}
	if code != dns.RcodeSuccess {
		q.fail(code)
		return
	}
	if domain, labels, ok := r.inDomain(q.labels); ok {
		q.domain, q.labels = domain, labels
		q.local()
		return
	}
	r.elsewhere(q)
}

// inDomain splits a name into one of the own domains and what is before it.
func (r *Resolver) inDomain(name []string) (domain, labels []string, ok bool) {
	for _, d := range r.domains {
		if n := len(name) - len(d); n >= 0 && hasSuffix(name, d) {
			return name[n:], name[:n], true
		}
	}
	return nil, nil, false
}

// hasSuffix reports whether a name ends with folded labels.
func hasSuffix(name, suffix []string) bool {
	n := len(name) - len(suffix)
	if n < 0 {
		return false
	}
	for i, l := range suffix {
		if Fold(name[n+i]) != l {
			return false
		}
	}
	return true
}
