package border

import (
	"encoding/json"
	"net/netip"
)

// Names of what is stored. That of a link's prefixes has its name at the end.
const (
	storeULA    = "border-ula"
	storeOnLink = "border-onlink-"
)

// Subnets of the border router's own /48.
const (
	omrSubnet   = 1
	nat64Subnet = 2
	linkSubnet  = 0x100 // and the number of the link
)

// loadULA returns the /48 of this border router. It is made once and kept, so
// that the addresses of devices stay over a restart (RFC 4193 Section 3.2).
func (m *Manager) loadULA() netip.Prefix {
	if b, _, ok := m.cfg.Store.Load(storeULA); ok {
		var p netip.Prefix
		if p.UnmarshalText(b) == nil && p.Bits() == 48 && p.Addr().Is6() && p.Addr().As16()[0] == 0xfd {
			return p.Masked()
		}
		m.log(Event{ID: "BORDER-STORE", Text: "the stored ULA prefix is damaged: there is a new one"})
	}
	r := m.cfg.Rand.Uint64()
	p := netip.PrefixFrom(netip.AddrFrom16([16]byte{
		0xfd, byte(r >> 32), byte(r >> 24), byte(r >> 16), byte(r >> 8), byte(r),
	}), 48)
	b, err := p.MarshalText()
	if err == nil {
		err = m.cfg.Store.Save(storeULA, b)
	}
	if err != nil {
		m.log(Event{ID: "BORDER-STORE", Text: "the ULA prefix cannot be stored: devices change addresses with a restart", Prefix: p, Err: err})
	}
	return p
}

// subnet returns a part of a /48.
func subnet(p netip.Prefix, id uint16, bits int) netip.Prefix {
	a := p.Addr().As16()
	a[6], a[7] = byte(id>>8), byte(id)
	return netip.PrefixFrom(netip.AddrFrom16(a), bits)
}

// loadOnLink returns the on-link prefixes that hosts of a link may have of us.
func (m *Manager) loadOnLink(link string) (p []netip.Prefix) {
	b, _, ok := m.cfg.Store.Load(storeOnLink + link)
	if !ok {
		return nil
	}
	if err := json.Unmarshal(b, &p); err != nil {
		m.log(Event{ID: "BORDER-STORE", Text: "the stored on-link prefixes are damaged", Link: link, Err: err})
		return nil
	}
	var good []netip.Prefix
	for _, x := range p {
		if usable64(x) && isULA(x) && len(good) <= maxOld { // and the one of now
			good = append(good, x.Masked())
		}
	}
	return good
}

func (m *Manager) saveOnLink(link string, p []netip.Prefix) {
	var err error
	if len(p) == 0 {
		err = m.cfg.Store.Delete(storeOnLink + link)
	} else {
		var b []byte
		if b, err = json.Marshal(p); err == nil {
			err = m.cfg.Store.Save(storeOnLink+link, b)
		}
	}
	if err != nil {
		m.log(Event{ID: "BORDER-STORE", Text: "the on-link prefixes cannot be stored", Link: link, Err: err})
	}
}
