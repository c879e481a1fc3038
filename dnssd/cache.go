package dnssd

import (
	"time"

	"github.com/miekg/dns"
)

// Implementation constants of the cache.
const (
	maxCacheTTL  = time.Hour
	maxCacheSize = 1232 // bytes of one answer
)

// cacheKey is what an answer depends on.
type cacheKey struct {
	name   string // folded
	typ    uint16
	do, cd bool
}

// cached is an answer, as bytes since those can be counted.
type cached struct {
	packed      []byte
	at, expires time.Time
}

// answerCache keeps answers, the latest ones if there are too many.
type answerCache struct {
	size    int
	answers map[cacheKey]*cached
	order   []cacheKey // oldest first
}

func (c *answerCache) clear() {
	clear(c.answers)
	c.order = nil
}

// get returns an answer with the times to live that are left, or nil.
func (c *answerCache) get(k cacheKey, now time.Time) *dns.Msg {
	a := c.answers[k]
	if a == nil || !now.Before(a.expires) {
		return nil
	}
	m := &dns.Msg{}
	if m.Unpack(a.packed) != nil {
		return nil
	}
	age := uint32(now.Sub(a.at) / time.Second)
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			h := rr.Header()
			h.Ttl -= min(age, h.Ttl)
		}
	}
	return m
}

// put keeps an answer for as long as it may be.
func (c *answerCache) put(k cacheKey, m *dns.Msg, now time.Time) {
	ttl := lifetime(m)
	if ttl <= 0 || c.size == 0 || m.Truncated {
		return
	}
	m.Compress = true
	b, err := m.Pack()
	if err != nil || len(b) > maxCacheSize {
		return
	}
	if c.answers[k] == nil {
		if len(c.order) >= c.size {
			delete(c.answers, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, k)
	}
	c.answers[k] = &cached{b, now, now.Add(ttl)}
}

// lifetime is for how long an answer holds; 0 if it must not be kept.
func lifetime(m *dns.Msg) time.Duration {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return 0
	}
	ttl := uint32(maxCacheTTL / time.Second)
	for _, rr := range m.Answer {
		ttl = min(ttl, rr.Header().Ttl)
	}
	if len(m.Answer) == 0 {
		soa := findSOA(m)
		if soa == nil {
			return 0 // RFC 2308 Section 5
		}
		ttl = min(ttl, soa.Hdr.Ttl, soa.Minttl)
	}
	return time.Duration(ttl) * time.Second
}

// findSOA is the record of a negative answer that says for how long it holds.
func findSOA(m *dns.Msg) *dns.SOA {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}
