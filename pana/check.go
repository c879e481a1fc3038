package pana

import "fmt"

// A place in the table of RFC 5191 Section 8.10, as bits.
const (
	inPAR = 1 << iota
	inPAN
	inPTR
	inPTA
	inPNR
	inPNA
	inPRY

	inSession = inPAR | inPAN | inPTR | inPTA | inPNR | inPNA
)

// occurrence is where an AVP may be, where it may be more than once, where it
// must be, and how long its value is.
type occurrence struct {
	may, many, must int
	min, max        int
}

const anyLength = 1<<16 - 1

var occurrences = [...]occurrence{
	CodeAuth:                {may: inSession, min: 1, max: anyLength},
	CodeEAPPayload:          {may: inPAR | inPAN, min: 4, max: anyLength},
	CodeIntegrityAlgorithm:  {may: inPAR | inPAN, many: inPAR, min: 4, max: 4},
	CodeKeyID:               {may: inPAR | inPAN, min: 4, max: 4},
	CodeNonce:               {may: inPAR | inPAN, min: 8, max: 256},
	CodePRFAlgorithm:        {may: inPAR | inPAN, many: inPAR, min: 4, max: 4},
	CodeResultCode:          {may: inPAR, min: 4, max: 4},
	CodeSessionLifetime:     {may: inPAR, min: 4, max: 4},
	CodeTerminationCause:    {may: inPTR, must: inPTR, min: 4, max: 4},
	CodePaCInformation:      {may: inPRY, must: inPRY, min: 6, max: 20},
	CodeRelayedMessage:      {may: inPRY, must: inPRY, min: HeaderLen, max: anyLength},
	CodeEncryptionEncap:     {may: inSession, min: 1, max: anyLength},
	CodeEncryptionAlgorithm: {may: inPAR | inPAN, many: inPAR, min: 4, max: 4},
}

// place is the column of the table that a message is in, 0 if there is no such
// message. Flags have to be the ones that the type knows.
func (m *Message) place() int {
	f := m.Flags & flagsKnown &^ FlagReconfig
	request := f&FlagRequest != 0
	f &^= FlagRequest
	pick := func(ok bool, r, a int) int {
		switch {
		case !ok:
			return 0
		case request:
			return r
		}
		return a
	}
	switch m.Type {
	case Auth:
		return pick(f == 0 || f == FlagStart || f == FlagComplete, inPAR, inPAN)
	case Termination:
		return pick(f == 0, inPTR, inPTA)
	case Notification:
		return pick(f == FlagPing || f == FlagReauth, inPNR, inPNA)
	case Relay:
		return pick(f == 0, 0, inPRY)
	}
	return 0
}

// Check reports whether header and AVPs are what RFC 5191 Sections 5.5 and 7
// allow for the type. An AVP without a vendor must be known; one of a vendor
// is not looked at.
func (m *Message) Check() error {
	if m.Type == Initiation {
		if m.Flags&flagsKnown != 0 || m.SessionID != 0 || m.Seq != 0 || len(m.AVPs) != 0 {
			return fmt.Errorf("%w: initiation with contents", ErrInvalid)
		}
		return nil
	}
	in := m.place()
	if in == 0 {
		return fmt.Errorf("%w: type %d with flags %q", ErrInvalid, m.Type, m.Flags.String())
	}
	if in == inPRY && (m.SessionID != 0 || m.Seq != 0) {
		return fmt.Errorf("%w: relay with a session", ErrInvalid)
	}
	var seen [len(occurrences)]bool
	for i := range m.AVPs {
		a := &m.AVPs[i]
		if a.Vendor != 0 {
			continue
		}
		c := a.Code
		if int(c) >= len(occurrences) || occurrences[c].may == 0 {
			return fmt.Errorf("%w: unknown AVP %d", ErrInvalid, a.Code)
		}
		o := &occurrences[c]
		switch {
		case o.may&in == 0:
			return fmt.Errorf("%w: AVP %d does not belong into %v", ErrInvalid, a.Code, m)
		case seen[c] && o.many&in == 0:
			return fmt.Errorf("%w: more than one AVP %d", ErrInvalid, a.Code)
		case len(a.Value) < o.min || len(a.Value) > o.max:
			return fmt.Errorf("%w: AVP %d of %d octets", ErrInvalid, a.Code, len(a.Value))
		}
		seen[c] = true
	}
	for c, o := range occurrences {
		if o.must&in != 0 && !seen[c] {
			return fmt.Errorf("%w: AVP %d is missing", ErrInvalid, c)
		}
	}
	return nil
}
