package mle

import (
	"encoding/binary"
	"fmt"

	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
)

// Challenge is the value of a Challenge or Response TLV, 4 to 8 bytes.
type Challenge []byte

// minVersion is the lowest protocol version there is: Thread 1.1.
const minVersion = 2

// reader reads the TLVs a receiver needs. The first one that is missing or
// malformed is remembered; after that every value is zero. Optional ones may be
// missing, but not malformed.
type reader struct {
	TLVs
	err error
}

func (r *reader) fail(t Type, err error) {
	if r.err == nil {
		r.err = &DecodeError{What: t.String() + " TLV", Err: err}
	}
}

// opt returns a value of at least n bytes, if the TLV is there.
func (r *reader) opt(t Type, n int) ([]byte, bool) {
	if r.err != nil {
		return nil, false
	}
	v, ok := r.Find(t)
	if ok && len(v) < n {
		r.fail(t, ErrShort)
		return nil, false
	}
	return v, ok
}

// must is opt for a TLV without which the message is refused; it returns
// zeros when it is not there.
func (r *reader) must(t Type, n int) []byte {
	v, ok := r.opt(t, n)
	if !ok {
		r.fail(t, ErrMissing)
		return make([]byte, n)
	}
	return v
}

func (r *reader) uint8(t Type) uint8   { return r.must(t, 1)[0] }
func (r *reader) uint16(t Type) uint16 { return binary.BigEndian.Uint16(r.must(t, 2)) }
func (r *reader) uint32(t Type) uint32 { return binary.BigEndian.Uint32(r.must(t, 4)) }

func (r *reader) optUint8(t Type) (uint8, bool) {
	if v, ok := r.opt(t, 1); ok {
		return v[0], true
	}
	return 0, false
}

func (r *reader) optUint16(t Type) (uint16, bool) {
	if v, ok := r.opt(t, 2); ok {
		return binary.BigEndian.Uint16(v), true
	}
	return 0, false
}

func (r *reader) optUint32(t Type) (uint32, bool) {
	if v, ok := r.opt(t, 4); ok {
		return binary.BigEndian.Uint32(v), true
	}
	return 0, false
}

// version reads a Version TLV; versions before Thread 1.1 are malformed.
func (r *reader) version() uint16 {
	v := r.uint16(TypeVersion)
	if r.err == nil && v < minVersion {
		r.fail(TypeVersion, fmt.Errorf("%w: %d", ErrInvalid, v))
	}
	return v
}

func (r *reader) mode() neighbor.Mode { return modeOf(r.uint8(TypeMode)) }

func (r *reader) optMode() (neighbor.Mode, bool) {
	v, ok := r.optUint8(TypeMode)
	return modeOf(v), ok
}

// modeOf sets the bit that is always set: it is ignored when received.
func modeOf(v uint8) neighbor.Mode {
	return neighbor.Mode(v)&(neighbor.ModeRxOnWhenIdle|neighbor.ModeFullThread|neighbor.ModeFullNetworkData) |
		neighbor.ModeSecureDataReq
}

// challenge reads a Challenge or Response TLV: of a longer one only 8 bytes.
func (r *reader) challenge(t Type) Challenge {
	c, ok := r.optChallenge(t)
	if !ok {
		r.fail(t, ErrMissing)
	}
	return c
}

func (r *reader) optChallenge(t Type) (Challenge, bool) {
	v, ok := r.opt(t, 4)
	if !ok {
		return nil, false
	}
	return Challenge(v[:min(len(v), 8)]), true
}

func (r *reader) leaderData() LeaderData {
	d, ok := r.optLeaderData()
	if !ok {
		r.fail(TypeLeaderData, ErrMissing)
	}
	return d
}

func (r *reader) optLeaderData() (LeaderData, bool) {
	v, ok := r.opt(TypeLeaderData, leaderDataLen)
	if !ok {
		return LeaderData{}, false
	}
	d, err := DecodeLeaderData(v)
	if err != nil {
		r.fail(TypeLeaderData, err)
	}
	return d, r.err == nil
}

func (r *reader) connectivity() Connectivity {
	c, err := DecodeConnectivity(r.must(TypeConnectivity, connectivityLen))
	if err != nil {
		r.fail(TypeConnectivity, err)
	}
	return c
}

func (r *reader) optRoute() (*Route, bool) {
	v, ok := r.opt(TypeRoute, routeLen)
	if !ok {
		return nil, false
	}
	d, err := DecodeRoute(v)
	if err != nil {
		r.fail(TypeRoute, err)
		return nil, false
	}
	return &d, true
}

// counters reads the frame counters: a missing MLE one is the link's.
func (r *reader) counters() (link, mle uint32) {
	link = r.uint32(TypeLinkCounter)
	if v, ok := r.optUint32(TypeMLECounter); ok {
		return link, v
	}
	return link, link
}

// requested reads the list of a TLV Request TLV, without repetitions.
func (r *reader) requested() typeList {
	l, ok := r.optRequested()
	if !ok {
		r.fail(TypeRequest, ErrMissing)
	}
	return l
}

func (r *reader) optRequested() (typeList, bool) {
	v, ok := r.opt(TypeRequest, 0)
	var l typeList
	for _, t := range v {
		l.add(Type(t))
	}
	return l, ok
}

func (r *reader) optTimestamp(t Type) (meshcop.Timestamp, bool) {
	v, ok := r.opt(t, meshcop.TimestampLen)
	if !ok {
		return meshcop.Timestamp{}, false
	}
	ts, err := meshcop.ParseTimestamp(v)
	if err != nil {
		r.fail(t, err)
	}
	return ts, r.err == nil
}

func (r *reader) addresses() ([]AddressEntry, bool) {
	v, ok := r.opt(TypeAddresses, 0)
	if !ok {
		return nil, false
	}
	a, err := DecodeAddresses(v)
	if err != nil {
		r.fail(TypeAddresses, err)
	}
	return a, r.err == nil
}

// typeList is a short list of types, each once.
type typeList []Type

func (l typeList) has(t Type) bool {
	for _, x := range l {
		if x == t {
			return true
		}
	}
	return false
}

func (l *typeList) add(t Type) {
	if !l.has(t) && len(*l) < maxTypes {
		*l = append(*l, t)
	}
}

// maxTypes bounds a type list; there are no more types.
const maxTypes = 40
