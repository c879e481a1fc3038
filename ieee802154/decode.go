package ieee802154

import "encoding/binary"

// Decode reads a PSDU without its frame check sequence. Payload, MIC and the
// contents of information elements alias psdu. Errors are *DecodeError.
func Decode(psdu []byte) (Frame, error) {
	var f Frame
	d := decoder{b: psdu}
	d.frame(&f)
	if d.err != nil {
		return Frame{}, d.err
	}
	return f, nil
}

// A decoder reads forward through b and keeps the first error.
type decoder struct {
	b   []byte
	off int
	err error
}

func (d *decoder) fail(what string, off int, err error) {
	if d.err == nil {
		d.err = &DecodeError{What: what, Offset: off, Err: err}
	}
}

// take returns the next n octets, or nil after an error.
func (d *decoder) take(what string, n int) []byte {
	if d.err == nil && len(d.b)-d.off < n {
		d.fail(what, d.off, ErrShort)
	}
	if d.err != nil {
		return nil
	}
	p := d.b[d.off : d.off+n : d.off+n]
	d.off += n
	return p
}

func (d *decoder) uint8(what string) uint8 {
	if p := d.take(what, 1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) uint16(what string) uint16 {
	if p := d.take(what, 2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (d *decoder) addr(what string, m AddrMode) Addr {
	if p := d.take(what, m.Len()); p != nil {
		return decodeAddr(p, m)
	}
	return Addr{Mode: m}
}

func (d *decoder) frame(f *Frame) {
	fcf := d.uint16("frame control")
	f.Type = FrameType(fcf & fcfTypeMask)
	f.Version = Version(fcf >> fcfVersionShift & 3)
	f.Pending = fcf&fcfPending != 0
	f.AckRequest = fcf&fcfAckRequest != 0
	f.PANCompressed = fcf&fcfPANCompressed != 0
	f.Secured = fcf&fcfSecured != 0
	f.Dst.Mode = AddrMode(fcf >> fcfDstModeShift & 3)
	f.Src.Mode = AddrMode(fcf >> fcfSrcModeShift & 3)
	v2015 := f.Version == Version2015
	f.SeqSuppressed = v2015 && fcf&fcfSeqSuppressed != 0
	switch {
	case f.Type > FrameCommand:
		d.fail("frame type", 0, ErrReserved)
	case f.Version > Version2015:
		d.fail("frame version", 1, ErrReserved)
	case f.Dst.Mode == addrReserved || f.Src.Mode == addrReserved:
		d.fail("addressing mode", 1, ErrReserved)
	case f.Secured && f.Version == Version2003:
		d.fail("frame control", 0, ErrLegacySecurity)
	}

	if !f.SeqSuppressed {
		f.Seq = d.uint8("sequence number")
	}
	d.addresses(f)
	if f.Secured {
		f.Security = d.security(v2015)
		f.Encrypted = f.Security.Level.encrypts()
		d.mic(f)
	}
	if v2015 && fcf&fcfIEPresent != 0 {
		d.headerIEs(f)
	}
	d.body(f)
}

func (d *decoder) addresses(f *Frame) {
	dstPAN, srcPAN := f.PANsPresent()
	if dstPAN {
		f.DstPAN = d.uint16("destination PAN ID")
	}
	f.Dst = d.addr("destination address", f.Dst.Mode)
	switch {
	case srcPAN:
		f.SrcPAN = d.uint16("source PAN ID")
	case dstPAN && f.Src.Mode != AddrNone:
		f.SrcPAN = f.DstPAN
	}
	f.Src = d.addr("source address", f.Src.Mode)
}

// mic cuts the message integrity code off the end of the input.
func (d *decoder) mic(f *Frame) {
	if d.err != nil {
		return
	}
	n := f.Security.Level.MICLen()
	end := len(d.b) - n
	if end < d.off {
		d.fail("message integrity code", d.off, ErrShort)
		return
	}
	if n > 0 {
		f.MIC = d.b[end:]
	}
	d.b = d.b[:end:end]
}

// body reads what lies between the header information elements and the MIC.
// It runs a second time, on the plaintext, when a frame is opened.
func (d *decoder) body(f *Frame) {
	if f.Version == Version2015 && !f.Encrypted {
		d.payloadIEs(f)
	}
	if f.Type == FrameCommand && (f.Version != Version2015 || !f.Encrypted) {
		f.Command = d.uint8("command identifier")
	}
	if d.err != nil {
		return
	}
	start := d.off
	f.Payload = d.take("payload", len(d.b)-d.off)
	if f.Encrypted && f.Type == FrameBeacon && f.Version != Version2015 && len(f.Payload) > 0 {
		// What is encrypted starts where the beacon payload does.
		if _, err := decodeBeacon(f.Payload, start); err != nil {
			d.err = err
			return
		}
	}
	f.dropImplied()
}
