package lowpan

import (
	"net/netip"

	"gatewayd/ieee802154"
)

// MeshLocalContext is the id of the context that is the mesh-local prefix; it
// is the one used when a frame names none (RFC 6282 Section 3.1.1).
const MeshLocalContext uint8 = 0

// Context is a prefix that compressed addresses refer to by a number (RFC
// 6282 Section 3.1.2).
type Context struct {
	ID       uint8 // 0 to 15
	Prefix   netip.Prefix
	Compress bool // may be used for compression, not only to decompress
}

// Contexts is what a node knows; the order does not matter.
type Contexts []Context

// linkLocal is what the stateless forms refer to.
var linkLocal = Context{Prefix: netip.MustParsePrefix("fe80::/64")}

// ByID returns the context with this id.
func (cs Contexts) ByID(id uint8) (Context, bool) {
	for i := range cs {
		if cs[i].ID == id && cs[i].Prefix.IsValid() {
			return cs[i], true
		}
	}
	return Context{}, false
}

// ForAddr returns the context to compress an address with: the longest prefix
// that covers it, if compression with that one is allowed.
func (cs Contexts) ForAddr(a netip.Addr) (Context, bool) {
	best := -1
	for i := range cs {
		p := &cs[i].Prefix
		if p.Contains(a) && (best < 0 || p.Bits() > cs[best].Prefix.Bits()) {
			best = i
		}
	}
	if best < 0 || !cs[best].Compress {
		return Context{}, false
	}
	return cs[best], true
}

// expand returns the address made of a prefix and an interface identifier.
// Bits between a short prefix and the identifier are zero; a long prefix
// overrides the identifier (RFC 6282 Section 3.1.1).
func (c *Context) expand(iid [8]byte) (a [16]byte) {
	copy(a[8:], iid[:])
	p, bits := c.Prefix.Addr().As16(), max(c.Prefix.Bits(), 0)
	n := bits / 8
	copy(a[:n], p[:n])
	if rest := bits % 8; rest > 0 {
		mask := byte(0xff) << (8 - rest)
		a[n] = a[n]&^mask | p[n]&mask
	}
	return a
}

// macIID returns the interface identifier of a link address (RFC 6282 Section
// 3.2.2, RFC 4944 Section 6): false if there is no address.
func macIID(a ieee802154.Addr) ([8]byte, bool) {
	switch a.Mode {
	case ieee802154.AddrShort:
		return shortIID(byte(a.Short>>8), byte(a.Short)), true
	case ieee802154.AddrExtended:
		return a.Ext.IID(), true
	}
	return [8]byte{}, false
}

// shortIID returns 0000:00ff:fe00:xxxx.
func shortIID(hi, lo byte) [8]byte { return [8]byte{3: 0xff, 4: 0xfe, 6: hi, 7: lo} }
