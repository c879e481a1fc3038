package mdns

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Types of records (IANA, "DNS Parameters").
const (
	TypeA     = 1
	TypeNS    = 2
	TypeCNAME = 5
	TypeSOA   = 6
	TypePTR   = 12
	TypeMX    = 15
	TypeTXT   = 16
	TypeAAAA  = 28
	TypeSRV   = 33
	TypeOPT   = 41
	TypeNSEC  = 47
	TypeANY   = 255
)

// Classes (IANA, "DNS Parameters").
const (
	ClassIN  = 1
	ClassANY = 255
)

// A Record is a resource record.
type Record struct {
	Name  Name
	Type  uint16
	Class uint16 // without the topmost bit
	Flush bool   // that bit: the sender has all of the set (RFC 6762 Section 10.2)
	TTL   time.Duration
	Data  string // bytes of the wire, the names in it not compressed
}

// layout is where names are in a type's data: after some bytes, so many names,
// then the rest. RFC 6762 Section 18.14 lists the types.
type layout struct{ before, names int }

var layouts = map[uint16]layout{
	TypeNS:    {0, 1},
	TypeCNAME: {0, 1},
	TypeSOA:   {0, 2},
	TypePTR:   {0, 1},
	TypeMX:    {2, 1},
	17:        {0, 2}, // RP
	18:        {2, 1}, // AFSDB
	21:        {2, 1}, // RT
	26:        {2, 2}, // PX
	TypeSRV:   {6, 1},
	36:        {2, 1}, // KX
	39:        {0, 1}, // DNAME
	TypeNSEC:  {0, 1},
}

// compressed are the types whose names this package compresses.
func compressed(typ uint16) bool {
	return typ == TypePTR || typ == TypeSRV || typ == TypeNSEC || typ == TypeCNAME
}

// Target is the name that a PTR, SRV or CNAME record leads to, or "".
func (r Record) Target() Name {
	switch r.Type {
	case TypePTR, TypeCNAME:
		return Name(r.Data)
	case TypeSRV:
		return Name(r.Data[6:])
	}
	return ""
}

// Addr is the address of an A or AAAA record; else the zero value.
func (r Record) Addr() netip.Addr {
	if r.Type != TypeA && r.Type != TypeAAAA {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice([]byte(r.Data))
	return a
}

// SRV is the data of an SRV record (RFC 2782).
func (r Record) SRV() (priority, weight, port uint16, target Name) {
	if r.Type != TypeSRV {
		return 0, 0, 0, ""
	}
	b := []byte(r.Data[:6])
	return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:]), Name(r.Data[6:])
}

// Append appends the record as on the wire without compression, for a codec
// that has its own form of it.
func (r Record) Append(b []byte) []byte {
	b = append(b, r.Name...)
	b = appendFixed(b, r)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Data)))
	return append(b, r.Data...)
}

// appendFixed appends type, class and TTL.
func appendFixed(b []byte, r Record) []byte {
	class := r.Class
	if r.Flush {
		class |= topBit
	}
	b = binary.BigEndian.AppendUint16(b, r.Type)
	b = binary.BigEndian.AppendUint16(b, class)
	return binary.BigEndian.AppendUint32(b, uint32(r.TTL/time.Second))
}

// String is for people.
func (r Record) String() string {
	s := fmt.Sprintf("%v %v %v", r.Name, int(r.TTL/time.Second), typeName(r.Type))
	switch r.Type {
	case TypeA, TypeAAAA:
		return s + " " + r.Addr().String()
	case TypePTR, TypeCNAME:
		return s + " " + r.Target().String()
	case TypeSRV:
		p, w, port, target := r.SRV()
		return fmt.Sprintf("%v %d %d %d %v", s, p, w, port, target)
	}
	return s + " " + strconv.Quote(r.Data)
}

func typeName(t uint16) string {
	switch t {
	case TypeA:
		return "A"
	case TypeCNAME:
		return "CNAME"
	case TypePTR:
		return "PTR"
	case TypeTXT:
		return "TXT"
	case TypeAAAA:
		return "AAAA"
	case TypeSRV:
		return "SRV"
	case TypeNSEC:
		return "NSEC"
	case TypeANY:
		return "ANY"
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// id is what makes two records one: name, type and data (RFC 6762 Section 7.1).
// The class is always IN.
type id struct {
	name string
	typ  uint16
	data string
}

func (r Record) id() id { return id{r.Name.key(), r.Type, dataKey(r.Type, r.Data)} }

// dataKey folds the names in data.
func dataKey(typ uint16, data string) string {
	l, ok := layouts[typ]
	switch {
	case !ok || typ == TypeSOA || typ == TypeNSEC: // bytes after the names are no letters
		return data
	case l.before == 0:
		return fold(data)
	}
	return data[:l.before] + fold(data[l.before:])
}

// address is the A or AAAA record's type and data.
func address(a netip.Addr) (typ uint16, data string) {
	if a = a.Unmap().WithZone(""); a.Is4() {
		return TypeA, string(a.AsSlice())
	}
	return TypeAAAA, string(a.AsSlice())
}

// reverse is an address's name (RFC 1035 Section 3.5, RFC 3596 Section 2.5).
func reverse(a netip.Addr) Name {
	var b []byte
	if a = a.Unmap().WithZone(""); a.Is4() {
		for i := 3; i >= 0; i-- {
			s := strconv.Itoa(int(a.As4()[i]))
			b = append(append(b, byte(len(s))), s...)
		}
		return Name(b) + "\x07in-addr\x04arpa\x00"
	}
	const hex = "0123456789abcdef"
	for i := 15; i >= 0; i-- {
		c := a.As16()[i]
		b = append(b, 1, hex[c&15], 1, hex[c>>4])
	}
	return Name(b) + "\x03ip6\x04arpa\x00"
}

// bitmap is the data of an NSEC record after the name: one window of the types
// below 256 (RFC 6762 Section 6.1). It has at least one type.
func bitmap(types []uint16) string {
	var bits [32]byte
	n := 0
	for _, t := range types {
		if t < 256 {
			bits[t/8] |= 0x80 >> (t % 8)
			n = max(n, int(t/8)+1)
		}
	}
	return string(append([]byte{0, byte(n)}, bits[:n]...))
}

// denies reports whether an NSEC record says that its name has no records of a
// type.
func (r Record) denies(typ uint16) bool {
	if r.Type != TypeNSEC || typ >= 256 {
		return false
	}
	l := 0
	for r.Data[l] != 0 {
		l += 1 + int(r.Data[l])
	}
	w := r.Data[l+1:]
	if len(w) < 2 || w[0] != 0 || len(w) < 2+int(w[1]) {
		return false
	}
	bits := w[2 : 2+int(w[1])]
	i := int(typ / 8)
	return i >= len(bits) || bits[i]&(0x80>>(typ%8)) == 0
}
