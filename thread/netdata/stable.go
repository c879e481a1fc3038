package netdata

import "slices"

// Locators that stand for any one of several nodes (Thread 1.4 Section
// 5.2.2.2).
const (
	anycastDHCPAgent = 0xfc00 // plus context id
	anycastService   = 0xfc10 // plus service id

	// AnyRLOC16 replaces the locators of border routers in the stable
	// subset.
	AnyRLOC16 = 0xfffe
)

// StableSubset returns the network data for devices that asked for the stable
// part only (Thread 1.4 Section 5.15.4): temporary entries are gone, and
// locators are replaced by ones that do not change when servers do. The result
// shares value bytes with d.
func (d *Data) StableSubset() Data {
	var out Data
	for _, p := range d.Prefixes {
		if p = p.stableSubset(); p.Stable() {
			out.Prefixes = append(out.Prefixes, p)
		}
	}
	for _, s := range d.Services {
		if s = s.stableSubset(); s.Stable() {
			out.Services = append(out.Services, s)
		}
	}
	if d.Commissioning != nil && d.Commissioning.Stable {
		out.Commissioning = d.Commissioning
	}
	out.Unknown = keepStable(d.Unknown)
	return out
}

func (p Prefix) stableSubset() Prefix {
	out := Prefix{Domain: p.Domain, Prefix: p.Prefix, Unknown: keepStable(p.Unknown)}
	if p.Context != nil && p.Context.Stable {
		out.Context = p.Context
	}
	for _, e := range p.BorderRouters {
		if !e.Stable {
			continue
		}
		e.RLOC16 = AnyRLOC16
		if p.Context != nil && (e.Flags.Has(FlagDHCP) || e.Flags.Has(FlagConfigure)) {
			e.RLOC16 = anycastDHCPAgent | uint16(p.Context.ID)
		}
		out.BorderRouters = append(out.BorderRouters, e)
	}
	for _, e := range p.HasRoutes {
		if e.Stable {
			e.RLOC16 = AnyRLOC16
			out.HasRoutes = append(out.HasRoutes, e)
		}
	}
	return out
}

func (s Service) stableSubset() Service {
	out := Service{ID: s.ID, Enterprise: s.Enterprise, Data: s.Data, Unknown: keepStable(s.Unknown)}
	for _, e := range s.Servers {
		if e.Stable {
			e.RLOC16 = anycastService | uint16(s.ID)
			out.Servers = append(out.Servers, e)
		}
	}
	return out
}

func keepStable(ts []TLV) []TLV {
	return slices.DeleteFunc(slices.Clone(ts), func(t TLV) bool { return !t.Stable })
}

// Clone returns a copy that shares no memory with d.
func (d *Data) Clone() Data {
	c, err := Decode(d.Append(nil))
	if err != nil {
		panic("netdata: clone of invalid data: " + err.Error())
	}
	return c
}
