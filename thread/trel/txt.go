package trel

import (
	"bytes"
	"errors"

	"gatewayd/ieee802154"
)

// Service is the type of the service by which nodes find each other.
const Service = "_trel._udp"

// ExtPANID is an extended PAN id.
type ExtPANID [8]byte

// TXT is what a node's service says of it (RFC 6763 Section 6): xa is its
// extended address and xp its network's extended PAN id, eight bytes each.
type TXT struct {
	Ext      ieee802154.ExtAddr
	ExtPANID ExtPANID
}

// Keys of TXT entries, which are compared without regard to case.
var keyExt, keyExtPANID = []byte("xa"), []byte("xp")

// Append appends the TXT data.
func (t TXT) Append(b []byte) []byte {
	b = append(append(b, 2+1+8), "xa="...)
	b = append(b, t.Ext[:]...)
	b = append(append(b, 2+1+8), "xp="...)
	return append(b, t.ExtPANID[:]...)
}

// Reasons for TXT data to be refused, wrapped in a DecodeError.
var (
	ErrLength    = errors.New("value is not eight bytes")
	ErrDuplicate = errors.New("key is there twice")
	ErrMissing   = errors.New("key is missing")
)

// DecodeTXT reads TXT data. Each key must be there exactly once; entries with
// other keys are ignored. Errors are *DecodeError.
func DecodeTXT(b []byte) (t TXT, err error) {
	fail := func(what string, off int, err error) (TXT, error) {
		return TXT{}, &DecodeError{What: what, Offset: off, Err: err}
	}
	var hasExt, hasExtPANID bool
	for off := 0; off < len(b); {
		n := int(b[off])
		if n > len(b)-off-1 {
			return fail("entry", off, ErrShort)
		}
		key, value, _ := bytes.Cut(b[off+1:off+1+n], []byte("="))
		var what string
		var to *[8]byte
		var has *bool
		switch {
		case bytes.EqualFold(key, keyExt):
			what, to, has = "xa", (*[8]byte)(&t.Ext), &hasExt
		case bytes.EqualFold(key, keyExtPANID):
			what, to, has = "xp", (*[8]byte)(&t.ExtPANID), &hasExtPANID
		}
		if to != nil {
			switch {
			case *has:
				return fail(what, off, ErrDuplicate)
			case len(value) != len(to):
				return fail(what, off, ErrLength)
			}
			*has, *to = true, [8]byte(value)
		}
		off += 1 + n
	}
	switch {
	case !hasExt:
		return fail("xa", len(b), ErrMissing)
	case !hasExtPANID:
		return fail("xp", len(b), ErrMissing)
	}
	return t, nil
}
