package ieee802154

import "encoding/binary"

// HeaderLen returns the octets of the MAC header (MHR), which is what
// AppendHeader writes.
func (f *Frame) HeaderLen() int {
	v2015 := f.Version == Version2015
	n := 2 + f.Dst.Mode.Len() + f.Src.Mode.Len()
	if !v2015 || !f.SeqSuppressed {
		n++
	}
	dstPAN, srcPAN := f.PANsPresent()
	if dstPAN {
		n += 2
	}
	if srcPAN {
		n += 2
	}
	if f.Secured {
		n += f.Security.len(v2015)
	}
	return n + f.headerIEsLen()
}

// headerIEsLen returns the octets of the header list with its termination.
func (f *Frame) headerIEsLen() int {
	if !f.iePresent() {
		return 0
	}
	n := 0
	for _, e := range f.HeaderIEs {
		n += ieLen + len(e.Content)
	}
	if f.impliedTermination() != 0 && !endsWith(f.HeaderIEs, isHeaderTermination) {
		n += ieLen
	}
	return n
}

// PrivateOffset returns where in the PSDU the private payload starts: what
// comes before is authenticated and never encrypted. Up to version 2006 that
// takes in the command identifier, or a beacon up to its payload; from 2015 on
// it is the MAC header (IEEE 802.15.4-2006 Table 97, IEEE 802.15.4-2015 Section
// 9.3.4.2).
func (f *Frame) PrivateOffset() int {
	n := f.HeaderLen()
	if f.Version == Version2015 {
		return n
	}
	switch f.Type {
	case FrameCommand:
		n++
	case FrameBeacon:
		if bc, err := decodeBeacon(f.Payload, 0); err == nil {
			n += len(f.Payload) - len(bc.Payload)
		}
	}
	return n
}

// Seal appends the PSDU with the header of f.Security, encrypted and
// authenticated with ccm as the device with address ext. f is in the clear and
// stays so. The key, f.Security.Counter and ext must not occur together twice.
// A frame that is not Secured is appended as it is.
func (f *Frame) Seal(ccm *CCM, ext ExtAddr, b []byte) []byte {
	start := len(b)
	b = f.Append(b)
	if f.Secured {
		f.protect(b[start:], ccm, ext)
	}
	return b
}

// protect encrypts and authenticates psdu, which f describes.
func (f *Frame) protect(psdu []byte, ccm *CCM, ext ExtAddr) {
	nonce := Nonce(ext, f.Security.Counter, f.Security.Level)
	aad, data, tag := f.parts(psdu)
	ccm.Seal(&nonce, aad, data, tag)
}

// parts cuts psdu into what is only authenticated, what is encrypted as well,
// and the code.
func (f *Frame) parts(psdu []byte) (aad, data, tag []byte) {
	end := len(psdu) - f.Security.Level.MICLen()
	private := end
	if f.Security.Level.encrypts() {
		private = f.PrivateOffset()
	}
	return psdu[:private], psdu[private:end], psdu[end:]
}

// Open verifies a frame that Decode read from psdu and that the device with
// address ext sent, and decrypts it: in place, in psdu, which Payload aliases.
// PayloadIEs, Command and Payload then hold the plaintext.
//
// The error is ErrNotSecured, ErrNonce, ErrMIC - after these psdu and f are as
// they were - or a *DecodeError when the plaintext is no valid frame.
//
// With CounterSuppressed the caller sets Security.Counter before.
func (f *Frame) Open(psdu []byte, ccm *CCM, ext ExtAddr) error {
	if !f.Secured {
		return ErrNotSecured
	}
	if f.Security.ASNInNonce {
		return ErrNonce
	}
	nonce := Nonce(ext, f.Security.Counter, f.Security.Level)
	aad, data, tag := f.parts(psdu)
	if err := ccm.Open(&nonce, aad, data, tag); err != nil {
		return err
	}
	if !f.Encrypted {
		return nil
	}
	f.Encrypted = false
	if f.Version != Version2015 {
		return nil // Payload aliases the plaintext, and nothing else was hidden
	}
	d := decoder{b: psdu[:len(aad)+len(data)], off: len(aad)}
	d.body(f)
	return d.err
}

// SetSecurity writes a key index and frame counter into the auxiliary security
// header of a PSDU, as a radio does for a host that left them open. The index
// is ignored when the header has no room for one (KeyIDImplicit).
func SetSecurity(psdu []byte, keyIndex uint8, counter uint32) error {
	f, err := Decode(psdu)
	if err != nil {
		return err
	}
	if !f.Secured {
		return ErrNotSecured
	}
	end := f.HeaderLen() - f.headerIEsLen()
	if f.Security.KeyIDMode != KeyIDImplicit {
		psdu[end-1] = keyIndex
	}
	if !f.Security.CounterSuppressed {
		at := end - f.Security.len(f.Version == Version2015) + 1
		binary.LittleEndian.PutUint32(psdu[at:], counter)
	}
	return nil
}

// EncryptInPlace secures a PSDU that is in the clear but complete otherwise:
// with its auxiliary security header and, at its end, room for the message
// integrity code.
func EncryptInPlace(psdu []byte, ccm *CCM, ext ExtAddr) error {
	f, err := Decode(psdu)
	if err != nil {
		return err
	}
	if !f.Secured {
		return ErrNotSecured
	}
	if f.Security.ASNInNonce {
		return ErrNonce
	}
	f.protect(psdu, ccm, ext)
	return nil
}
