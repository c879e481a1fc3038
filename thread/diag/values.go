package diag

import (
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// channelPage is that of the 2.4 GHz band, the only one of this stack.
const channelPage = 0

// value is what this node has to say on a type, in at most room bytes where it
// can be cut; nil if the type does not apply to it.
func (a *Agent) value(t Type, room int) Value {
	m := a.cfg.MLE
	switch t {
	case TypeExtAddress:
		return ExtAddress(a.cfg.MAC.Ext())
	case TypeAddress16:
		return Address16(m.RLOC16())
	case TypeMode:
		return Mode(m.Mode() | neighbor.ModeSecureDataReq)
	case TypePollTimeout:
		if !m.Mode().RxOnWhenIdle() {
			return PollTimeout(m.Tuning.ChildTimeout)
		}
	case TypeLeaderData:
		d, _ := m.LeaderData()
		return LeaderData{d}
	case TypeNetworkData:
		return NetworkData(m.NetData().Append(nil))
	case TypeAddresses:
		all := a.cfg.IP.Addresses()
		out := make(Addresses, 0, len(all))
		// The newest first, as OpenThread tells them.
		for _, x := range slices.Backward(all[:min(len(all), room/16)]) {
			out = append(out, x.Addr)
		}
		return out
	case TypeMACCounters:
		return macCounters(&a.cfg.MAC.Counters)
	case TypeMLECounters:
		return mleCounters(m.Counters())
	case TypeChannelPages:
		return ChannelPages{channelPage}
	case TypeEUI64:
		return EUI64(a.cfg.EUI64())
	case TypeVersion:
		return Version(mle.Version)
	case TypeVendorName:
		return Text{t, clip(a.Vendor.Name, MaxVendorName)}
	case TypeVendorModel:
		return Text{t, clip(a.Vendor.Model, MaxVendorModel)}
	case TypeVendorVersion:
		return Text{t, clip(a.Vendor.Version, MaxVendorVersion)}
	case TypeVendorAppURL:
		return Text{t, clip(a.Vendor.AppURL, MaxAppURL)}
	case TypeStackVersion:
		return Text{t, clip(a.cfg.StackVersion, MaxStackVersion)}
	case TypeConnectivity:
		if m.Mode().FullThread() {
			return Connectivity{m.Connectivity()}
		}
	case TypeRoute:
		if m.Mode().FullThread() {
			return Route{m.Route()}
		}
	case TypeChildTable:
		if m.Router() {
			return a.childTable(room / childEntryLen)
		}
	case TypeMaxChildTimeout:
		if d, ok := a.maxChildTimeout(); ok {
			return MaxChildTimeout(d)
		}
	}
	return nil
}

// children are those that have attached.
func (a *Agent) children(f func(*neighbor.Child)) {
	if !a.cfg.MLE.Router() {
		return
	}
	for _, c := range a.cfg.Table.Children {
		if c.State == neighbor.Valid {
			f(c)
		}
	}
}

// childTable has the first children, at most so many.
func (a *Agent) childTable(most int) ChildTable {
	out := ChildTable{}
	a.children(func(c *neighbor.Child) {
		if len(out) < most {
			out = append(out, ChildEntry{Timeout: TimeoutCode(c.Timeout), Quality: c.Quality.In(),
				ID: neighbor.ChildID(c.RLOC16), Mode: c.Mode | neighbor.ModeSecureDataReq})
		}
	})
	return out
}

// maxChildTimeout is the longest of the minimal children; false without any.
func (a *Agent) maxChildTimeout() (longest time.Duration, ok bool) {
	a.children(func(c *neighbor.Child) {
		if !c.Mode.FullThread() {
			longest, ok = max(longest, c.Timeout), true
		}
	})
	return longest, ok
}

// list gives one value for each child or neighbour, and the end of the list.
func (a *Agent) list(t Type, add func(Value)) {
	switch t {
	case TypeChild:
		a.children(func(c *neighbor.Child) { add(childOf(c, a.now())) })
	case TypeChildAddresses:
		a.children(func(c *neighbor.Child) {
			if len(c.Addresses) > 0 {
				add(ChildAddresses{c.RLOC16, append([]netip.Addr(nil), c.Addresses...)})
			}
		})
	case TypeRouterNeighbor:
		for _, r := range a.cfg.Table.Routers {
			if r != nil && r.State == neighbor.Valid && r.RLOC16 != a.cfg.MLE.RLOC16() {
				add(RouterNeighbor{RLOC16: r.RLOC16, Ext: r.Ext, Version: r.Version,
					Connected: since(r.ConnectedAt, a.now()), Link: linkOf(&r.Neighbor)})
			}
		}
	}
	add(End{t})
}

// clip cuts a text to at most n bytes, between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
