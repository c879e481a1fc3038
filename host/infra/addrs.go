package infra

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"gatewayd/host"
)

// ifaProto is the attribute that says who made an address, since Linux 5.18.
const ifaProto = 11

// An Address is one that the host is to have on a link, with a route for its
// prefix. The kernel makes sure that nobody else has it.
type Address struct {
	Prefix netip.Prefix // address and length
	// Preferred and Until end the use for new connections and all use: zero
	// times are never, so that a Preferred that has passed makes the address
	// deprecated.
	Preferred, Until time.Time
}

// lease is for how long the kernel is told at most that an address is good:
// it ends by then after a kill. It is told anew when half of that is left.
const lease = time.Hour

// leased is until when the kernel is told that something is good.
func leased(now, until time.Time) time.Time {
	if end := now.Add(lease); until.IsZero() || until.After(end) {
		return end
	}
	return until
}

// lasts reports whether what the kernel was told is still fine.
func lasts(now, told, until time.Time) bool {
	if told.IsZero() {
		return false
	}
	longer := until.IsZero() || until.After(told)
	return longer && told.Sub(now) > lease/2 || !until.IsZero() && told.Sub(until).Abs() <= slack
}

// slack is by how much the end of an address may be off before it is set
// anew: ends are told in whole seconds.
const slack = 2 * time.Second

// SetAddresses says which addresses of ours a link is to have, instead of
// those said before. They are put on the interface whenever it is there; the
// error is that of an address that cannot be, or of putting them on it now,
// which is tried again.
func (f *Follower) SetAddresses(link string, list []Address) error {
	for _, a := range list {
		ip := a.Prefix.Addr()
		if !a.Prefix.IsValid() || !ip.Is6() || ip.Is4In6() || ip.IsMulticast() || ip.IsUnspecified() {
			return fmt.Errorf("infra: %v is no IPv6 address for an interface", a.Prefix)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrNotReady
	}
	l := f.find(link)
	if l == nil {
		return fmt.Errorf("infra: there is no link %s", link)
	}
	l.want = slices.Clone(list)
	f.again() // for the state, and to try what did not work
	return f.syncAddrs(l)
}

func (f *Follower) find(link string) *followed {
	i := slices.IndexFunc(f.links, func(l *followed) bool { return l.ID == link })
	if i < 0 {
		return nil
	}
	return f.links[i]
}

// syncAddrs makes the difference between the addresses of ours that a link has
// and those that it should have.
func (f *Follower) syncAddrs(l *followed) error {
	if l.Index == 0 {
		return nil
	}
	all, err := readAddrs()
	if err != nil {
		return err
	}
	now := time.Now()
	var errs []error
	keep := map[netip.Prefix]bool{}
	f.findTaken(l, all[l.Index], now)
	for p := range l.taken {
		keep[p] = true
		errs = append(errs, fmt.Errorf("infra: another host on %s has our address %v", l.Name, p))
	}
	for _, h := range all[l.Index] {
		i := slices.IndexFunc(l.want, func(w Address) bool { return w.Prefix == h.Prefix })
		ours := h.Ours || l.set[h.Prefix]
		switch {
		case !ours:
			keep[h.Prefix] = i >= 0 // somebody gave it to the host already
		case i < 0 || over(now, l.want[i].Until):
			err := f.nl.AddrDel(f.device(l), &netlink.Addr{IPNet: ipNet(h.Prefix)})
			if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
				errs = append(errs, fmt.Errorf("infra: removing address %v: %w", h.Prefix, err))
			}
			delete(l.set, h.Prefix)
		case l.done[h.Prefix].serves(l.want[i], now) && (h.Tentative || h.Deprecated == over(now, l.want[i].Preferred)):
			keep[h.Prefix] = true
		}
	}
	for _, w := range l.want {
		if keep[w.Prefix] || over(now, w.Until) || !l.Up {
			continue
		}
		w.Until = leased(now, w.Until)
		if err := replaceAddr(l.Index, w, now); err != nil {
			errs = append(errs, fmt.Errorf("infra: adding address %v to %s: %w", w.Prefix, l.Name, err))
			continue
		}
		l.set[w.Prefix], l.done[w.Prefix] = true, w
	}
	return errors.Join(append(errs, f.syncOnLink(l, now))...)
}

// tryAgain is when an address that another host had may be free again.
const tryAgain = 10 * time.Minute

// findTaken finds out whether another host has an address of ours: the kernel
// removes one that will end if it turns out to be a duplicate (RFC 4862 Section
// 5.4.5), and would do so again and again.
func (f *Follower) findTaken(l *followed, have []Addr, now time.Time) {
	if !l.Up {
		clear(l.checks)
		clear(l.taken)
		return
	}
	for p, at := range l.taken {
		wanted := slices.ContainsFunc(l.want, func(w Address) bool { return w.Prefix == p })
		if !wanted || now.Sub(at) > tryAgain {
			delete(l.taken, p)
			f.again()
		}
	}
	for _, w := range l.want {
		i := slices.IndexFunc(have, func(h Addr) bool { return h.Prefix == w.Prefix })
		if i < 0 && l.checks[w.Prefix] || i >= 0 && have[i].Duplicate && l.set[w.Prefix] {
			if l.taken[w.Prefix].IsZero() {
				l.taken[w.Prefix] = now
				f.again()
			}
		}
	}
	clear(l.checks)
	for _, h := range have {
		if h.Ours && h.Tentative {
			l.checks[h.Prefix] = true
		}
	}
}

// serves reports whether an address as it was put there is as it should be.
func (a Address) serves(want Address, now time.Time) bool {
	return a.Preferred.IsZero() == want.Preferred.IsZero() && a.Preferred.Sub(want.Preferred).Abs() <= slack &&
		lasts(now, a.Until, want.Until)
}

func over(now, at time.Time) bool { return !at.IsZero() && !at.After(now) }

func (f *Follower) device(l *followed) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: l.Name, Index: l.Index}}
}

// replaceAddr adds an address or gives it new lifetimes. The netlink package
// knows no protocol of addresses.
func replaceAddr(index int, a Address, now time.Time) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	msg := nl.NewIfAddrmsg(unix.AF_INET6)
	msg.Index, msg.Prefixlen = uint32(index), uint8(a.Prefix.Bits())
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, a.Prefix.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, a.Prefix.Addr().AsSlice()))
	cache := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Prefered: lifetime(now, a.Preferred), Valid: lifetime(now, a.Until)}}
	cache.Prefered = min(cache.Prefered, cache.Valid)
	// The kernel would add a route for the prefix, but leave it when the
	// address is removed.
	req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, unix.IFA_F_NOPREFIXROUTE)))
	req.AddData(nl.NewRtAttr(unix.IFA_CACHEINFO, cache.Serialize()))
	req.AddData(nl.NewRtAttr(ifaProto, []byte{host.RouteProtocol}))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// lifetime is what is left until at, in seconds as the kernel takes them.
func lifetime(now, at time.Time) uint32 {
	if at.IsZero() {
		return 1<<32 - 1
	}
	left := at.Sub(now).Round(time.Second) / time.Second
	return uint32(min(max(left, 0), 1<<32-2))
}

// readAddrs lists the addresses of all interfaces, by index.
func readAddrs() (map[int][]Addr, error) {
	msgs, err := dump(func() ([][]byte, error) {
		req := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
		req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		return req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWADDR)
	})
	if err != nil {
		return nil, fmt.Errorf("infra: listing addresses: %w", err)
	}
	all := map[int][]Addr{}
	for _, m := range msgs {
		if index, a, ok := decodeAddr(m); ok {
			all[index] = append(all[index], a)
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b Addr) int {
			return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
		})
	}
	return all, nil
}

// decodeAddr reads an RTM_NEWADDR message.
func decodeAddr(m []byte) (index int, a Addr, ok bool) {
	if len(m) < unix.SizeofIfAddrmsg {
		return 0, Addr{}, false
	}
	bits, flags := int(m[1]), uint32(m[2])
	index = int(binary.NativeEndian.Uint32(m[4:]))
	attrs, err := nl.ParseRouteAttr(m[unix.SizeofIfAddrmsg:])
	if err != nil {
		return 0, Addr{}, false
	}
	var ip netip.Addr
	for _, at := range attrs {
		switch at.Attr.Type {
		case unix.IFA_LOCAL: // the other end of a tunnel is the other one
			ip, _ = netip.AddrFromSlice(at.Value)
		case unix.IFA_ADDRESS:
			if !ip.IsValid() {
				ip, _ = netip.AddrFromSlice(at.Value)
			}
		case unix.IFA_FLAGS:
			if len(at.Value) == 4 {
				flags = binary.NativeEndian.Uint32(at.Value)
			}
		case ifaProto:
			a.Ours = len(at.Value) == 1 && at.Value[0] == host.RouteProtocol
		}
	}
	a.Prefix = netip.PrefixFrom(ip, bits)
	a.Tentative = flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0
	a.Duplicate = flags&unix.IFA_F_DADFAILED != 0
	a.Deprecated = flags&unix.IFA_F_DEPRECATED != 0
	a.Temporary = ip.Is6() && flags&unix.IFA_F_TEMPORARY != 0 // of IPv4, the bit says secondary
	return index, a, a.Prefix.IsValid()
}
