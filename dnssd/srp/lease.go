package srp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Bounds are the shortest and longest of what the server grants.
type Bounds struct {
	MinLease, MaxLease       time.Duration // of addresses and services
	MinKeyLease, MaxKeyLease time.Duration // of names
	MinTTL, MaxTTL           time.Duration // of records
}

// The bounds where none are given. Of leases, the shortest is what RFC 9664
// Section 8 recommends and the longest somewhat more than the day and the week
// that it does, so that who renews once a day or week is in time.
var defaultBounds = Bounds{
	MinLease: 30 * time.Second, MaxLease: 27 * time.Hour,
	MinKeyLease: 30 * time.Second, MaxKeyLease: 189 * time.Hour,
	MinTTL: 30 * time.Second, MaxTTL: 27 * time.Hour,
}

// fill replaces zeroes by the defaults and reports what cannot be.
func (b *Bounds) fill() error {
	for _, f := range []struct{ have, def *time.Duration }{
		{&b.MinLease, &defaultBounds.MinLease}, {&b.MaxLease, &defaultBounds.MaxLease},
		{&b.MinKeyLease, &defaultBounds.MinKeyLease}, {&b.MaxKeyLease, &defaultBounds.MaxKeyLease},
		{&b.MinTTL, &defaultBounds.MinTTL}, {&b.MaxTTL, &defaultBounds.MaxTTL},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	switch {
	case b.MinLease < time.Second || b.MinLease > b.MaxLease || b.MinKeyLease > b.MaxKeyLease || b.MinTTL < 0 || b.MinTTL > b.MaxTTL:
		return fmt.Errorf("srp: bounds of leases: the longest must not be shorter than the shortest, nor that than a second: %+v", *b)
	case b.MinLease > b.MinKeyLease || b.MaxLease > b.MaxKeyLease:
		return fmt.Errorf("srp: bounds of leases: names must be leased as long as what has them: %+v", *b)
	case b.MaxKeyLease > longestLease:
		return fmt.Errorf("srp: bounds of leases: the longest is %v", longestLease)
	}
	return nil
}

// longestLease is the longest time a message can say.
const longestLease = (1<<32 - 1) * time.Second

// grant returns what is granted of what was asked for.
func (b *Bounds) grant(asked lease) lease {
	g := lease{short: asked.short}
	if asked.lease != 0 {
		g.lease = min(max(asked.lease, b.MinLease), b.MaxLease)
	}
	switch {
	case asked.short:
		g.key = g.lease // one time for both (RFC 9664 Section 4.3)
	case asked.key != 0:
		g.key = min(max(asked.key, b.MinKeyLease), b.MaxKeyLease)
	}
	return g
}

// ttl returns the time to live of records that were sent with one.
func (b *Bounds) ttl(seconds uint32, lease time.Duration) time.Duration {
	ttl := min(time.Duration(seconds)*time.Second, lease) // RFC 9665 Section 4
	return min(max(ttl, b.MinTTL), b.MaxTTL)
}

// lease is the Update Lease option (RFC 9664 Section 4).
type lease struct {
	lease, key time.Duration
	short      bool // 4 bytes: one time for both
}

const (
	optionLease = 2
	// What a reply's OPT record says, as those of Thread's clients do.
	replyUDPSize = 1272
	replyFlags   = 0x8000 // DO (RFC 3225)
)

// Why an OPT record is refused.
var (
	ErrNoLease = errors.New("srp: no Update Lease option")
	ErrLeases  = errors.New("srp: the names' lease is shorter than that of what has them")
)

// decodeLease finds the lease in an OPT record (RFC 6891 Section 6.1.2).
func decodeLease(opt record) (l lease, err error) {
	found := false
	for b := opt.data; len(b) > 0; {
		at := opt.dataStart + len(opt.data) - len(b)
		if len(b) < 4 {
			return l, &DecodeError{"OPT record", at, ErrShort}
		}
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; len(b) < n {
			return l, &DecodeError{"option", at, ErrShort}
		}
		v := b[:n]
		b = b[n:]
		if code != optionLease || found {
			continue
		}
		found = true
		switch n {
		case 4:
			l.lease, l.short = seconds(v), true
			l.key = l.lease
		case 8:
			l.lease, l.key = seconds(v), seconds(v[4:])
		default:
			return l, &DecodeError{"Update Lease option", at, ErrRData}
		}
	}
	if !found {
		return l, ErrNoLease
	}
	if l.lease > l.key {
		return l, ErrLeases
	}
	return l, nil
}

func seconds(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

// appendReply appends an answer to an update: a header, and of a success what
// was granted (RFC 9664 Section 4.3).
func appendReply(b []byte, id uint16, code RCode, granted *lease) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, flagResponse|opcodeUpdate|uint16(code))
	b = append(b, 0, 0, 0, 0, 0, 0, 0)
	if granted == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	b = append(b, 0, 0, typeOPT)
	b = binary.BigEndian.AppendUint16(b, replyUDPSize)
	b = append(b, 0, 0) // extended code and version
	b = binary.BigEndian.AppendUint16(b, replyFlags)
	n := byte(8)
	if granted.short {
		n = 4
	}
	b = append(b, 0, 4+n, 0, optionLease, 0, n)
	b = binary.BigEndian.AppendUint32(b, uint32(granted.lease/time.Second))
	if !granted.short {
		b = binary.BigEndian.AppendUint32(b, uint32(granted.key/time.Second))
	}
	return b
}
