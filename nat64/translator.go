package nat64

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
)

// Translator is a stateful translator between a mesh and IPv4. It is for one
// goroutine, and so are the functions of its Config, which must not call it.
type Translator struct {
	cfg      Config
	prefix   prefix
	addr     [16]byte // of the translator itself
	table    table
	joiner   joiner
	timer    *alarm.Timer
	timeouts [numClasses]time.Duration
	lastID   uint16 // IPv4 identification
	counters Counters

	limit6, limit4 limiter // of errors for either side

	// Packets being made. Each is in use until what it holds has been taken, and a
	// packet between two hosts of the mesh is in both out4 and out6.
	out4, part4, error4 []byte
	out6, part6, error6 []byte
}

// New makes a Translator.
func New(cfg Config) (*Translator, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	pool := newPool(cfg.Pool)
	t := &Translator{
		cfg:    cfg,
		prefix: newPrefix(cfg.Prefix),
		table:  newTable(cfg.Limits.PerHost, pool),
		joiner: newJoiner(cfg.Limits, cfg.Timeouts.Fragment),
		lastID: uint16(cfg.Rand.Uint32()),
	}
	t.addr = t.prefix.embed(pool.first)
	if cfg.Addr.IsValid() {
		t.addr = cfg.Addr.As16()
	}
	t.timeouts[classUDP] = cfg.Timeouts.UDP
	t.timeouts[classICMP] = cfg.Timeouts.ICMP
	t.timeouts[classTransitory] = cfg.Timeouts.TCPTransitory
	t.timeouts[classEstablished] = cfg.Timeouts.TCPEstablished
	t.limit6 = limiter{rate: cfg.Limits.ErrorRate, at: cfg.Clock.Now(), tokens: cfg.Limits.ErrorRate}
	t.limit4 = t.limit6
	t.timer = cfg.Clock.NewTimer(t.expire)
	return t, nil
}

// Close forgets all sessions and stops the Translator's timer.
func (t *Translator) Close() {
	t.timer.Stop()
	t.table = newTable(t.cfg.Limits.PerHost, newPool(t.cfg.Pool))
	t.joiner = newJoiner(t.cfg.Limits, t.cfg.Timeouts.Fragment)
}

// Addr is where ICMPv6 errors of the translator itself come from.
func (t *Translator) Addr() netip.Addr { return netip.AddrFrom16(t.addr) }

// FromMesh takes an IPv6 packet that a host of the mesh sent to an address under
// the prefix. packet stays the caller's.
func (t *Translator) FromMesh(packet []byte) Reason {
	r := t.fromMesh(packet)
	t.counters.FromMesh[r]++
	return r
}

// FromIPv4 takes an IPv4 packet for an address in the pool. packet stays the
// caller's.
func (t *Translator) FromIPv4(packet []byte) Reason {
	r := t.fromIPv4(packet, false)
	t.counters.FromIPv4[r]++
	return r
}

// Recheck asks Allow again about every session, after the policy has changed,
// and ends those it does not allow any more.
func (t *Translator) Recheck() {
	for _, s := range t.table.sessions {
		if !t.allowed(s.binding.proto, &s.binding.host.addr, s.binding.port6, s.addr, s.port, s.inbound) {
			t.table.remove(s)
			t.counters.SessionsRevoked++
		}
	}
}

func (t *Translator) allowed(p Proto, host *[16]byte, port6 uint16, remote uint32, port4 uint16, inbound bool) bool {
	return t.cfg.Allow == nil || t.cfg.Allow(Flow{
		Proto: p, Inbound: inbound,
		Host:   netip.AddrPortFrom(netip.AddrFrom16(*host), port6),
		Remote: netip.AddrPortFrom(addr4(remote), port4),
	})
}

// newID returns an identification for a packet that may be fragmented on its
// way.
func (t *Translator) newID() uint16 {
	t.lastID++
	return t.lastID
}
