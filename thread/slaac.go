package thread

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
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
	expires map[netip.Addr]*alarm.Timer // addresses whose prefix is gone
	ours    []netip.Addr
	enabled bool
}

// update follows the network data.
func (s *slaac) update(d *netdata.Data) {
	var want []netdata.SLAACPrefix
	if s.enabled {
		for p := range d.SLAACPrefixes() {
			if p.Prefix.Bits() == 64 && p.Domain == 0 && len(want) < maxSLAAC {
				want = append(want, p)
			}
		}
	}
	for _, p := range want {
		a := s.address(p.Prefix)
		if t := s.expires[a]; t != nil {
			t.Stop()
			delete(s.expires, a)
		}
		bits := 128
		if p.OnMesh {
			bits = 64
		}
		if !s.has(a) {
			s.ours = append(s.ours, a)
		}
		s.ip.Add(ip.Address{Addr: a, Bits: bits, Preferred: p.Preferred, Origin: ip.OriginSLAAC})
	}
	for _, a := range s.ours {
		if s.expires[a] != nil || covered(want, a) {
			continue
		}
		s.expire(a)
	}
}

func covered(want []netdata.SLAACPrefix, a netip.Addr) bool {
	for _, p := range want {
		if p.Prefix.Contains(a) {
			return true
		}
	}
	return false
}

func (s *slaac) has(a netip.Addr) bool {
	for _, x := range s.ours {
		if x == a {
			return true
		}
	}
	return false
}

// expire deprecates an address that was preferred, and removes it later.
func (s *slaac) expire(a netip.Addr) {
	for _, x := range s.ip.Addresses() {
		if x.Addr == a && x.Preferred {
			x.Preferred = false
			s.ip.Add(x)
			s.expires[a] = s.clock.After(deprecateTime, func() { s.remove(a) })
			return
		}
	}
	s.remove(a)
}

func (s *slaac) remove(a netip.Addr) {
	if t := s.expires[a]; t != nil {
		t.Stop()
		delete(s.expires, a)
	}
	for i, x := range s.ours {
		if x == a {
			s.ours = append(s.ours[:i], s.ours[i+1:]...)
			break
		}
	}
	s.ip.Remove(a)
}

// clear removes all addresses at once.
func (s *slaac) clear() {
	for len(s.ours) > 0 {
		s.remove(s.ours[0])
	}
}

// address is the node's address in a prefix: the same each time.
func (s *slaac) address(p netip.Prefix) netip.Addr {
	secret := s.secret()
	b := p.Masked().Addr().As16()
	for dad := byte(0); ; dad++ {
		h := sha256.New()
		h.Write(b[:8])
		h.Write([]byte("wpan"))
		h.Write([]byte{dad})
		h.Write(secret[:])
		copy(b[8:], h.Sum(nil)[:8])
		if !reservedIID(b[8:]) {
			return netip.AddrFrom16(b)
		}
	}
}

// reservedIID reports interface identifiers that RFC 5453 and its registry
// reserve, and those of Thread's locators.
func reservedIID(iid []byte) bool {
	v := binary.BigEndian.Uint64(iid)
	return v == 0 || v>>16 == 0x000000fffe00 || v>>24 == 0x02005efffe || v >= 0xfdffffffffffff80 && v <= 0xfdffffffffffffff
}
