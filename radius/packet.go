package radius

import (
	"encoding/binary"
	"net/netip"
)

// Sizes in octets (RFC 2865 Section 3).
const (
	headerLen    = 20
	authLen      = 16
	authOffset   = 4
	MaxPacketLen = 4096
	maxValueLen  = 253
)

// Packet is a RADIUS packet (RFC 2865 Section 3).
type Packet struct {
	Code Code
	ID   uint8
	// Authenticator is the Request or Response Authenticator, depending on
	// Code.
	Authenticator [16]byte
	Attributes    Attributes
}

// Attribute is one attribute, at most 253 octets of value.
type Attribute struct {
	Type  Type
	Value []byte
}

// Attributes are a packet's, in their order, which counts among those of one
// type (RFC 2865 Section 5).
type Attributes []Attribute

// Decode reads a packet. Octets beyond its length field are padding and not
// looked at (RFC 2865 Section 3). Attribute values alias b. Nothing is
// verified; see VerifyRequest and VerifyResponse.
func Decode(b []byte) (Packet, error) {
	b, err := trim(b)
	if err != nil {
		return Packet{}, err
	}
	p := Packet{Code: Code(b[0]), ID: b[1], Authenticator: [16]byte(b[authOffset:])}
	for off := headerLen; off < len(b); {
		n, err := attributeLen(b, off)
		if err != nil {
			return Packet{}, err
		}
		p.Attributes = append(p.Attributes, Attribute{Type(b[off]), b[off+2 : off+n : off+n]})
		off += n
	}
	return p, nil
}

// trim cuts b to the length that its header says.
func trim(b []byte) ([]byte, error) {
	if len(b) < headerLen {
		return nil, &DecodeError{What: "header", Offset: len(b), Err: ErrShort}
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case n < headerLen, n > MaxPacketLen:
		return nil, &DecodeError{What: "length field", Offset: 2, Err: ErrLength}
	case n > len(b):
		return nil, &DecodeError{What: "packet", Offset: len(b), Err: ErrShort}
	}
	return b[:n:n], nil
}

// attributeLen is the length of the whole attribute at off, which is inside b.
func attributeLen(b []byte, off int) (int, error) {
	if len(b)-off < 2 {
		return 0, &DecodeError{What: "attribute", Offset: off, Err: ErrShort}
	}
	n := int(b[off+1])
	switch {
	case n < 2:
		return 0, &DecodeError{What: "attribute length", Offset: off + 1, Err: ErrLength}
	case n > len(b)-off:
		return 0, &DecodeError{What: "attribute value", Offset: off + 2, Err: ErrShort}
	}
	return n, nil
}

// Append appends the packet as it is: with its Authenticator, and nothing
// computed. It must not be longer than MaxPacketLen.
func (p Packet) Append(b []byte) []byte {
	start := len(b)
	b = append(b, byte(p.Code), p.ID, 0, 0)
	b = append(b, p.Authenticator[:]...)
	for _, a := range p.Attributes {
		b = append(b, byte(a.Type), byte(2+len(a.Value)))
		b = append(b, a.Value...)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// Len is how many octets Append appends.
func (p Packet) Len() int {
	n := headerLen
	for _, a := range p.Attributes {
		n += 2 + len(a.Value)
	}
	return n
}

// Get returns the value of the first attribute of a type, and whether there is
// one.
func (as Attributes) Get(t Type) ([]byte, bool) {
	for _, a := range as {
		if a.Type == t {
			return a.Value, true
		}
	}
	return nil, false
}

// Uint32 returns the first attribute of a type as a number. An attribute that
// is not four octets long is none.
func (as Attributes) Uint32(t Type) (uint32, bool) {
	v, ok := as.Get(t)
	if !ok || len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// Text returns the first attribute of a type as text, "" if there is none.
func (as Attributes) Text(t Type) string {
	v, _ := as.Get(t)
	return string(v)
}

// All returns copies of the values of all attributes of a type.
func (as Attributes) All(t Type) (vs [][]byte) {
	for _, a := range as {
		if a.Type == t {
			vs = append(vs, append([]byte(nil), a.Value...))
		}
	}
	return vs
}

// Add appends an attribute. A value longer than 253 octets is cut.
func (as *Attributes) Add(t Type, value []byte) {
	*as = append(*as, Attribute{t, value[:min(len(value), maxValueLen)]})
}

// AddText appends an attribute of text, none for "".
func (as *Attributes) AddText(t Type, s string) {
	if s != "" {
		as.Add(t, []byte(s))
	}
}

// AddUint32 appends an attribute that is a number.
func (as *Attributes) AddUint32(t Type, v uint32) {
	as.Add(t, binary.BigEndian.AppendUint32(nil, v))
}

// addAddr appends an address as v4 or, if it is one, as v6.
func (as *Attributes) addAddr(v4, v6 Type, a netip.Addr) {
	switch {
	case !a.IsValid():
	case a.Is4() || a.Is4In6():
		b := a.As4()
		as.Add(v4, b[:])
	default:
		b := a.As16()
		as.Add(v6, b[:])
	}
}

// AddVendor appends a Vendor-Specific attribute in the form that RFC 2865
// Section 5.26 recommends; value has at most 247 octets.
func (as *Attributes) AddVendor(v Vendor, t uint8, value []byte) {
	b := binary.BigEndian.AppendUint32(nil, uint32(v))
	b = append(b, t, byte(2+len(value)))
	as.Add(VendorSpecific, append(b, value...))
}

// Vendor returns the value of a vendor's first sub-attribute of a type. What
// is not in the recommended form is passed over.
func (as Attributes) Vendor(v Vendor, t uint8) ([]byte, bool) {
	for _, a := range as {
		if a.Type != VendorSpecific || len(a.Value) < 4 || binary.BigEndian.Uint32(a.Value) != uint32(v) {
			continue
		}
		for b := a.Value[4:]; len(b) >= 2; {
			n := int(b[1])
			if n < 2 || n > len(b) {
				break
			}
			if b[0] == t {
				return b[2:n:n], true
			}
			b = b[n:]
		}
	}
	return nil, false
}

// AddEAP appends an EAP packet in as many EAP-Message attributes as it takes
// (RFC 3579 Section 3.1). A packet of no octets becomes an empty attribute,
// which is an EAP-Start (Section 2.1).
func (as *Attributes) AddEAP(packet []byte) {
	for first := true; first || len(packet) > 0; first = false {
		n := min(len(packet), maxValueLen)
		as.Add(EAPMessage, packet[:n])
		packet = packet[n:]
	}
}

// EAP joins the EAP-Message attributes to one packet, which is a copy, and
// reports whether there are any.
func (as Attributes) EAP() (packet []byte, ok bool) {
	for _, a := range as {
		if a.Type == EAPMessage {
			packet, ok = append(packet, a.Value...), true
		}
	}
	return packet, ok
}
