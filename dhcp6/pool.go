package dhcp6

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// Pool is a prefix to hand out addresses of.
type Pool struct {
	Prefix netip.Prefix // at least 2 bits must be left, 64 should be
	// EUI64 derives interface identifiers of what the client's link-layer
	// address seems to be, where it can: 6LoWPAN then leaves them out (RFC 6282
	// Section 3.2.2). Other clients can tell such an address from the link-local one.
	EUI64 bool
	// PreferredUntil and ValidUntil are how long the prefix itself is good, if
	// it was delegated; zero is without limit.
	PreferredUntil, ValidUntil time.Time
}

// lifetimes are those of an address of the pool that is handed out now; valid
// is 0 if none can be.
func (p *Pool) lifetimes(now time.Time, preferred, valid time.Duration) (time.Duration, time.Duration) {
	if !p.ValidUntil.IsZero() {
		valid = min(valid, p.ValidUntil.Sub(now))
	}
	if !p.PreferredUntil.IsZero() {
		preferred = min(preferred, p.PreferredUntil.Sub(now))
	}
	valid = max(valid, 0).Truncate(time.Second)
	return min(max(preferred, 0).Truncate(time.Second), valid), valid
}

// Implementation constants of choosing.
const (
	hashTries = 16
	// scanBits is the size of a pool that is searched through when no try hit a
	// free address.
	scanBits = 12
)

// choose finds an address for an identity association that is not taken. The
// same is found again as long as it is free.
func (p *Pool) choose(key []byte, ia string, eui64 [8]byte, taken func(netip.Addr) bool) (netip.Addr, bool) {
	free := func(a netip.Addr) bool { return !reserved(a, p.Prefix) && !taken(a) }
	host := 128 - p.Prefix.Bits()
	if p.EUI64 && host == 64 && eui64 != ([8]byte{}) {
		if a := join(p.Prefix, eui64); free(a) {
			return a, true
		}
	}
	base := p.Prefix.Masked().Addr().As16()
	mac := hmac.New(sha256.New, key)
	for try := range byte(hashTries) {
		mac.Reset()
		mac.Write(base[:])
		mac.Write([]byte(ia))
		mac.Write([]byte{try})
		if a := join(p.Prefix, [8]byte(mac.Sum(nil))); free(a) {
			return a, true
		}
	}
	if host > scanBits {
		return netip.Addr{}, false
	}
	start := binary.BigEndian.Uint64(mac.Sum(nil))
	for i := range uint64(1) << host {
		var iid [8]byte
		binary.BigEndian.PutUint64(iid[:], start+i)
		if a := join(p.Prefix, iid); free(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// join is an address of a prefix whose last bits are those of iid, as many as
// the prefix leaves, at most 64.
func join(p netip.Prefix, iid [8]byte) netip.Addr {
	a := p.Masked().Addr().As16()
	mask := ^uint64(0)
	if host := 128 - p.Bits(); host < 64 {
		mask = 1<<host - 1
	}
	low := binary.BigEndian.Uint64(a[8:])
	binary.BigEndian.PutUint64(a[8:], low|binary.BigEndian.Uint64(iid[:])&mask)
	return netip.AddrFrom16(a)
}

// reserved reports addresses that no host may have (RFC 5453 Section 3): the
// routers' anycast address and the subnet anycast addresses; and ::1 to ::ff, which
// people give to routers.
func reserved(a netip.Addr, p netip.Prefix) bool {
	b := a.As16()
	iid := binary.BigEndian.Uint64(b[8:])
	if host := 128 - p.Bits(); host < 64 {
		iid &= 1<<host - 1
		if host <= scanBits {
			return iid == 0
		}
	}
	return iid <= 0xff || iid >= 0xfdffffffffffff80 && iid <= 0xfdffffffffffffff ||
		iid >= 0x02005efffe000000 && iid <= 0x02005efffe005213
}

// eui64Of is the interface identifier that a client most likely makes of its
// link-layer address, or zero. It is that of the link-local address it asks
// from, which 6LoWPAN derives so, or that of a DUID with such an address.
func eui64Of(peer netip.Addr, duid []byte) (iid [8]byte) {
	if peer.Is6() && peer.IsLinkLocalUnicast() {
		a := peer.As16()
		return [8]byte(a[8:])
	}
	if len(duid) < 4 {
		return iid
	}
	var ll []byte
	switch dhcpv6.DUIDType(binary.BigEndian.Uint16(duid)) {
	case dhcpv6.DUID_LL:
		ll = duid[4:]
	case dhcpv6.DUID_LLT:
		if len(duid) > 8 {
			ll = duid[8:]
		}
	}
	switch len(ll) {
	case 8:
		iid = [8]byte(ll)
	case 6:
		iid = [8]byte{ll[0], ll[1], ll[2], 0xff, 0xfe, ll[3], ll[4], ll[5]}
	default:
		return iid
	}
	iid[0] ^= 2 // RFC 4291 Appendix A
	return iid
}
