package netdata

import (
	"encoding/binary"
	"slices"
)

// Bits of the first byte of a Context and of a Service TLV.
const (
	contextCompress = 0x10
	contextID       = 0x0f
	serviceThread   = 0x80
	serviceID       = 0x0f
)

// Append appends the encoded network data to b: in the order in which it was
// decoded, or, once entries came or went, commissioning data, prefixes,
// services, others.
func (d *Data) Append(b []byte) []byte {
	layout := d.layout
	commissioning := 0
	if d.Commissioning != nil {
		commissioning = 1
	}
	counts := []count{
		{kind: typeCommissioning, n: commissioning},
		{kind: typePrefix, n: len(d.Prefixes)},
		{kind: typeService, n: len(d.Services)},
		{kind: typeUnknown, n: len(d.Unknown)},
	}
	if !fits(layout, counts...) {
		layout = counts
	}
	p, s, u := 0, 0, 0
	for _, r := range layout {
		for range r.n {
			switch r.kind {
			case typeCommissioning:
				b = appendTLV(b, TLV{Type: typeCommissioning, Stable: d.Commissioning.Stable, Value: d.Commissioning.TLVs})
			case typePrefix:
				b = d.Prefixes[p].Append(b)
				p++
			case typeService:
				b = d.Services[s].Append(b)
				s++
			default:
				b = appendTLV(b, d.Unknown[u])
				u++
			}
		}
	}
	return b
}

// Len returns the size of the encoded network data.
func (d *Data) Len() int { return len(d.Append(nil)) }

// begin appends a TLV header; end fills in its length.
func begin(b []byte, kind uint8, stable bool) (out []byte, at int) {
	head := kind << 1
	if stable {
		head |= 1
	}
	return append(b, head, 0), len(b)
}

func end(b []byte, at int) []byte {
	b[at+1] = byte(len(b) - at - headerLen)
	return b
}

func appendTLV(b []byte, t TLV) []byte {
	b, at := begin(b, t.Type, t.Stable)
	return end(append(b, t.Value...), at)
}

// Append appends the encoded prefix TLV to b.
func (p *Prefix) Append(b []byte) []byte {
	b, at := begin(b, typePrefix, p.Stable())
	bits := p.Prefix.Bits()
	a := p.Prefix.Addr().As16()
	b = append(b, p.Domain, byte(bits))
	b = append(b, a[:(bits+7)/8]...)
	return end(p.appendSubs(b), at)
}

func (p *Prefix) appendSubs(b []byte) []byte {
	var routers [2][]BorderRouter // temporary, stable
	for _, e := range p.BorderRouters {
		routers[b2i(e.Stable)] = append(routers[b2i(e.Stable)], e)
	}
	var routes [2][]HasRoute
	for _, e := range p.HasRoutes {
		routes[b2i(e.Stable)] = append(routes[b2i(e.Stable)], e)
	}
	context := 0
	if p.Context != nil {
		context = 1
	}
	layout := p.layout
	counts := []count{
		{typeBorderRouter, true, len(routers[1])},
		{typeBorderRouter, false, len(routers[0])},
		{typeContext, false, context},
		{typeHasRoute, true, len(routes[1])},
		{typeHasRoute, false, len(routes[0])},
		{typeUnknown, false, len(p.Unknown)},
	}
	if !fits(layout, counts...) {
		layout = slices.DeleteFunc(counts, func(c count) bool { return c.n == 0 })
	}

	unknown := p.Unknown
	for _, r := range layout {
		i := b2i(r.stable)
		switch r.kind {
		case typeBorderRouter:
			b = appendBorderRouters(b, r.stable, routers[i][:r.n])
			routers[i] = routers[i][r.n:]
		case typeHasRoute:
			b = appendHasRoutes(b, r.stable, routes[i][:r.n])
			routes[i] = routes[i][r.n:]
		case typeContext:
			b = p.Context.append(b)
		default:
			for range r.n {
				b = appendTLV(b, unknown[0])
				unknown = unknown[1:]
			}
		}
	}
	return b
}

func appendBorderRouters(b []byte, stable bool, entries []BorderRouter) []byte {
	b, at := begin(b, typeBorderRouter, stable)
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(b, e.RLOC16)
		b = binary.BigEndian.AppendUint16(b, uint16(e.Flags))
	}
	return end(b, at)
}

func appendHasRoutes(b []byte, stable bool, entries []HasRoute) []byte {
	b, at := begin(b, typeHasRoute, stable)
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(b, e.RLOC16)
		b = append(b, byte(e.Flags))
	}
	return end(b, at)
}

func (c *Context) append(b []byte) []byte {
	b, at := begin(b, typeContext, c.Stable)
	head := c.ID & contextID
	if c.Compress {
		head |= contextCompress
	}
	return end(append(b, head, c.Bits), at)
}

// Append appends the encoded service TLV to b.
func (s *Service) Append(b []byte) []byte {
	b, at := begin(b, typeService, s.Stable())
	if s.Enterprise == ThreadEnterprise {
		b = append(b, serviceThread|s.ID&serviceID)
	} else {
		b = append(b, s.ID&serviceID)
		b = binary.BigEndian.AppendUint32(b, s.Enterprise)
	}
	b = append(b, byte(len(s.Data)))
	b = append(b, s.Data...)

	layout := s.layout
	counts := []count{{typeServer, false, len(s.Servers)}, {typeUnknown, false, len(s.Unknown)}}
	if !fits(layout, counts...) {
		layout = counts
	}
	servers, unknown := s.Servers, s.Unknown
	for _, r := range layout {
		for range r.n {
			if r.kind == typeServer {
				b = servers[0].append(b)
				servers = servers[1:]
			} else {
				b = appendTLV(b, unknown[0])
				unknown = unknown[1:]
			}
		}
	}
	return end(b, at)
}

func (s *Server) append(b []byte) []byte {
	b, at := begin(b, typeServer, s.Stable)
	b = binary.BigEndian.AppendUint16(b, s.RLOC16)
	return end(append(b, s.Data...), at)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
