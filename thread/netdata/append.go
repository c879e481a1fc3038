package netdata

import "encoding/binary"

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
	for _, r := range p.runs() {
		b = p.appendRun(b, r)
	}
	return end(b, at)
}

// runs returns the received layout, or border routers, context, routes and
// others.
func (p *Prefix) runs() []run {
	br, hr := [2]int{}, [2]int{}
	for _, e := range p.BorderRouters {
		br[b2i(e.Stable)]++
	}
	for _, e := range p.HasRoutes {
		hr[b2i(e.Stable)]++
	}
	context := 0
	if p.Context != nil {
		context = 1
	}
	counts := []count{
		{typeBorderRouter, true, br[1]},
		{typeBorderRouter, false, br[0]},
		{typeContext, false, context},
		{typeHasRoute, true, hr[1]},
		{typeHasRoute, false, hr[0]},
		{typeUnknown, false, len(p.Unknown)},
	}
	if fits(p.layout, counts...) {
		return p.layout
	}
	return counts
}
