package ieee802154

import "encoding/binary"

// Identifiers of header information elements (IEEE 802.15.4-2015 Table 7-7).
const (
	HeaderIEVendor       = 0x00
	HeaderIECSL          = 0x1a
	HeaderIETermination1 = 0x7e // payload information elements follow
	HeaderIETermination2 = 0x7f // the payload follows
)

// Group identifiers of payload information elements (Table 7-15).
const (
	PayloadIEMLME        = 0x1
	PayloadIEVendor      = 0x2
	PayloadIETermination = 0xf
)

// Longest contents of an information element, in octets.
const (
	MaxHeaderIE  = 1<<7 - 1
	MaxPayloadIE = 1<<11 - 1
)

// An IE is a header or payload information element: which of the two, the
// list that it is in says.
type IE struct {
	ID      uint8 // 8-bit element ID of a header IE, 4-bit group ID of a payload IE
	Content []byte
}

const (
	ieLen         = 2       // descriptor
	ieTypePayload = 1 << 15 // clear in a header IE
)

func (f *Frame) iePresent() bool {
	return f.Version == Version2015 && len(f.HeaderIEs)+len(f.PayloadIEs) > 0
}

// impliedTermination returns the element that ends the header list because of
// what follows, or 0. Where nothing follows, none is needed, and Thread sends
// none (IEEE 802.15.4-2015 Table 7-6).
func (f *Frame) impliedTermination() uint8 {
	switch {
	case len(f.PayloadIEs) > 0:
		return HeaderIETermination1
	case len(f.Payload) > 0 || f.Type == FrameCommand && !f.Encrypted:
		return HeaderIETermination2
	}
	return 0
}

func isHeaderTermination(id uint8) bool {
	return id == HeaderIETermination1 || id == HeaderIETermination2
}

// endsWith reports whether the last element of ies satisfies is.
func endsWith(ies []IE, is func(id uint8) bool) bool {
	return len(ies) > 0 && is(ies[len(ies)-1].ID)
}

// dropImplied removes from a list the element that Append would add.
func (f *Frame) dropImplied() {
	n := len(f.HeaderIEs)
	if n == 0 {
		return
	}
	last := f.HeaderIEs[n-1]
	// Alone it also stands for the IE Present bit, so Termination 2 stays.
	alone := n == 1 && last.ID == HeaderIETermination2
	if last.ID == f.impliedTermination() && isHeaderTermination(last.ID) && !alone && len(last.Content) == 0 {
		f.HeaderIEs = f.HeaderIEs[:n-1]
	}
}

func (f *Frame) appendHeaderIEs(b []byte) []byte {
	for _, e := range f.HeaderIEs {
		b = appendHeaderIE(b, e)
	}
	if endsWith(f.HeaderIEs, isHeaderTermination) {
		return b
	}
	if id := f.impliedTermination(); id != 0 {
		b = appendHeaderIE(b, IE{ID: id})
	}
	return b
}

func appendHeaderIE(b []byte, e IE) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Content)&MaxHeaderIE)|uint16(e.ID)<<7)
	return append(b, e.Content...)
}

func isPayloadTermination(id uint8) bool { return id == PayloadIETermination }

// payloadTermination reports whether something follows that the end of the
// payload list has to be told from.
func (f *Frame) payloadTermination() bool {
	return len(f.Payload) > 0 || f.Type == FrameCommand
}

func (f *Frame) appendPayloadIEs(b []byte) []byte {
	for _, e := range f.PayloadIEs {
		b = appendPayloadIE(b, e)
	}
	if len(f.PayloadIEs) > 0 && f.payloadTermination() && !endsWith(f.PayloadIEs, isPayloadTermination) {
		b = appendPayloadIE(b, IE{ID: PayloadIETermination})
	}
	return b
}

func appendPayloadIE(b []byte, e IE) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Content)&MaxPayloadIE)|uint16(e.ID)<<11|ieTypePayload)
	return append(b, e.Content...)
}

// headerIEs reads the header list, its termination included.
func (d *decoder) headerIEs(f *Frame) {
	for first := true; d.err == nil && (first || d.off < len(d.b)); first = false {
		at := d.off
		w := d.uint16("header information element")
		if w&ieTypePayload != 0 {
			d.fail("header information element", at, ErrReserved)
		}
		e := IE{ID: uint8(w >> 7), Content: d.take("header information element", int(w&MaxHeaderIE))}
		if d.err != nil {
			return
		}
		f.HeaderIEs = append(f.HeaderIEs, e)
		if isHeaderTermination(e.ID) {
			return
		}
	}
}

// payloadIEs reads the payload list when the header list says that one follows.
func (d *decoder) payloadIEs(f *Frame) {
	if n := len(f.HeaderIEs); n == 0 || f.HeaderIEs[n-1].ID != HeaderIETermination1 {
		return
	}
	for d.err == nil && d.off < len(d.b) {
		at := d.off
		w := d.uint16("payload information element")
		if d.err == nil && w&ieTypePayload == 0 {
			d.fail("payload information element", at, ErrReserved)
		}
		e := IE{ID: uint8(w >> 11 & 0xf), Content: d.take("payload information element", int(w&MaxPayloadIE))}
		if d.err != nil {
			return
		}
		if !isPayloadTermination(e.ID) {
			f.PayloadIEs = append(f.PayloadIEs, e)
			continue
		}
		more := d.off < len(d.b) || f.Type == FrameCommand
		if len(f.PayloadIEs) == 0 || !more || len(e.Content) > 0 {
			f.PayloadIEs = append(f.PayloadIEs, e) // Append would not add it by itself
		}
		return
	}
}

// A CSL is the coordinated sampled listening element (IEEE 802.15.4-2015
// Section 7.4.2.3), without the rendezvous time.
type CSL struct {
	Phase  uint16 // from the first symbol of the frame to the next sample, in 10 symbols (160 us)
	Period uint16 // in 10 symbols
}

// IE returns the header information element.
func (c CSL) IE() IE {
	return IE{ID: HeaderIECSL, Content: []byte{byte(c.Phase), byte(c.Phase >> 8), byte(c.Period), byte(c.Period >> 8)}}
}

// CSL returns the frame's CSL element, if there is one.
func (f *Frame) CSL() (c CSL, ok bool) {
	for _, e := range f.HeaderIEs {
		if e.ID == HeaderIECSL && len(e.Content) >= 4 {
			return CSL{Phase: binary.LittleEndian.Uint16(e.Content), Period: binary.LittleEndian.Uint16(e.Content[2:])}, true
		}
	}
	return CSL{}, false
}

// OUIThread is the Thread Group's organizationally unique identifier.
const OUIThread = 0xeab89b

const ouiLen = 3

// VendorIE returns a vendor-specific header element (IEEE 802.15.4-2015 Section
// 7.4.2.2). The low 24 bits of oui are its OUI.
func VendorIE(oui uint32, content []byte) IE {
	c := make([]byte, 0, ouiLen+len(content))
	c = append(c, byte(oui), byte(oui>>8), byte(oui>>16))
	return IE{ID: HeaderIEVendor, Content: append(c, content...)}
}

// Vendor returns the contents of the first vendor-specific header element with
// this OUI.
func (f *Frame) Vendor(oui uint32) (content []byte, ok bool) {
	for _, e := range f.HeaderIEs {
		if e.ID != HeaderIEVendor || len(e.Content) < ouiLen {
			continue
		}
		if c := e.Content; uint32(c[0])|uint32(c[1])<<8|uint32(c[2])<<16 == oui {
			return c[ouiLen:], true
		}
	}
	return nil, false
}
