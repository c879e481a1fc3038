package netdata

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"gatewayd/thread/meshcop"
)

const headerLen = 2

// Decode reads network data. The result aliases b. Sub-TLVs that are cut off,
// entries that are not whole, prefixes that are longer than their TLV, and
// input of more than MaxSize bytes are errors.
func Decode(b []byte) (Data, error) {
	if len(b) > MaxSize {
		return Data{}, &DecodeError{What: "network data", Offset: MaxSize, Err: fmt.Errorf("%w: %d bytes, at most %d", ErrLong, len(b), MaxSize)}
	}
	var d Data
	err := walk(b, 0, "TLV", func(t TLV, off int) error {
		kind := t.Type
		switch t.Type {
		case typePrefix:
			p, err := decodePrefix(t.Value, off)
			if err != nil {
				return err
			}
			d.Prefixes = append(d.Prefixes, p)
		case typeService:
			s, err := decodeService(t.Value, off)
			if err != nil {
				return err
			}
			d.Services = append(d.Services, s)
		case typeCommissioning:
			if d.Commissioning == nil {
				d.Commissioning = &Commissioning{Stable: t.Stable, TLVs: meshcop.TLVs(t.Value)}
				break
			}
			fallthrough // only the first counts
		default:
			kind = typeUnknown
			d.Unknown = append(d.Unknown, t)
		}
		d.layout = addRun(d.layout, kind)
		return nil
	})
	if err != nil {
		return Data{}, err
	}
	return d, nil
}

// walk hands every TLV of b, whose first byte is at off, to f with the offset
// of its value.
func walk(b []byte, off int, what string, f func(t TLV, off int) error) error {
	for len(b) > 0 {
		if len(b) < headerLen {
			return &DecodeError{What: what + " header", Offset: off, Err: ErrShort}
		}
		n := int(b[1])
		if len(b) < headerLen+n {
			return &DecodeError{What: what + " value", Offset: off + headerLen, Err: fmt.Errorf("%w: %d bytes, want %d", ErrShort, len(b)-headerLen, n)}
		}
		end := headerLen + n
		t := TLV{Type: b[0] >> 1, Stable: b[0]&1 != 0, Value: b[headerLen:end:end]}
		if err := f(t, off+headerLen); err != nil {
			return err
		}
		b, off = b[end:], off+end
	}
	return nil
}

func decodePrefix(b []byte, off int) (Prefix, error) {
	if len(b) < 2 {
		return Prefix{}, &DecodeError{What: "prefix TLV", Offset: off, Err: ErrShort}
	}
	bits := int(b[1])
	n := (bits + 7) / 8
	if bits > 128 {
		return Prefix{}, &DecodeError{What: "prefix length", Offset: off + 1, Err: fmt.Errorf("%w: %d bits", ErrInvalid, bits)}
	}
	if len(b) < 2+n {
		return Prefix{}, &DecodeError{What: "prefix", Offset: off + 2, Err: ErrShort}
	}
	var a [16]byte
	copy(a[:], b[2:2+n])
	p := Prefix{Domain: b[0], Prefix: netip.PrefixFrom(netip.AddrFrom16(a), bits).Masked()}
	err := walk(b[2+n:], off+2+n, "prefix sub-TLV", func(t TLV, off int) error { return p.decodeSub(t, off) })
	return p, err
}

func (p *Prefix) decodeSub(t TLV, off int) error {
	switch t.Type {
	case typeBorderRouter:
		if len(t.Value)%4 != 0 {
			return &DecodeError{What: "border router sub-TLV", Offset: off, Err: fmt.Errorf("%w: %d bytes are not whole entries", ErrInvalid, len(t.Value))}
		}
		for v := t.Value; len(v) > 0; v = v[4:] {
			p.BorderRouters = append(p.BorderRouters, BorderRouter{
				RLOC16: binary.BigEndian.Uint16(v),
				Flags:  PrefixFlags(binary.BigEndian.Uint16(v[2:])),
				Stable: t.Stable,
			})
		}
		p.layout = append(p.layout, run{kind: t.Type, stable: t.Stable, n: len(t.Value) / 4})
	case typeHasRoute:
		if len(t.Value)%3 != 0 {
			return &DecodeError{What: "has route sub-TLV", Offset: off, Err: fmt.Errorf("%w: %d bytes are not whole entries", ErrInvalid, len(t.Value))}
		}
		for v := t.Value; len(v) > 0; v = v[3:] {
			p.HasRoutes = append(p.HasRoutes, HasRoute{
				RLOC16: binary.BigEndian.Uint16(v),
				Flags:  RouteFlags(v[2]),
				Stable: t.Stable,
			})
		}
		p.layout = append(p.layout, run{kind: t.Type, stable: t.Stable, n: len(t.Value) / 3})
	case typeContext:
		if len(t.Value) < 2 {
			return &DecodeError{What: "context sub-TLV", Offset: off, Err: ErrShort}
		}
		if p.Context == nil && len(t.Value) == 2 {
			p.Context = &Context{
				ID:       t.Value[0] & contextID,
				Compress: t.Value[0]&contextCompress != 0,
				Bits:     t.Value[1],
				Stable:   t.Stable,
			}
			p.layout = addRun(p.layout, typeContext)
			break
		}
		fallthrough // a second one, or one with an extension
	default:
		p.Unknown = append(p.Unknown, t)
		p.layout = addRun(p.layout, typeUnknown)
	}
	return nil
}

func decodeService(b []byte, off int) (Service, error) {
	short := func(what string, at int) (Service, error) {
		return Service{}, &DecodeError{What: what, Offset: off + at, Err: ErrShort}
	}
	if len(b) < 1 {
		return short("service TLV", 0)
	}
	s := Service{ID: b[0] & serviceID, Enterprise: ThreadEnterprise}
	at := 1
	if b[0]&serviceThread == 0 {
		if len(b) < at+4 {
			return short("service enterprise number", at)
		}
		s.Enterprise = binary.BigEndian.Uint32(b[at:])
		at += 4
	}
	if len(b) < at+1 {
		return short("service data length", at)
	}
	end := at + 1 + int(b[at])
	if len(b) < end {
		return short("service data", at+1)
	}
	s.Data = b[at+1 : end : end]
	err := walk(b[end:], off+end, "service sub-TLV", func(t TLV, off int) error {
		if t.Type != typeServer {
			s.Unknown = append(s.Unknown, t)
			s.layout = addRun(s.layout, typeUnknown)
			return nil
		}
		if len(t.Value) < 2 {
			return &DecodeError{What: "server sub-TLV", Offset: off, Err: ErrShort}
		}
		s.Servers = append(s.Servers, Server{RLOC16: binary.BigEndian.Uint16(t.Value), Data: t.Value[2:], Stable: t.Stable})
		s.layout = addRun(s.layout, typeServer)
		return nil
	})
	return s, err
}
