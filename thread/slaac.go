package thread

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/ip"
	"gatewayd/thread/netdata"
)

// Limits of address configuration, OpenThread's.
const (
	maxSLAAC      = 4
	deprecateTime = 300 * time.Second
)

// slaac gives the node its addresses in the prefixes that the network data
// marks for it (RFC 4862 as Thread has it, identifiers by RFC 7217).
type slaac struct {
	ip      *ip.Stack
	clock   *alarm.Clock
	secret  func() [32]byte
	ours    []slaacAddress // deprecated ones in the order in which they expire
	timer   *alarm.Timer
	enabled bool
}

type slaacAddress struct {
	netip.Addr
	expires time.Time // zero while its prefix is there
}

// update follows the network data. A prefix in which the node has an address
// already gets none.
func (s *slaac) update(d *netdata.Data) {
	var want []netdata.SLAACPrefix
	if s.enabled {
		for p := range d.SLAACPrefixes() {
			if p.Prefix.Bits() == 64 && p.Domain == 0 {
				want = append(want, p)
			}
		}
	}
	s.ours = slices.DeleteFunc(s.ours, func(x slaacAddress) bool { return !s.ip.Has(x.Addr) })
	for _, x := range slices.Clone(s.ours) {
		if x.expires.IsZero() && !slices.ContainsFunc(want, func(p netdata.SLAACPrefix) bool { return p.Prefix.Contains(x.Addr) }) {
			s.deprecate(x.Addr)
		}
	}
	for _, p := range want {
		a := s.address(p.Prefix)
		if !s.ip.Has(a) && (s.covered(p.Prefix) || !s.room()) {
			continue
		}
		bits := 128
		if p.OnMesh {
			bits = 64
		}
		s.forget(a)
		s.ours = append(s.ours, slaacAddress{Addr: a})
		s.ip.Add(ip.Address{Addr: a, Bits: bits, Preferred: p.Preferred, Origin: ip.OriginSLAAC})
	}
	s.arm()
}

// covered reports whether the node has an address in a prefix.
func (s *slaac) covered(p netip.Prefix) bool {
	return slices.ContainsFunc(s.ip.Addresses(), func(a ip.Address) bool { return p.Contains(a.Addr) })
}

// room makes room for one more address, at the cost of a deprecated one if it
// must be.
func (s *slaac) room() bool {
	if len(s.ours) < maxSLAAC {
		return true
	}
	i := slices.IndexFunc(s.ours, func(x slaacAddress) bool { return !x.expires.IsZero() })
	if i < 0 {
		return false
	}
	s.remove(s.ours[i].Addr)
	return true
}

// deprecate lets an address go whose prefix is gone: later if it was preferred.
func (s *slaac) deprecate(a netip.Addr) {
	for _, x := range s.ip.Addresses() {
		if x.Addr == a && x.Preferred {
			x.Preferred = false
			s.ip.Add(x)
			s.forget(a)
			s.ours = append(s.ours, slaacAddress{a, s.clock.Now().Add(deprecateTime)})
			return
		}
	}
	s.remove(a)
}

// arm sets the timer for the first address that expires.
func (s *slaac) arm() {
	for _, x := range s.ours {
		if !x.expires.IsZero() {
			s.timer.StartAt(x.expires)
			return
		}
	}
	s.timer.Stop()
}

func (s *slaac) expire() {
	now := s.clock.Now()
	for _, x := range slices.Clone(s.ours) {
		if !x.expires.IsZero() && !now.Before(x.expires) {
			s.remove(x.Addr)
		}
	}
	s.arm()
}

func (s *slaac) forget(a netip.Addr) {
	s.ours = slices.DeleteFunc(s.ours, func(x slaacAddress) bool { return x.Addr == a })
}

func (s *slaac) remove(a netip.Addr) {
	s.forget(a)
	s.ip.Remove(a)
}

// clear removes all addresses at once.
func (s *slaac) clear() {
	for len(s.ours) > 0 {
		s.remove(s.ours[0].Addr)
	}
	s.timer.Stop()
}

// address is the node's address in a prefix: the same each time.
func (s *slaac) address(p netip.Prefix) netip.Addr {
	a, _ := stableAddress(s.secret(), p, 0)
	return a
}

// stableAddress makes an address of a prefix (RFC 7217 Section 5): another one
// with each count of duplicates. Counts of identifiers that cannot be used are
// passed over.
func stableAddress(secret [32]byte, p netip.Prefix, count uint8) (netip.Addr, uint8) {
	b := p.Masked().Addr().As16()
	for ; ; count++ {
		h := sha256.New()
		h.Write(b[:8])
		h.Write([]byte("wpan"))
		h.Write([]byte{count})
		h.Write(secret[:])
		copy(b[8:], h.Sum(nil)[:8])
		if !reservedIID(b[8:]) {
			return netip.AddrFrom16(b), count
		}
	}
}

// reservedIID reports interface identifiers that RFC 5453 and its registry
// reserve, and those of Thread's locators.
func reservedIID(iid []byte) bool {
	v := binary.BigEndian.Uint64(iid)
	return v == 0 || v>>16 == 0x000000fffe00 || v>>24 == 0x02005efffe || v >= 0xfdffffffffffff80 && v <= 0xfdffffffffffffff
}
