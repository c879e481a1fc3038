package dhcp6

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// Delegated is one prefix that a Client was given.
type Delegated struct {
	Prefix           netip.Prefix
	Preferred, Valid time.Time // until when; zero is for ever
}

// Delegation is what a Client was given, also for being kept over a restart.
type Delegation struct {
	Prefixes []Delegated
	Server   []byte // DUID
	// T1 and T2 are when to ask that server, and any, to extend it; zero is never.
	T1, T2 time.Time
	DNS    []netip.Addr
	SNTP   []netip.Addr
}

// maxPrefixes bounds what is taken of servers.
const maxPrefixes = 8

// offered is the identity association of an answer.
type offered struct {
	prefixes []prefixOffer
	t1, t2   time.Duration
	status   iana.StatusCode
}

type prefixOffer struct {
	prefix           netip.Prefix
	preferred, valid time.Duration
}

// offerOf finds the client's identity association in an answer; false if there
// is none, or one to be ignored (RFC 8415 Section 21.21).
func offerOf(m *dhcpv6.Message, iaid uint32) (offered, bool) {
	for _, ia := range m.Options.IAPD() {
		if binary.BigEndian.Uint32(ia.IaId[:]) != iaid {
			continue
		}
		if ia.T1 > 0 && ia.T2 > 0 && ia.T1 > ia.T2 {
			return offered{}, false
		}
		o := offered{t1: ia.T1, t2: ia.T2}
		if st := ia.Options.Status(); st != nil {
			o.status = st.StatusCode
		}
		for _, p := range ia.Options.Prefixes() {
			if p.Prefix == nil || p.PreferredLifetime > p.ValidLifetime || len(o.prefixes) == maxPrefixes {
				continue
			}
			a, ok := netip.AddrFromSlice(p.Prefix.IP)
			bits, _ := p.Prefix.Mask.Size()
			// Longer ones are no use: a link takes 64 bits (RFC 7421).
			if !ok || bits == 0 || bits > 64 || !a.IsGlobalUnicast() {
				continue
			}
			prefix := netip.PrefixFrom(a, bits).Masked()
			if slices.ContainsFunc(o.prefixes, func(o prefixOffer) bool { return o.prefix == prefix }) {
				continue
			}
			o.prefixes = append(o.prefixes, prefixOffer{prefix, p.PreferredLifetime, p.ValidLifetime})
		}
		return o, true
	}
	return offered{}, false
}

// usable reports whether there is a prefix in it that is valid.
func (o *offered) usable() bool {
	return o.status == iana.StatusSuccess && slices.ContainsFunc(o.prefixes, func(p prefixOffer) bool { return p.valid > 0 })
}

// until is the end of a lifetime.
func until(now time.Time, d time.Duration) time.Time {
	if d >= infinity {
		return time.Time{}
	}
	return now.Add(d)
}

// take makes o part of the delegation: prefixes in it begin, go on or end, others stay.
func (d *Delegation) take(now time.Time, o *offered) {
	shortest := infinity
	kept := slices.Clone(d.Prefixes)
	for _, p := range o.prefixes {
		kept = slices.DeleteFunc(kept, func(k Delegated) bool { return k.Prefix == p.prefix })
		if p.valid == 0 || len(kept) >= maxPrefixes {
			continue
		}
		kept = append(kept, Delegated{p.prefix, until(now, p.preferred), until(now, p.valid)})
		if p.preferred > 0 {
			shortest = min(shortest, p.preferred)
		} else {
			shortest = min(shortest, p.valid)
		}
	}
	d.Prefixes = kept
	// Times of zero leave them to the client (Section 14.2).
	t1, t2 := o.t1, o.t2
	if t2 == 0 {
		t2 = max(shortest/5*4, t1)
	}
	if t1 == 0 {
		t1 = min(shortest/2, t2)
	}
	if shortest == infinity && o.t1 == 0 && o.t2 == 0 {
		t1, t2 = infinity, infinity
	}
	// Nobody is asked more often than this, whatever they say.
	const least = 10 * time.Second
	d.T1, d.T2 = until(now, max(t1, least)), until(now, max(t2, least))
}

// expire ends the prefixes whose time is over, and returns when the next one's
// is; zero is never.
func (d *Delegation) expire(now time.Time) (changed bool, next time.Time) {
	left := slices.DeleteFunc(slices.Clone(d.Prefixes), func(p Delegated) bool { return !p.Valid.IsZero() && !p.Valid.After(now) })
	changed = len(left) != len(d.Prefixes)
	d.Prefixes = left
	for _, p := range left {
		if !p.Valid.IsZero() && (next.IsZero() || p.Valid.Before(next)) {
			next = p.Valid
		}
	}
	return changed, next
}

// iaPD makes the identity association of a question. The codec's own option of
// a prefix needs types of package net.
func iaPD(iaid uint32, prefixes []netip.Prefix) dhcpv6.Option {
	ia := &dhcpv6.OptIAPD{}
	binary.BigEndian.PutUint32(ia.IaId[:], iaid)
	for _, p := range prefixes {
		b := make([]byte, 8, 25) // lifetimes: as the server likes
		b = append(b, byte(p.Bits()))
		b = append(b, p.Addr().AsSlice()...)
		ia.Options.Add(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionIAPrefix, OptionData: b})
	}
	return ia
}
