package border

import (
	"net/netip"

	"gatewayd/thread/netdata"
)

// Prohibited reports whether a packet that would leave the mesh for an
// infrastructure link should rather be answered by ICMPv6 "communication with
// destination administratively prohibited" (type 1, code 1): its source is a
// ULA that nobody outside has a route back to, and its destination is not on
// our links. The sender can then try another of its addresses at once.
func (m *Manager) Prohibited(src, dst netip.Addr) bool {
	if !m.ready() || dst.IsMulticast() || dst.IsLinkLocalUnicast() || !m.localOMR(src) || m.nat64.contains(dst) {
		return false
	}
	for _, l := range m.links {
		if l.onLink.contains(dst) {
			return false
		}
		for _, r := range l.routers {
			for _, p := range r.onLink {
				if p.prefix.Contains(dst) {
					return false
				}
			}
			for _, p := range r.routes {
				if p.prefix.Bits() > 0 && p.prefix.Contains(dst) {
					return false
				}
			}
		}
	}
	return true
}

// localOMR reports whether an address is of an OMR prefix that no
// infrastructure has given, whichever border router says so.
func (m *Manager) localOMR(a netip.Addr) bool {
	low := false
	for _, e := range m.data.Prefixes {
		if !isULA(e.Prefix) || !e.Prefix.Contains(a) {
			continue
		}
		for _, b := range e.BorderRouters {
			if !isOMR(e.Prefix, b) {
				continue
			}
			if b.Flags.Preference() >= netdata.Medium {
				return false
			}
			low = true
		}
	}
	return low
}

// ready reports whether it is decided on some link what there is to say.
func (m *Manager) ready() bool {
	for _, l := range m.links {
		if l.decided() {
			return true
		}
	}
	return false
}
