package nat64

import (
	"math/rand/v2"
	"net/netip"
)

// pool is the IPv4 addresses that stand for hosts of the mesh.
type pool struct {
	prefix, mask uint32
	first        uint32
	users        []uint32 // hosts, by address from first on
}

func newPool(p netip.Prefix) pool {
	n := 1 << (32 - p.Bits())
	x := pool{prefix: v4(p.Addr()), mask: ^uint32(n - 1)}
	x.first = x.prefix
	if n > 2 { // there is a network and a broadcast address
		x.first++
		n -= 2
	}
	x.users = make([]uint32, n)
	return x
}

// contains includes the addresses that are not used.
func (p *pool) contains(a uint32) bool { return a&p.mask == p.prefix }

// has reports whether an address may be a host's.
func (p *pool) has(a uint32) bool { return a-p.first < uint32(len(p.users)) }

func (p *pool) take(a uint32)    { p.users[a-p.first]++ }
func (p *pool) release(a uint32) { p.users[a-p.first]-- }

// choose returns the address for a new host: one of the least used. Which of
// those depends on the host's address, so that it is likely to be the same again
// after a restart.
func (p *pool) choose(addr *[16]byte) uint32 {
	h := uint32(2166136261) // FNV-1a
	for _, b := range addr {
		h = (h ^ uint32(b)) * 16777619
	}
	n := uint32(len(p.users))
	at := h % n
	best := at
	for i := uint32(0); i < n && p.users[best] > 0; i++ {
		if x := (at + i) % n; p.users[x] < p.users[best] {
			best = x
		}
	}
	return p.first + best
}

const (
	firstHigh = 1024 // ports below are of another class (RFC 6146 Section 3.5.1.1)
	allPorts  = 65536
	// How many ports are looked at before giving up: a pool that is nearly full
	// must not cost more than a packet is worth.
	classTries = 128
	anyTries   = 1024
)

// choosePort returns a free port of a host's address in the pool. It is the
// host's own one where that is free, else one of the same class and parity (RFC
// 4787 Sections 4.2.1 and 4.2.2), else any. ICMP identifiers know neither.
func (t *table) choosePort(r *rand.Rand, proto Proto, addr uint32, port uint16) (uint16, bool) {
	free := func(p uint32) bool {
		_, taken := t.outside[key4{addr, uint16(p), proto}]
		return !taken
	}
	if free(uint32(port)) {
		return port, true
	}
	// search looks at some of low, low+step and so on below high.
	search := func(low, high, step, tries uint32) (uint16, bool) {
		n := (high - low + step - 1) / step
		for range tries {
			if p := low + r.Uint32N(n)*step; free(p) {
				return uint16(p), true
			}
		}
		return 0, false
	}
	if proto == ICMP {
		return search(0, allPorts, 1, anyTries)
	}
	low, high := uint32(firstHigh), uint32(allPorts)
	if port < firstHigh {
		low, high = 2, firstHigh // port 0 is none; 2 is even as the others are
	}
	if p, ok := search(low+uint32(port&1), high, 2, classTries); ok {
		return p, true
	}
	return search(1, allPorts, 1, anyTries)
}
